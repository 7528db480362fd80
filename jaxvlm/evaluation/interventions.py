"""Did the reasons cause it? Predicted changes of a logit against those that were measured.

An intervention takes a thing out of a video, or puts one in, and the video is scored again. A
change is the mean logit over some frames before, less that after: > 0, the thing spoke for the
event. Interventions of one video are drawn together in the resamples.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError
from jaxvlm.evaluation.bootstrap import check_resamples, draw_weights
from jaxvlm.evaluation.intervals import Interval, percentile_interval

_AT_A_TIME = 256


class Agreement(NamedTuple):
    """How predicted changes agree with measured ones, with intervals over videos.

    A correlation is nan where one side does not vary, `ended` where nothing was detected before,
    `begun` where all was.
    """

    pearson: Interval  # r of predicted and measured changes
    spearman: Interval  # r of their ranks, ties with their mean rank
    sign: Interval  # share with the same sign; no change agrees with no change alone
    ended: Interval  # share of what was detected before that is not detected after
    begun: Interval  # share of what was not detected before that is detected after
    interventions: int
    videos: int


def agreement(
    predicted: ArrayLike,
    measured: ArrayLike,
    detected_before: ArrayLike,
    detected_after: ArrayLike,
    video: ArrayLike,
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Agreement of N interventions.

    Args:
      predicted: [N] changes of the logit that an explanation says.
      measured: [N] changes that came of the intervention.
      detected_before, detected_after: [N] 0/1, whether the event was detected.
      video: [N] the number of the video, any integers: the unit that is drawn.
      num_resamples: 0 for no intervals (they are nan).
      level: of the intervals, in (0, 1).
      seed: the same seed and videos give the same draws.

    Raises:
      InputError: no intervention, NaN, an infinite change, detections that are not 0/1, a level or
        number out of range.
      ValueError: not one value of each per intervention.

    Source: expanded percentile interval, see `intervals.percentile_interval`.
    """
    columns = {
        "predicted": predicted,
        "measured": measured,
        "detected_before": detected_before,
        "detected_after": detected_after,
        "video": video,
    }
    check_shapes("agreement", **{name: (values, "N") for name, values in columns.items()})
    check_resamples(num_resamples, level, at_least=0)
    predicted, measured = (np.asarray(values, np.float64) for values in (predicted, measured))
    before, after = np.asarray(detected_before), np.asarray(detected_after)
    if not len(predicted):
        raise InputError("interventions: none; make some")
    if not (np.isfinite(predicted).all() and np.isfinite(measured).all()):
        raise InputError("interventions: a change is NaN or infinite; score the videos again")
    if not (np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all()):
        raise InputError("interventions: a detection is neither 0 nor 1; correct it")
    before, after = before.astype(bool), after.astype(bool)
    names, unit = np.unique(video, return_inverse=True)
    same = np.sign(predicted) == np.sign(measured)
    ended, begun = before & ~after, after & ~before
    metrics: tuple[Callable[[np.ndarray], float], ...] = (
        lambda rows: _correlation(predicted[rows], measured[rows]),
        lambda rows: _correlation(*(stats.rankdata(x[rows]) for x in (predicted, measured))),
        lambda rows: float(same[rows].mean()),
        lambda rows: _share(ended[rows].sum(), before[rows].sum()),
        lambda rows: _share(begun[rows].sum(), (~before[rows]).sum()),
    )
    kinds = np.zeros(len(names), int)
    values = []
    for weights in draw_weights(kinds, num_resamples, seed=seed, at_a_time=_AT_A_TIME):
        for row in weights:
            drawn = np.repeat(np.arange(len(unit)), row[unit].astype(int))
            values.append([metric(drawn) for metric in metrics])
    intervals = [_interval(column, kinds, level) for column in np.array(values).T]
    return Agreement(*intervals, len(predicted), len(names))


def _interval(values: np.ndarray, kinds: np.ndarray, level: float) -> Interval:
    """Of the resamples in which the metric is defined; nan where it is not in the data."""
    if np.isnan(values[0]):
        return Interval(np.nan, np.nan, np.nan)
    return percentile_interval(values[~np.isnan(values)], kinds, level)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's r; nan where a side is constant."""
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 0 else float("nan")


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
