"""Videos padded to few lengths, so that a function of frames is compiled few times."""

import numpy as np
from jax.typing import ArrayLike

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
