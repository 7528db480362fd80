"""From scores to the stretches of time that they call: what every figure about detections uses."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.data.sampling import LONGEST_HOLD


class Span(NamedTuple):
    """A stretch of frames [start, stop), the seconds that it lasts, and its highest score."""

    start: int
    stop: int
    start_seconds: float
    end_seconds: float
    peak: int  # the frame of the highest score, the first of equal ones
    score: float


def frame_edges(times: ArrayLike) -> np.ndarray:
    """[T + 1] seconds at which frames start; the last frame lasts as long as the median one."""
    times = np.asarray(times, float)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return np.append(times, (times[-1] if len(times) else 0.0) + step)


def runs_of(on: ArrayLike) -> list[tuple[int, int]]:
    """Half-open [start, stop) runs of true values in a [T] mask."""
    return [(int(a), int(b)) for a, b in _runs(np.asarray(on, bool))]


def spans_above(
    scores: ArrayLike,
    edges: ArrayLike,
    *,
    threshold: float,
    release: float | None = None,
    merge_seconds: float = 1.0,
) -> list[Span]:
    """Where a score is called, with hysteresis: from s ≥ threshold until s < release.

    Args:
      scores: [T].
      edges: [T + 1] seconds of `frame_edges`.
      release: at most threshold; None: the threshold, so there is no hysteresis.
      merge_seconds: gaps up to this long do not end a span.

    Returns:
      In order of start. A span ends where the next frame starts, or before a gap in the video,
      after the seconds that a frame is held there; no span goes over such a gap by itself.

    Raises:
      ValueError: a release above the threshold.
    """
    scores, edges = np.asarray(scores), np.asarray(edges, float)
    release = threshold if release is None else release
    if release > threshold:
        raise ValueError(f"spans_above: release {release} above threshold {threshold}")
    runs = _opened(_runs(scores >= release), np.flatnonzero(scores >= threshold))
    longest = max(LONGEST_HOLD, float(edges[-1] - edges[-2])) if len(edges) > 1 else LONGEST_HOLD
    runs = _split(runs, np.flatnonzero(np.diff(edges) > longest) + 1)
    if not len(runs):
        return []
    starts, stops = runs.T
    ends = np.minimum(edges[stops], edges[stops - 1] + longest)
    apart = edges[starts[1:]] - ends[:-1] > merge_seconds
    starts, last = starts[np.append(True, apart)], np.append(apart, True)
    spans = []
    for start, stop, end in zip(starts.tolist(), stops[last].tolist(), ends[last], strict=True):
        peak = start + int(scores[start:stop].argmax())
        spans.append(Span(start, stop, float(edges[start]), float(end), peak, float(scores[peak])))
    return spans


def _runs(on: np.ndarray) -> np.ndarray:
    steps = np.diff(np.concatenate([[0], on.astype(np.int8), [0]]))
    return np.flatnonzero(steps).reshape(-1, 2)


def _opened(runs: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Of the runs [R, 2] those with an opening frame, from the first of these on."""
    first = np.searchsorted(opening, runs[:, 0])
    found = np.append(opening, np.iinfo(int).max)[first]
    kept = found < runs[:, 1]
    return np.stack([found[kept], runs[kept, 1]], axis=1)


def _split(runs: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The runs, cut at the places that lie inside them."""
    if not len(places):
        return runs
    cut = []
    for start, stop in runs.tolist():
        inside = places[(places > start) & (places < stop)].tolist()
        cut += zip([start, *inside], [*inside, stop], strict=True)
    return np.array(cut, int).reshape(-1, 2)
