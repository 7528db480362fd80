"""Small pictures of the frames of a video."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from jaxvlm.data import videos

_THUMBNAIL_SIDE = 160


def thumbnails_of(
    path: Path, fps: float, instants: np.ndarray
) -> Callable[[Sequence[int]], list[np.ndarray]]:
    """A function that gives small pictures of frames by their places, which increase."""

    def thumbnails(places: Sequence[int]) -> list[np.ndarray]:
        wanted = [int(instants[place]) for place in places]
        again = videos.frames(path, fps=fps, only=wanted, say=lambda line: None)
        return [_thumbnail(frame.image) for frame in again]

    return thumbnails


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """The picture at no more than 160 pixels a side, so that hours of video fit into memory."""
    shrink = min(1.0, _THUMBNAIL_SIDE / max(image.shape[:2]))
    return cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
