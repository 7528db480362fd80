"""Videos in blocks or at few lengths, so that a function of frames is compiled once, or seldom."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

BLOCK = 64  # frames at a time
LONGEST = 256  # frames of a video that is learned from
LENGTHS = 16  # frames that the longest of these is rounded up to, so that few shapes are compiled
_SMALLEST_STEP = 64  # frames
_STEPS_PER_DOUBLING = 4  # at most a quarter of the frames is added


def bucket(num_frames: int) -> int:
    """The length that a video of so many frames is padded to; at least 64.

    The next multiple of max(64, 2^n / 4), where 2^n is the largest power of two below the length:
    64, 128, …, 512, 640, 768, 896, 1024, 1280, …
    """
    num_frames = max(num_frames, 1)
    power = 1 << max((num_frames - 1).bit_length() - 1, 0)
    step = max(_SMALLEST_STEP, power // _STEPS_PER_DOUBLING)
    return -(-num_frames // step) * step


def shorten(frames: ArrayLike, most: int = LONGEST) -> np.ndarray:
    """[min(T, most), ...]: a longer video's frames averaged in runs of equal length, to one frame.

    Run i has the frames from ⌊iT/most⌋ to ⌊(i + 1)T/most⌋ − 1. For learning alone: videos are
    padded to the longest, and p̄ is itself a mean over W frames, so that a mean over a few more
    loses little. An hour of rows of 16 frames comes to 26 rows a run.

    Source: VadCLIP and the detectors before it train on 256 snippets a video, made so.
    """
    frames = np.asarray(frames)
    if frames.ndim == 0 or len(frames) <= most:
        return frames
    edges = np.arange(most + 1) * len(frames) // most
    total = np.add.reduceat(frames, edges[:-1], axis=0, dtype=np.float64)
    counts = np.diff(edges).reshape(-1, *[1] * (frames.ndim - 1))
    return (total / counts).astype(frames.dtype)


def pad_frames(frames: ArrayLike) -> np.ndarray:
    """[T, ...] with frames of zeros added until there are `bucket(T)`.

    Everything in this room that has a row for each frame depends on no later frame, so the first
    T rows of its result are those of the video alone. What looks at all frames takes a mask:
    ``np.arange(len(padded)) < T``.
    """
    frames = np.asarray(frames)
    padded = np.zeros((bucket(len(frames)), *frames.shape[1:]), frames.dtype)
    padded[: len(frames)] = frames
    return padded


def by_blocks(function: Callable[..., Any], *frames: ArrayLike, most: int = BLOCK) -> Any:
    """A function whose row t depends on row t alone, of any number of rows, compiled once for all.

    It is called with ``most`` rows at a time, the last of them zeros; a single row, as a live
    source has it, comes alone, as a shape of its own.

    Args:
      function: from arrays [T, ...] to arrays [T, ...], in any pytree.
      frames: arrays of T rows each.
      most: rows at a time, the same in every call of a stream.

    Returns:
      What the function gives, as NumPy arrays of T rows.
    """
    rows = [np.asarray(each) for each in frames]
    count = len(rows[0])
    size = 1 if count == 1 else most
    starts = range(0, max(count, 1), size)
    parts = [function(*(block(each, start, size) for each in rows)) for start in starts]
    return jax.tree.map(lambda *found: np.concatenate(list(map(np.asarray, found)))[:count], *parts)


def block(rows: np.ndarray, start: int, size: int) -> np.ndarray:
    """Rows start … start + size − 1, with zeros for those that there are not."""
    part = rows[start : start + size]
    if len(part) == size:
        return part
    padded = np.zeros((size, *rows.shape[1:]), rows.dtype)
    padded[: len(part)] = part
    return padded
