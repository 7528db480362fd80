"""The list of cameras that `watch` reads: YAML, a name and a source for each, and what differs."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxvlm.alarms.rules import LIMITS, Limit, Rules
from jaxvlm.data.sources import file_of
from jaxvlm.errors import InputError
from jaxvlm.names import nearest, part_of_path
from jaxvlm.ontology.document import Document, read_document
from jaxvlm.terminal import control_character

KEYS = ("name", "source", "ordinary", "roles", "ontology", "fps", *LIMITS)
MOST = 1_000


class Entry(NamedTuple):
    """A camera of the list; None: as the flags say. limits: the numbers of `rules.LIMITS` that
    differ, each one number or a table by event."""

    name: str
    source: str
    ordinary: str | None
    roles: str | None
    ontology: str | None
    fps: float | None
    limits: Mapping[str, Limit]
    place: str  # of the file, for messages


def read_cameras(path: str | os.PathLike) -> list[Entry]:
    """The cameras of a YAML or JSON file with the key ``cameras``, in its order.

    Raises InputError, which names the line: no such list, a camera without name or source, a key or
    value that cannot be, two cameras of one name, a source that is a file that is missing.
    """
    document = read_document(Path(path), what="list of cameras")
    content = document.content
    if document.bad_keys:
        place, cause = document.bad_keys[0]
        raise InputError(f"{path}: line {document.line(place)}: {cause}")
    listed = content.get("cameras") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed or set(content) != {"cameras"}:
        raise InputError(f"{path}: no list of cameras; write cameras: and below it - name: …")
    if len(listed) > MOST:
        raise InputError(f"{path}: {len(listed):,} cameras, more than {MOST:,}; split the list")
    entries = [_entry(Path(path), document, n, value) for n, value in enumerate(listed)]
    names: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in names:
            raise InputError(f"{entry.place}: the name {entry.name!r} is taken; choose another")
        names[entry.name] = entry
    return entries


def rules_of(entry: Entry, rules: Rules) -> Rules:
    """The rules of the flags with what an entry says over them."""
    return rules._replace(**entry.limits)


def _entry(path: Path, document: Document, number: int, value: Any) -> Entry:
    line = document.line(("cameras", number))
    place = f"{path}: line {line}" if line else f"{path}: camera {number + 1}"
    if not isinstance(value, dict):
        raise InputError(f"{place}: not a camera; write - name: NAME and source: SOURCE")
    for key in value:
        if key not in KEYS:
            raise InputError(f"{place}: no key {key!r}{nearest(str(key), KEYS)}; correct it")
    texts: dict[str, str | None] = {}
    for key in ("name", "source", "ordinary", "roles", "ontology"):
        text = value.get(key)
        if key == "source" and isinstance(text, int) and not isinstance(text, bool):
            text = str(text)  # a camera's number
        if key in value or key in ("name", "source"):
            if not isinstance(text, str) or not text or control_character(text):
                raise InputError(f"{place}: {key}: not a text on one line; write one")
        texts[key] = text
    part_of_path(texts["name"], place)
    try:
        file_of(texts["source"])
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    fps = value.get("fps")
    if fps is not None and not (_is_number(fps) and fps > 0):
        raise InputError(f"{place}: fps: not a number above 0; correct it")
    limits = {key: _limit(value[key], key, place) for key in LIMITS if key in value}
    return Entry(**texts, fps=fps, limits=limits, place=place)


def _limit(value: Any, key: str, place: str) -> Limit:
    numbers = value.values() if isinstance(value, dict) else [value]
    if not numbers or not all(_is_number(number) for number in numbers):
        raise InputError(f"{place}: {key}: not a number, nor a table of them by event; correct it")
    if isinstance(value, dict):
        return {str(event): float(number) for event, number in value.items()}
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
