import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics import event_frame_metrics, frame_metrics, mean_and_spread, video_auc


def test_frame_metrics_by_hand():
    # Pairs won: (.9>.8), (.9>.6), (.7>.6) of 4. Precision at the hits: 1/1 and 2/3.
    result = frame_metrics([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert result["auc"] == pytest.approx(3 / 4)
    assert result["ap"] == pytest.approx((1 + 2 / 3) / 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=20))
def test_auc_counts_pairs_and_halves_ties(frames):
    scores, labels = (np.array(column) for column in zip(*frames, strict=True))
    result = frame_metrics(scores, labels)
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels] for n in scores[~labels]]
    if pairs:
        assert result["auc"] == pytest.approx(np.mean(pairs))
    else:
        assert math.isnan(result["auc"]) and math.isnan(result["ap"])


def test_constant_scores_get_the_base_rate():
    assert frame_metrics(np.zeros(8), [1, 0, 0, 0, 1, 0, 0, 0]) == {"auc": 0.5, "ap": 0.25}


@pytest.mark.parametrize(
    ("scores", "labels", "cause"),
    [
        ([0.1, math.nan], [0, 1], "NaN at frame 1"),
        ([0.1, 0.2], [0, 2], "neither 0 nor 1"),
    ],
)
def test_bad_frames(scores, labels, cause):
    with pytest.raises(InputError, match=cause):
        frame_metrics(scores, labels)


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        (
            lambda: frame_metrics([0.1, 0.2], [0]),
            r"labels has shape \(1,\), .* T = 2",
        ),
        (lambda: frame_metrics([[0.1, 0.2]], [[0, 1]]), r"scores has shape \(1, 2\), needs \[T\]"),
        (lambda: video_auc([0.1, 0.2], [0, 1], "ab"), r"video_auc: scores .* needs \[N, 2\]"),
        (lambda: video_auc([[0.1]], [[1], [0]], "a"), r"labels has shape \(2, 1\).* N = 1"),
        # Not the mean over seeds and events at once.
        (lambda: mean_and_spread([np.ones(3), np.zeros(3)]), r"runs has shape \(2, 3\)"),
    ],
)
def test_wrong_shapes_are_named_by_their_axes(call, cause):
    with pytest.raises(ValueError, match=cause):
        call()


def test_event_frame_metrics_pools_videos_and_averages_defined_events():
    probability = [np.array([[0.9, 0.1, 0.2], [0.2, 0.3, 0.3]]), np.array([[0.4, 0.8, 0.1]])]
    labels = [np.array([[1, 0, 0], [0, 1, 0]]), np.array([[0, 0, 0]])]
    result = event_frame_metrics(probability, labels, ["a", "b", "never"])
    assert result["events"]["a"] == {"auc": 1.0, "ap": 1.0}
    # b: .8 (no), .3 (yes), .1 (no).
    assert result["events"]["b"] == {"auc": 0.5, "ap": 0.5}
    assert math.isnan(result["events"]["never"]["auc"])
    assert result["mean"] == {"auc": 0.75, "ap": 0.75}
    # any: .9 yes, .3 yes, .8 no.
    assert result["any"]["auc"] == 0.5
    assert result["any"]["ap"] == pytest.approx((1 + 2 / 3) / 2)


def test_event_frame_metrics_names_the_video():
    with pytest.raises(InputError, match="video 1"):
        event_frame_metrics([np.zeros((3, 2))] * 2, [np.zeros((3, 2)), np.zeros((4, 2))], "ab")


def test_video_auc():
    result = video_auc([[0.9, 0.2], [0.1, 0.6], [0.5, 0.4]], [[1, 0], [0, 0], [0, 1]], ["a", "b"])
    assert result == {"events": {"a": 1.0, "b": 0.5}, "any": 0.5, "mean": 0.75}


def test_mean_and_spread_of_nested_runs():
    runs = [{"a": {"ap": 0.5}, "b": 1.0}, {"a": {"ap": 0.7}, "b": math.nan}]
    result = mean_and_spread(runs)
    assert result["a"]["ap"]["mean"] == pytest.approx(0.6)
    assert result["a"]["ap"]["std"] == pytest.approx(math.sqrt(0.02))  # n − 1, not n
    assert (result["b"]["mean"], result["b"]["n"]) == (1.0, 1)
    assert math.isnan(result["b"]["std"])


def test_mean_and_spread_wants_equal_keys():
    with pytest.raises(InputError, match="keys differ"):
        mean_and_spread([{"a": 1.0}, {"b": 1.0}])
