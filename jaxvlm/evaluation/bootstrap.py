"""Resamples: the draws, the metrics of each of them, and how single videos weigh on these.

Frames are ranked by score. A frame belongs to a unit that is drawn as a whole: a frame of a video
to its video, a picture to itself. The metrics depend on the order of the scores alone, and of that
only on the thresholds at which there is a positive frame. A resample weighs the units and leaves
the order as it is. So the frames are sorted once, and each resample needs no more than the number
of frames that every threshold calls.

How to count them from the weights is the one thing in which pictures and videos differ. Here are
the videos, few units of many frames: a sparse matrix of thresholds and videos times the weights of
all resamples. `metrics_ood` has the pictures, many units of one frame: running sums along them.
For 100,000 pictures the sparse matrix would take twice as long, for a million frames of 290 videos
the running sums twenty times as long.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError
from jaxvlm.evaluation.intervals import Counts, Interval, Sampled, ranking_interval, slopes

AP_DEFINITIONS = ("average_precision", "trapezoid")
ROWS, COLUMNS = 128, 1024  # thresholds and resamples at a time: 1 MiB, which stays in the cache


class FrameIntervals(NamedTuple):
    """What was ranked, how well, and how many resamples held frames of both kinds."""

    auc: Interval
    ap: Interval
    videos: int
    frames: int
    positive_frames: int
    resamples: int


def check_resamples(num_resamples: int, level: float, *, at_least: int) -> None:
    """Raises InputError for too few resamples, or a level that is not between 0 and 1."""
    if num_resamples < at_least or not 0 < level < 1:
        raise InputError(
            f"bootstrap: {num_resamples} resamples at level {level}; give at least {at_least} "
            "and a level between 0 and 1"
        )


def draw_weights(
    kinds: np.ndarray, num_resamples: int, *, seed: int, at_a_time: int
) -> Iterator[np.ndarray]:
    """How often each unit is drawn, [b, U] for the next b ≤ ``at_a_time`` of 1 + B resamples.

    The units of each of the kinds [U], numbers from 0, are drawn with replacement, as many as there
    are. The very first resample is the data itself, every unit once. The same seed and kinds give
    the same draws, however many at a time.
    """
    members = [(kind, np.flatnonzero(kinds == kind)) for kind in np.unique(kinds)]
    drawn = [(np.random.default_rng([seed, kind]), units) for kind, units in members]
    for start in range(0, num_resamples + 1, at_a_time):
        weights = np.ones((min(at_a_time, num_resamples + 1 - start), len(kinds)))
        for row in weights[1 if start == 0 else 0 :]:
            for rng, units in drawn:
                size = len(units)
                row[units] = np.bincount(rng.integers(size, size=size), minlength=size)
        yield weights


def ranking_metrics(
    positives: np.ndarray, negatives: np.ndarray, counts: Iterable[Counts], *, trapezoid: bool
) -> np.ndarray:
    """[2, B] AUC and AP of B resamples, as in `resampled_metrics`; nan where one has frames of one
    kind only.

    Args:
      positives, negatives: [B] frames in all, whether a threshold calls them or not.
      counts: of all thresholds, the first to be called first, in as many parts as suits.
    """
    lost, area = np.zeros((2, len(positives)))
    for new, hits, through, ties in counts:
        height = hits + through
        np.divide(hits, np.maximum(height, 1, out=height), out=height)  # nobody called: nothing new
        if trapezoid:
            last = hits - new
            called = last + through if ties is None else last + through - ties
            height += np.where(called > 0, last / np.maximum(called, 1), 1.0)
            height /= 2
        # Sums of whole numbers below 2⁵³ are exact.
        lost += 2 * (new * through).sum(axis=0)
        if ties is not None:
            lost -= (new * ties).sum(axis=0)
        area += np.multiply(new, height, out=height).sum(axis=0)
    pairs = 2 * positives * negatives  # counted twice, so that a tie loses one
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (pairs - lost) / pairs, area / positives
    return np.where(pairs > 0, values, np.nan)


def resampled_metrics(
    scores: ArrayLike,
    labels: ArrayLike,
    video: ArrayLike,
    *,
    ap_definition: str = "average_precision",
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> FrameIntervals:
    """Frame AUC and AP of all frames together, with intervals over videos.

    With weight w_v, the number of times that video v is drawn, of every frame of v,
    AUC = Σ_{s⁺, s⁻} w⁺ w⁻ ([s⁺ > s⁻] + ½ [s⁺ = s⁻]) / (Σ w⁺ Σ w⁻) and
    AP = Σ_g (R_g − R_{g−1}) P_g (``average_precision``) over distinct thresholds g, recall R,
    precision P, or Σ_g (R_g − R_{g−1}) (P_g + P_{g−1})/2 with P_0 = 1 (``trapezoid``, the area
    that ``sklearn.metrics.auc`` gives of ``precision_recall_curve``).

    Videos with a positive frame and videos without are drawn separately, each with replacement,
    as many as there are: a benchmark fixes how many it has of both. The intervals are those of
    `intervals.ranking_interval`, from these draws and from the influence of every video.

    Args:
      scores: [T] frames of all videos, higher means more anomalous.
      labels: [T], 1 where anomalous.
      video: [T] the number of the video that the frame belongs to, any integers.
      num_resamples: 0 for no intervals (they are nan).
      level: of the interval, in (0, 1).
      seed: the same seed and videos give the same draws.

    Returns:
      `FrameIntervals`; auc and ap are nan if only one kind of frame occurs.

    Raises:
      InputError: NaN, labels that are not 0/1, an unknown definition, or a level or number out of
        range.
      ValueError: not one score, label and video per frame.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §8.6; of the intervals,
    see there.
    """
    check_shapes(
        "resampled_metrics", scores=(scores, "T"), labels=(labels, "T"), video=(video, "T")
    )
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    if not np.isin(labels, (0, 1)).all():
        raise InputError("labels: a value is neither 0 nor 1; correct the labels")
    labels = labels.astype(bool)
    if ap_definition not in AP_DEFINITIONS:
        known = ", ".join(AP_DEFINITIONS)
        raise InputError(f"ap_definition {ap_definition!r}: unknown; use one of {known}")
    if np.isnan(scores).any():
        raise InputError(f"scores: NaN at frame {int(np.isnan(scores).argmax())}; score again")
    check_resamples(num_resamples, level, at_least=0)
    sampled = sample_videos(
        scores,
        labels,
        video,
        trapezoid=ap_definition == "trapezoid",
        num_resamples=num_resamples,
        seed=seed,
    )
    sizes = len(sampled.kinds), len(labels), int(labels.sum())
    if sizes[2] in (0, sizes[1]):
        undefined = Interval(np.nan, np.nan, np.nan)
        return FrameIntervals(undefined, undefined, *sizes, 0)
    auc, ap = (
        ranking_interval(values, influence, sampled.kinds, level)
        for values, influence in zip(sampled.values, sampled.influences, strict=True)
    )
    return FrameIntervals(auc, ap, *sizes, sampled.values.shape[1] - 1)


def sample_videos(
    scores: np.ndarray,
    labels: np.ndarray,
    video: np.ndarray,
    *,
    trapezoid: bool,
    num_resamples: int,
    seed: int,
    kinds: np.ndarray | None = None,
) -> Sampled:
    """What `resampled_metrics` makes its intervals of; its arguments, checked.

    kinds: [V] numbers from 0 of the kinds that videos are drawn by, in the order of the videos'
    numbers, so that several labels can share their draws; a resample without positive frames is
    NaN then. None: videos with a positive frame and those without, and no NaN is left.
    """
    names, video = np.unique(video, return_inverse=True)
    per_video = np.stack([np.bincount(video[k], minlength=len(names)) for k in (labels, ~labels)])
    shared = kinds is not None
    kinds = kinds if shared else np.where(per_video[0] > 0, 0, 1)
    if not per_video.any(axis=1).all():
        return Sampled(np.zeros((2, 0)), np.zeros((2, len(names))), kinds)
    blocks = _sort(scores, labels, video, len(names))
    parts = []
    for weights in draw_weights(kinds, num_resamples, seed=seed, at_a_time=COLUMNS):
        weights = np.ascontiguousarray(weights.T)
        # Not by @: BLAS would start threads for so little.
        totals = (np.einsum("v,vb->b", number, weights) for number in per_video)
        parts.append(ranking_metrics(*totals, _count(blocks, weights), trapezoid=trapezoid))
    values = np.concatenate(parts, axis=1)
    if not shared:
        values = values[:, ~np.isnan(values).any(axis=0)]
    return Sampled(values, _influences(blocks, per_video, trapezoid), kinds)


def _influences(
    blocks: Sequence[Sequence[sparse.csr_matrix]], per_video: np.ndarray, trapezoid: bool
) -> np.ndarray:
    """[2, V] derivative of AUC and of AP by the weight of each video."""
    ones = np.ones((per_video.shape[1], 1))
    parts = [part._replace(ties=0 * part.new if part.ties is None else part.ties)
             for part in _count(blocks, ones)]  # fmt: skip
    counts = Counts(*(np.concatenate(field)[:, 0] for field in zip(*parts, strict=True)))
    found = slopes(counts, *per_video.sum(axis=1), trapezoid=trapezoid)
    total = np.outer(found.positives, per_video[0]) + np.outer(found.negatives, per_video[1])
    start = 0
    for block in blocks:
        rows = slice(start, start + block[0].shape[0])
        for matrix, slope in zip(block, (found.positive, found.called, found.tied), strict=True):
            total += (matrix.T @ slope[:, rows].T).T
        start = rows.stop
    return total


def _sort(
    scores: np.ndarray, labels: np.ndarray, video: np.ndarray, num_videos: int
) -> list[list[sparse.csr_matrix]]:
    """Blocks of thresholds as [g, V] numbers of frames: positive ones at a threshold, negative ones
    at it or between it and the threshold before, and negative ones at it.

    Negatives below the last threshold rank after all and are in no block.
    """
    thresholds = np.unique(scores[labels])  # ascending
    rows = len(thresholds)
    # From the highest down: row g is thresholds[G − 1 − g].
    at = np.searchsorted(thresholds, scores, side="right") - 1  # the last threshold ≤ score
    called = ~labels & (at >= 0)
    matrices = []
    for kept in (labels, called, called & (thresholds[at] == scores)):
        cells = rows - 1 - at[kept], video[kept]  # frames of one cell are added up
        numbers = np.ones(len(cells[0]))
        matrices.append(sparse.csr_matrix((numbers, cells), shape=(rows, num_videos)))
    return [[m[start : start + ROWS] for m in matrices] for start in range(0, rows, ROWS)]


def _count(blocks: Sequence[Sequence[sparse.csr_matrix]], weights: np.ndarray) -> Iterator[Counts]:
    """The blocks' frames with videos weighed [V, B]; the running sums are carried along."""
    last_hits = last_through = np.zeros(weights.shape[1])
    for positive, called, tied in blocks:
        new = positive @ weights
        hits, through = _running(new, last_hits), _running(called @ weights, last_through)
        yield Counts(new, hits, through, tied @ weights if tied.nnz else None)
        last_hits, last_through = hits[-1], through[-1]


def _running(numbers: np.ndarray, start: np.ndarray) -> np.ndarray:
    """[g, B] start + the sum of the rows up to each. np.cumsum is several times slower here."""
    sums = np.empty_like(numbers)
    for row, number in enumerate(numbers):
        start = np.add(start, number, out=sums[row])
    return sums
