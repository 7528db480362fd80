"""The clips' protocol: which score a frame has, and what is averaged."""

import numpy as np
import pytest

from benchmarks import real_clips
from benchmarks.real_clips import EVENTS, MEDIAN_DISTANCE, PIXEL_CHANGE, Clip
from jaxvlm.errors import InputError


def clip(scores, truth) -> Clip:
    """Sampled once a second, of four frames a second."""
    rows = {row: np.array(scores, float) for row in (EVENTS, PIXEL_CHANGE, MEDIAN_DISTANCE)}
    seconds = np.arange(len(truth)) / 4
    return Clip(seconds, np.array(truth), np.arange(len(scores)), rows, np.zeros((0, 2)))


def test_a_frame_has_the_last_score_at_or_before_it():
    one = clip([0.1, 0.9], [0] * 8)
    np.testing.assert_allclose(real_clips.to_frames(one, EVENTS), [0.1] * 4 + [0.9] * 4)


def test_pooled_and_per_clip_are_told_apart():
    """Perfect within each clip; over both, the loud clip's normal frames beat the quiet event."""
    clips = {
        "loud": clip([0.5, 0.9], [0] * 4 + [1] * 4),
        "quiet": clip([0.1, 0.2], [0] * 4 + [1] * 4),
    }
    row = real_clips.table(clips).loc[EVENTS]
    assert row["per clip"] == row["loud"] == row["quiet"] == 1.0
    assert row["pooled"] == 0.75  # of the four pairs of groups one is the wrong way round


def test_clips_are_found_with_their_truth(tmp_path):
    for name in ("b_x264.mp4", "b_x264_gt.npy", "a_x264.mp4", "c_x264_gt.npy"):
        (tmp_path / name).touch()
    assert list(real_clips.find_clips(tmp_path)) == ["b"]
    with pytest.raises(InputError, match="check --root"):
        real_clips.find_clips(tmp_path / "none")
