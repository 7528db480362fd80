"""How well a score tells in-distribution images from others, and how sure one can be of it.

Higher score = in-distribution (ID), everywhere. Each side is the positive one once: the ID images
are called from the highest score down, the OOD images from the lowest up.
"""

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
from jaxvlm.evaluation.ranking import influences, picture_metrics, sort_pictures

CONVENTIONS = ("id_positive", "openood", "closest_recall")
MEAN_OF_SETS = "mean of sets"
CHUNK = 1 << 16  # counts per chunk of resamples: the arrays of one chunk stay in the cache


class Intervals(NamedTuple):
    """One interval per metric of `ood_metrics`."""

    auroc: Interval
    aupr_in: Interval
    aupr_out: Interval
    fpr95: Interval


class MethodIntervals(NamedTuple):
    """A method's own metrics, and how they differ from the baseline's and from the best method's on
    the same images."""

    metrics: Intervals
    difference: Intervals | None  # None without a baseline
    behind: Interval | None = None  # AUROC less that of the best method, which has 0


def ood_metrics(
    id_scores: ArrayLike, ood_scores: ArrayLike, *, convention: str = "id_positive"
) -> dict[str, float]:
    """AUROC, AUPR and FPR at 95 % TPR of scores that are higher for in-distribution images.

    AUROC = P(s_id > s_ood) + ½ P(s_id = s_ood);
    AUPR = Σ_p (R_p − R_{p−1}) P_p over distinct thresholds, recall R and precision P of the ID
    images (``aupr_in``) or, with −s, of the OOD images (``aupr_out``);
    FPR@95 = FP_p / N_ood at the first p, from the highest threshold down, with TP_p ≥ 0.95 N_id.

    Args:
      id_scores: [N_id], any monotone unit; ±inf are ordered like any other score.
      ood_scores: [N_ood].
      convention: ``id_positive`` as above. ``openood``: the OOD images are the positives of the
        FPR, so it is the fraction of ID images called OOD where at least 95 % of the OOD images
        are, and the AUPR is the trapezoidal area under the precision-recall curve, which starts
        at precision 1. The AUROC is the same. ``closest_recall``: FPR@95 as the code of NegLabel,
        MCM, GL-MCM, CSP and NegRefine has it, at the recall nearest to 0.95 instead of the first
        that is not below it. With distinct ID scores s_1 > … > s_J of recalls r_j, and j the last
        of those with the least |r_j − 0.95| in float64, it is the share of OOD images above
        s_{j+1}, or, if j = J, at or above s_J. Few ID images make it differ from ``id_positive``
        by the share of OOD images that lie between two of them. The rest is the same.

    Returns:
      ``{"auroc", "aupr_in", "aupr_out", "fpr95"}``, each in [0, 1].

    Raises:
      InputError: an empty set, a NaN, not one number per image, or an unknown convention.

    Source: scikit-learn ``roc_auc_score`` and ``average_precision_score``; Hendrycks and Gimpel
    (2017); Zhang et al., OpenOOD v1.5 (2023), whose ROC curve leaves out collinear points: where
    ID and OOD images tie, its FPR can be that of a later threshold; ``closest_recall``: the
    published code of Jiang et al., NegLabel (2024), after Hendrycks et al., Outlier Exposure
    (2019).
    """
    _check_convention(convention)
    pair = _check(id_scores, ood_scores, "")
    ones = (np.ones((1, side.size)) for side in pair)
    values = picture_metrics(sort_pictures(*pair), *ones, convention)[:, 0]
    return dict(zip(Intervals._fields, values.tolist(), strict=True))


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
    θ*. The FPR has `intervals.percentile_interval`, for it has no derivative.

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

    Raises:
      InputError: as `ood_metrics`; methods or image counts that differ; an unknown baseline; a
        level or number of resamples out of range; a set called as the mean is.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §8.3; of the intervals,
    see there.
    """
    _check_convention(convention)
    bootstrap.check_resamples(num_resamples, level, at_least=1)
    checked = _check_sets(id_scores, ood_scores, baseline)
    first = [next(iter(pairs.values())) for pairs in checked.values()]
    sizes = [first[0][0].size, *(oods.size for _, oods in first)]
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    own = {name: kinds == index for index, name in enumerate(checked, start=1)}
    orders = {
        (name, m): sort_pictures(*pair) for name in checked for m, pair in checked[name].items()
    }
    samples = {key: [] for key in orders}
    at_a_time = max(1, CHUNK // len(kinds))
    for weights in bootstrap.draw_weights(kinds, num_resamples, seed=seed, at_a_time=at_a_time):
        ids, parts = weights[:, : sizes[0]], {name: weights[:, mask] for name, mask in own.items()}
        for (name, m), order in orders.items():
            samples[name, m].append(picture_metrics(order, ids, parts[name], convention))
    found: dict[str, dict[str, Sampled]] = {name: {} for name in checked}
    for (name, m), order in orders.items():
        values = np.concatenate(samples[name, m], axis=1)
        involved = kinds[(kinds == 0) | own[name]]
        found[name][m] = Sampled(values, influences(order, convention), involved)
    if len(found) > 1:
        found[MEAN_OF_SETS] = {m: _mean([s[m] for s in found.values()]) for m in checked[name]}
    rivals = list(next(iter(found.values())) if best_of is None else best_of)
    return {name: _compared(sampled, baseline, rivals, level) for name, sampled in found.items()}


def _compared(
    sampled: dict[str, Sampled], baseline: str | None, rivals: list[str], level: float
) -> dict[str, MethodIntervals]:
    compared = {}
    best = max(rivals, key=lambda method: sampled[method].values[0, 0])
    for method, own in sampled.items():
        difference = None
        if baseline is not None:
            other = sampled[baseline]
            difference = _intervals(_less(own, other), level, difference_interval)
        loss = _less(own, sampled[best])
        behind = difference_interval(loss.values[0], loss.influences[0], loss.kinds, level)
        metrics = _intervals(own, level, ranking_interval)
        compared[method] = MethodIntervals(metrics, difference, behind)
    return compared


def _less(own: Sampled, other: Sampled) -> Sampled:
    return Sampled(own.values - other.values, own.influences - other.influences, own.kinds)


def _mean(sets: list[Sampled]) -> Sampled:
    """The mean of the metrics of some sets, which share their ID images."""
    share = 1 / len(sets)
    known = sets[0].kinds == 0
    ids = sum(own.influences[:, own.kinds == 0] for own in sets)
    oods = [own.influences[:, own.kinds > 0] for own in sets]
    kinds = [sets[0].kinds[known], *(own.kinds[own.kinds > 0] for own in sets)]
    return Sampled(
        share * sum(own.values for own in sets),
        share * np.concatenate([ids, *oods], axis=1),
        np.concatenate(kinds),
    )


def _intervals(sampled: Sampled, level: float, area_interval: Callable[..., Interval]) -> Intervals:
    areas = (
        area_interval(values, influence, sampled.kinds, level)
        for values, influence in zip(sampled.values, sampled.influences, strict=False)
    )
    return Intervals(*areas, percentile_interval(sampled.values[-1], sampled.kinds, level))


def _check_convention(convention: str) -> None:
    if convention not in CONVENTIONS:
        raise InputError(f"convention {convention!r}: unknown; use one of {', '.join(CONVENTIONS)}")


def _check(id_scores: ArrayLike, ood_scores: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as float64 [N], which holds every float32 exactly: no two scores become one."""
    checked = []
    for side, scores in (("ID", id_scores), ("OOD", ood_scores)):
        what = f"{side} scores of {name}" if name else f"{side} scores"
        try:
            scores = np.asarray(scores, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{what}: not all numbers; give one score per image") from None
        if scores.ndim != 1:
            raise InputError(f"{what}: shape {list(scores.shape)}; give one score per image, [N]")
        if not scores.size:
            raise InputError(f"{what}: none; give at least one image")
        if np.isnan(scores).any():
            raise InputError(
                f"{what}: NaN at image {int(np.isnan(scores).argmax())}; score the images again"
            )
        checked.append(scores)
    return checked[0], checked[1]


def _check_sets(
    id_scores: Mapping[str, Mapping[str, ArrayLike]],
    ood_scores: Mapping[str, Mapping[str, ArrayLike]],
    baseline: str | None,
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    if MEAN_OF_SETS in ood_scores:
        raise InputError(f"{MEAN_OF_SETS}: an OOD set of this name; name it, as in NAME=FOLDER")
    if set(id_scores) != set(ood_scores):
        raise InputError(
            f"sets: {list(id_scores)} have ID scores, {list(ood_scores)} OOD scores; "
            "score the ID images for every set"
        )
    checked = {
        name: _check_methods(id_scores[name], ood_scores[name], baseline) for name in ood_scores
    }
    first = next(iter(checked))
    for name, pairs in checked.items():
        sizes = [next(iter(found.values()))[0].size for found in (pairs, checked[first])]
        if sizes[0] != sizes[1] or set(pairs) != set(checked[first]):
            raise InputError(
                f"{name}: {sizes[0]} ID scores of {list(pairs)}, {first} has {sizes[1]} of "
                f"{list(checked[first])}; score the same images with the same methods"
            )
    return checked


def _check_methods(
    id_scores: Mapping[str, ArrayLike], ood_scores: Mapping[str, ArrayLike], baseline: str | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not id_scores or set(id_scores) != set(ood_scores):
        raise InputError(
            f"methods: {list(id_scores)} have ID scores, {list(ood_scores)} OOD scores; "
            "score both sides with the same methods, at least one"
        )
    if baseline is not None and baseline not in id_scores:
        raise InputError(f"baseline {baseline!r}: not scored; use one of {', '.join(id_scores)}")
    checked = {name: _check(id_scores[name], ood_scores[name], name) for name in id_scores}
    sizes = {name: [side.size for side in pair] for name, pair in checked.items()}
    first = next(iter(sizes))
    for name, size in sizes.items():
        if size != sizes[first]:
            raise InputError(
                f"{name}: {size} ID and OOD scores, {first} has {sizes[first]}; "
                "score the same images with every method"
            )
    return checked
