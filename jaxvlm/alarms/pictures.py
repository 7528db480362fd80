"""The latest pictures of a camera as JPEG, within a bound of seconds and of bytes."""

from collections import deque
from typing import NamedTuple

import cv2
import numpy as np

from jaxvlm import bounds

SIDE = 640  # pixels of the longer side
_QUALITY = 80


class Picture(NamedTuple):
    """What a camera showed: the source's seconds, and the JPEG."""

    seconds: float
    jpeg: bytes


def picture_of(image: np.ndarray, seconds: float) -> Picture:
    """A picture HxWx3 uint8 RGB as JPEG, made smaller to `SIDE`."""
    height, width = image.shape[:2]
    if (longer := max(height, width)) > SIDE:
        size = max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Picture(seconds, code.tobytes())


class Ring:
    """The pictures of the last ``seconds``, of at most `bounds.CLIP_BYTES` together."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.pictures: deque[Picture] = deque()
        self.size = 0

    def add(self, picture: Picture) -> None:
        """Takes the newest; the oldest that no longer fit are dropped, but never the newest."""
        self.pictures.append(picture)
        self.size += len(picture.jpeg)
        while len(self.pictures) > 1 and (
            self.pictures[0].seconds < picture.seconds - self.seconds
            or self.size > bounds.CLIP_BYTES
        ):
            self.size -= len(self.pictures.popleft().jpeg)

    def newest(self) -> Picture | None:
        """The latest picture; None before the first one."""
        return self.pictures[-1] if self.pictures else None

    def between(self, start: float, end: float) -> list[Picture]:
        """The pictures of start … end seconds that are still there."""
        return [picture for picture in self.pictures if start <= picture.seconds <= end]
