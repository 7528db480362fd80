"""Detections in the formats of editors, players and benchmarks: the texts of files.

EDL: CMX3600. OTIO: OpenTimelineIO's JSON, schemas Timeline.1, Clip.2 and Marker.2. Chapters: WebVTT
and FFmpeg's metadata. ActivityNet: the results of its detection task, version 1.3.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxvlm.names import printable
from jaxvlm.terminal import shown
from jaxvlm.video.detections import Detection
from jaxvlm.video.timecodes import Clock, Rate, frame_at, timecode

RECORD_HOUR = 1  # where a programme starts, by custom
TIMECODE_COLUMNS = (
    "video", "event", "start_timecode", "end_timecode", "start_frame", "end_frame",
    "frames_per_second", "probability", "reasons",
)  # fmt: skip
_MARKERS = ("RED", "BLUE", "GREEN", "ORANGE", "CYAN", "PURPLE", "YELLOW", "PINK", "MAGENTA",
            "WHITE", "BLACK")  # fmt: skip
_NAMED = 3  # events that the title of a chapter names


class Exported(NamedTuple):
    """A detection with its reasons in one text."""

    detection: Detection
    reasons: str


class Clip(NamedTuple):
    """A video as an editor sees it.

    name: of the file, or the id. url: relative to the video's folder of results; None: not there.
    """

    name: str
    url: str | None
    clock: Clock


def frame_span(detection: Detection, clock: Clock) -> tuple[int, int]:
    """The video's frames [start, end) of a detection, at least one, none beyond its last."""
    last = clock.frames
    start = frame_at(detection.start_seconds, clock.rate)
    end = frame_at(detection.end_seconds, clock.rate)
    if last is not None:
        start, end = min(start, last - 1), min(end, last)
    return start, max(end, start + 1)


def edl_text(clip: Clip, found: Sequence[Exported]) -> str:
    """A CMX3600 list: a cut per detection, one after the other on the record side from 01:00:00:00,
    in order of start; the source side is the video's own time."""
    rate = clip.clock.rate
    record = _hour(rate)
    lines = [
        f"TITLE: {_line(clip.name)}",
        f"FCM: {'DROP FRAME' if rate.drop else 'NON-DROP FRAME'}",
    ]
    for number, each in enumerate(found, 1):
        start, end = frame_span(each.detection, clip.clock)
        codes = (start, end, record, record + end - start)
        times = " ".join(timecode(frame, rate) for frame in codes)
        record += end - start
        lines += [
            "",
            f"{number:03d}  AX       V     C        {times}",
            f"* FROM CLIP NAME: {_line(clip.name)}",
            f"* COMMENT: {_line(_told(each))}",
        ]
    return "\n".join(lines) + "\n"


def otio_text(clip: Clip, found: Sequence[Exported], events: Sequence[str]) -> str:
    """An OpenTimelineIO timeline: the whole video as one clip, with a marker per detection that
    lasts as long; its colour is the event's, its comment the reasons."""
    rate = clip.clock.rate
    spans = [frame_span(each.detection, clip.clock) for each in found]
    frames = clip.clock.frames or max((end for _, end in spans), default=1)
    whole = _range(0, frames, rate)
    markers = [
        {
            "OTIO_SCHEMA": "Marker.2",
            "metadata": {"jaxvlm": {"event": d.event, "probability": d.probability}},
            "name": d.event,
            "color": _MARKERS[events.index(d.event) % len(_MARKERS)],
            "marked_range": _range(start, end, rate),
            "comment": reasons,
        }
        for (d, reasons), (start, end) in zip(found, spans, strict=True)
    ]
    media = {"metadata": {}, "name": clip.name, "available_range": whole}
    media["available_image_bounds"] = None
    if clip.url is None:
        media = {"OTIO_SCHEMA": "MissingReference.1", **media}
    else:
        media = {"OTIO_SCHEMA": "ExternalReference.1", **media, "target_url": clip.url}
    video = _item("Clip.2", clip.name, source_range=whole, markers=markers)
    video["media_references"] = {"DEFAULT_MEDIA": media}
    video["active_media_reference_key"] = "DEFAULT_MEDIA"
    track = _item("Track.1", "detections") | {"children": [video], "kind": "Video"}
    timeline = {
        "OTIO_SCHEMA": "Timeline.1",
        "metadata": {},
        "name": clip.name,
        "global_start_time": None,
        "tracks": _item("Stack.1", "tracks") | {"children": [track]},
    }
    return json.dumps(timeline, indent=2, ensure_ascii=False) + "\n"


