"""Frame AUC and AP over many videos, with intervals by resampling the videos.

Both depend on the order of the scores alone, and of that only on the thresholds at which there is
an anomalous frame. A resample draws videos: it weighs frames and leaves the order as it is. So the
frames are sorted once, their numbers are kept per threshold and video, and the numbers of all
resamples are one product of a sparse matrix with the weights of the videos.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from jaxvlm.errors import InputError

ROWS, COLUMNS = 128, 1024  # thresholds and resamples at a time: 1 MiB, which stays in the cache


class Interval(NamedTuple):
    """A metric of the videos at hand and its bootstrap interval; nan where it is undefined."""

    value: float
    low: float
    high: float


class FrameIntervals(NamedTuple):
    """What was ranked, how well, and how many resamples held frames of both kinds."""

    auc: Interval
    ap: Interval
    videos: int
    frames: int
    positive_frames: int
    resamples: int


class _Order(NamedTuple):
    """Frames per threshold and video, sorted once for all resamples.

    The G thresholds are the distinct scores of positive frames, from the highest down. A block
    holds some of them in a row, as three [g, V] numbers of frames: positive ones at a threshold,
    negative ones between it and the threshold before, and negative ones at it (None: there are
    none in the block). Negatives below the last threshold rank after all and are in no block.
    """

    blocks: list[tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix | None]]
    negatives: np.ndarray  # [V] all negative frames


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
    """Frame AUC and AP of all frames together, with percentile bootstrap intervals over videos.

    With weight w_v, the number of times that video v is drawn, of every frame of v,
    AUC = Σ_{s⁺, s⁻} w⁺ w⁻ ([s⁺ > s⁻] + ½ [s⁺ = s⁻]) / (Σ w⁺ Σ w⁻) and
    AP = Σ_g (R_g − R_{g−1}) P_g (``average_precision``) over distinct thresholds g, recall R,
    precision P, or Σ_g (R_g − R_{g−1}) (P_g + P_{g−1})/2 with P_0 = 1 (``trapezoid``, the area
    that ``sklearn.metrics.auc`` gives of ``precision_recall_curve``).

    Videos with a positive frame and videos without are drawn separately, each with replacement,
    as many as there are: a benchmark fixes how many it has of both.

    Args:
      scores: [N] frames of all videos, higher means more anomalous.
      labels: [N], 1 where anomalous.
      video: [N] the number of the video that the frame belongs to, any integers.
      num_resamples: 0 for no intervals (they are nan).
      level: of the interval, in (0, 1).
      seed: the same seed and videos give the same draws.

    Returns:
      `FrameIntervals`; auc and ap are nan if only one kind of frame occurs.

    Raises:
      InputError: lengths that differ, NaN, or a level or number out of range.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), §8.6 and §13.3.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    if not scores.shape == labels.shape == np.shape(video) or scores.ndim != 1:
        raise InputError("scores, labels and videos differ in length; give one of each per frame")
    if np.isnan(scores).any():
        raise InputError(f"scores: NaN at frame {int(np.isnan(scores).argmax())}; score again")
    if num_resamples < 0 or not 0 < level < 1:
        raise InputError(
            f"bootstrap: {num_resamples} resamples at level {level}; give at least 0 and a level "
            "between 0 and 1"
        )
    names, video = np.unique(video, return_inverse=True)
    counts = len(names), len(labels), int(labels.sum())
    if counts[2] in (0, counts[1]):
        undefined = Interval(np.nan, np.nan, np.nan)
        return FrameIntervals(undefined, undefined, *counts, 0)
    order = _sort(scores, labels, video, len(names))
    anomalous = np.bincount(video[labels], minlength=len(names)) > 0
    weights = _draw(anomalous, num_resamples, seed)
    values = np.concatenate(
        [
            _metrics(order, weights[:, start : start + COLUMNS], ap_definition)
            for start in range(0, weights.shape[1], COLUMNS)
        ],
        axis=1,
    )
    drawn = values[:, 1:]
    drawn = drawn[:, ~np.isnan(drawn).any(axis=0)]
    tails = np.full((2, 2), np.nan)
    if drawn.shape[1]:
        tails = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=1)
    auc, ap = (Interval(*map(float, (values[m, 0], *tails[:, m]))) for m in (0, 1))
    return FrameIntervals(auc, ap, *counts, drawn.shape[1])


