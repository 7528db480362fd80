"""Folders of frames to run folders: the files, the labels, and what can go wrong."""

import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import config as settings
from jaxvlm.video import role_data
from jaxvlm.video.config import AtomsConfig
from tests.listing import visible
from tests.video.runs import ATOMS, EVENTS, NUM_FRAMES, ONTOLOGY, arrays, contents


def test_a_run_writes_the_documented_files(run, tmp_path):
    result = run()
    assert result.manifest == tmp_path / "out" / "manifest.csv"
    assert result.done == ["b9", "b10"] and result.failures == [] and result.coverage is None
    assert visible(tmp_path / "out") == [
        "b10",
        "b9",
        "manifest.csv",
        "ontology.yaml",
        "pipeline.json",
    ]
    shapes = {
        "presence": {"presence": ("T", 5), "times": ("T",), "image_embeddings": ("T", 8)},
        "boundary": {"boundary": ("T",), "divergence": ("T",)},
        "seg_presence": {"seg_presence": ("T", 5)},
        "labels": {"labels": ("T", 2)},
        "trainpack": {"pbar": ("T", 5), "labels": ("T",)},
    }
    for name, count in NUM_FRAMES.items():
        folder = tmp_path / "out" / name
        assert visible(folder) == sorted(["encoder.json", *(f"{k}.safetensors" for k in shapes)])
        for kind, expected in shapes.items():
            found = {key: array.shape for key, array in arrays(folder, kind).items()}
            assert found == {
                key: tuple(count if axis == "T" else axis for axis in shape)
                for key, shape in expected.items()
            }
            for array in arrays(folder, kind).values():
                assert array.dtype == (np.int8 if kind == "labels" else array.dtype)
                assert np.isfinite(array).all()
    runs = tables.read_manifest(result.manifest)
    assert [r.run_dir.name for r in runs] == ["b9", "b10"]
    assert [r.labels_csv for r in runs] == [None, None]
    assert (tmp_path / "out" / "ontology.yaml").read_text() == ONTOLOGY
    record = files.read_json(tmp_path / "out" / "pipeline.json")
    assert {"texts", "encode", "segment"} <= set(record["seconds"]) and record["versions"]["jax"]
    config = settings.check(record["config"])
    assert config.fps == 2.0 and config == AtomsConfig(fps=2.0, batch_size=4)


def test_times_come_from_the_index_or_the_rate(run, tmp_path):
    run()
    np.testing.assert_array_equal(
        arrays(tmp_path / "out" / "b10", "presence")["times"], [0.0, 2.5, 4.0]
    )
    np.testing.assert_array_equal(
        arrays(tmp_path / "out" / "b9", "presence")["times"], np.arange(6) / 2
    )


