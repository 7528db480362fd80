from pathlib import Path

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import Conventions
from jaxvlm.evaluation.protocols.scores import (
    VideoScores,
    read_scores,
    score_unit,
    split_scores,
    to_frames,
)


def scores(values, times=None):
    values = np.asarray(values, float).reshape(len(values), -1)
    return VideoScores(Path("v.npy"), values, (), None if times is None else np.asarray(times))


def brought(given, frames, unit, fps=None, **conventions):
    found = to_frames(given, frames, Conventions(**conventions), unit=unit, fps=fps)
    return found.values[:, 0].tolist(), found.added, found.cut


def test_a_score_per_frame_and_per_snippet():
    assert brought(scores([1, 2, 3]), 3, "frame") == ([1, 2, 3], 0, 0)
    assert brought(scores([1, 2]), 6, "snippet", snippet_frames=3) == ([1, 1, 1, 2, 2, 2], 0, 0)
    assert brought(scores([1, 2]), 5, "snippet", snippet_frames=3) == ([1, 1, 1, 2, 2], 0, 1)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("hold", [1, 1, 2, 2, 2]), ("zero", [1, 1, 2, 2, 0]), ("truncate", [1, 1, 2, 2])],
)
def test_frames_after_the_last_score(padding, expected):
    found = brought(scores([1, 2]), 5, "snippet", snippet_frames=2, padding=padding)
    assert found == (expected, 1, 0)


def test_even_scores_go_from_the_first_frame_to_the_last():
    assert brought(scores([1, 2, 3]), 6, "even")[0] == [1, 1, 2, 2, 3, 3]
    assert brought(scores([1, 2, 3]), 2, "even")[0] == [1, 2]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("hold", [1, 1, 1, 1, 5, 5, 5]),
        ("nearest", [1, 1, 1, 5, 5, 5, 5]),  # half-way the earlier one
        ("linear", [1, 2, 3, 4, 5, 5, 5]),
    ],
)
def test_scores_in_seconds(sampling, expected):
    given = scores([1, 5], times=[0.0, 1.0])
    assert brought(given, 7, "time", fps=4.0, time_sampling=sampling)[0] == expected


def test_a_time_that_is_rounded_is_still_reached():
    # Frame 2 of 29.97 per second is at 0.066733 s, which a table may round up.
    given = scores([1, 5], times=[0.0, 0.06674])
    assert brought(given, 3, "time", fps=29.97)[0] == [1, 1, 5]


@pytest.mark.parametrize(
    ("given", "frames", "unit"),
    [
        (scores([1, 2, 3]), 40, "frame"),
        (scores(np.ones(50)), 4, "frame"),
        (scores([1, 2, 3]), 100, "snippet"),
        (scores([1, 2, 3], times=[0, 1, 2]), 120, "time"),  # for 30 frames after 2 s, not 60
        (scores([1, 2, 3], times=[0, 1, 2]), 20, "time"),
    ],
)
def test_other_lengths_than_the_video(given, frames, unit):
    with pytest.raises(InputError, match=rf"v.npy: .* scores are for .* \({unit}\), but the video"):
        to_frames(given, frames, Conventions(tolerance_frames=20), unit=unit, fps=30.0)


def test_scores_in_seconds_need_a_rate():
    with pytest.raises(InputError, match="--video_fps"):
        to_frames(scores([1], times=[0.0]), 4, Conventions(), unit="time", fps=None)


def test_the_unit_is_chosen_once_for_all_videos():
    # The short video alone would fit frames better: |2 − 2| against |2·16 − 2|.
    given = {"a": scores(np.ones(2)), "b": scores(np.ones(10))}
    assert score_unit(given, {"a": 2, "b": 160}, Conventions()) == "snippet"
    assert score_unit(given, {"a": 2, "b": 10}, Conventions()) == "frame"
    assert score_unit(given, {"a": 2, "b": 10}, Conventions(score_unit="even")) == "even"
    assert score_unit({"a": scores([1], times=[0.0])}, {"a": 9}, Conventions()) == "time"
    with pytest.raises(InputError, match="no column time_seconds"):
        score_unit(given, {}, Conventions(score_unit="time"))


def test_scores_of_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    header = "frame,time_seconds,fire,road accident\n"
    (tmp_path / "a" / "events.csv").write_text(header + "0,0,0.1,0.2\n1,0.5,0.3,0.4\n")
    (tmp_path / "b_x264.csv").write_text(header + "0,0,0.5,0.6\n")
    found = read_scores(tmp_path)
    assert list(found) == ["a", "b"] and found["a"].columns == ("fire", "road accident")
    assert found["a"].values.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert found["a"].times.tolist() == [0, 0.5]


def test_a_column_needs_no_name_if_it_is_the_only_one(tmp_path):
    (tmp_path / "a.csv").write_text("0.1\n0.2\n")
    np.save(tmp_path / "b.npy", np.array([[0.5], [0.25]], np.float32))
    found = read_scores(tmp_path)
    assert [item.values[:, 0].tolist() for item in found.values()] == [[0.1, 0.2], [0.5, 0.25]]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("0.1,0.2\n", "a name for each of its columns"),
        ("a,a\n1,2\n", "a name for each of its columns"),
        ("a\n", "no scores"),
        ("a\nx\n", "score 0 is no finite number"),
        ("0.1\nnan\n", "score 1 is no finite number"),
        ("time_seconds,a\n0,1\n0,2\n", "time_seconds does not increase"),
        ("frame,a\n0,1\n16,2\n", "frame does not count 0, 1, 2"),
        ("frame,time_seconds\n0,1\n", "no column of scores"),
    ],
)
def test_a_table_that_is_none(tmp_path, text, cause):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(InputError, match=f"v.csv: {cause}"):
        read_scores(tmp_path)


def test_folders_that_do_not_do(tmp_path):
    with pytest.raises(InputError, match="no VIDEO/events.csv, VIDEO.csv or VIDEO.npy"):
        read_scores(tmp_path)
    np.save(tmp_path / "v.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"shape \[2, 3\]"):
        read_scores(tmp_path)
    np.save(tmp_path / "v.npy", np.zeros(2))
    np.save(tmp_path / "v_x264.npy", np.zeros(2))
    with pytest.raises(InputError, match="v has scores in .* too"):
        read_scores(tmp_path)
    (tmp_path / "v_x264.npy").unlink()
    (tmp_path / "w.csv").write_text("fire\n1\n")
    with pytest.raises(InputError, match="w.csv: other columns"):
        read_scores(tmp_path)


def test_one_array_of_all_videos(tmp_path):
    path = tmp_path / "pred.npy"
    np.save(path, np.arange(3.0))
    found = split_scores(path, {"a": 20, "b": 16}, Conventions())  # 2 begun snippets, 1
    assert {k: v.values[:, 0].tolist() for k, v in found.items()} == {"a": [0, 1], "b": [2]}
    found = split_scores(path, {"b": 1, "a": 2}, Conventions())
    assert {k: v.values[:, 0].tolist() for k, v in found.items()} == {"b": [0], "a": [1, 2]}
    with pytest.raises(InputError, match="3 scores, but the videos have 20 frames and 2 snippets"):
        split_scores(path, {"a": 20}, Conventions())
