"""Intervals of a metric from how it changes with each unit's weight, and from resamples.

A unit is what was drawn: a picture, or a video with all its frames. Its influence U_i is the
derivative of the metric by the unit's weight, at weight 1 of all (the infinitesimal jackknife; for
the area under the ROC curve it gives DeLong's variance). Units come in kinds, each of which was
drawn by itself.
"""

from typing import NamedTuple

import numpy as np
import scipy  # which imports its parts, of which stats takes long, when they are used

_FEWEST_FREEDOM = 3.0


class Interval(NamedTuple):
    """A metric of the data at hand and its interval; nan where it is undefined."""

    value: float
    low: float
    high: float


class Sampled(NamedTuple):
    """Metrics of the data and of resamples, and what each unit does to them."""

    values: np.ndarray  # [M, 1 + B], the data first
    influences: np.ndarray  # [M', U] derivatives of the first M' metrics by the units' weights
    kinds: np.ndarray  # [U] the kind of each unit; each kind was drawn by itself


class Counts(NamedTuple):
    """Frames that some thresholds in a row call, [g, B] whole numbers for B resamples.

    The thresholds of a ranking are the distinct scores of positive frames, the first to be called
    first.
    """

    new: np.ndarray  # positive frames at the threshold
    hits: np.ndarray  # positive frames called up to it
    through: np.ndarray  # negative frames called up to it, those at it included
    ties: np.ndarray | None  # negative frames at it; None: there are none


class Slopes(NamedTuple):
    """Derivatives of AUC (row 0) and AP (row 1) by a frame's weight, as sums of these parts."""

    positive: np.ndarray  # [2, g] by that of a positive frame at the threshold
    called: np.ndarray  # [2, g] of a negative frame that this threshold is the first to call
    tied: np.ndarray  # [2, g] of a negative frame at the threshold, besides
    positives: np.ndarray  # [2] of a positive frame, wherever it is
    negatives: np.ndarray  # [2] of a negative one


def slopes(counts: Counts, positives: float, negatives: float, *, trapezoid: bool) -> Slopes:
    """How AUC and AP, as `bootstrap.ranking_metrics` has them, change with the frames' weights.

    Args:
      counts: of all thresholds, [g] each.
      positives, negatives: frames in all.
    """
    new, hits, through, ties = counts
    ties = np.zeros_like(new) if ties is None else ties
    lost = np.sum(2 * new * through - new * ties)
    called = hits + through
    precision = hits / called
    by_hit, by_through = through / called**2, -hits / called**2
    by_new = by_tie = np.zeros_like(new)
    if trapezoid:
        last = hits - new
        before = last + through - ties
        divisor = np.maximum(before, 1.0) ** 2
        by_new, by_tie = -(before - last) / divisor / 2, last / divisor / 2
        by_hit, by_through = by_hit / 2 - by_new, by_through / 2 - by_tie
        start = np.where(before > 0, last / np.maximum(before, 1.0), 1.0)
        precision = (precision + start) / 2
    area = np.sum(new * precision)
    pairs = 2 * positives * negatives
    return Slopes(
        positive=np.stack(
            [
                -(2 * through - ties) / pairs,
                (precision + new * by_new + _from_here(new * by_hit)) / positives,
            ]
        ),
        called=np.stack([-_from_here(2 * new) / pairs, _from_here(new * by_through) / positives]),
        tied=np.stack([new / pairs, new * by_tie / positives]),
        positives=np.array([lost / pairs / positives, -area / positives**2]),
        negatives=np.array([lost / pairs / negatives, 0.0]),
    )


def ranking_interval(
    values: np.ndarray, influence: np.ndarray, kinds: np.ndarray, level: float
) -> Interval:
    """An interval of an area under a curve: Student's t about its logit.

    logit θ ± t_ν s/(θ(1 − θ)), s and ν of `_spread`. Where θ is 0 or 1, or s is 0, as if nothing
    were ranked wrong, it has no width.

    Args:
      values: [1 + B] θ of the data and of the resamples.
      influence: [U] of every unit on θ. kinds: [U] the number of its kind.

    Source: Efron, JASA 82 (1987), §1 and §6 (normal scale after a transformation, infinitesimal
    jackknife); DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); for ν Satterthwaite,
    Biometrics Bulletin 2 (1946). docs/mathematics.md, Metrics, has how often it covers.
    """
    value = float(values[0])
    if len(values) < 2:
        return Interval(value, np.nan, np.nan)
    spread, freedom = _spread(values, influence, kinds)
    if not (0 < value < 1 and spread > 0):
        return Interval(value, value, value)
    step = scipy.stats.t.ppf((1 + level) / 2, freedom) * spread / (value * (1 - value))
    centre = np.log(value / (1 - value))
    low, high = 1 / (1 + np.exp(-np.array([centre - step, centre + step])))
    return Interval(value, float(low), float(high))


