"""The worlds that intervals are tried on, and the interval that ours is compared with."""

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import interval_coverage as study

WORLD = {
    "frames": 40.0, "tail": 0.8, "share_a": 1.0, "share_b": 3.0, "between": 0.5, "freedom": 6.0,
    "missed": 0.1, "shift": 2.0, "lift": 0.5,
}  # fmt: skip


def test_half_of_the_videos_have_one_anomalous_stretch():
    data = study.draw_videos(np.random.default_rng(0), 40, WORLD)
    for video in range(40):
        labels = data.labels[data.unit == video].astype(int)
        changes = np.flatnonzero(np.diff(labels, prepend=0, append=0))
        assert len(changes) == (2 if video < 20 else 0)


def test_a_video_that_is_missed_scores_like_any_other():
    loud = WORLD | {"shift": 100.0, "missed": 0.5}
    data = study.draw_videos(np.random.default_rng(1), 200, loud)
    tops = [data.scores[data.unit == v].max() for v in range(100)]
    assert 30 < np.sum(np.array(tops) > 50) < 70
    assert data.scores[~data.labels].max() < 50


def test_bca_without_bias_or_skew_is_the_percentiles():
    resampled = stats.norm.ppf((np.arange(999) + 0.5) / 999)
    values = np.append(0.0, resampled)
    influence, kinds = np.array([1.0, -1.0, 2.0, -2.0]), np.array([0, 0, 1, 1])
    found = study.bca_interval(values, influence, kinds)
    np.testing.assert_allclose(found, np.quantile(resampled, [0.025, 0.975]), atol=0.02)
    # Skewed to the right, the interval moves to the right.
    skewed = study.bca_interval(values, np.array([3.0, -1.0, -1.0, -1.0]), np.array([0, 0, 0, 1]))
    assert skewed[0] > found[0] and skewed[1] > found[1]


def test_the_summary_has_the_least_and_the_mean():
    rows = [
        {"units": "videos", "metric": "ap", "interval": "x", "number": 30, "width": 0.2,
         "coverage": coverage}
        for coverage in (0.9, 0.96)
    ]  # fmt: skip
    (row,) = study.summary(pd.DataFrame(rows)).to_dict("records")
    assert row == {"least": 0.9, "mean": 0.93, "width": 0.2}
