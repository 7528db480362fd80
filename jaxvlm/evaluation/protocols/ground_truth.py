"""Frame-level ground truth as the literature rebuilds it from the published annotation files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvlm.data import annotations, tables, video_lists, videos
from jaxvlm.data.annotations import AnnotatedSpan, video_key
from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import Conventions, check_conventions, snippet_frames
from jaxvlm.evaluation.protocols.sources import Sources


class Truth(NamedTuple):
    """One video: which events it has, and its frames, T of them.

    ``labels`` None: nobody says, and only the frames tell whether it is normal. ``spans``: the
    file's intervals (event, start, end) as they stand there; None: there are only the frames.
    """

    name: str
    labels: tuple[str, ...] | None
    anomalous: np.ndarray  # [T] bool
    events: np.ndarray  # [T, E] bool
    spans: tuple[tuple[str, int, int], ...] | None = None

    @property
    def abnormal(self) -> bool:
        return bool(self.labels) if self.labels is not None else bool(self.anomalous.any())


class GroundTruth(NamedTuple):
    """All videos by `video_key`, in the order they are evaluated in, and the E names."""

    videos: dict[str, Truth]
    events: tuple[str, ...]


def frame_labels(
    intervals: Sequence[AnnotatedSpan], frames: int, *, interval_ends: str = "exclusive"
) -> np.ndarray:
    """[T] bool: the frames inside one of the intervals, cut to the video.

    Frame t, from 0, is inside [s, e] if s ≤ t < e (``exclusive``), s ≤ t ≤ e (``inclusive``) or
    s ≤ t + 1 ≤ e (``one_based``).

    Args:
      intervals: in frames. Some published ones end after their video; that part is cut off.
      frames: T.

    Source: docs/protocols.md, Conventions.
    """
    before, after = {"exclusive": (0, 0), "inclusive": (0, 1), "one_based": (1, 0)}[interval_ends]
    labels = np.zeros(frames, bool)
    for interval in intervals:
        labels[max(interval.start - before, 0) : interval.end + after] = True
    return labels


def read_counts(sources: Sources) -> dict[str, int] | None:
    """Frames of every video by `video_key`, from the CSV or the videos; None without either."""
    if sources.frame_counts is not None:
        table = tables.read_frame_counts(sources.frame_counts)
        keys = [video_key(name) for name in table["video"]]
        _check_unique(sources.frame_counts, keys)
        return dict(zip(keys, table["frames"].tolist(), strict=True))
    if sources.videos is not None:
        paths = videos.find_videos(sources.videos)
        keys = [video_key(path.name) for path in paths]
        _check_unique(sources.videos, keys)
        return {k: len(videos.frame_times(path)) for k, path in zip(keys, paths, strict=True)}
    return None


def read_ground_truth(
    protocol: str,
    sources: Sources,
    counts: Mapping[str, int] | None,
    conventions: Conventions,
    *,
    only: Sequence[str] | None = None,
) -> GroundTruth:
    """Rebuilds the frame labels of a benchmark.

    UCF-Crime's videos are those of its annotation file. XD-Violence's file has the anomalous ones
    only, so its videos are those with a frame count. ``lists`` has one array per video in a
    folder, or one for all in the order of a list.

    Args:
      protocol: one of `PROTOCOLS`.
      counts: frames by `video_key`; ``lists`` takes the lengths of the arrays of a folder.
      only: `video_key` of the videos to keep; the others need no frame count.

    Raises:
      InputError: as the readers; a video without frame count, or with one and no annotation;
        counts that do not add up to the array's length; or an interval after the end of a video.
    """
    check_conventions(conventions)
    if protocol == "lists":
        return _lists_truth(sources, counts, only)
    if counts is None:
        raise InputError(
            f"--protocol={protocol}: the number of frames of the videos is not known; give "
            "--frame_counts or --videos, or scores with --score_unit=frame or snippet"
        )
    if protocol == "ucf_crime":
        found = annotations.read_ucf_crime(sources.annotations)
        events, per_class = annotations.UCF_CRIME_EVENTS, found
    else:
        found = annotations.read_xd_violence(sources.annotations)
        events = tuple(annotations.XD_VIOLENCE_EVENTS.values())
        per_class = found
        if sources.class_annotations is not None:
            per_class = annotations.read_xd_violence(sources.class_annotations)
            for key in sorted(set(per_class) ^ set(found)):
                raise InputError(f"{sources.class_annotations}: {key} is not in both files")
        found |= {key: _xd_normal(key, sources) for key in counts if key not in found}
        per_class = found | per_class
    names = [key for key in found if only is None or key in set(only)]
    if protocol == "xd_violence":  # the file's order is no order of the benchmark
        names.sort()
    for key in sorted(set(counts) - set(found)):
        raise InputError(f"{sources.annotations}: {key} has a frame count but no line; add one")
    result = {}
    for key in names:
        if key not in counts:
            place = sources.frame_counts or sources.videos or sources.scores_dir
            raise InputError(f"{place}: {key} is missing, which {sources.annotations} has; add it")
        try:
            result[key] = _video_truth(found[key], per_class[key], counts[key], events, conventions)
        except InputError as error:
            raise InputError(f"{sources.annotations}: {key}: {error}") from None
    return GroundTruth(result, events)


def _video_truth(
    annotation: annotations.Annotation,
    per_class: annotations.Annotation,
    count: int,
    events: Sequence[str],
    conventions: Conventions,
) -> Truth:
    for start, end, _ in (*annotation.intervals, *per_class.intervals):
        if start >= count + conventions.tolerance_frames:
            raise InputError(
                f"interval {start} {end} starts after the video's {count} frames; correct the "
                "frame count or the interval"
            )
    frames = snippet_frames(count, conventions)
    if frames < 1:
        raise InputError("no frames are left of it; take another --tail")
    ends = conventions.interval_ends
    columns = np.zeros((frames, len(events)), bool)
    spans = []
    for index, event in enumerate(events):
        # An interval that names no event is one of every event that the video has.
        own = [
            interval
            for interval in per_class.intervals
            if interval.event == event or (interval.event is None and event in per_class.events)
        ]
        columns[:, index] = frame_labels(own, frames, interval_ends=ends)
        spans += [(event, interval.start, interval.end) for interval in own]
    anomalous = frame_labels(annotation.intervals, frames, interval_ends=ends)
    return Truth(annotation.name, annotation.events, anomalous, columns, tuple(spans))


def _xd_normal(key: str, sources: Sources) -> annotations.Annotation:
    try:
        events = annotations.xd_events(key)
    except InputError as error:
        raise InputError(f"{sources.frame_counts or sources.videos}: {error}") from None
    if events:
        raise InputError(
            f"{sources.annotations}: {key} is anomalous by its name but has no line; add one"
        )
    return annotations.Annotation(key, (), ())


def _lists_truth(
    sources: Sources, counts: Mapping[str, int] | None, only: Sequence[str] | None
) -> GroundTruth:
    listed = {}
    if sources.video_list is not None:
        listed = video_lists.read_video_list(sources.video_list)
    if Path(sources.annotations).is_dir():
        arrays = video_lists.read_truth_folder(sources.annotations)
        listed = listed or {key: video_lists.Listed(key, None) for key in arrays}
        for key in sorted(set(listed) ^ set(arrays)):
            raise InputError(
                f"{sources.annotations if key in listed else sources.video_list}: {key} is "
                "missing, which the other has; add it"
            )
    else:
        if not listed:
            raise InputError(f"{sources.annotations}: whose frames? give --video_list, its order")
        arrays = _split(sources, listed, counts)
    names = [key for key in listed if only is None or key in set(only)]
    events = tuple(sorted({event for item in listed.values() for event in item.events or ()}))
    result = {}
    for key in names:
        name, labels = listed[key]
        if labels == () and arrays[key].any():
            raise InputError(
                f"{sources.video_list}: {key} is normal there, but {sources.annotations} has "
                "anomalous frames of it; correct one"
            )
        own = np.array([event in (labels or ()) for event in events], bool)
        result[key] = Truth(name, labels, arrays[key], arrays[key][:, None] & own)
    return GroundTruth(result, events)


def _split(
    sources: Sources,
    listed: Mapping[str, video_lists.Listed],
    counts: Mapping[str, int] | None,
) -> dict[str, np.ndarray]:
    labels = video_lists.read_truth(sources.annotations)
    if counts is None:
        raise InputError(
            f"{sources.annotations}: where does one video end? give --frame_counts or --videos, "
            "or --scores_dir"
        )
    for key in listed:
        if key not in counts:
            raise InputError(f"{sources.video_list}: {key} has no frame count; add it")
    lengths = [counts[key] for key in listed]
    if sum(lengths) != len(labels):
        raise InputError(
            f"{sources.annotations}: {len(labels)} frames, but the {len(listed)} videos of "
            f"{sources.video_list} have {sum(lengths)}; give the frame counts of this array"
        )
    return dict(zip(listed, np.split(labels, np.cumsum(lengths)[:-1]), strict=True))


def _check_unique(path: str | os.PathLike, keys: Sequence[str]) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"{path}: {key} is there twice under different names; remove one")
