"""How well a score tells in-distribution images from others, and how sure one can be of it.

Higher score = in-distribution (ID), everywhere. Each side is the positive one once: the ID images
are called from the highest score down, the OOD images from the lowest up.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.evaluation import bootstrap
from jaxvlm.evaluation.bootstrap import Counts, Interval

CONVENTIONS = ("id_positive", "openood", "closest_recall")
CHUNK = 1 << 16  # counts per chunk of resamples: the arrays of one chunk stay in the cache


class Intervals(NamedTuple):
    """One interval per metric of `ood_metrics`."""

    auroc: Interval
    aupr_in: Interval
    aupr_out: Interval
    fpr95: Interval


class MethodIntervals(NamedTuple):
    """A method's own metrics, and how far they lie above the baseline's on the same images."""

    metrics: Intervals
    difference: Intervals | None  # None without a baseline


class _Side(NamedTuple):
    """Where one method's thresholds lie when one side are the positives, ties merged.

    The V thresholds are the distinct scores of the positives, in the order they are called in.
    """

    hits: np.ndarray  # [V + 1] number of positives called up to each threshold, 0 first
    before: np.ndarray  # [V] number of others called before the positives of this threshold
    through: np.ndarray  # [V] number of others called up to the threshold, its ties included


class _Order(NamedTuple):
    """One method's scores, sorted once for all resamples."""

    id_images: np.ndarray  # [N_id] images from the highest score to the lowest
    ood_images: np.ndarray  # [N_ood] the same
    id_side: _Side  # ID positive, called from the highest score on
    ood_side: _Side  # OOD positive, called from the lowest score on


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
    values = _metrics(_order(*pair), *ones, convention)[:, 0]
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
    """Percentile bootstrap intervals of one method's metrics; see `bootstrap_methods`."""
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
) -> dict[str, MethodIntervals]:
    """Percentile bootstrap intervals of many methods on the same images, and of differences.

    The ID images and the OOD images are each drawn with replacement, as many as there are, and
    the metric θ* is taken on the drawn images; the interval runs from the (1 − level)/2 to the
    (1 + level)/2 quantile of θ* over the resamples. Every method sees the same draws, so the
    quantiles of θ*_method − θ*_baseline are those of a paired comparison. A draw is kept as
    counts per image, so each method is sorted once.

    Args:
      id_scores: [N_id] per method, image n the same for all.
      ood_scores: [N_ood] per method, the same methods.
      baseline: the method that differences are taken to, or None for none.
      num_resamples: at least 1; 1000 is usual for 95 %. level: in (0, 1).
      seed: the same seed and image counts give the same draws, whatever the methods.

    Returns:
      One `MethodIntervals` per method, in the order of ``id_scores``; ``value`` is the metric of
      the images themselves. The interval says how much the choice of images matters, and cannot
      know what they do not show: with one image per side, or with no error, it has no width.

    Raises:
      InputError: as `ood_metrics`; methods or image counts that differ; an unknown baseline; a
        level or number of resamples out of range.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §13.3.
    """
    _check_convention(convention)
    checked = _check_methods(id_scores, ood_scores, baseline)
    bootstrap.check_resamples(num_resamples, level, at_least=1)
    orders = {name: _order(*pair) for name, pair in checked.items()}
    num_id, num_ood = (side.size for side in next(iter(checked.values())))
    is_id = np.arange(num_id + num_ood) < num_id
    at_a_time = max(1, CHUNK // len(is_id))
    samples = {name: [] for name in orders}
    for weights in bootstrap.draw_weights(is_id, num_resamples, seed=seed, at_a_time=at_a_time):
        for name, order in orders.items():
            parts = weights[:, :num_id], weights[:, num_id:]
            samples[name].append(_metrics(order, *parts, convention))
    metrics = {name: np.concatenate(parts, axis=1) for name, parts in samples.items()}

    def percentiles(values: np.ndarray) -> Intervals:
        return Intervals(*bootstrap.intervals(values, level))

    return {
        name: MethodIntervals(
            percentiles(values),
            None if baseline is None else percentiles(values - metrics[baseline]),
        )
        for name, values in metrics.items()
    }


def _order(id_scores: np.ndarray, ood_scores: np.ndarray) -> _Order:
    id_images, ood_images = np.argsort(-id_scores), np.argsort(-ood_scores)
    ids, oods = id_scores[id_images], ood_scores[ood_images]
    return _Order(id_images, ood_images, _side(-ids, -oods), _side(oods[::-1], ids[::-1]))


def _side(positives: np.ndarray, others: np.ndarray) -> _Side:
    """Thresholds of positives and others given in ascending order, which is that of the calls."""
    thresholds = np.unique(positives)
    return _Side(
        hits=np.append(0, np.searchsorted(positives, thresholds, side="right")),
        before=np.searchsorted(others, thresholds, side="left"),
        through=np.searchsorted(others, thresholds, side="right"),
    )


def _metrics(
    order: _Order, id_counts: np.ndarray, ood_counts: np.ndarray, convention: str
) -> np.ndarray:
    """[4, B] metrics, rows as `Intervals`, of images counted [B, N_id] and [B, N_ood] times."""
    openood = convention == "openood"
    sides = []
    ids, oods = _running(id_counts, order.id_images), _running(ood_counts, order.ood_images)
    sides.append((_side_counts(order.id_side, ids, oods), ids[:, -1], oods[:, -1]))
    ids, oods = ids[:, -1:] - ids[:, ::-1], oods[:, -1:] - oods[:, ::-1]  # from the lowest score
    sides.append((_side_counts(order.ood_side, oods, ids), oods[:, -1], ids[:, -1]))
    (auroc, aupr_in), (_, aupr_out) = (
        bootstrap.ranking_metrics(positives, others, [counts], trapezoid=openood)
        for counts, positives, others in sides
    )
    rate = _closest_recall_rate if convention == "closest_recall" else _first_rate
    return np.stack([auroc, aupr_in, aupr_out, rate(*sides[openood])])


def _running(counts: np.ndarray, images: np.ndarray) -> np.ndarray:
    """[B, N + 1] number of draws among the first n images of an order."""
    running = np.zeros((counts.shape[0], images.size + 1))
    np.cumsum(counts.take(images, axis=1), axis=1, out=running[:, 1:])
    return running


def _side_counts(side: _Side, positives: np.ndarray, others: np.ndarray) -> Counts:
    """The side's thresholds, from the draws [B, N + 1] among the first n called."""
    hits, through = positives.take(side.hits, axis=1), others.take(side.through, axis=1)
    ties = None
    if (side.before != side.through).any():
        ties = (through - others.take(side.before, axis=1)).T
    return Counts(np.diff(hits, axis=1).T, hits[:, 1:].T, through.T, ties)


def _first_rate(counts: Counts, positives: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[B] share of the others called at the first threshold that calls 95 % of the positives."""
    at = (counts.hits >= _wanted(positives)).argmax(axis=0)
    return counts.through[at, np.arange(len(at))] / others


def _closest_recall_rate(counts: Counts, positives: np.ndarray, others: np.ndarray) -> np.ndarray:
    """[B] share of the others called where the recall is closest to 95 %; see `ood_metrics`.

    The recall grows, so the closest one is the first that is not below 95 % or the one before it.
    It lasts up to the next threshold with a drawn positive, that one's own ties not included.
    """
    _, hits, through, ties = counts
    before = through if ties is None else through - ties
    columns = np.arange(len(positives))
    at = (hits >= _wanted(positives)).argmax(axis=0)
    above, below = hits[at, columns], hits[at, columns] - counts.new[at, columns]
    # In float64, as the published code has it: 0.95 is none of its numbers.
    gaps = (np.abs(called / positives - 0.95) for called in (above, below))
    upper = np.less_equal(*gaps) | (below == 0)
    following = np.where(upper, (hits > above).argmax(axis=0), at)
    everything = upper & (above == positives)
    called = np.where(everything, through[at, columns], before[following, columns])
    return called / others


def _wanted(positives: np.ndarray) -> np.ndarray:
    return np.ceil(19 * positives / 20)  # a recall of at least 0.95, in whole numbers


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