def test_labels_of_videos(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,abuse,riot\nb9,yes,0\nb10,0,0\nb11,1,1\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    assert result.failures == []
    assert result.notes == [
        f"{tmp_path}/labels.csv: no such video here: 'b11' (did you mean 'b10'?); "
        "its labels are not used"
    ]
    labels = arrays(tmp_path / "out" / "b9", "labels")["labels"]
    np.testing.assert_array_equal(labels, [[0, 1]] * 6)  # the ontology's order of events
    np.testing.assert_array_equal(arrays(tmp_path / "out" / "b9", "trainpack")["labels"], [1] * 6)
    np.testing.assert_array_equal(arrays(tmp_path / "out" / "b10", "trainpack")["labels"], [0] * 3)
    runs = tables.read_manifest(result.manifest)
    table = tables.read_event_labels(runs[0].labels_csv, EVENTS)
    assert table.to_dict("records") == [{"video_id": "b9", "riot": 0, "abuse": 1}]


def test_labels_of_frames(run, tmp_path):
    rows = ["video_id,frame,riot,abuse", "b9,1,1,0", "b9,4,0,1", "b9,77,1,1"]
    rows += [f"b10,{k},0,0" for k in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    expected = np.full((6, 2), -1)
    expected[1], expected[4] = (1, 0), (0, 1)
    folder = tmp_path / "out" / "b9"
    np.testing.assert_array_equal(arrays(folder, "labels")["labels"], expected)
    np.testing.assert_array_equal(arrays(folder, "trainpack")["labels"], [-1, 1, -1, -1, 1, -1])
    ontology = load_ontology(tmp_path / "ontology.yaml")
    data = role_data.read_runs(result.manifest, ontology)
    assert data.labels.tolist() == [[1, 1], [0, 0]]


def test_without_labels_nothing_is_known(run, tmp_path):
    run()
    assert (arrays(tmp_path / "out" / "b9", "labels")["labels"] == -1).all()
    assert (arrays(tmp_path / "out" / "b9", "trainpack")["labels"] == -1).all()
    assert not (tmp_path / "out" / "b9" / "video_event_labels.csv").exists()


def test_a_video_without_a_label_row_is_skipped(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nb9,1,0\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    assert result.done == ["b9"]
    (failure,) = result.failures
    assert "b10" in failure and "labels.csv: no row" in failure and "\n" not in failure
    assert result.notes == []


def test_a_misspelt_video_is_told_with_the_name_that_is_near(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nb9,1,0\nb-10,1,0\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    assert "no row for video b10 (did you mean 'b-10'?); add one" in result.failures[0]
    assert "no such video here: 'b-10' (did you mean 'b10'?)" in result.notes[0]


def test_wrong_labels_stop_the_run_before_it_starts(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abus\nb9,1,0\n")
    with pytest.raises(InputError, match="abuse"):
        run(labels_csv=tmp_path / "labels.csv")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_frame_costs_its_video_only(run, frames_root, tmp_path):
    run()
    before = contents(tmp_path / "out" / "b9")
    broken = frames_root / "b9" / "000003.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    result = run(presence__kind="cosine")
    assert result.done == ["b10"]
    (failure,) = result.failures
    assert failure.startswith("b9: ") and str(broken) in failure and "\n" not in failure
    assert contents(tmp_path / "out" / "b9") == before  # the earlier run
    assert [r.run_dir.name for r in tables.read_manifest(result.manifest)] == ["b10"]
    assert arrays(tmp_path / "out" / "b10", "presence")["presence"].min() > 0


def test_if_no_video_can_be_scored_earlier_results_stay(run, frames_root, tmp_path):
    run()
    before = contents(tmp_path / "out")
    for name in NUM_FRAMES:
        (frames_root / name / "000001.jpg").write_text("no picture")
    with pytest.raises(InputError, match="no video could be scored") as caught:
        run(presence__kind="cosine")
    assert "000001.jpg" in str(caught.value) and "\n" not in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_an_empty_folder_and_a_wrong_index_are_reported(run, frames_root):
    (frames_root / "c1").mkdir()
    (frames_root / "b10" / "index.csv").write_text("frame,time_seconds\n0,0.0\n")
    result = run()
    assert result.done == ["b9"] and len(result.failures) == 2
    assert "c1: no picture" in result.failures[0]
    assert "no time for 000001.jpg" in result.failures[1]


def test_a_second_run_replaces_a_run_folder_whole(run, tmp_path):
    run()
    first = contents(tmp_path / "out")
    run()
    again = contents(tmp_path / "out")
    assert set(again) == set(first)
    for name in first.keys() - {"pipeline.json"}:  # it holds timings
        assert again[name] == first[name], name


def test_a_folder_with_a_video_name_that_holds_something_else_stays(run, tmp_path):
    thesis = tmp_path / "out" / "b9" / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    result = run()
    assert result.done == ["b10"] and len(result.failures) == 1
    assert "b9: holds thesis.txt, which jaxvlm did not write" in result.failures[0]
    assert thesis.read_text() == "years of work" and visible(thesis.parent) == ["thesis.txt"]


def test_role_learning_reads_what_the_pipeline_wrote(run, tmp_path):
    (tmp_path / "labels.csv").write_text("video_id,riot,abuse\nb9,1,0\nb10,0,1\n")
    result = run(labels_csv=tmp_path / "labels.csv")
    ontology = load_ontology(result.manifest.parent / "ontology.yaml")
    data = role_data.read_runs(result.manifest, ontology)
    assert ontology.atoms == ATOMS and ontology.events == EVENTS
    assert data.names == result.done and data.labels.tolist() == [[1, 0], [0, 1]]
    for name, pbar, presence in zip(data.names, data.videos, data.presences, strict=True):
        folder = tmp_path / "out" / name
        np.testing.assert_array_equal(pbar, arrays(folder, "seg_presence")["seg_presence"])
        np.testing.assert_array_equal(presence, arrays(folder, "presence")["presence"])
