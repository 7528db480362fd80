"""Scored videos with their truth, frame by frame: what every figure is computed from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from jaxvlm.names import plain_event

NORMAL = ("a", "normal")  # a column of this name says how normal a frame is


class Video(NamedTuple):
    """One video of T frames.

    seconds: [T + 1] when the frames start, and when the last one ends. abnormal: whether it is an
    anomalous video, of which some frames may not be known. spans: the published intervals (event,
    first frame, end frame), not cut to the video; None: there are only the frames.
    """

    scores: np.ndarray  # [T, S]
    anomalous: np.ndarray  # [T] bool
    events: np.ndarray  # [T, E] bool
    abnormal: bool
    seconds: np.ndarray
    spans: tuple[tuple[str, int, int], ...] | None = None


class Evaluated(NamedTuple):
    """The videos, the S names of their scores (none for one without a name), the E events.

    timed: whether ``seconds`` are any; where the frame rate is not known they are frames.
    """

    videos: tuple[Video, ...]
    columns: tuple[str, ...]
    events: tuple[str, ...]
    timed: bool = True

    def column_of(self, event: str) -> int | None:
        """The column that is called like an event; case and a plural s do not matter."""
        names = {plain_event(name): index for index, name in enumerate(self.columns)}
        return names.get(plain_event(event))

    def anomaly(self, video: Video) -> np.ndarray:
        """[T] a frame's anomaly score: `anomaly_score`."""
        return anomaly_score(video.scores, self.columns)


def anomaly_score(scores: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """[T] the highest of scores [T, S], a column of `NORMAL` left out where there are others."""
    kept = [i for i, name in enumerate(columns) if plain_event(name) not in NORMAL]
    return (scores[:, kept] if kept else scores).max(axis=1)


def within_videos(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> dict[str, Any]:
    """The mean of the AUC within each video that has frames of both kinds.

    AUC = (Σ r⁺ − n⁺(n⁺ + 1)/2) / (n⁺ n⁻), r⁺ the ranks of the n⁺ positive frames, ties averaged.

    Args:
      scores, labels: [T] per video.

    Returns:
      ``{"value", "videos"}``: nan and 0 where no video has both.

    Source: Mann and Whitney, Annals of Mathematical Statistics 18 (1947).
    """
    found = []
    for own, truth in zip(scores, labels, strict=True):
        truth = np.asarray(truth, bool)
        positives = int(truth.sum())
        if 0 < positives < len(truth):
            above = rankdata(own)[truth].sum() - positives * (positives + 1) / 2
            found.append(above / (positives * (len(truth) - positives)))
    return {"value": float(np.mean(found)) if found else float("nan"), "videos": len(found)}
