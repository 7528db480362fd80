"""Detections against events: how many are found, how late, and how many false alarms come."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.evaluation.detection_rules import DetectionRules
from jaxvlm.evaluation.evaluated import Evaluated, Video
from jaxvlm.evaluation.intervals import poisson_interval
from jaxvlm.evaluation.spans import Span, runs_of, spans_above

ANY = "any event"
ALWAYS, WHOLE = "always on", "video's label"  # detections that need no eyes


def detections_of(
    video: Video, scores: np.ndarray, rules: DetectionRules, *, timed: bool
) -> list[Span]:
    """`spans_above` of one score [T] of a video, as for ``detections.csv`` of score-video.

    Without a frame rate (``timed`` False) no gap is closed.
    """
    return spans_above(
        scores,
        video.seconds,
        threshold=rules.threshold,
        release=rules.release,
        merge_seconds=rules.merge_seconds if timed else 0.0,
    )


def overlaps(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """[D, G] intersection over union of the intervals [D, 2] and [G, 2], each [start, end)."""
    first = np.asarray(first, float).reshape(-1, 1, 2)
    second = np.asarray(second, float).reshape(1, -1, 2)
    shared = np.minimum(first[..., 1], second[..., 1]) - np.maximum(first[..., 0], second[..., 0])
    shared = np.maximum(shared, 0.0)
    lengths = (first[..., 1] - first[..., 0]) + (second[..., 1] - second[..., 0])
    return shared / np.maximum(lengths - shared, np.finfo(float).tiny)


def rate_interval(count: int, hours: float) -> dict[str, float]:
    """Events per hour, and the `intervals.poisson_interval` of that; nan without footage."""
    if hours <= 0:
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    low, high = poisson_interval(count)
    return {"value": count / hours, "low": low / hours, "high": high / hours}


def event_figures(
    found: Sequence[ArrayLike], events: Sequence[ArrayLike], seconds: float, *, overlap: float
) -> dict[str, Any]:
    """How detections and events of all videos belong together.

    A detection and an event of one video belong together if their intersection over union is at
    least ``overlap`` (0: if they share any time). An event is found if a detection belongs to it; a
    detection of no event is a false alarm. The delay is from the start of the event to that of the
    first detection that belongs to it, 0 if this began before. The median counts a missed event as
    infinitely late.

    Args:
      found, events: per video the detections [D, 2] and events [G, 2], start and end in seconds.
      seconds: of footage in all videos.

    Returns:
      ``events``, ``detections``, ``found``, ``recall``, ``precision`` (nan without event or
      detection), ``delay_seconds`` (``median``, None where half are missed or more;
      ``median_of_found``), ``false_alarms`` and ``false_alarms_per_hour`` (`rate_interval`).
    """
    delays, right, number = [], 0, 0
    for own, truth in zip(found, events, strict=True):
        own, truth = np.reshape(own, (-1, 2)), np.reshape(truth, (-1, 2))
        shared = overlaps(own, truth)
        together = shared >= overlap if overlap > 0 else shared > 0
        right += int(together.any(axis=1).sum())
        number += len(own)
        late = np.maximum(own[:, :1] - truth[None, :, 0], 0.0)
        delays += np.where(together, late, np.inf).min(axis=0, initial=np.inf).tolist()
    times = np.array(delays)
    hits = times[np.isfinite(times)]
    # Not by np.median, which makes nan of two infinite ones.
    middle = np.sort(times)[[(len(times) - 1) // 2, len(times) // 2]].mean() if len(times) else None
    return {
        "events": len(times),
        "detections": number,
        "found": len(hits),
        "recall": len(hits) / len(times) if len(times) else float("nan"),
        "precision": right / number if number else float("nan"),
        "delay_seconds": {
            "median": float(middle) if middle is not None and np.isfinite(middle) else None,
            "median_of_found": float(np.median(hits)) if len(hits) else None,
        },
        "false_alarms": number - right,
        "false_alarms_per_hour": rate_interval(number - right, seconds / 3600),
    }


def events_found(data: Evaluated, rules: DetectionRules) -> dict[str, Any]:
    """`event_figures` of any event, and of every event that has a column of its name.

    An event is a run of its frames. Where the frame rate is not known there are no delays and no
    false alarms per hour. ``no_eyes``: the same of any event for one detection that lasts the whole
    video, in every video (`ALWAYS`), or in the anomalous ones (`WHOLE`).
    """
    length = float(sum(video.seconds[-1] - video.seconds[0] for video in data.videos))

    def row(found: Sequence[ArrayLike], labels: Sequence[np.ndarray]) -> dict[str, Any]:
        events = [
            [(video.seconds[a], video.seconds[b]) for a, b in runs_of(truth)]
            for video, truth in zip(data.videos, labels, strict=True)
        ]
        figures = event_figures(found, events, length, overlap=rules.overlap)
        if not data.timed:
            figures["delay_seconds"] = figures["false_alarms_per_hour"] = None
        return figures

    def detected(scores: Sequence[np.ndarray]) -> list[ArrayLike]:
        spans = (
            detections_of(video, own, rules, timed=data.timed)
            for video, own in zip(data.videos, scores, strict=True)
        )
        return [[(span.start_seconds, span.end_seconds) for span in own] for own in spans]

    anomalous = [video.anomalous for video in data.videos]
    rows = {ANY: row(detected([data.anomaly(video) for video in data.videos]), anomalous)}
    for index, event in enumerate(data.events):
        column = data.column_of(event)
        if column is not None:
            labels = [video.events[:, index] for video in data.videos]
            rows[event] = row(detected([video.scores[:, column] for video in data.videos]), labels)
    whole = [[(video.seconds[0], video.seconds[-1])] for video in data.videos]
    known = [own if video.abnormal else [] for own, video in zip(whole, data.videos, strict=True)]
    return {
        "rules": rules._asdict(),
        "hours": length / 3600 if data.timed else None,
        "rows": rows,
        "no_eyes": {ALWAYS: row(whole, anomalous), WHOLE: row(known, anomalous)},
    }
