"""Names that users and files give: as parts of paths, as text, matched with known ones."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from jaxvlm.errors import InputError

# Files beside and in the folders of videos: extract-frames, run-pipeline, score-video.
OF_RESULTS = frozenset(
    "run.json report.html detections.csv detections.json events.csv segments.csv stats.csv "
    "embeddings.safetensors manifest.csv ontology.yaml pipeline.json captions.json "
    "detections.edl detections.otio chapters.vtt chapters.ffmetadata activitynet.json "
    "timecodes.csv".split()
)

_LONGEST = 200  # bytes of a name that becomes part of a file's; file systems take 255
_SHOWN = 3
_SURROGATES = re.compile("[\ud800-\udfff]")


def part_of_path(name: str, place: object) -> str:
    """The name, if it can name one file or folder inside another folder.

    Raises InputError, which begins with ``place``, if it is empty, ``.`` or ``..``, holds a slash,
    a backslash or NUL, or is longer than 200 bytes: as a part of a path it would lead elsewhere.
    """
    size = len(name.encode("utf-8", "surrogateescape"))
    if name in ("", ".", "..") or set(name) & set("/\\\0") or size > _LONGEST:
        shown = repr(name if len(name) <= 60 else name[:59] + "…")
        raise InputError(
            f"{place}: the name {shown} cannot be a file's; take one without slashes that is not "
            f". or .., of at most {_LONGEST} bytes"
        )
    return name


def free_name(name: str, place: object) -> str:
    """The id of a video, ``name`` or ``folder/name``, as its folder among results.

    Raises InputError, which begins with ``place``, if a part of it is one of `OF_RESULTS`, or ``.``
    or ``..``: of every program that takes videos, so that none refuses what another took.
    """
    if set(name.split("/")) & {"", ".", "..", *OF_RESULTS}:
        raise InputError(
            f"{place}: its results would be called {name!r}, which is taken; rename it"
        )
    return name


def relative_id(path: Path, root: Path) -> str:
    """The id of a video or of its folder: the path below ``root`` with /, or the last part of a
    path that is not below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def match_ids(given: Iterable[str], ids: Iterable[str]) -> dict[str, str]:
    """Which id each given name is: itself, or the one id that ends like it after a slash.

    ``a`` is ``cam1/a`` where no other id and no other name ends in ``a``, and the other way round.
    Names that are no id are left out.
    """
    given, ids = list(dict.fromkeys(given)), list(dict.fromkeys(ids))
    exact = set(given) & set(ids)

    def by_stem(names: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(name.rpartition("/")[2], []).append(name)
        return found

    names_of, ids_of = by_stem(given), by_stem(ids)
    found = {}
    for name in given:
        stem = name.rpartition("/")[2]
        if name in exact:
            found[name] = name
        elif names_of[stem] == [name] and len(ids_of.get(stem, ())) == 1:
            (only,) = ids_of[stem]
            if "/" not in name or "/" not in only:  # of two folders' names one is another video
                found[name] = only
    return found


def number_of(count: int, noun: str) -> str:
    """``1 video``, ``2 videos``, ``0 videos``; of a noun whose plural takes an s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def plain_event(name: str) -> str:
    """An event's name without case, a plural s and all but letters and digits: what
    ``RoadAccidents`` and ``road accident`` have in common."""
    return "".join(filter(str.isalnum, name.casefold())).removesuffix("s")


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unmatched(place: object, given: Iterable[str], known: Iterable[str]) -> str | None:
    """One line about the given video ids that no video has, see `match_ids`, with the nearest.

    None where every one is known.
    """
    given, known = set(given), sorted(set(known))
    unknown = sorted(given - match_ids(given, known).keys())
    if not unknown:
        return None
    told = ", ".join(f"{name!r}{nearest(name, known)}" for name in unknown[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return f"{place}: no such video here: {told}{more}"


def printable(text: str) -> str:
    """Text with names in it as it can be written: a byte that is not UTF-8 as ``\\xe9``.

    A name on the disk need not be UTF-8; what is written has to be.
    """

    def escaped(found: re.Match) -> str:
        code = ord(found[0])
        # Python gives such a byte as a surrogate (PEP 383); other surrogates are no bytes.
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return _SURROGATES.sub(escaped, text)
