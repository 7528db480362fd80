"""Which frame of a video is on the screen at each sampling instant."""

from typing import NamedTuple

import numpy as np

from jaxvlm import bounds
from jaxvlm.data.containers import MAX_FRAMES
from jaxvlm.errors import InputError

CLOCK = 6e-4  # seconds; Matroska rounds presentation times to milliseconds, by half of one
LONGEST_HOLD = bounds.HOLD_SECONDS


class Samples(NamedTuple):
    """[T] sampling instants k, at k/fps seconds, and the place of the frame shown at each."""

    instants: np.ndarray
    frames: np.ndarray


def sample(times: np.ndarray, fps: float) -> Samples:
    """The instants k/fps up to the last frame, and max{i : times_i ≤ k/fps} for each.

    The first frame stands in for an instant before it. A frame is held for no more than
    `LONGEST_HOLD`: there are no instants in the rest of a longer gap, nor that long before the
    first frame.

    Args:
      times: [n] presentation times in seconds, increasing, any spacing.
      fps: sampling instants per second. Above the video's own rate frames repeat.

    Raises:
      InputError: fps is not a positive number, or asks for more than `MAX_FRAMES`.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"--fps: must be a positive number, got {fps}; 1 is the usual choice")
    times = np.asarray(times, np.float64)
    if times.size == 0:
        return Samples(np.zeros(0, np.int64), np.zeros(0, np.int64))
    edges = [0, *(gap + 1 for gap in gaps(times)), len(times)]
    spans, count = [], 0
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        before, after = (CLOCK if a else LONGEST_HOLD), (LONGEST_HOLD if b < len(times) else CLOCK)
        first = max(np.ceil((times[a] - before) * fps), 0)
        last = np.floor((times[b - 1] + after) * fps)
        spans.append((first, last))
        count += max(last - first + 1, 0)
    if count > MAX_FRAMES:
        raise InputError(
            f"--fps={fps:g}: {count:,.0f} frames of one video, more than the bound of "
            f"{MAX_FRAMES:,}; lower it or cut the video"
        )
    instants = np.concatenate([np.arange(first, last + 1) for first, last in spans])
    shown = np.searchsorted(times, instants / fps + CLOCK, side="right") - 1
    return Samples(instants.astype(np.int64), np.maximum(shown, 0))


def gaps(times: np.ndarray) -> list[int]:
    """The places of the frames after which nothing comes for more than `LONGEST_HOLD`."""
    return np.flatnonzero(np.diff(times) > LONGEST_HOLD).tolist()
