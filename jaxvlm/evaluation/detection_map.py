"""mAP at an intersection over union, as VadCLIP's code computes it and as ActivityNet defines it.

The two match detections and events in the same way and differ in the rest. VadCLIP makes its own
segments of a score, relative to the highest and lowest score of the video; ActivityNet takes the
detections that it is given. VadCLIP's AP is not interpolated; ActivityNet's is. VadCLIP has a class
"Normal"; and where one class has no segment at all, its code returns 0 for all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.evaluation.detection_rules import DetectionRules
from jaxvlm.evaluation.evaluated import NORMAL, Evaluated, Video
from jaxvlm.evaluation.event_metrics import ANY, detections_of, overlaps
from jaxvlm.evaluation.no_look import position_prior
from jaxvlm.evaluation.spans import runs_of
from jaxvlm.names import plain_event

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
NORMAL_CLASS = "Normal"
NORMAL_TRUTH = {
    "none": "Normal is a class without ground truth, AP 0: the published label file of UCF-Crime "
    "calls it A, the code Normal",
    "videos": "Normal is a class, whose events are the whole normal videos",
}
_REACH, _TOP_WEIGHT, _SHARE, _SHORTEST = 0.6, 0.7, 16, 2  # VadCLIP's numbers


class Segments(NamedTuple):
    """Segments of one class in all videos: the video [P] of each, [P, 2] frames, scores [P]."""

    video: np.ndarray
    frames: np.ndarray
    scores: np.ndarray


@np.errstate(over="ignore")  # scores near the largest float have an infinite range: one segment
def vadclip_segments(scores: ArrayLike) -> list[tuple[int, int, float]]:
    """The segments (start, stop, score) that VadCLIP takes from one class's frame scores [T].

    Runs of at least two frames with s > max s − 0.6 (max s − min s). A segment's score is
    max s inside + 0.7 m, m the mean of the ⌊T/16⌋ highest scores of the video (at least one of
    them); none if m ≤ 0. Its suppression of overlapping segments at 0.6 finds nothing to suppress,
    since runs do not overlap.

    Source: Wu et al., VadCLIP, AAAI 2024, ``src/utils/ucf_detectionMAP.py`` of its repository.
    """
    scores = np.asarray(scores, float)
    top = np.sort(scores)[::-1][: max(len(scores) // _SHARE, 1)].mean()
    if top <= 0:
        return []
    high, low = scores.max(), scores.min()
    runs = runs_of(scores > high - (high - low) * _REACH)
    return [
        (a, b, float(scores[a:b].max() + _TOP_WEIGHT * top)) for a, b in runs if b - a >= _SHORTEST
    ]


def true_positives(found: Segments, truth: Segments, thresholds: Sequence[float]) -> np.ndarray:
    """[Θ, P] whether each segment, the highest score first, takes an event.

    A segment takes, of the events of its video that no segment before it took, the one that it
    overlaps most, if their intersection over union is at least the threshold. Equal scores keep
    their order.

    Source: ActivityNet, ``Evaluation/eval_detection.py``; VadCLIP, ``getLocMAP``: the same rule.
    """
    order = np.argsort(-found.scores, kind="stable")
    hits = np.zeros((len(thresholds), len(order)), bool)
    own = {int(v): np.flatnonzero(truth.video == v) for v in np.unique(truth.video)}
    taken = np.zeros((len(thresholds), len(truth.video)), bool)
    for place, index in enumerate(order.tolist()):
        events = own.get(int(found.video[index]))
        if events is None:
            continue
        shared = overlaps(found.frames[index], truth.frames[events])[0]
        for row, threshold in enumerate(thresholds):
            free = np.where(taken[row, events], -1.0, shared)
            best = int(free.argmax())
            if free[best] >= threshold:
                taken[row, events[best]] = hits[row, place] = True
    return hits


def average_precision(hits: ArrayLike, positives: int, *, interpolated: bool) -> float:
    """AP of detections [P] in order of their scores, each a hit or not, of so many events.

    Σ over the hits of P_n / events, P_n the precision up to there. ``interpolated``: P_n is the
    highest precision from there on. 0 without event or hit.

    Source: VadCLIP, ``getLocMAP``; ActivityNet, ``interpolated_prec_rec``, as PASCAL VOC 2011.
    """
    hits = np.asarray(hits, bool)
    if not hits.any() or not positives:
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[hits].sum() / positives)


def mean_average_precision(
    data: Evaluated, rules: DetectionRules, *, normal: str = "videos", repeats: int = 1
) -> dict[str, Any]:
    """mAP at `THRESHOLDS` by both conventions, over the events that have a column of their name.

    With no such column there is one class, any event, and no Normal. Events are the published
    intervals where there are any, else runs of frames. ActivityNet's detections are those of
    `detections_of`, its classes the events that occur. A frame's Normal score is that of a column
    of this name, else 1 − the anomaly score.

    Args:
      normal: of `NORMAL_TRUTH`.
      repeats: how many frames a score stands for, for VadCLIP's numbers of frames.

    Returns:
      ``thresholds``, ``classes``, ``without_column``; ``vadclip`` and ``activitynet`` with ``map``
      [5], ``mean`` and ``classes`` (AP [5] of each); ``normal`` and ``empty``: the classes without
      a segment, for which VadCLIP's figure is 0. ``no_eyes``: the two for scores that know the
      video's classes and see nothing: ``vadclip`` of `position_prior` in the videos of the class,
      ``activitynet`` of one detection over each whole one.
    """
    columns = {event: data.column_of(event) for event in data.events}
    classes = [event for event, column in columns.items() if column is not None]
    named = bool(classes)
    classes = classes or [ANY]
    vadclip, activitynet, empty = {}, {}, []
    middle, whole = {}, {}  # without eyes

    def scores_of(video: Video, event: str) -> np.ndarray:
        return video.scores[:, columns[event]] if named else data.anomaly(video)

    for event in classes:
        truth = _truth(data, event if named else None)
        scores = [scores_of(video, event) for video in data.videos]
        own = _vadclip(scores, repeats)
        empty += [] if len(own.video) else [event]
        vadclip[event] = _ap(own, truth, interpolated=False)
        shown = [n in truth.video for n in range(len(data.videos))]
        middle[event] = _ap(_middle(data, shown, repeats), truth, interpolated=False)
        if len(truth.video):
            given = [
                [(s.start, s.stop, s.score) for s in detections_of(v, own, rules, timed=data.timed)]
                for v, own in zip(data.videos, scores, strict=True)
            ]
            activitynet[event] = _ap(_segments(given), truth, interpolated=True)
            known = [_whole(v, own) for v, own in zip(data.videos, shown, strict=True)]
            whole[event] = _ap(_segments(known), truth, interpolated=True)
    if named:
        own = _vadclip([_normal_scores(data, video) for video in data.videos], repeats)
        empty += [] if len(own.video) else [NORMAL_CLASS]
        known = [_whole(v, normal == "videos" and not v.abnormal) for v in data.videos]
        vadclip[NORMAL_CLASS] = _ap(own, _segments(known), interpolated=False)
        own = _middle(data, [not v.abnormal for v in data.videos], repeats)
        middle[NORMAL_CLASS] = _ap(own, _segments(known), interpolated=False)
    return {
        "thresholds": list(THRESHOLDS),
        "classes": classes,
        "without_column": [event for event in data.events if columns[event] is None],
        "vadclip": _means(vadclip, zero=bool(empty))
        | {"normal": normal if named else None, "empty": empty},
        "activitynet": _means(activitynet),
        "no_eyes": {"vadclip": _means(middle), "activitynet": _means(whole)},
    }


def _middle(data: Evaluated, shown: Sequence[bool], repeats: int) -> Segments:
    pairs = zip(data.videos, shown, strict=True)
    return _vadclip([position_prior(len(v.anomalous)) * own for v, own in pairs], repeats)


def _whole(video: Video, counts: bool) -> list[tuple[int, int, float]]:
    return [(0, len(video.anomalous), 1.0)] if counts else []


def _means(per_class: dict[str, np.ndarray], *, zero: bool = False) -> dict[str, Any]:
    rows = np.array(list(per_class.values())).reshape(-1, len(THRESHOLDS))
    means = rows.mean(axis=0) if len(rows) else np.full(len(THRESHOLDS), np.nan)
    means = means * (not zero)
    return {
        "map": means.tolist(),
        "mean": float(means.mean()),
        "classes": {name: values.tolist() for name, values in per_class.items()},
    }


def _ap(found: Segments, truth: Segments, *, interpolated: bool) -> np.ndarray:
    hits = true_positives(found, truth, THRESHOLDS)
    number = len(truth.video)
    return np.array([average_precision(row, number, interpolated=interpolated) for row in hits])


def _vadclip(scores: Sequence[np.ndarray], repeats: int) -> Segments:
    """Of all videos, in frames of the scores; within a video the highest first, as its code has."""
    parts = []
    for own in scores:
        found = vadclip_segments(np.repeat(own, repeats))
        found = [(a // repeats, b // repeats, score) for a, b, score in found]
        parts.append(sorted(found, key=lambda segment: -segment[2]))
    return _segments(parts)


def _segments(parts: Sequence[Sequence[tuple[int, int, float]]]) -> Segments:
    rows = np.array([segment for part in parts for segment in part], float).reshape(-1, 3)
    video = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Segments(video, rows[:, :2], rows[:, 2])


def _truth(data: Evaluated, event: str | None) -> Segments:
    """The events of one name, None: all, by video, as segments."""
    parts = []
    for video in data.videos:
        if event is None:
            found = runs_of(video.anomalous)
        elif video.spans is not None:
            found = [(start, stop) for name, start, stop in video.spans if name == event]
        else:
            found = runs_of(video.events[:, data.events.index(event)])
        parts.append([(start, stop, 0.0) for start, stop in found])
    return _segments(parts)


def _normal_scores(data: Evaluated, video: Video) -> np.ndarray:
    for index, name in enumerate(data.columns):
        if plain_event(name) in NORMAL:
            return video.scores[:, index]
    return 1 - data.anomaly(video)
