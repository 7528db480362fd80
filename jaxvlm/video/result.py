"""What scoring a video gives."""

from typing import NamedTuple

import numpy as np

from jaxvlm.atoms.explanation import Reason
from jaxvlm.video.detections import Detection


class Thumbnail(NamedTuple):
    """One frame of the video."""

    seconds: float
    image: np.ndarray  # [H, W, 3] uint8 RGB


class Finding(NamedTuple):
    """A detection, why, and what it looked like."""

    detection: Detection
    reasons: tuple[Reason, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()


class ScoredVideo(NamedTuple):
    """What the page shows of one video."""

    name: str
    times: np.ndarray  # [T] seconds
    probability: np.ndarray  # [T, E]
    boundary: np.ndarray  # [T]
    segment_presence: np.ndarray  # [T, C]
    truth: np.ndarray | None = None  # [T, E] of 0/1
    findings: tuple[Finding, ...] = ()
