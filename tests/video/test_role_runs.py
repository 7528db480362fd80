"""What role learning reads: the runs of a manifest, and runs that cannot be used."""

import shutil

import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import role_data, role_learning
from tests.listing import visible
from tests.video.role_runs import VIDEOS, small_config, write_runs


@pytest.fixture
def manifest(tmp_path):
    return write_runs(tmp_path / "runs")


def test_runs_are_read_in_the_order_of_the_manifest(manifest):
    data = role_data.read_runs(manifest, load_ontology(manifest.parent / "ontology.yaml"))
    assert data.names == [f"video_{n}" for n in range(VIDEOS)]
    assert [video.shape for video in data.videos] == [(6 + n % 3, 6) for n in range(VIDEOS)]
    assert data.labels.tolist() == [[n % 2, n // 2 % 2] for n in range(VIDEOS)]
    for n, (pbar, presence) in enumerate(zip(data.videos, data.presences, strict=True)):
        stored = files.read_arrays(manifest.parent / f"video_{n}" / "presence.safetensors")
        np.testing.assert_array_equal(presence, stored["presence"])
        np.testing.assert_array_equal(pbar, stored["presence"])


def test_an_event_on_any_frame_is_an_event_of_the_video(manifest):
    path = manifest.parent / "video_0" / "video_event_labels.csv"
    path.write_text("video_id,frame,fire,flood\nvideo_0,0,0,0\nvideo_0,3,1,0\n")
    data = role_data.read_runs(manifest, load_ontology(manifest.parent / "ontology.yaml"))
    assert data.labels[0].tolist() == [1, 0]


def test_of_a_table_of_many_videos_a_run_has_its_own_rows(manifest):
    path = manifest.parent / "video_0" / "video_event_labels.csv"
    path.write_text("video_id,fire,flood\nvideo_0,0,1\nvideo_7,1,0\n")
    ontology = load_ontology(manifest.parent / "ontology.yaml")
    assert role_data.read_runs(manifest, ontology).labels[0].tolist() == [0, 1]
    path.write_text("video_id,fire,flood\nvideo-0,0,1\nclip,1,0\n")
    with pytest.raises(InputError, match=r"'video_0' \(did you mean 'video-0'\?\); add a row"):
        role_data.read_runs(manifest, ontology)


def without_labels(folder):
    rows = (folder / "manifest.csv").read_text().splitlines()
    rows[3] = "video_2,"
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def with_pbar(change):
    def spoil(folder):
        path = folder / "video_2" / "trainpack.safetensors"
        arrays = files.read_arrays(path)
        files.write_arrays(path, {**arrays, "pbar": change(arrays["pbar"].copy())})

    return spoil


def nan(pbar):
    pbar[3, 1] = np.nan
    return pbar


def other_atoms(folder):
    for n in range(VIDEOS):
        path = folder / f"video_{n}" / "trainpack.safetensors"
        arrays = files.read_arrays(path)
        files.write_arrays(path, {**arrays, "pbar": arrays["pbar"][:, :4]})


def label_text(text):
    return lambda folder: (folder / "video_2" / "video_event_labels.csv").write_text(text)


BAD_RUNS = {
    "no labels": (without_labels, "video_2 has no labels; run the pipeline with --labels_csv"),
    "one of fewer atoms": (with_pbar(lambda p: p[:, :5]), "video_2.*5 atoms, but 6 in"),
    "all of fewer atoms": (other_atoms, "video_0: 4 atoms, the ontology has 6"),
    "NaN": (with_pbar(nan), "video_2.*NaN or infinity in frame 3"),
    "missing run": (lambda f: shutil.rmtree(f / "video_2"), "no such run 'video_2'"),
    "no pack": (lambda f: (f / "video_2" / "trainpack.safetensors").unlink(), "no such file"),
    "misspelled event": (label_text("video_id,fire,flod\nvideo_2,0,1\n"), "'flood'.*'flod'"),
    "no 0/1": (label_text("video_id,fire,flood\nvideo_2,0,maybe\n"), "row 2, column flood"),
}


@pytest.mark.parametrize("name", sorted(BAD_RUNS))
def test_bad_runs_are_one_line_and_leave_earlier_roles(manifest, tmp_path, name):
    spoil, words = BAD_RUNS[name]
    spoil(manifest.parent)
    files.write_text(tmp_path / "out" / "roles.csv", "earlier")
    with pytest.raises(InputError, match=words) as caught:
        role_learning.train_manifest(manifest, tmp_path / "out", small_config())
    assert "\n" not in str(caught.value) and "; " in str(caught.value)
    assert (tmp_path / "out" / "roles.csv").read_text() == "earlier"
    assert visible(tmp_path / "out") == ["roles.csv"]
