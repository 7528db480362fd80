"""What sees next to nothing of a video, and has to be beaten all the same."""

import collections
from collections.abc import Iterable

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit


def lagged_pixel_change(frames: Iterable[np.ndarray], lag: int) -> np.ndarray:
    """Mean absolute change of each frame against an earlier one: m_t = mean |f_t − f_{t−lag}|.

    Args:
      frames: [H, W, 3] uint8 each; drawn one by one, of which ``lag`` are kept.
      lag: 1 or more; as many frames as a second has give the change within a second.

    Returns:
      [T] float32, in grey levels; 0 for the first ``lag`` frames.

    Raises:
      ValueError: lag below 1.
    """
    if lag < 1:
        raise ValueError(f"lagged_pixel_change: lag {lag} below 1")
    before: collections.deque[np.ndarray] = collections.deque(maxlen=lag)
    change = []
    for frame in frames:
        image = np.asarray(frame).astype(np.int16)
        change.append(np.abs(image - before[0]).mean() if len(before) == lag else 0.0)
        before.append(image)
    return np.array(change, np.float32)


def median_distance(image_embeddings: ArrayLike) -> np.ndarray:
    """How far a frame is from what its video mostly shows: d_t = 1 − cos(v_t, median_s v_s).

    The median is taken per dimension over the video's unit embeddings.

    Args:
      image_embeddings: [T, D]; rows are made unit here.

    Returns:
      [T] float32, from 0 to 2.

    Raises:
      ValueError: another shape, or no frame.
    """
    sizes = check_shapes("median_distance", image_embeddings=(image_embeddings, "T D"))
    if not sizes["T"]:
        raise ValueError("median_distance: no frame")
    rows = np.asarray(image_embeddings, np.float32)
    rows = unit(rows)
    middle = np.median(rows, axis=0)
    return (1 - rows @ (middle / max(float(np.linalg.norm(middle)), 1e-12))).astype(np.float32)
