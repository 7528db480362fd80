"""A metric averaged over events, with resamples that all events and all methods share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from jaxvlm.errors import InputError
from jaxvlm.evaluation.bootstrap import sample_videos
from jaxvlm.evaluation.intervals import Interval, Sampled, difference_interval


def macro_samples(
    scores: Sequence[ArrayLike],
    truth: Sequence[ArrayLike],
    *,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Sampled:
    """Frame AUC and AP, each the mean over events, of the videos and of resamples of them.

    Videos with a frame of any event and videos without are drawn separately. The same truth, number
    and seed give the same draws, so that differences between methods are paired.

    Args:
      scores: one [T_n, E] per video.
      truth: one [T_n, E] of 0/1 per video.

    Returns:
      `Sampled` with rows AUC and AP; events without a positive or without a negative frame are left
      out of the mean. A resample that lacks one of the others is NaN.

    Raises:
      InputError: no event has frames of both kinds, or sizes that do not agree.
    """
    sizes = [np.shape(one) for one in truth]
    if not sizes or sizes != [np.shape(one) for one in scores]:
        raise InputError("macro_samples: scores and truth of other videos; give both for each")
    video = np.repeat(np.arange(len(sizes)), [size[0] for size in sizes])
    kinds = np.array([0 if np.any(one) else 1 for one in truth])
    kinds = np.unique(kinds, return_inverse=True)[1]
    columns = np.concatenate([np.asarray(one, np.float64) for one in scores]).T
    labels = np.concatenate([np.asarray(one) for one in truth]).T > 0
    parts = [
        sample_videos(
            own, on, video, trapezoid=False, num_resamples=num_resamples, seed=seed, kinds=kinds
        )
        for own, on in zip(columns, labels, strict=True)
        if on.any() and not on.all()
    ]
    if not parts:
        raise InputError("macro_samples: no event has frames of both kinds; give other videos")
    values = np.mean([part.values for part in parts], axis=0)
    return Sampled(values, np.mean([part.influences for part in parts], axis=0), kinds)


def mean_difference(
    one: Sequence[Sampled], other: Sequence[Sampled], *, metric: int = 1, level: float = 0.95
) -> dict[str, Interval]:
    """θ_one − θ_other, the mean over worlds, with two intervals.

    ``videos``: the worlds are these; their videos are drawn (Student's t of the resampled and the
    infinitesimal-jackknife spread, `intervals.difference_interval`). ``worlds``: the worlds are
    drawn too: mean ± t_{n−1} s/√n of the worlds' differences, each of which has the chance of its
    videos and of its training in it; nan for one world.

    Args:
      one, other: of each world, from `macro_samples` with the same truth, number and seed.
      metric: row of the values: 0 AUC, 1 AP.
    """
    differences = [
        (a.values[metric] - b.values[metric], a.influences[metric] - b.influences[metric])
        for a, b in zip(one, other, strict=True)
    ]
    count = len(differences)
    values = np.mean([value for value, _ in differences], axis=0)
    influence = np.concatenate([own for _, own in differences]) / count
    kinds = np.concatenate([2 * n + part.kinds for n, part in enumerate(one)])
    kinds = np.unique(kinds, return_inverse=True)[1]
    drawn = difference_interval(values[np.isfinite(values)], influence, kinds, level)
    return {"videos": drawn, "worlds": mean_interval([v[0] for v, _ in differences], level)}


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean and Student's interval of independent values; nan limits for fewer than two."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, np.nan, np.nan)
    step = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return Interval(mean, float(mean - step), float(mean + step))
