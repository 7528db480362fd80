"""Alarms by budget: what peaks bound, the rate on footage that was not seen, Garwood's numbers."""

import numpy as np
import pytest

from jaxvlm.atoms import alarm_budget
from jaxvlm.errors import InputError


def brute_alarms(scores, times, threshold, gap):
    count, last = 0, -np.inf
    for score, time in zip(scores, times, strict=True):
        if score >= threshold:
            count, last = count + (time - last > gap), time
    return count


def smooth(seed, hours, fps=1.0):
    """Ordinary logits: a process that remembers half a minute."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=round(3600 * hours * fps) + 64)
    return np.convolve(noise, np.ones(30) / 30**0.5, "valid")[: round(3600 * hours * fps)]


def test_alarms_are_groups_of_frames():
    scores, times = smooth(0, 1), np.arange(3600.0)
    for threshold in (-1.0, 1.0, 2.0, 9.0):
        expected = brute_alarms(scores, times, threshold, 60)
        assert alarm_budget.count_alarms(scores, times, threshold) == expected


def test_peaks_bound_alarms_at_any_threshold_and_lie_apart():
    scores, times = smooth(1, 2), np.arange(7200.0)
    peaks = alarm_budget.alarm_peaks(scores, times)
    assert (np.diff(peaks) <= 0).all() and len(peaks) <= 7200 / 60 + 1
    for threshold in np.linspace(-2, 4, 25):
        assert (peaks >= threshold).sum() >= alarm_budget.count_alarms(scores, times, threshold)


def test_the_expected_rate_is_held_on_average():
    """200 cameras of three signals: 4 hours held out, 4 hours later; one alarm an hour is asked."""
    counts = []
    for camera in range(200):
        held = [smooth((camera, k), 4) * (k + 1) for k in range(3)]
        times = np.arange(len(held[0]), dtype=float)
        budget = alarm_budget.budget_thresholds(
            [alarm_budget.alarm_peaks(score, times) for score in held], 4.0, 24.0
        )
        assert budget.is_promised and budget.expected_per_day == pytest.approx(24)
        later = [smooth((camera, 10 + k), 4) * (k + 1) for k in range(3)]
        counts.append(
            sum(
                alarm_budget.count_alarms(score, times, threshold)
                for score, threshold in zip(later, budget.thresholds, strict=True)
            )
        )
    # The mean of 200 counts of mean 4 and variance 4 + 4.
    assert np.mean(counts) == pytest.approx(4, abs=3 * np.sqrt(8 / 200))


def test_too_little_footage_promises_nothing_and_says_what_it_could():
    scores, times = smooth(5, 3), np.arange(10_800.0)
    peaks = alarm_budget.alarm_peaks(scores, times)
    budget = alarm_budget.budget_thresholds([peaks], 3.0, 1 / 7)
    assert not budget.is_promised and budget.thresholds[0] > peaks[0]
    assert "3 hours" in budget.sentence() and "8 or more" in budget.sentence()
    assert alarm_budget.budget_thresholds([peaks], 3.0, 8.0).is_promised
    rarer = alarm_budget.budget_thresholds([peaks], 3.0, 1 / 70)
    assert rarer.thresholds[0] > budget.thresholds[0]


def test_a_signal_that_varies_more_gets_a_higher_threshold():
    times = np.arange(10_800.0)
    peaks = [
        alarm_budget.alarm_peaks(smooth(k, 3) * scale, times) for k, scale in ((1, 1.0), (2, 5.0))
    ]
    low, high = alarm_budget.budget_thresholds(peaks, 3.0, 24.0).thresholds
    assert high > 2 * low > 0


def test_ties_raise_no_more_than_asked():
    budget = alarm_budget.budget_thresholds([np.array([2.0] * 9 + [1.0])], 24.0, 3.0)
    assert budget.thresholds[0] > 2.0 and budget.expected_per_day == 0


@pytest.mark.parametrize(
    ("peaks", "hours", "rate"), [([], 1.0, 1.0), ([[]], 1.0, 1.0), ([[1.0]], 0.0, 1.0)]
)
def test_nothing_held_out_is_refused(peaks, hours, rate):
    with pytest.raises(InputError, match="no held-out"):
        alarm_budget.budget_thresholds(peaks, hours, rate)
    with pytest.raises(InputError, match="above 0"):
        alarm_budget.budget_thresholds([[1.0]], 1.0, 0.0)
