"""Thresholds from a budget of false alarms: what ordinary footage may cost an operator.

An operator counts alarms and not frames: frames at or above the threshold that lie no more than
`GAP_SECONDS` apart are one alarm.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError

GAP_SECONDS = 60.0
HOURS_PER_DAY = 24.0
_HIGH, _LOW = 8, 2  # a signal's units are of the peaks at an eighth and at half of their number,
_LEAST = 4  # the higher of them with at least four above it
_JUST = 1e-9  # above a tie
_SPARE = 10  # the part of a budget that bounded thresholds may add
_NARROWEST = 0.1  # of a tail, in units of the logit
_KEPT = 4096  # highest peaks of a signal


class Budget(NamedTuple):
    """What a rate of false alarms asks for.

    thresholds: [S], in the units of the scores. per_day: the rate that was asked for, of all
    signals together. expected_per_day: what it comes to. is_promised: whether held-out footage
    reaches so far, or the tail was continued beyond it. hours: of held-out footage. silent: names
    of signals whose threshold no score can reach.
    """

    thresholds: np.ndarray
    per_day: float
    expected_per_day: float
    is_promised: bool
    hours: float
    silent: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What an operator has to know."""
        never = f"; never told at this rate: {', '.join(self.silent)}" if self.silent else ""
        if self.is_promised:
            return (
                f"thresholds for {self.per_day:g} false alarms a day, from {self.hours:.3g} hours "
                f"of held-out ordinary footage: {self.expected_per_day:.3g} a day are expected"
                + never
            )
        least = HOURS_PER_DAY / self.hours
        return (
            f"{self.hours:.3g} hours of held-out ordinary footage cannot promise "
            f"{self.per_day:g} false alarms a day, but {least:.3g} or more: the thresholds are "
            f"continued beyond what it showed; learn from more footage{never}"
        )


def alarm_peaks(scores: ArrayLike, times: ArrayLike, *, gap: float = GAP_SECONDS) -> np.ndarray:
    """Heights of the peaks of a score that lie more than ``gap`` seconds apart, highest first.

    The highest frame is a peak and takes all frames within ``gap`` of it; so on with the rest. At
    any threshold there are at least as many peaks at or above it as `count_alarms` counts, for
    every alarm holds a peak, as no frame of another alarm is within ``gap`` of its highest one:
    what bounds the peaks bounds the alarms. Unlike theirs, the number of peaks falls as the
    threshold rises.

    Args:
      scores: [T], finite.
      times: [T] seconds, increasing.

    Returns:
      [K] in falling order, at most 4,096.

    Raises:
      ValueError: shapes that do not fit.

    Source: declustering of peaks over thresholds (Coles 2001, 5.3), with a gap for a run.
    """
    check_shapes("alarm_peaks", scores=(scores, "T"), times=(times, "T"))
    scores, times = np.asarray(scores, np.float64), np.asarray(times, np.float64)
    start = np.searchsorted(times, times - gap, side="left")
    stop = np.searchsorted(times, times + gap, side="right")
    free = np.ones(len(scores), bool)
    found: list[float] = []
    for t in np.argsort(-scores, kind="stable").tolist():
        if free[t]:
            found.append(scores[t])
            free[start[t] : stop[t]] = False
            if len(found) == _KEPT:
                break
    return np.asarray(found)


def count_alarms(
    scores: ArrayLike, times: ArrayLike, threshold: float, *, gap: float = GAP_SECONDS
) -> int:
    """How often an operator is called: groups of frames at or above the threshold with more than
    ``gap`` seconds between them. scores, times: [T]."""
    check_shapes("count_alarms", scores=(scores, "T"), times=(times, "T"))
    on = np.asarray(times, np.float64)[np.asarray(scores) >= threshold]
    return int(len(on) > 0) + int((np.diff(on) > gap).sum())