def _draw(anomalous: np.ndarray, num_resamples: int, seed: int) -> np.ndarray:
    """[V, 1 + B] how often each video is drawn; in the first column once each."""
    weights = np.ones((len(anomalous), 1 + num_resamples))
    for stratum, members in enumerate((anomalous, ~anomalous)):
        size = int(members.sum())
        if size:
            rng = np.random.default_rng([seed, stratum])
            draws = rng.multinomial(size, np.full(size, 1 / size), size=num_resamples)
            weights[members, 1:] = draws.T
    return weights


def _sort(scores: np.ndarray, labels: np.ndarray, video: np.ndarray, num_videos: int) -> _Order:
    thresholds = np.unique(scores[labels])  # ascending
    rows = len(thresholds)
    # From the highest down: row g is thresholds[G − 1 − g].
    at = np.searchsorted(thresholds, scores, side="right") - 1  # the last threshold ≤ score
    tied = ~labels & (at >= 0) & (thresholds[at] == scores)
    above = ~labels & (at >= 0) & ~tied

    def matrix(kept: np.ndarray) -> sparse.csr_matrix:
        cells = (rows - 1 - at[kept]) * num_videos + video[kept]
        cells, numbers = np.unique(cells, return_counts=True)
        where = np.divmod(cells, num_videos)
        return sparse.csr_matrix((numbers.astype(float), where), shape=(rows, num_videos))

    matrices = [matrix(kept) for kept in (labels, above, tied)]
    blocks = []
    for start in range(0, rows, ROWS):
        new, before, ties = (m[start : start + ROWS] for m in matrices)
        blocks.append((new, before, ties if ties.nnz else None))
    return _Order(blocks, np.bincount(video[~labels], minlength=num_videos).astype(float))


def _metrics(order: _Order, weights: np.ndarray, ap_definition: str) -> np.ndarray:
    """[2, B] AUC and AP of videos weighed [V, B]. Sums of whole numbers below 2⁵³ are exact.

    Goes through the thresholds in blocks that fit the cache, and carries the running sums along.
    """
    hits_so_far = np.zeros(weights.shape[1])  # [B] positives above the block
    called_so_far = np.zeros(weights.shape[1])  # [B] negatives above the block
    lost = np.zeros(weights.shape[1])
    area = np.zeros(weights.shape[1])
    for positives, above, tied in order.blocks:
        new = positives @ weights  # [block, B]
        hits = _running(new, hits_so_far)
        before = _running(above @ weights, called_so_far)
        through = before
        if tied is not None:
            ties = tied @ weights
            ties_so_far = _running(ties, np.zeros_like(lost))
            through = before + ties_so_far
            before = through - ties
        # Where nothing is called nothing is new, so the height does not matter.
        height = hits / np.maximum(hits + through, 1)
        if ap_definition == "trapezoid":
            last = hits - new
            called = last + before
            height = (height + np.where(called > 0, last / np.maximum(called, 1), 1.0)) / 2
        lost += np.einsum("gb,gb->b", new, before + through)
        area += np.einsum("gb,gb->b", new, height)
        hits_so_far, called_so_far = hits[-1], through[-1]
    total, negatives = hits_so_far, order.negatives @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = 1 - lost / (2 * total * negatives)
        return np.where(total * negatives > 0, np.stack([auc, area / total]), np.nan)


def _running(numbers: np.ndarray, start: np.ndarray) -> np.ndarray:
    """[g, B] start + the sum of the rows up to each. np.cumsum is several times slower here."""
    sums = np.empty_like(numbers)
    for row, number in enumerate(numbers):
        start = np.add(start, number, out=sums[row])
    return sums
