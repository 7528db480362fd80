"""Many methods on the same images: intervals, differences on the same draws, means of OOD sets."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.evaluation import bootstrap
from jaxvlm.evaluation.intervals import (
    Interval,
    Sampled,
    difference_interval,
    percentile_interval,
    ranking_interval,
)
from jaxvlm.evaluation.metrics_ood import METRICS, check_convention, check_right, check_sets
from jaxvlm.evaluation.ranking import influences, picture_metrics, sort_pictures

MEAN_OF_SETS = "mean of sets"
CHUNK = 1 << 16  # counts per chunk of resamples: the arrays of one chunk stay in the cache


class Intervals(NamedTuple):
    """One interval per metric of `metrics_ood.ood_metrics`."""

    auroc: Interval
    aupr_in: Interval
    aupr_out: Interval
    fpr95: Interval


class CorrectRates(NamedTuple):
    """One per rate of `metrics_ood.correct_classification_rates`; nan where it is undefined."""

    ccr_1: Interval
    ccr_2: Interval
    ccr_3: Interval
    ccr_4: Interval


class MethodIntervals(NamedTuple):
    """A method's own metrics, and how they differ from the baseline's and from the best method's on
    the same images."""

    metrics: Intervals
    difference: Intervals | None  # None without a baseline
    behind: Interval | None = None  # AUROC less that of the best method, which has 0
    correct: CorrectRates | None = None  # None where no truth is known


class Known(NamedTuple):
    """What is known of the ID images.

    right: [N_id] whether the predicted class is the true one, 0 or 1; None: unknown. parts: [N_id]
    numbers from 0 of the sets that they are from, each of which is drawn by itself; None: one set.
    """

    right: ArrayLike | None = None
    parts: ArrayLike | None = None


def mean_of(group: str) -> str:
    """What the mean over the OOD sets of a group is called."""
    return f"mean of {group}"


def bootstrap_intervals(
    id_scores: ArrayLike,
    ood_scores: ArrayLike,
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    convention: str = "id_positive",
) -> Intervals:
    """Intervals of one method's metrics; see `bootstrap_sets`."""
    options = dict(num_resamples=num_resamples, level=level, seed=seed, convention=convention)
    return bootstrap_methods({"": id_scores}, {"": ood_scores}, **options)[""].metrics


def bootstrap_methods(
    id_scores: Mapping[str, ArrayLike],
    ood_scores: Mapping[str, ArrayLike],
    *,
    baseline: str | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    convention: str = "id_positive",
    best_of: Sequence[str] | None = None,
) -> dict[str, MethodIntervals]:
    """Intervals of many methods on one OOD set [N_ood] per method; see `bootstrap_sets`."""
    options = dict(num_resamples=num_resamples, level=level, seed=seed, convention=convention)
    options |= dict(baseline=baseline, best_of=best_of)
    return bootstrap_sets({"": id_scores}, {"": ood_scores}, **options)[""]