def difference_interval(
    values: np.ndarray, influence: np.ndarray, kinds: np.ndarray, level: float
) -> Interval:
    """The same about a difference of two areas on the same units: θ ± t_ν s."""
    value = float(values[0])
    if len(values) < 2:
        return Interval(value, np.nan, np.nan)
    spread, freedom = _spread(values, influence, kinds)
    step = float(scipy.stats.t.ppf((1 + level) / 2, freedom) * spread)
    return Interval(value, value - step, value + step)


def percentile_interval(values: np.ndarray, kinds: np.ndarray, level: float) -> Interval:
    """Quantiles of the resamples, wider for few units: for a metric without derivative.

    The lower one is the Φ(−t_ν √(n/(n − m)))-quantile of values[1:], t_ν Student's for the level, n
    units of m kinds, ν one less than the fewest of a kind. A metric that is undefined has none.

    Source: Hesterberg, The American Statistician 69 (2015), §3.3, the expanded percentile interval.
    """
    value = float(values[0])
    if len(values) < 2 or np.isnan(value):
        return Interval(value, np.nan, np.nan)
    counts = np.unique(kinds, return_counts=True)[1]
    student = scipy.stats.t.ppf((1 + level) / 2, max(counts.min() - 1, 1))
    tail = scipy.stats.norm.cdf(-student * _small_sample(counts))
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _spread(values: np.ndarray, influence: np.ndarray, kinds: np.ndarray) -> tuple[float, float]:
    """Standard error s of a metric, and the degrees of freedom ν of Student's t.

    s² = max(Σ_k n_k σ_k², n/(n − m)·Var θ*), σ_k² the sample variance of the influences of kind k's
    n_k units, θ* the metric of a resample, n units of m kinds in all.
    ν = max(3, (Σ_k n_k σ_k²)² / Σ_k n_k² Var σ_k²), which is half of Satterthwaite's, with
    Var σ_k² = max((μ_4k − σ_k⁴ (n_k − 3)/(n_k − 1))/n_k, 2σ_k⁴/(n_k − 1)), μ_4k the fourth moment.
    Half, because few units with long tails show too small a fourth moment; chosen by simulation
    (benchmarks.interval_coverage).
    """
    total = uncertainty = 0.0
    counts = np.unique(kinds, return_counts=True)[1]
    for kind in np.unique(kinds):
        own = influence[kinds == kind]
        number = len(own)
        if number < 2:
            continue
        centred = own - own.mean()
        variance = np.sum(centred**2) / (number - 1)
        fourth = np.mean(centred**4)
        excess = (fourth - variance**2 * (number - 3) / (number - 1)) / number
        total += number * variance
        uncertainty += number**2 * max(excess, 2 * variance**2 / (number - 1))
    freedom = total**2 / uncertainty if uncertainty > 0 else np.inf
    resampled = np.std(values[1:]) * _small_sample(counts)
    return float(max(np.sqrt(total), resampled)), float(max(freedom, _FEWEST_FREEDOM))


def _small_sample(counts: np.ndarray) -> float:
    """√(n/(n − m)) for n units of m kinds: a resample's spread is about its own mean."""
    number, kinds = counts.sum(), len(counts)
    return float(np.sqrt(number / (number - kinds))) if number > kinds else 1.0


def _from_here(values: np.ndarray) -> np.ndarray:
    """[g] the sum from each threshold to the last."""
    return np.cumsum(values[::-1])[::-1]


def poisson_interval(count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of the expected count that a count was seen of, never too short.

    low = ½ χ²_{2n}(α/2), 0 for n = 0;  high = ½ χ²_{2n+2}(1 − α/2)

    It holds for events that do not bring each other about. Raises ValueError for a negative count.

    Source: Garwood, Fiducial limits for the Poisson distribution, Biometrika 28 (1936).
    """
    if count < 0:
        raise ValueError(f"poisson_interval: count {count}; give 0 or more")
    tail = (1 - confidence) / 2
    low = scipy.stats.chi2.ppf(tail, 2 * count) / 2 if count else 0.0
    return float(low), float(scipy.stats.chi2.ppf(1 - tail, 2 * count + 2) / 2)


def share_interval(count: int, total: int, *, confidence: float = 0.95) -> Interval:
    """A share of independent units and its exact interval, never too short; nan of no unit.

    low = B(α/2; n, N − n + 1), 0 for n = 0;  high = B(1 − α/2; n + 1, N − n), 1 for n = N, with B
    the quantile of the beta distribution. Where units of several kinds, each of a fixed number,
    have shares of their own, it is too long rather than too short.

    Raises ValueError for a count that is not among 0 to total.

    Source: Clopper and Pearson, Biometrika 26 (1934); for several kinds Hoeffding, Annals of
    Mathematical Statistics 27 (1956).
    """
    if not 0 <= count <= total:
        raise ValueError(f"share_interval: {count} of {total}; give 0 to {total}")
    if not total:
        return Interval(np.nan, np.nan, np.nan)
    tail = (1 - confidence) / 2
    low = scipy.stats.beta.ppf(tail, count, total - count + 1) if count else 0.0
    high = scipy.stats.beta.ppf(1 - tail, count + 1, total - count) if count < total else 1.0
    return Interval(count / total, float(low), float(high))
