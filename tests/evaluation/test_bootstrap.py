"""Against scikit-learn on the drawn frames themselves: the frames of a video, as often as drawn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation import bootstrap
from jaxvlm.evaluation.bootstrap import resampled_metrics
from jaxvlm.evaluation.paired import bootstrap_intervals
from tests.evaluation import slow_intervals


def slow(scores, labels, ap_definition):
    if labels.all() or not labels.any():
        return math.nan, math.nan
    if ap_definition == "trapezoid":
        precision, recall, _ = precision_recall_curve(labels, scores)
        return roc_auc_score(labels, scores), auc(recall, precision)
    return roc_auc_score(labels, scores), average_precision_score(labels, scores)


def slow_resamples(scores, labels, video, ap_definition, num_resamples, seed):
    """Repeats the frames of each drawn video and asks scikit-learn, one resample at a time."""
    names = np.unique(video)
    strata = [[n for n in names if labels[video == n].any() == kind] for kind in (True, False)]
    drawn = []
    for stratum, members in enumerate(strata):
        if members:
            rng, size = np.random.default_rng([seed, stratum]), len(members)
            draws = [rng.integers(size, size=size) for _ in range(num_resamples)]
            drawn.append([np.array(members)[draw] for draw in draws])
    values = []
    for parts in zip(*drawn, strict=True):
        frames = np.concatenate([np.flatnonzero(video == n) for n in np.concatenate(parts)])
        values.append(slow(scores[frames], labels[frames], ap_definition))
    return np.array([row for row in values if not math.isnan(row[0])])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40
    ),
    st.sampled_from(["average_precision", "trapezoid"]),
)
def test_values_are_scikit_learns_with_ties(frames, ap_definition):
    scores, labels, video = (np.array(column) for column in zip(*frames, strict=True))
    found = resampled_metrics(scores, labels, video, ap_definition=ap_definition, num_resamples=0)
    expected = slow(scores, labels, ap_definition)
    assert (found.auc.value, found.ap.value) == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert math.isnan(found.auc.low) and found.resamples == 0


@pytest.mark.parametrize("ap_definition", ["average_precision", "trapezoid"])
@pytest.mark.parametrize("levels", [4, 1000])  # many ties, and nearly none
def test_intervals_are_those_of_the_drawn_frames(ap_definition, levels, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROWS", 7)  # several blocks of thresholds
    monkeypatch.setattr(bootstrap, "COLUMNS", 16)  # and several of resamples
    rng = np.random.default_rng(levels)
    video = np.sort(rng.integers(12, size=300))
    labels = (rng.random(300) < 0.4) & (video % 2 == 0)
    scores = rng.integers(levels, size=300) + labels * levels // 4
    found = resampled_metrics(
        scores, labels, video, ap_definition=ap_definition, num_resamples=50, seed=5, level=0.9
    )
    drawn = slow_resamples(scores, labels, video, ap_definition, 50, 5)
    assert found.resamples == len(drawn)
    kinds = [int(not labels[video == n].any()) for n in np.unique(video)]
    trapezoid = ap_definition == "trapezoid"
    weighed = slow_intervals.influences(
        lambda w: slow_intervals.areas(scores, labels, w, trapezoid=trapezoid), video
    )
    for got, influence, resampled in zip((found.auc, found.ap), weighed, drawn.T, strict=True):
        expected = slow_intervals.logit_interval(got.value, influence, resampled, kinds, 0.9)
        assert got[1:] == pytest.approx(expected, rel=1e-5)


def test_resamples_of_one_kind_of_frame_are_left_out_and_counted():
    # Three videos, all anomalous; only video 2 has normal frames, and some draws lack it.
    video = np.array([0, 0, 1, 1, 2, 2])
    labels = np.array([1, 1, 1, 1, 1, 0])
    found = resampled_metrics(np.arange(6), labels, video, num_resamples=200)
    number = len(slow_resamples(np.arange(6), labels, video, "average_precision", 200, 0))
    assert found.resamples == number < 200
    assert (found.videos, found.frames, found.positive_frames) == (3, 6, 5)


def test_interpolation_matters():
    # Recall 1/2 at precision 1, then 1 at 2/3: 1/2 + 1/3, and trapezoids 1/2 + (1/2 + 2/3)/4.
    scores, labels = np.array([4, 3, 2, 1]), np.array([1, 0, 1, 0])
    step = resampled_metrics(scores, labels, np.zeros(4, int), num_resamples=0)
    area = resampled_metrics(
        scores, labels, np.zeros(4, int), num_resamples=0, ap_definition="trapezoid"
    )
    assert step.ap.value == pytest.approx(5 / 6)
    assert area.ap.value == pytest.approx(19 / 24)


@pytest.mark.parametrize("levels", [6, 10_000])
def test_pictures_are_videos_of_one_frame(levels):
    rng = np.random.default_rng(levels)
    scores, labels = rng.integers(levels, size=150), np.arange(150) < 60
    found = resampled_metrics(scores, labels, np.arange(150), num_resamples=100, seed=3)
    pictures = bootstrap_intervals(scores[:60], scores[60:], num_resamples=100, seed=3)
    assert found.auc == pictures.auroc and found.resamples == 100
    assert found.ap == pytest.approx(pictures.aupr_in, abs=1e-14)  # summed in another order


def test_one_seed_gives_one_interval_whatever_the_order_of_the_frames():
    rng = np.random.default_rng(0)
    video, labels, scores = rng.integers(9, size=200), rng.random(200) < 0.3, rng.random(200)
    order = rng.permutation(200)
    first = resampled_metrics(scores, labels, video, num_resamples=30)
    assert resampled_metrics(scores[order], labels[order], video[order], num_resamples=30) == first
    assert resampled_metrics(scores, labels, video, num_resamples=30, seed=1) != first


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"scores": [0.1, math.nan]}, "NaN at frame 1"),
        ({"labels": [1, -1]}, "neither 0 nor 1"),
        ({"ap_definition": "area"}, "'area': unknown; use one of average_precision, trapezoid"),
        ({"level": 1.0}, "level 1.0"),
        ({"num_resamples": -1}, "-1 resamples"),
    ],
)
def test_bad_input(change, cause):
    arguments = {"scores": [0.1, 0.2], "labels": [0, 1], "video": [0, 0]} | change
    with pytest.raises(InputError, match=cause):
        resampled_metrics(**arguments)


@pytest.mark.parametrize("change", [{"labels": [1]}, {"scores": [[0.1, 0.2]]}, {"video": [0]}])
def test_one_score_label_and_video_per_frame(change):
    arguments = {"scores": [0.1, 0.2], "labels": [0, 1], "video": [0, 0]} | change
    with pytest.raises(ValueError, match=r"resampled_metrics: .* needs \[T\]"):
        resampled_metrics(**arguments)