def activitynet(found: Mapping[str, Sequence[Exported]]) -> dict[str, Any]:
    """The results that ActivityNet's evaluation reads: by video, a label, a score and seconds."""
    return {
        "version": "VERSION 1.3",
        "results": {
            video: [
                {
                    "label": each.detection.event,
                    "score": each.detection.probability,
                    "segment": [each.detection.start_seconds, each.detection.end_seconds],
                }
                for each in own
            ]
            for video, own in found.items()
        },
        "external_data": {"used": False, "details": ""},
    }


def timecode_rows(video: str, found: Sequence[Exported], clock: Clock) -> list[tuple]:
    """Rows of `TIMECODE_COLUMNS`; end_frame and end_timecode are the first behind it."""
    rows = []
    for each in found:
        span, detection = frame_span(each.detection, clock), each.detection
        codes = [timecode(frame, clock.rate) for frame in span]
        fps = float(clock.rate.per_second)
        rows.append(
            (video, detection.event, *codes, *span, fps, detection.probability, each.reasons)
        )
    return rows


def chapters(found: Sequence[Exported]) -> list[tuple[float, float, str]]:
    """(start, end, title) of chapters, which may not overlap: detections that do are one, called
    after the most probable of its events."""
    spans: list[list[Any]] = []
    for each in sorted(found, key=lambda each: each.detection.start_seconds):
        detection = each.detection
        if spans and detection.start_seconds < spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], detection.end_seconds)
            spans[-1][2].append(detection)
        else:
            spans.append([detection.start_seconds, detection.end_seconds, [detection]])
    titled = []
    for start, end, own in spans:
        ordered = sorted(own, key=lambda d: -d.probability)
        names = list(dict.fromkeys(d.event for d in ordered))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        titled.append((start, max(end, start + 0.001), ", ".join(names[:_NAMED]) + more))
    return titled


def vtt_text(found: Sequence[Exported]) -> str:
    """Chapters as WebVTT."""
    cues = []
    for start, end, title in chapters(found):
        text = _line(title).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{_stamp(start)} --> {_stamp(end)}\n{text}\n")
    return "\n".join(["WEBVTT\n", *cues])


def ffmetadata_text(found: Sequence[Exported]) -> str:
    """Chapters as FFmpeg's metadata: ``ffmpeg -i a.mp4 -i chapters.ffmetadata -map_chapters 1``."""
    lines = [";FFMETADATA1"]
    for start, end, title in chapters(found):
        title = _line(title)
        for special in "\\=;#":
            title = title.replace(special, f"\\{special}")
        times = f"START={round(1000 * start)}", f"END={round(1000 * end)}"
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", *times, f"title={title}"]
    return "\n".join(lines) + "\n"


def _hour(rate: Rate) -> int:
    """The frame whose timecode is 01:00:00:00."""
    dropped = rate.base // 15 if rate.drop else 0
    return RECORD_HOUR * (3600 * rate.base - 54 * dropped)


def _told(each: Exported) -> str:
    said = f"{each.detection.event}, P {each.detection.probability:.2f}"
    return f"{said}, {each.reasons}" if each.reasons else said


def _line(text: str) -> str:
    """A text that cannot begin another line."""
    return shown(printable(text))


def _stamp(seconds: float) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{milliseconds:03d}"


def _item(schema: str, name: str, *, source_range: Any = None, markers: Sequence = ()) -> dict:
    return {
        "OTIO_SCHEMA": schema,
        "metadata": {},
        "name": name,
        "source_range": source_range,
        "effects": [],
        "markers": list(markers),
        "enabled": True,
        "color": None,
    }


def _range(start: int, end: int, rate: Rate) -> dict[str, Any]:
    def time(frame: int) -> dict[str, Any]:
        value = {"rate": float(rate.per_second), "value": float(frame)}
        return {"OTIO_SCHEMA": "RationalTime.1", **value}

    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "duration": time(end - start),
        "start_time": time(start),
    }
