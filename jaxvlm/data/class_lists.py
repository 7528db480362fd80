"""Class names from the files in which data sets publish them: lines, WordNet's ids, JSON."""

import os
import re
from collections.abc import Sequence
from typing import Any

from jaxvlm import files
from jaxvlm.data.text_files import read_lines
from jaxvlm.errors import InputError
from jaxvlm.terminal import control_character

# ``n01440764 tench, Tinca tinca`` (ILSVRC's synset_words.txt); a number may stand in between
# (map_clsloc.txt).
_WORDNET = re.compile(r"(?P<id>n\d{8})(\s+\d+)?(\s+(?P<name>\S.*))?")


def read_class_list(path: str | os.PathLike) -> list[str]:
    """The class names of a file, in order: row k is class k. Lines are kept where they are empty.

    A text has a name per line; a WordNet id before it is taken off, and of the synonyms behind it
    the first is the name. JSON is a list of names, an object of names by number
    (``{"0": "tench"}``, ``{"0": ["n01440764", "tench"]}``), or of numbers by name.

    Raises:
      InputError: not UTF-8; ids without names, or before some names only; JSON of another form,
        numbers that are not 0, 1, 2, …; a control character.
    """
    lines = _lines(path)
    if _is_json(lines):
        return _from_json(path, files.read_json(path))
    return _without_ids(path, lines)


def read_class_ids(path: str | os.PathLike) -> list[str] | None:
    """The WordNet id of each class of a file, as `read_class_list`; None unless all have one.

    Raises InputError as that.
    """
    lines = _lines(path)
    entries: Sequence[Any] = lines
    if _is_json(lines):
        value = files.read_json(path)
        value = _by_number(path, value) if isinstance(value, dict) else value
        entries = [entry[0] if isinstance(entry, list) and entry else None for entry in value]
    found = [_WORDNET.fullmatch(entry) if isinstance(entry, str) else None for entry in entries]
    return None if None in found else [match["id"] for match in found]


def _lines(path: str | os.PathLike) -> list[str]:
    """What stands in the file, without empty lines at its end."""
    lines = [line.strip() for line in read_lines(path, cure="save the list as UTF-8")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise InputError(f"{path}: no line in it; write one name per line")
    return lines


def _is_json(lines: Sequence[str]) -> bool:
    return next(line for line in lines if line)[0] in "[{"


def _without_ids(path: str | os.PathLike, lines: Sequence[str]) -> list[str]:
    found = [_WORDNET.fullmatch(line) for line in lines]
    if not any(found):
        return list(lines)
    for number, (line, match) in enumerate(zip(lines, found, strict=True), 1):
        if line and (match is None or match["name"] is None):
            raise InputError(
                f"{path}: line {number}: {line[:80]!r} has no "
                f"{'WordNet id, which others have' if match is None else 'name behind its id'}; "
                "write a name in each line, as in ILSVRC's synset_words.txt"
            )
    return [match["name"].split(",")[0].strip() if match else "" for match in found]


def _from_json(path: str | os.PathLike, value: Any) -> list[str]:
    if isinstance(value, dict):
        value = _by_number(path, value)
    names = [_name(entry) for entry in value]
    for number, name in enumerate(names):
        if name is None:
            raise InputError(
                f"{path}: entry {number} is no class name; give a list of names, or a text with "
                "one name per line"
            )
        if found := control_character(name):
            raise InputError(
                f"{path}: entry {number} holds the control character {found}; correct the name"
            )
    if not any(names):
        raise InputError(f"{path}: no name in it; give a list of names")
    return names


def _by_number(path: str | os.PathLike, value: dict[str, Any]) -> list[Any]:
    """The entries in the order of their numbers, which are the keys or the values."""
    if value and all(type(number) is int for number in value.values()):
        pairs = [(number, name) for name, number in value.items()]
    else:
        pairs = [
            (int(key) if re.fullmatch("[0-9]{1,9}", key) else -1, v) for key, v in value.items()
        ]
    pairs.sort(key=lambda pair: pair[0])
    if [number for number, _ in pairs] != list(range(len(pairs))):
        raise InputError(
            f"{path}: an object whose numbers are not 0, 1, 2, …; give a list of names, or a text "
            "with one name per line"
        )
    return [name for _, name in pairs]


def _name(entry: Any) -> str | None:
    """A name, or of ``["n01440764", "tench"]`` the second."""
    if isinstance(entry, list) and len(entry) == 2 and _WORDNET.fullmatch(str(entry[0])):
        entry = entry[1]
    return entry.strip() if isinstance(entry, str) else None
