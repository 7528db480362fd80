"""Roles measured on videos that they were not trained on."""

import jax
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.video import held_out, role_learning
from jaxvlm.video import role_model as role_models
from jaxvlm.video.held_out import Holdout
from tests.video.role_runs import ATOMS, EVENTS, small_config, write_runs

VIDEOS = 24  # each event in half of them


def train(folder, **options) -> role_learning.Learned:
    manifest = folder / "runs" / "manifest.csv"
    if not manifest.exists():
        write_runs(folder / "runs", VIDEOS)
    return role_learning.train_manifest(manifest, folder / "out", small_config(), **options)


def figure(measured, part: str, method: str, event: str, level: str = "video") -> float:
    rows = measured.figures.set_index(["part", "level", "method", "event"])
    return rows.loc[(part, level, method, event), "auroc"]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held out")
    return folder, train(folder)


def test_a_quarter_is_held_out_and_not_trained_on(learned):
    folder, (model, measured) = learned
    split = files.read_csv(folder / "out" / "split.csv")
    trained = sorted(split["video_id"][split["part"] == "train"])
    assert split["part"].value_counts().to_dict() == {"train": 18, "held out": 6}
    assert list(model.training["training_videos"]) == trained
    loaded = role_models.load_role_model(folder / "out" / "model")
    assert loaded.training["training_videos"] == trained and loaded.training["videos"] == 18
    assert files.read_json(folder / "out" / "run.json")["held_out"]["videos"] == 6
    table = files.read_csv(folder / "out" / "figures.csv")
    pd.testing.assert_frame_equal(table, measured.figures, check_dtype=False)


def test_the_roles_are_those_of_the_training_part_alone(learned, tmp_path):
    folder, (model, _) = learned
    split = files.read_csv(folder / "out" / "split.csv")
    manifest = write_runs(tmp_path / "runs", VIDEOS)
    table = pd.read_csv(manifest)
    kept = table[(split["part"] == "train").to_numpy()]
    kept.to_csv(manifest, index=False)
    alone = role_learning.train_manifest(
        manifest, tmp_path / "out", small_config(), holdout=Holdout(0.0)
    )
    jax.tree.map(np.testing.assert_array_equal, alone.model.params, model.params)
    assert not len(alone.measured.figures)
    assert held_out.summary_lines(alone.measured) == []  # it was asked for


def test_figures_of_both_parts_stand_beside_what_has_to_be_beaten(learned):
    _, (_, measured) = learned
    methods = {"role model", "MIL linear", "MIL top-k mean", "video length", "base rate"}
    assert set(measured.figures["method"]) == methods
    for event in (*EVENTS, "mean of events"):
        assert figure(measured, "held out", "base rate", event) == 0.5
        assert figure(measured, "held out", "role model", event) == 1.0  # flame means fire
    lines = held_out.summary_lines(measured)
    assert lines[0] == "6 of 24 videos held out (split.csv)"
    assert lines[1].startswith("AUROC per video")
    for title in ("role model, train", "role model, held out", "MIL linear", "base rate"):
        assert title in lines[2]
    assert all("\n" not in line for line in lines)


def test_the_held_out_part_has_its_own_figures(learned, tmp_path):
    """Where flame means fire in the training part and its absence does in the other."""
    folder, _ = learned
    split = files.read_csv(folder / "out" / "split.csv").set_index("video_id")["part"]
    write_runs(tmp_path / "runs", VIDEOS)
    flame = ATOMS.index("flame")
    for n in range(VIDEOS):
        if split[f"video_{n}"] == "held out":
            path = tmp_path / "runs" / f"video_{n}" / "trainpack.safetensors"
            arrays = files.read_arrays(path)
            arrays["pbar"][2:4, flame] = 0.1 if n % 2 else 0.9
            files.write_arrays(path, arrays)
    measured = train(tmp_path).measured
    assert figure(measured, "train", "role model", "fire") == 1.0
    assert figure(measured, "held out", "role model", "fire") == 0.0


