"""Pictures ranked by a score, each side the positive one once: resamples of them, counted.

Few metrics depend on more than the order, so a method's pictures are sorted once and a resample is
running sums along that order; `bootstrap` has the other case, videos of many frames.
"""

from typing import NamedTuple

import numpy as np

from jaxvlm.evaluation import bootstrap
from jaxvlm.evaluation.intervals import Counts, slopes

ONE_IN = (10, 100, 1000, 10_000)  # of CCR: fewer than one OOD image in so many is called


class Side(NamedTuple):
    """Where one method's thresholds lie when one side are the positives, ties merged.

    The V thresholds are the distinct scores of the positives, in the order they are called in.
    """

    hits: np.ndarray  # [V + 1] number of positives called up to each threshold, 0 first
    before: np.ndarray  # [V] number of others called before the positives of this threshold
    through: np.ndarray  # [V] number of others called up to the threshold, its ties included


class Order(NamedTuple):
    """One method's scores, sorted once for all resamples."""

    id_images: np.ndarray  # [N_id] images from the highest score to the lowest
    ood_images: np.ndarray  # [N_ood] the same
    id_side: Side  # ID positive, called from the highest score on
    ood_side: Side  # OOD positive, called from the lowest score on


def sort_pictures(id_scores: np.ndarray, ood_scores: np.ndarray) -> Order:
    id_images, ood_images = np.argsort(-id_scores), np.argsort(-ood_scores)
    ids, oods = id_scores[id_images], ood_scores[ood_images]
    return Order(id_images, ood_images, _side(-ids, -oods), _side(oods[::-1], ids[::-1]))


def _side(positives: np.ndarray, others: np.ndarray) -> Side:
    """Thresholds of positives and others given in ascending order, which is that of the calls."""
    thresholds = np.unique(positives)
    return Side(
        hits=np.append(0, np.searchsorted(positives, thresholds, side="right")),
        before=np.searchsorted(others, thresholds, side="left"),
        through=np.searchsorted(others, thresholds, side="right"),
    )


def picture_metrics(
    order: Order,
    id_counts: np.ndarray,
    ood_counts: np.ndarray,
    convention: str,
    right_counts: np.ndarray | None = None,
) -> np.ndarray:
    """[4, B] metrics, rows as `metrics_ood.METRICS`, of images drawn [B, N_id] and [B, N_ood]
    times; [8, B] with rows as `metrics_ood.CCR` where ``right_counts`` [B, N_id] says how often
    those were drawn whose class is right, 0 of the others."""
    openood = convention == "openood"
    sides = []
    ids, called = _running(id_counts, order.id_images), _running(ood_counts, order.ood_images)
    totals = ids[:, -1], called[:, -1]
    sides.append((_side_counts(order.id_side, ids, called), *totals))
    ids, oods = ids[:, -1:] - ids[:, ::-1], called[:, -1:] - called[:, ::-1]  # from the lowest
    sides.append((_side_counts(order.ood_side, oods, ids), *totals[::-1]))
    (auroc, aupr_in), (_, aupr_out) = (
        bootstrap.ranking_metrics(positives, others, [counts], trapezoid=openood)
        for counts, positives, others in sides
    )
    rate = _closest_recall_rate if convention == "closest_recall" else _first_rate
    metrics = np.stack([auroc, aupr_in, aupr_out, rate(*sides[openood])])
    if right_counts is None:
        return metrics
    hits = _running(right_counts, order.id_images)
    return np.concatenate([metrics, _correct_rates(order, hits, called) / totals[0]])


def _correct_rates(order: Order, hits: np.ndarray, called: np.ndarray) -> np.ndarray:
    """[4, B] right ID images above the thresholds of `ONE_IN`; nan where one OOD image is more.

    hits, called: [B, N + 1] draws of right ID images and of OOD images among the first n.
    """
    count = order.ood_images.size
    some = [j for j, one_in in enumerate(ONE_IN) if count >= one_in]
    allowed = [-(-count // ONE_IN[j]) for j in some]
    found = np.full((len(ONE_IN), len(hits)), np.nan)
    for row in range(len(hits) if some else 0):
        rank = count - np.searchsorted(called[row], allowed)  # of the OOD image, from the lowest
        threshold = np.searchsorted(order.ood_side.hits, rank, side="right") - 1
        above = order.id_images.size - order.ood_side.through[threshold]  # ties left out
        found[some, row] = hits[row, above]
    return found


def influences(order: Order, convention: str) -> np.ndarray:
    """[3, N_id + N_ood] derivatives of AUROC, AUPR-in and AUPR-out by the pictures' weights."""
    images = order.id_images, order.id_images.size + order.ood_images
    trapezoid = convention == "openood"
    from_id = _influences_of(order.id_side, images, trapezoid)
    from_ood = _influences_of(order.ood_side, [i[::-1] for i in images[::-1]], trapezoid)
    return np.stack([*from_id, from_ood[1]])


def _influences_of(side: Side, images, trapezoid: bool) -> np.ndarray:
    """[2, N] derivatives of AUC and AP, for positives and others as they are called."""
    positives, others = images
    ones = np.ones((1, positives.size)), np.ones((1, others.size))
    running = (_running(one, np.arange(one.shape[1])) for one in ones)
    counts = _side_counts(side, *running)
    counts = Counts(*(None if field is None else field[:, 0] for field in counts))
    found = slopes(counts, positives.size, others.size, trapezoid=trapezoid)
    total = np.zeros((2, positives.size + others.size))
    per_image = np.repeat(found.positive, np.diff(side.hits), axis=1)
    total[:, positives] = per_image + found.positives[:, None]
    rank = np.arange(others.size)
    at = np.searchsorted(side.through, rank, side="right")  # the first threshold that calls it
    called = at < side.through.size
    tied = called & (rank >= np.append(side.before, 0)[at])
    total[:, others] = found.negatives[:, None]
    total[:, others[called]] += found.called[:, at[called]]
    total[:, others[tied]] += found.tied[:, at[tied]]
    return total


def _running(counts: np.ndarray, images: np.ndarray) -> np.ndarray:
    """[B, N + 1] number of draws among the first n images of an order."""
    running = np.zeros((counts.shape[0], images.size + 1))
    np.cumsum(counts.take(images, axis=1), axis=1, out=running[:, 1:])
    return running


def _side_counts(side: Side, positives: np.ndarray, others: np.ndarray) -> Counts:
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
    """[B] share of the others called where the recall is closest to 95 %.

    The recall grows, so the closest one is the first that is not below 95 % or the one before it.
    It lasts up to the next threshold with a drawn positive, that one's own ties not included.
    """
    _, hits, through, ties = counts
    before = through if ties is None else through - ties
    columns = np.arange(len(positives))
    at = (hits >= _wanted(positives)).argmax(axis=0)
    above, below = hits[at, columns], hits[at, columns] - counts.new[at, columns]
    # In float64, as the published code has it (see `metrics_ood.ood_metrics`).
    gaps = (np.abs(called / positives - 0.95) for called in (above, below))
    upper = np.less_equal(*gaps) | (below == 0)
    following = np.where(upper, (hits > above).argmax(axis=0), at)
    everything = upper & (above == positives)
    called = np.where(everything, through[at, columns], before[following, columns])
    return called / others


def _wanted(positives: np.ndarray) -> np.ndarray:
    return np.ceil(19 * positives / 20)  # a recall of at least 0.95, in whole numbers
