"""What training-free detectors do to their scores before frame AUC is taken, one step at a time.

None of these steps looks at a picture again. ``lavad``, ``vera`` and ``eventvad`` use embeddings of
what was scored; ``smooth`` the time; ``middle`` the place in the video; ``video`` the rest of it.
All but a causal smoothing need the whole video: a live camera has none of them.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.evaluation.no_look import position_prior
from jaxvlm.evaluation.steps import LAVAD, PRIOR, SMOOTH, VIDEO, Step

_NEIGHBOURS, _BLOCK = 10, 1024
_ROUNDING = 1e-6  # of a still picture's embeddings
_SPAN, _MADS = 2.0, 3.0  # of EventVAD: seconds, and how many deviations a jump is above


def refine_by_similarity(
    scores: ArrayLike, queries: ArrayLike, keys: ArrayLike, *, neighbours: int, scale: float = 1.0
) -> np.ndarray:
    """Each score becomes a mean over the most similar moments of the whole video.

    s̃_i = Σ_{j ∈ N_i} w_ij s_j, w_ij = exp(a⟨q_i, k_j⟩) / Σ_{j ∈ N_i} exp(a⟨q_i, k_j⟩), N_i the K
    keys that are most similar to q_i; of equal ones the earlier.

    Args:
      scores: [n, S].
      queries, keys: [n, D], made unit here. LAVAD: q of the pictures, k of their captions, K = 10,
        a = 1. VERA: both of the pictures, a = 10, K of `vera_neighbours`.
      neighbours: K; at most n are taken.
      scale: a.

    Raises:
      ValueError: shapes that do not fit.

    Source: Zanella et al., LAVAD, CVPR 2024, ``src/eval.py`` and ``video_text_score_refiner.py``;
    Ye et al., VERA, CVPR 2025, ``compute_auc.py``.
    """
    sizes = check_shapes(
        "refine_by_similarity",
        scores=(scores, "n S"),
        queries=(queries, "n D"),
        keys=(keys, "n D"),
    )
    scores = np.asarray(scores, float)
    queries, keys = (unit(np.asarray(rows, np.float64)) for rows in (queries, keys))
    result = np.empty_like(scores)
    for start in range(0, sizes["n"], _BLOCK):
        similar = queries[start : start + _BLOCK] @ keys.T
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, :neighbours]
        weights = np.exp(scale * np.take_along_axis(similar, nearest, axis=1))
        weights /= weights.sum(axis=1, keepdims=True)
        result[start : start + _BLOCK] = np.einsum("ik,iks->is", weights, scores[nearest])
    return result


def vera_neighbours(number: int) -> int:
    """K = ⌊0.15 n⌋ of n moments, and all of them up to ten, as VERA has for XD-Violence."""
    return int(0.15 * number) if number > 10 else number


def smooth(scores: ArrayLike, sigma: float) -> np.ndarray:
    """Scores [T, S] convolved with a Gaussian, cut at 4σ; the first and last score go on outside.

    Args:
      sigma: in frames.

    Zeros outside, as VERA has, would lower the scores at both ends: a position prior.
    """
    return gaussian_filter1d(np.asarray(scores, float), sigma, axis=0, mode="nearest")


def video_factor(scores: ArrayLike) -> np.ndarray:
    """Scores [T, S] times the video's score: the mean of the ⌊T/16⌋ + 1 highest of the column.

    Source: the video score is that of VadCLIP (Wu et al., AAAI 2024), ``CLAS2`` of its training.
    """
    scores = np.asarray(scores, float)
    top = np.sort(scores, axis=0)[::-1][: len(scores) // 16 + 1]
    return scores * top.mean(axis=0)


def embedding_segments(embeddings: ArrayLike, rate: float) -> np.ndarray:
    """[n] the number of the segment of each moment, cut where the embedding jumps.

    With unit v and d_t = ‖v_{t+1} − v_t‖² + (1 − ⟨v_{t+1}, v_t⟩), d̄ is d after a Savitzky-Golay
    filter of order 2 over 2 s and r_t = d̄_t / mean of d̄ over the 2 s up to t. A jump is where
    r_t > median r + 3 MAD(r), MAD the median of |r − median r|; of jumps less than 2 s behind each
    other the last counts, and the next moment begins a segment. Fewer than 4 s are one segment.

    Args:
      embeddings: [n, D].
      rate: how many of them a second has.

    EventVAD's features also have optical flow, and pass a graph whose code is not published; here
    are embeddings alone. Its release puts a jump half a window earlier than where it is.

    Source: Shao et al., EventVAD, arXiv 2504.13092, ``src/event_seg/boundary_detection.py``.
    """
    sizes = check_shapes("embedding_segments", embeddings=(embeddings, "n D"))
    rows = unit(np.asarray(embeddings, np.float64))
    window = max(int(rate * _SPAN), 3) // 2 * 2 + 1  # odd, and more than the order
    step = np.diff(rows, axis=0)
    jumps = (step**2).sum(axis=1) + 1 - (rows[1:] * rows[:-1]).sum(axis=1)
    if len(jumps) < 2 * window:
        return np.zeros(sizes["n"], int)
    filtered = savgol_filter(jumps, window, 2)
    mean = np.convolve(filtered, np.ones(window) / window, mode="valid")
    ratio = filtered[window - 1 :] / (mean + 1e-6)
    middle = np.median(ratio)
    limit = middle + _MADS * np.median(np.abs(ratio - middle))
    found = np.flatnonzero(ratio > limit + _ROUNDING) + window - 1
    last = np.append(np.diff(found) >= _SPAN * rate, True)[: len(found)]
    starts = np.zeros(sizes["n"], int)
    starts[found[last] + 1] = 1
    return np.cumsum(starts)


def segment_means(scores: ArrayLike, segments: ArrayLike) -> np.ndarray:
    """Scores [T, S] replaced by their mean over the frames of the same segment [T]."""
    scores = np.asarray(scores, float)
    numbers, at = np.unique(segments, return_inverse=True)
    total = np.zeros((len(numbers), scores.shape[1]))
    np.add.at(total, at, scores)
    return (total / np.bincount(at)[:, None])[at]


def on_rows(step: Step, scores: np.ndarray, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """What a step of `OF_ROWS` makes of scores [n, S] with embeddings [n, D]."""
    if step.name == LAVAD:
        number = int(step.number or _NEIGHBOURS)
        return refine_by_similarity(scores, queries, keys, neighbours=number)
    number = vera_neighbours(len(scores))
    return refine_by_similarity(scores, queries, queries, neighbours=number, scale=10.0)


def on_frames(
    step: Step, scores: np.ndarray, *, rate: float | None, segments: np.ndarray | None
) -> np.ndarray:
    """What any other step makes of frame scores [T, S].

    Args:
      rate: frames per second, for a sigma in seconds. segments: [T], for `EVENTVAD`.
    """
    if step.name == SMOOTH:
        return smooth(scores, step.number * (rate if step.unit == "s" else 1.0))
    if step.name == PRIOR:
        return scores * position_prior(len(scores))[:, None]
    if step.name == VIDEO:
        return video_factor(scores)
    return segment_means(scores, segments)
