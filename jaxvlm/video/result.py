"""What scoring a video gives."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm.atoms.reasons import Reason
from jaxvlm.video.detections import Detection, because_text


class Thumbnail(NamedTuple):
    """One frame of the video."""

    seconds: float
    image: np.ndarray  # [H, W, 3] uint8 RGB


class Finding(NamedTuple):
    """A detection, why, and what it looked like."""

    detection: Detection
    reasons: tuple[Reason, ...] = ()
    thumbnails: tuple[Thumbnail, ...] = ()


class Event(NamedTuple):
    """An event of a video, as plain data."""

    video: str
    event: str
    start_seconds: float
    end_seconds: float
    peak_seconds: float
    probability: float  # at the peak
    # Strongest first: {"atoms": names, "role": word, "contribution": to the logit of P, "unless":
    # counters of the atoms' own rule, which were not there}.
    because: list[dict[str, Any]]


class ScoredVideo(NamedTuple):
    """One video: its curves, and what was found in it."""

    name: str
    times: np.ndarray  # [T] seconds
    probability: np.ndarray  # [T, E]
    boundary: np.ndarray  # [T]
    segment_presence: np.ndarray  # [T, C]
    truth: np.ndarray | None = None  # [T, E] of 0/1
    findings: tuple[Finding, ...] = ()
    divergence: np.ndarray | None = None  # [T]
    warnings: tuple[str, ...] = ()  # what speaks against trusting the scores

    def __repr__(self) -> str:
        """One line."""
        names = ", ".join(found.detection.event for found in self.findings) or "nothing found"
        return f"ScoredVideo({self.name}, {len(self.times)} frames: {names})"

    @property
    def events(self) -> list[Event]:
        """What was found, in order of start."""
        return [
            Event(
                self.name,
                found.detection.event,
                found.detection.start_seconds,
                found.detection.end_seconds,
                float(self.times[found.detection.peak_frame]),
                found.detection.probability,
                [
                    reason._asdict() | {"atoms": list(reason.atoms), "unless": list(reason.unless)}
                    for reason in found.reasons
                ],
            )
            for found in self.findings
        ]

    def to_pandas(self) -> pd.DataFrame:
        """A row per event, with the columns of `Event`; because as text."""
        rows = [
            event._replace(because=because_text(found.reasons))
            for event, found in zip(self.events, self.findings, strict=True)
        ]
        return pd.DataFrame(rows, columns=Event._fields)