def bootstrap_sets(
    id_scores: Mapping[str, Mapping[str, ArrayLike]],
    ood_scores: Mapping[str, Mapping[str, ArrayLike]],
    *,
    baseline: str | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    convention: str = "id_positive",
    best_of: Sequence[str] | None = None,
) -> dict[str, dict[str, MethodIntervals]]:
    """Intervals of many methods on the same images, and of differences, per OOD set and on average.

    The ID images and those of every OOD set are each drawn with replacement, as many as there are,
    and the metric θ* is taken on the drawn images. Every method and every set sees the same draws,
    so that θ*_method − θ*_baseline is a paired comparison. A draw is kept as counts per image, so
    each method is sorted once.

    AUROC and AUPR have `intervals.ranking_interval`, their differences
    `intervals.difference_interval`: Student's t with the influence of each image and the spread of
    θ*. The FPR and the CCR have `intervals.percentile_interval`, for they have no derivative.

    Args:
      id_scores: per OOD set and method the scores [N_id] of the same ID images; they differ
        between sets only for a method that was fitted for each.
      ood_scores: per set [N_ood] per method, the same methods.
      baseline: the method that differences are taken to, or None for none.
      num_resamples: at least 1; 1000 is usual for 95 %. level: in (0, 1).
      seed: the same seed and image counts give the same draws, whatever the methods.
      best_of: the methods among which the best is sought, the one with the highest AUROC and of
        equals the first; None: all.

    Returns:
      Per set one `MethodIntervals` per method, in the order of ``id_scores``; ``value`` is the
      metric of the images themselves. Of two sets or more also `MEAN_OF_SETS`, the mean of the
      sets' metrics. An interval says how much the choice of images matters, and cannot know what
      they do not show: with one image per side, or with no error, it has no width.
      `sample_sets` and `compare_sets` are its halves, for groups of sets and what is `Known`.

    Raises:
      InputError: as `metrics_ood.ood_metrics`; methods or image counts that differ; an unknown
        baseline; a level or number of resamples out of range; a set called as the mean is.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §8.3; of the intervals,
    see there.
    """
    bootstrap.check_resamples(num_resamples, level, at_least=1)
    options = dict(num_resamples=num_resamples, seed=seed, convention=convention)
    sampled = sample_sets(id_scores, ood_scores, **options)
    return compare_sets(sampled, baseline=baseline, level=level, best_of=best_of)


