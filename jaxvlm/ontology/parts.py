"""Names, lists, strengths of an ontology file, and notes of what is wrong with them."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jaxvlm.names import nearest
from jaxvlm.ontology.document import Place
from jaxvlm.terminal import control_character

# Takes the place of a problem and its text, "cause; cure".
Note = Callable[[Place, str], None]
_LARGEST = 1e6  # of a weight or a scale, in both directions


class Problem(NamedTuple):
    """What is wrong with a file: its line (None: no single one), "cause; cure", and how bad."""

    line: int | None
    text: str
    is_error: bool = True

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Errors first, then by line; what has no line comes last."""
    return sorted(problems, key=lambda p: (not p.is_error, p.line is None, p.line or 0))


def read_list(note: Note, place: Place, title: str, value: Any) -> list:
    """The list, or an empty one."""
    if isinstance(value, list):
        return value
    note(place, f"{title}: must be a list; write one name per line after '- '")
    return []


def read_name(note: Note, place: Place, title: str, value: Any) -> str | None:
    """A name with single blanks, or None."""
    # YAML reads yes, no, on, off and numbers as something else than text.
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if name and not (odd := control_character(name)):
        return name
    cause = f"has the control character {odd}; drop it" if name else "is no name; put it in quotes"
    note(place, f"{title}: {value!r} {cause}")
    return None


def read_strength(note: Note, place: Place, title: str, what: Any, value: Any) -> float:
    """A number above 0, up to 1; 1 for what is none."""
    if type(value) in (int, float) and 0 < value <= 1:
        return float(value)
    told = f"the strength of {what!r} is {value!r}; write a number above 0, up to 1"
    note(place, f"{title}: {told}")
    return 1.0


def read_number(note: Note, place: Place, title: str, value: Any) -> float | None:
    """A finite number of at most a million, or None."""
    is_number = type(value) in (int, float)
    if is_number and math.isfinite(value) and abs(value) <= _LARGEST:
        return float(value)
    note(place, f"{title} is {value!r}; write a number of at most a million")
    return None


def check_keys(note: Note, place: Place, title: str, mapping: dict, known: Sequence[str]) -> None:
    """Notes every key that is none of the known ones."""
    for key in mapping:
        if key not in known:
            hint = nearest(str(key), known)
            text = f"{title} has the unknown key {key!r}{hint}; known are {', '.join(known)}"
            note((*place, key), text)
