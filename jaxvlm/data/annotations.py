"""The files that say where anomalies are, as UCF-Crime and XD-Violence publish them.

Nothing is decided here: an interval comes back as the two numbers that the file holds. What its
ends mean, and how long a video is, `jaxvlm.evaluation.protocols.ground_truth` says.
"""

import difflib
import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxvlm.data.text_files import read_lines
from jaxvlm.data.videos import SUFFIXES
from jaxvlm.errors import InputError

UCF_CRIME_EVENTS = (
    "Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents",
    "Robbery", "Shooting", "Shoplifting", "Stealing", "Vandalism",
)  # fmt: skip
XD_VIOLENCE_EVENTS = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}
NORMAL = ("a", "normal")  # what a file may call a video without anomalies, in any case
XD_NAME = re.compile(r".*_label_(?P<codes>[A-Za-z0-9]+(-[A-Za-z0-9]+)*)")


class AnnotatedSpan(NamedTuple):
    """Two frame numbers as the file has them; an event where the file names one per interval."""

    start: int
    end: int
    event: str | None = None


class Annotation(NamedTuple):
    """One video: its name as the file has it, its events (none: normal), its intervals."""

    name: str
    events: tuple[str, ...]
    intervals: tuple[AnnotatedSpan, ...]


def video_key(name: str) -> str:
    """What the names of one video have in common, whichever file they come from.

    Folders, file suffix and the number of a crop (``__0.npy``) go; of a UCF-Crime name what
    follows the number (``Abuse028_x264.mp4``, ``Abuse028_x264_i3d.npy`` → ``Abuse028``), of an
    XD-Violence name what follows the labels (``…_label_B1-0-0__4.npy`` → ``…_label_B1-0-0``).
    """
    name = name.strip().replace("\\", "/").rsplit("/", 1)[-1]
    if "_x264" in name:
        return name.split("_x264")[0]
    found = XD_NAME.match(name)
    if found:
        return found[0]
    for suffix in (*SUFFIXES, ".npy", ".csv", ".txt"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
            break
    return re.sub(r"__\d+$", "", name)


def read_ucf_crime(path: str | os.PathLike) -> dict[str, Annotation]:
    """Reads ``Temporal_Anomaly_Annotation*.txt``: a line per video, by `video_key`, in file order.

    ``NAME  CLASS  START  END  START  END``, two spaces apart, −1 −1 where there is no interval.
    NAME is ``Abuse028_x264.mp4``, ``Abuse028_x264`` or ``Abuse028``; CLASS one of the thirteen or
    Normal.

    Raises:
      InputError: with the line's number, a line of another form, an unknown class, intervals that
        are reversed, overlap, or do not go with the class, or a video that is there twice.

    Source: Sultani, Chen and Shah, Real-world Anomaly Detection in Surveillance Videos, CVPR 2018.
    """

    def parse(fields: list[str]) -> Annotation:
        name, event, *numbers = fields if len(fields) > 3 else ("", "")
        if len(numbers) < 2 or len(numbers) % 2:
            raise InputError("not NAME CLASS START END START END; write -1 -1 for no interval")
        pairs = [(start, end) for start, end in _pairs(numbers) if (start, end) != (-1, -1)]
        intervals = _in_order([AnnotatedSpan(*pair) for pair in pairs])
        if event.casefold() in NORMAL:
            if intervals:
                raise InputError(f"class {event}, but an interval; write -1 -1, or its class")
            return Annotation(name, (), ())
        if event not in UCF_CRIME_EVENTS:
            raise _unknown_class(event, (*UCF_CRIME_EVENTS, "Normal"))
        if not intervals:
            raise InputError(f"class {event}, but no interval; add it, or write Normal")
        return Annotation(name, (event,), intervals)

    return _read_lines(path, parse)


def read_xd_violence(path: str | os.PathLike) -> dict[str, Annotation]:
    """Reads ``annotations.txt`` or ``annotations_multiclasses.txt`` of XD-Violence, told by form.

    A line per anomalous video, by `video_key`: ``NAME START END START END …``, or with classes
    ``NAME CODE START END CODE START END …``. The name carries the video's events, `xd_events`;
    normal videos are in neither file. Intervals of ``annotations.txt`` follow one another; those
    with classes may be in any order and overlap, as some of the published ones do.

    Raises:
      InputError: with the line's number, a line of another form, an unknown code, a name that says
        normal, intervals that are reversed or (without classes) overlap, or a video twice.

    Source: Wu et al., Not only Look, but also Listen, ECCV 2020; the file with classes: Wu et al.,
    VadCLIP, AAAI 2024.
    """

    def parse(fields: list[str]) -> Annotation:
        name, *rest = fields
        events = xd_events(name)
        if events == ():
            raise InputError(f"{name} is normal by its name, but has a line; remove one of the two")
        if not rest:
            raise InputError("a name without intervals; add them")
        if _is_integer(rest[0]):
            if len(rest) % 2:
                raise InputError("not NAME START END START END …; a start without an end")
            return Annotation(name, events, _in_order([AnnotatedSpan(*p) for p in _pairs(rest)]))
        if len(rest) % 3:
            raise InputError("not NAME CODE START END CODE START END …; correct the line")
        numbers = [field for index, field in enumerate(rest) if index % 3]
        intervals = [
            AnnotatedSpan(start, end, _xd_event(code))
            for code, (start, end) in zip(rest[::3], _pairs(numbers), strict=True)
        ]
        for interval in intervals:
            _check_order(interval)
        return Annotation(name, events, tuple(intervals))

    return _read_lines(path, parse)


def xd_events(name: str) -> tuple[str, ...]:
    """The events in an XD-Violence name, ``…_label_B1-B2-G``; () for normal, ``…_label_A``.

    Raises InputError for a name without ``_label_``, or an unknown code.
    """
    found = XD_NAME.match(video_key(name))
    if not found:
        raise InputError(f"{name} has no _label_CODE; use the name as XD-Violence has it")
    return decode_labels(found["codes"])


def _read_lines(
    path: str | os.PathLike, parse: Callable[[list[str]], Annotation]
) -> dict[str, Annotation]:
    result: dict[str, Annotation] = {}
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            annotation = parse(line.split())
            key = video_key(annotation.name)
            if key in result:
                raise InputError(f"{key} is there twice; remove one")
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        result[key] = annotation
    if not result:
        raise InputError(f"{path}: no annotations in it; check the path")
    return result


def text_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text, as `read_lines`."""
    return read_lines(path, cure="give the annotation file")


def _is_integer(text: str) -> bool:
    return re.fullmatch("-?[0-9]{1,15}", text) is not None


def _pairs(numbers: Sequence[str]) -> list[tuple[int, int]]:
    for text in numbers:
        if not _is_integer(text):
            raise InputError(f"{text!r} is no frame number; correct it")
    values = [int(text) for text in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def _check_order(interval: AnnotatedSpan) -> None:
    if not 0 <= interval.start < interval.end:
        raise InputError(
            f"interval {interval.start} {interval.end} is not 0 ≤ start < end; correct it"
        )


def _in_order(intervals: Sequence[AnnotatedSpan]) -> tuple[AnnotatedSpan, ...]:
    for interval in intervals:
        _check_order(interval)
    for first, second in zip(intervals, intervals[1:], strict=False):
        if second.start < first.end:
            raise InputError(
                f"intervals {first.start} {first.end} and {second.start} {second.end} overlap or "
                "are out of order; correct them"
            )
    return tuple(intervals)


def decode_labels(codes: str) -> tuple[str, ...]:
    """Events of ``B1-B2-0``, each once, in the order of the codes; () for ``A``."""
    if codes == "A":
        return ()
    named = [code for code in codes.split("-") if code != "0"]
    if not named:
        raise InputError(f"label {codes!r} names no event; write A for a normal video")
    return tuple(dict.fromkeys(_xd_event(code) for code in named))


def _xd_event(code: str) -> str:
    if code not in XD_VIOLENCE_EVENTS:
        raise _unknown_class(code, tuple(XD_VIOLENCE_EVENTS))
    return XD_VIOLENCE_EVENTS[code]


def _unknown_class(name: str, known: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return InputError(f"unknown class {name!r}{hint}; it is one of {', '.join(known)}")