def test_folds_measure_every_video_once_and_the_roles_see_all(tmp_path):
    model, measured = train(tmp_path, holdout=Holdout(0.0, 3))
    split = files.read_csv(tmp_path / "out" / "split.csv")
    assert split["part"].value_counts().to_dict() == {"fold 1": 8, "fold 2": 8, "fold 3": 8}
    assert len(model.training["training_videos"]) == VIDEOS
    assert figure(measured, "held out", "role model", "fire") == 1.0
    assert held_out.summary_lines(measured)[0].startswith("3 folds of 24 videos")
    again = train(tmp_path, holdout=Holdout(0.0, 3))  # goes on from its states
    pd.testing.assert_frame_equal(again.measured.figures, measured.figures)


def test_too_few_videos_are_told_and_all_trained_on(tmp_path):
    manifest = write_runs(tmp_path / "runs", 8)
    model, measured = role_learning.train_manifest(manifest, tmp_path / "out", small_config())
    assert len(model.training["training_videos"]) == 8
    (line,) = held_out.summary_lines(measured)
    assert line == (
        "nothing is held out: 4 of 8 videos show fire, and every part needs 2 that do and 2 that "
        "do not; give more, or --folds=2. No figure says how good the roles are"
    )
    assert set(files.read_csv(tmp_path / "out" / "split.csv")["part"]) == {"train"}


def test_a_rare_event_does_not_keep_the_others_from_being_measured(tmp_path):
    labels = np.zeros((24, 2), int)
    labels[::2, 0], labels[5, 1] = 1, 1  # twelve videos show fire, one a flood
    plan = held_out.make_plan(labels, ("fire", "flood"), held_out.DEFAULT, seed=0)
    assert (plan.part >= 0).sum() == 6 and plan.lacking == ("flood",)
    assert plan.note == (
        "no figures for flood: 1 of 24 videos show flood, and every part needs 2 that do and 2 "
        "that do not; give more labelled videos"
    )


def test_folds_are_not_advised_where_they_would_not_do():
    labels = np.array([[1], [1], [1], [0], [0], [0], [0], [0]])  # two folds need 2 each
    plan = held_out.make_plan(labels, ("fire",), held_out.DEFAULT, seed=0)
    assert not plan.held_out
    assert plan.note.endswith(
        "2 that do not; give more labelled videos. No figure says how good the roles are"
    )


def test_labels_of_frames_are_measured_per_frame(tmp_path):
    write_runs(tmp_path / "runs", VIDEOS)
    for n in range(VIDEOS):
        run = tmp_path / "runs" / f"video_{n}"
        labels = np.zeros((len(files.read_arrays(run / "trainpack.safetensors")["pbar"]), 2), int)
        labels[2:4] = [n % 2, n // 2 % 2]
        labels[0] = -1  # unknown
        files.write_arrays(run / "labels.safetensors", {"labels": labels.astype(np.int8)})
    measured = train(tmp_path).measured
    assert figure(measured, "held out", "role model", "fire", "frame") > 0.9
    assert any(line.startswith("AP per frame") for line in held_out.summary_lines(measured))


@pytest.mark.parametrize(
    ("share", "folds", "cause"),
    [(0.5, 3, "give one of them"), (None, 1, "give 2 or more"), (1.0, 0, "below 1")],
)
def test_what_cannot_be_held_out_is_refused(share, folds, cause):
    with pytest.raises(InputError, match=cause):
        held_out.check_holdout(share, folds)


def test_the_default_is_a_quarter():
    assert held_out.check_holdout(None, 0) == Holdout(0.25, 0) == held_out.DEFAULT
    assert held_out.check_holdout(None, 4) == Holdout(0.0, 4)
    assert held_out.check_holdout(0.0, 0) == Holdout(0.0, 0)
    everything = ("MIL linear", "MIL top-k mean", "MIL quadratic", "MIL MLP-16")
    assert held_out.check_holdout(None, 4, True) == Holdout(0.0, 4, everything)
    with pytest.raises(InputError, match="--all_baselines: nothing is held out"):
        held_out.check_holdout(0.0, 0, True)
