"""Predicted against measured changes, on ones whose figures are known."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxvlm.errors import InputError
from jaxvlm.evaluation.interventions import agreement

ONES, ZEROS = np.ones(4, int), np.zeros(4, int)


def test_by_hand():
    """r = 3/√(5·5) of 1 2 3 4 and 2 1 4 3; three of four signs agree when one is turned."""
    found = agreement([1, 2, 3, 4], [2, 1, 4, 3], ONES, [0, 0, 1, 0], [1, 1, 2, 2], num_resamples=0)
    assert found.pearson.value == pytest.approx(0.6) and found.spearman.value == pytest.approx(0.6)
    assert found.sign.value == 1.0 and found.ended.value == 0.75
    assert (found.interventions, found.videos) == (4, 2) and math.isnan(found.pearson.low)
    turned = agreement([1, 2, 3, -4], [2, 1, 4, 3], ONES, ONES, ONES, num_resamples=0)
    assert turned.sign.value == 0.75 and turned.ended.value == 0.0


def test_no_change_agrees_with_no_change_alone():
    found = agreement([0, 0, 1, -1], [0, 1, 0, -2], ONES, ONES, ONES, num_resamples=0)
    assert found.sign.value == 0.5


def test_against_scipy_with_ties():
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 5, 60).astype(float)
    measured = predicted + rng.normal(size=60).round()
    found = agreement(
        predicted, measured, np.ones(60), rng.integers(0, 2, 60), rng.integers(0, 9, 60)
    )
    assert found.pearson.value == pytest.approx(stats.pearsonr(predicted, measured).statistic)
    assert found.spearman.value == pytest.approx(stats.spearmanr(predicted, measured).statistic)
    for interval in found[:4]:  # all were detected before, so none began
        assert not math.isnan(interval.value)
        assert interval.low <= interval.value <= interval.high


def test_only_what_was_detected_can_end_and_only_what_was_not_can_begin():
    before, after = np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1])
    found = agreement(ONES, ONES, before, after, [1, 2, 3, 4], num_resamples=0)
    assert found.ended.value == 0.5 and found.begun.value == 0.5
    none = agreement(ONES, ONES, ZEROS, after, [1, 2, 3, 4])
    assert all(math.isnan(x) for x in none.ended) and none.begun.value == 0.5
    assert all(math.isnan(x) for x in none.pearson)  # a constant has no correlation
    assert none.sign.value == none.sign.low == none.sign.high == 1.0


def test_the_interval_is_over_videos():
    """Forty interventions of four videos know less than forty of forty."""
    rng = np.random.default_rng(1)
    effect = np.repeat(rng.normal(size=4), 10)
    predicted = effect + 0.1 * rng.normal(size=40)
    measured = np.repeat(rng.normal(size=4), 10) + effect
    width = []
    for video in (np.repeat(np.arange(4), 10), np.arange(40)):
        interval = agreement(predicted, measured, np.ones(40), np.zeros(40), video).pearson
        width.append(interval.high - interval.low)
    assert width[0] > 1.5 * width[1]


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """r = 0.8 of normal pairs; 95 % of 200 is 190, three standard deviations are 9."""
    rng = np.random.default_rng(2)
    held = 0
    for trial in range(200):
        x = rng.normal(size=60)
        y = 0.8 * x + 0.6 * rng.normal(size=60)
        low, high = agreement(
            x, y, np.ones(60), np.zeros(60), np.arange(60), num_resamples=200, seed=trial
        ).pearson[1:]
        held += low <= 0.8 <= high
    assert 178 <= held <= 200


def test_the_seed_decides():
    def of(seed):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 20))
        return agreement(x, y, np.ones(20), np.zeros(20), np.arange(20), seed=seed)

    assert of(1) == of(1) != of(2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"predicted": [1, 2, np.nan, 3]}, "NaN or infinite"),
        ({"measured": [1, 2, np.inf, 3]}, "NaN or infinite"),
        ({"detected_before": [0, 1, 2, 0]}, "neither 0 nor 1"),
        ({"num_resamples": -1}, "-1 resamples"),
        ({"level": 1.0}, "level 1.0"),
    ],
)
def test_bad_input_is_one_line(changes, words):
    good = {
        "predicted": ONES,
        "measured": ONES,
        "detected_before": ONES,
        "detected_after": ONES,
        "video": ONES,
    }
    with pytest.raises(InputError, match=words):
        agreement(**good | changes)
    with pytest.raises(InputError, match="none; make some"):
        agreement(*[np.zeros(0)] * 5)
    with pytest.raises(ValueError, match="video"):
        agreement(**good | {"video": [1, 2]})