def sample_sets(
    id_scores: Mapping[str, Mapping[str, ArrayLike]],
    ood_scores: Mapping[str, Mapping[str, ArrayLike]],
    *,
    known: Known = Known(),  # noqa: B008 (immutable)
    num_resamples: int = 1000,
    seed: int = 0,
    convention: str = "id_positive",
) -> dict[str, dict[str, Sampled]]:
    """The metrics of the images and of resamples, per OOD set and method, see `bootstrap_sets`.

    The rows of ``values`` are `METRICS` and, where the truth is known, `metrics_ood.CCR`;
    ``influences`` are of the first three, the ID images first.

    Raises InputError as `bootstrap_sets`, and for ``known`` that is not of these ID images.
    """
    check_convention(convention)
    bootstrap.check_resamples(num_resamples, level=0.5, at_least=1)  # no level is asked for here
    checked = check_sets(id_scores, ood_scores)
    first = [next(iter(pairs.values())) for pairs in checked.values()]
    count, *others = first[0][0].size, *(oods.size for _, oods in first)
    right = None if known.right is None else check_right(known.right, count)
    # The first part is kind 0 and the OOD sets follow, so that more parts change no set's draws.
    parts = np.zeros(count, int) if known.parts is None else np.asarray(known.parts)
    if parts.shape != (count,):
        raise InputError(f"parts: {parts.size} numbers for {count} ID images; give one for each")
    kinds = np.append(
        np.where(parts > 0, parts + len(others), 0), np.repeat(np.arange(len(others)) + 1, others)
    )
    members = {name: np.append(np.arange(count), count + np.flatnonzero(kinds[count:] == index))
               for index, name in enumerate(checked, start=1)}  # fmt: skip
    orders = {
        (name, m): sort_pictures(*pair) for name in checked for m, pair in checked[name].items()
    }
    samples = {key: [] for key in orders}
    at_a_time = max(1, CHUNK // len(kinds))
    for weights in bootstrap.draw_weights(kinds, num_resamples, seed=seed, at_a_time=at_a_time):
        ids = weights[:, :count]
        rights = None if right is None else ids * right
        drawn = {name: weights[:, own[count:]] for name, own in members.items()}
        for (name, m), order in orders.items():
            samples[name, m].append(picture_metrics(order, ids, drawn[name], convention, rights))
    found: dict[str, dict[str, Sampled]] = {name: {} for name in checked}
    for (name, m), order in orders.items():
        values = np.concatenate(samples[name, m], axis=1)
        found[name][m] = Sampled(values, influences(order, convention), kinds[members[name]])
    return found


def compare_sets(
    sampled: Mapping[str, Mapping[str, Sampled]],
    *,
    baseline: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    level: float = 0.95,
    best_of: Sequence[str] | None = None,
) -> dict[str, dict[str, MethodIntervals]]:
    """The intervals of `bootstrap_sets` from `sample_sets`, and those of the means of groups.

    groups: names of OOD sets by that of their group, whose mean is called `mean_of` it and stands
    behind its last set. As the draws are the same for all sets, a mean of sets is sampled, too, and
    has intervals and differences like one set.

    Raises InputError for an unknown baseline or an OOD set that is called as a mean is.
    """
    first = next(iter(sampled.values()))
    if baseline is not None and baseline not in first:
        raise InputError(f"baseline {baseline!r}: not scored; use one of {', '.join(first)}")
    groups = dict(groups or {})
    for group in (*groups, "sets"):
        if mean_of(group) in sampled:
            raise InputError(
                f"{mean_of(group)}: an OOD set of this name; name it, as in NAME=FOLDER"
            )
    if "sets" in groups:
        raise InputError("sets: a group of this name; its mean is called as that of all sets is")
    found: dict[str, Mapping[str, Sampled]] = {}
    for name, own in sampled.items():
        found[name] = own
        for group, members in groups.items():
            if name == max(members, key=list(sampled).index):
                found[mean_of(group)] = _mean([sampled[member] for member in members])
    if len(sampled) > 1:
        found[MEAN_OF_SETS] = _mean(list(sampled.values()))
    rivals = list(first if best_of is None else best_of)
    return {name: _compared(own, baseline, rivals, level) for name, own in found.items()}


def _compared(
    sampled: Mapping[str, Sampled], baseline: str | None, rivals: list[str], level: float
) -> dict[str, MethodIntervals]:
    compared = {}
    best = max(rivals, key=lambda method: sampled[method].values[0, 0])
    for method, own in sampled.items():
        difference = correct = None
        if baseline is not None:
            other = sampled[baseline]
            difference = _intervals(_less(own, other), level, difference_interval)
        loss = _less(own, sampled[best])
        behind = difference_interval(loss.values[0], loss.influences[0], loss.kinds, level)
        metrics = _intervals(own, level, ranking_interval)
        if len(rates := own.values[len(METRICS) :]):
            correct = CorrectRates(*(percentile_interval(row, own.kinds, level) for row in rates))
        compared[method] = MethodIntervals(metrics, difference, behind, correct)
    return compared


def _less(own: Sampled, other: Sampled) -> Sampled:
    return Sampled(own.values - other.values, own.influences - other.influences, own.kinds)


def _mean(sets: Sequence[Mapping[str, Sampled]]) -> dict[str, Sampled]:
    """The mean of the metrics of some sets, per method."""
    return {method: _mean_of_method([own[method] for own in sets]) for method in sets[0]}


def _mean_of_method(sets: list[Sampled]) -> Sampled:
    """Of one method. All sets begin with the ID images that they share, and end with their own."""
    share = 1 / len(sets)
    count = np.count_nonzero(sets[0].kinds != sets[0].kinds[-1])
    ids = sum(own.influences[:, :count] for own in sets)
    oods = [own.influences[:, count:] for own in sets]
    return Sampled(
        share * sum(own.values for own in sets),
        share * np.concatenate([ids, *oods], axis=1),
        np.concatenate([sets[0].kinds[:count], *(own.kinds[count:] for own in sets)]),
    )


def _intervals(sampled: Sampled, level: float, area_interval: Callable[..., Interval]) -> Intervals:
    areas = (
        area_interval(values, influence, sampled.kinds, level)
        for values, influence in zip(sampled.values, sampled.influences, strict=False)
    )
    rate = METRICS.index("fpr95")
    return Intervals(*areas, percentile_interval(sampled.values[rate], sampled.kinds, level))