def budget_thresholds(peaks: Sequence[ArrayLike], hours: float, per_day: float) -> Budget:
    """A threshold per signal so that all of them together raise ``per_day`` false alarms a day.

    The signals share one budget, so each is first measured in its own units: with s_1 ≥ s_2 ≥ …
    the n peaks of signal e, a = n/8 and b = n/2, u = (s − s_b)/√(β_e β) − log b, where
    β_e = (s_a − s_b)/log(b/a) and β is the median of all β_e; −u is about the logarithm of how
    often the signal goes higher. The highest peaks have no part in the units: where they do, the
    signal whose held-out peaks came out low by chance gets the lowest threshold (with the mean
    excess in place of β_e, 12 signals raised 2.9 times the rate). Halfway to the common width,
    because a tail is not quite exponential (docs/results.md, Ordinary footage).
    Let u_1 ≥ u_2 ≥ … be the peaks of all signals, k = ⌊per_day · hours/24⌋.

    k ≥ 1: the threshold is at u_k. Where held-out and later footage are alike and peaks come as a
    Poisson process, Λ(u), the expected number of them above u within ``hours``, has at u_k the
    distribution Gamma(k, 1), whatever the scores' distribution is: its mean is k. So k peaks are
    expected in as many hours of other footage: the rate is held on average over what might have
    been held out, as conformal thresholds are. From one held-out week the rate met at k = 7 lies
    between 0.40 and 1.87 times the one asked for in 95 of 100 cases. The units cost a little of
    it: with 12 signals and k = 1, 4, 8 in 4 hours, 200 simulated cameras had 1.2, 4.3, 8.6 alarms.

    k = 0: below one alarm in all the held-out footage no order statistic can promise anything:
    u_1 promises 24/hours a day. The exponential tail of the pooled peaks is continued to the rate,
    and the result says that it is no promise.

    A signal that shared the level of one with a heavier tail would never be told. So no threshold
    is above s_1 + w log(10 S/min(κ, 1)), κ = per_day · hours/24, w = max(√(β_e β), (s_1 − s_b)/log
    b): beyond all that the signal showed, where an exponential tail adds a tenth to the budget.

    What is held out counts as free of events: a real one in it is a false alarm like any other.

    Args:
      peaks: of S signals, [K] each in falling order, see `alarm_peaks`; on a scale on which tails
        are about exponential, such as a logit.
      hours: of held-out footage.
      per_day: above 0.

    Raises:
      InputError: no peak, no hours, or a rate that cannot be.

    Source: order statistics of a Poisson process; conformal thresholds (Vovk, Gammerman, Shafer
    2005) for the average; peaks over thresholds (Pickands 1975) where k = 0.
    """
    if not (np.isfinite(per_day) and per_day > 0):
        raise InputError(f"--false_alarms_per_day={per_day:g}: give a number above 0")
    if not hours > 0 or not all(len(own) for own in peaks) or not len(peaks):
        raise InputError(
            "--false_alarms_per_day: no held-out ordinary footage; learn from several minutes more"
        )
    units = shared_units(peaks)
    pooled = np.sort(
        np.concatenate([scale.of(own) for scale, own in zip(units, peaks, strict=True)])
    )[::-1]
    allowed = per_day * hours / HOURS_PER_DAY
    k = int(np.floor(allowed + 1e-9))
    if k >= len(pooled):  # the budget is larger than there are peaks
        level, expected = float(pooled[-1]), len(pooled)
    elif k >= 1:
        level, expected = float(pooled[k - 1]), k
        if pooled[k] == level:  # ties, as of a score that reached its bound
            expected, level = int((pooled > level).sum()), level + _JUST * (1 + abs(level))
    else:
        scale = _units(pooled)
        level = scale.height + scale.width * (scale.log_count - np.log(allowed))
        level, expected = max(float(level), pooled[0] + _JUST * (1 + abs(pooled[0]))), allowed
    share = np.log(_SPARE * len(units) / min(allowed, 1.0))
    pairs = zip(units, peaks, strict=True)
    thresholds = np.array([min(scale.back(level), scale.bound(own, share)) for scale, own in pairs])
    return Budget(thresholds, per_day, expected * HOURS_PER_DAY / hours, k >= 1, hours)


def shared_units(peaks: Sequence[ArrayLike]) -> list["Units"]:
    """What the peaks [K] of S signals are measured in, see `budget_thresholds`."""
    units = [_units(np.asarray(own, np.float64)) for own in peaks]
    common = float(np.median([scale.width for scale in units]))
    return [scale._replace(width=float(np.sqrt(scale.width * common))) for scale in units]


class Units(NamedTuple):
    """s_b, β and log b of `budget_thresholds`."""

    height: float
    width: float
    log_count: float

    def of(self, peaks: ArrayLike) -> np.ndarray:
        return (np.asarray(peaks, np.float64) - self.height) / self.width - self.log_count

    def back(self, level: float) -> float:
        return self.height + self.width * (level + self.log_count)

    def bound(self, peaks: ArrayLike, share: float) -> float:
        """Of the threshold; share: log(10 S/k)."""
        highest = float(peaks[0])
        width = max(self.width, (highest - self.height) / max(self.log_count, 0.5))
        return highest + width * share


def _units(peaks: np.ndarray) -> Units:
    """Of peaks in falling order, from two of them that lie apart also where there are few."""
    last = len(peaks) - 1
    low = min(max(len(peaks) // _LOW, _LEAST + 1), last)
    high = max(len(peaks) // _HIGH, min(_LEAST, len(peaks) // 3))
    spread = float(peaks[high] - peaks[low]) / np.log((low + 1) / (high + 1)) if low > high else 0.0
    return Units(float(peaks[low]), max(spread, _NARROWEST), float(np.log(low + 1)))
