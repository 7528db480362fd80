"""Splits of a world: what is written beside the videos is what they show."""

import numpy as np
import pandas as pd
import pytest

from jaxvlm import files, outputs
from jaxvlm.data import tables
from jaxvlm.data import videos as readers
from jaxvlm.errors import InputError
from jaxvlm.ontology import captions
from jaxvlm.world import splits
from jaxvlm.world.videos import SPLITS, VideoTruth
from jaxvlm.world.vocabulary import ATOMS, EVENT_ROLES, EVENTS
from tests.listing import visible


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A split folder of two videos; the second one shows a shooting."""
    return splits.write_split(tmp_path_factory.mktemp("world") / "train", 2, "train", 2)


def truth_of(folder, name) -> VideoTruth:
    return VideoTruth(**files.read_arrays(folder / "truth" / f"{name}.safetensors"))


def test_intervals_are_runs_with_an_open_end():
    events = np.zeros((8, len(EVENTS)), np.uint8)
    events[[0, 1, 4, 7], 1] = 1
    events[2:8, 4] = 1
    truth = VideoTruth(np.arange(8) / 4, np.zeros((8, len(ATOMS)), np.uint8), events)
    expected = [
        ("v", EVENTS[1], 0.0, 0.5),
        ("v", EVENTS[1], 1.0, 1.25),
        ("v", EVENTS[1], 1.75, 2.0),
        ("v", EVENTS[4], 0.5, 2.0),
    ]
    assert [tuple(row) for row in splits.intervals("v", truth).itertuples(index=False)] == expected
    np.testing.assert_array_equal(
        tables.intervals_to_frames(splits.intervals("v", truth), truth.times, EVENTS), events
    )


def test_a_split_folder_is_complete(split):
    names = ["train_0000", "train_0001"]
    assert visible(split) == [
        "captions.json",
        "intervals.csv",
        "labels.csv",
        "roles.csv",
        "rules.csv",
        "truth",
        "videos",
    ]
    assert visible(split / "videos") == [f"{n}.mp4" for n in names]
    assert visible(split / "truth") == [f"{n}.safetensors" for n in names]
    assert visible(split.parent) == ["train"]


def test_truth_files_agree_with_labels_and_intervals(split):
    labels = tables.read_event_labels(split / "labels.csv", EVENTS)
    intervals = tables.read_intervals(split / "intervals.csv", EVENTS)
    assert labels["video_id"].tolist() == ["train_0000", "train_0001"]
    for name, row in zip(labels["video_id"], labels[list(EVENTS)].to_numpy(), strict=True):
        truth = truth_of(split, name)
        np.testing.assert_array_equal(row, truth.events.any(0))
        of_video = intervals[intervals["video_id"] == name]
        np.testing.assert_array_equal(
            tables.intervals_to_frames(of_video, truth.times, EVENTS), truth.events
        )
    assert labels["shooting"].tolist() == [0, 1]


def test_the_truth_has_a_row_for_every_frame_of_the_file(split):
    for name in ("train_0000", "train_0001"):
        truth = truth_of(split, name)
        times = [f.time_seconds for f in readers.frames(split / "videos" / f"{name}.mp4", fps=4)]
        assert truth.times.tolist() == times
        assert len(truth.atoms) == len(truth.events) == len(times)
        assert set(np.unique(truth.atoms)) <= {0, 1} and truth.atoms.any()


def test_the_written_roles(split):
    table = pd.read_csv(split / "roles.csv")
    for event, roles in EVENT_ROLES.items():
        for role in ("direct", "indirect", "counter"):
            rows = table[(table["event"] == event) & (table["role"] == role)]
            assert tuple(rows["atom"]) == getattr(roles, role)
    assert len(table) == sum(len(group) for roles in EVENT_ROLES.values() for group in roles)


def test_captions_fit_the_frames_that_a_user_extracts(split, tmp_path):
    frames = []
    for name in ("train_0000", "train_0001"):
        folder = readers.extract_frames(split / "videos" / f"{name}.mp4", tmp_path / name)
        frames += [folder.folder / f"{k:06d}.jpg" for k in range(folder.frames)]
    found = captions.match_captions(captions.read_captions(split / "captions.json"), frames, ATOMS)
    assert found.coverage.frames_found == found.coverage.frames_total == len(frames)
    truth = np.concatenate(
        [truth_of(split, name).atoms[::4] for name in ("train_0000", "train_0001")]
    )
    assert found.named.shape == truth.shape
    assert (found.named & (truth > 0)).sum() > 0.4 * truth.sum()


@pytest.mark.parametrize(
    ("num_videos", "parts", "expected"),
    [
        (10, SPLITS, {"train": 6, "validation": 1, "test": 3}),
        (20, SPLITS, {"train": 12, "validation": 2, "test": 6}),
        (7, SPLITS, {"train": 5, "test": 2}),  # 4.2, 0.7, 2.1: what is left over is for training
        (5, ("test",), {"test": 5}),
        (8, ("validation", "test"), {"validation": 2, "test": 6}),
        (0, SPLITS, {}),
    ],
)
def test_how_a_world_is_shared_out(tmp_path, monkeypatch, num_videos, parts, expected):
    written = {}

    def write_split(out_dir, seed, split, count, *, law, on_progress):
        assert (out_dir, seed, law) == (tmp_path / split, 9, "pairs")
        written[split] = count
        return out_dir

    monkeypatch.setattr(splits, "write_split", write_split)
    folders = splits.write_world(tmp_path, 9, num_videos, splits=parts, law="pairs")
    assert written == expected and folders == [tmp_path / split for split in expected]


@pytest.mark.parametrize(
    ("parts", "words"), [(("train", "dev"), "split dev: use"), ((), "split list")]
)
def test_an_unknown_split_is_one_line(tmp_path, parts, words):
    with pytest.raises(InputError, match=words):
        splits.write_world(tmp_path / "world", 0, 10, splits=parts)
    assert not (tmp_path / "world").exists()


def test_a_failed_split_leaves_the_earlier_one(split, tmp_path, monkeypatch):
    with outputs.output_path(tmp_path / "train", kind="rendered videos") as folder:
        folder.mkdir()
        (folder / "labels.csv").write_text("earlier")

    def fails(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(splits, "spread", fails)
    with pytest.raises(OSError, match="disk full"):
        splits.write_split(tmp_path / "train", 0, "train", 2)
    assert (tmp_path / "train" / "labels.csv").read_text() == "earlier"
    assert visible(tmp_path) == ["train"]
