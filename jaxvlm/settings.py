"""A config twice: frozen for the library, which compiles for it; open for flags, which set it.

What a field means stands below it in the source, as a text of its own; `described` reads it.
"""

import ast
import dataclasses
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from jaxvlm.errors import InputError

_LARGEST_BATCH = 2**16  # 38 GB of pixel values at 224

Frozen = TypeVar("Frozen")


def open_to_flags(frozen: type, defaults: Any = None) -> type:
    """The mutable dataclass of the same fields and defaults; a part that is a dataclass likewise.

    defaults: an instance whose values are the defaults; None: those of the class. A part has those
    that the whole has for it.

    ``AtomsConfig`` becomes ``AtomsSettings``. A choice of words (Literal) becomes text, because
    flags know no such type; `freeze` checks it.
    """
    fields, source = [], frozen if defaults is None else defaults
    for name, hint in typing.get_type_hints(frozen).items():
        if dataclasses.is_dataclass(hint):
            part = open_to_flags(hint, getattr(source, name, None))
            fields.append((name, part, dataclasses.field(default_factory=part)))
        else:
            kind = str if typing.get_origin(hint) is Literal else hint
            fields.append((name, kind, dataclasses.field(default=getattr(source, name))))
    name = frozen.__name__.replace("Config", "Settings")
    return dataclasses.make_dataclass(name, fields, namespace={"frozen": frozen})


class Setting(NamedTuple):
    """A field of a config: its dotted name, its value, the words to choose from, what it means."""

    name: str
    value: Any
    choices: tuple[str, ...]
    meaning: str


def described(values: Any, place: str = "") -> Iterator[Setting]:
    """All fields of open settings in their order, those of parts under their dotted names."""
    meanings = _meanings(type(values).frozen)
    for name, hint in typing.get_type_hints(type(values).frozen).items():
        value = getattr(values, name)
        if dataclasses.is_dataclass(value):
            yield from described(value, f"{place}{name}.")
        else:
            choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
            yield Setting(f"{place}{name}", value, choices, meanings.get(name, ""))


def _meanings(frozen: type) -> dict[str, str]:
    """By field the text below it in the class's source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(frozen))).body[0].body
    meanings = {}
    for field, text in zip(body, body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            meanings[field.target.id] = " ".join(text.value.value.split())
    return meanings


def freeze(frozen: type[Frozen], values: Any, place: str = "") -> Frozen:
    """The frozen dataclass of open settings, or of JSON; what JSON leaves out has its default.

    Raises InputError for a field that there is not, and a value of another type.
    """
    if dataclasses.is_dataclass(values):
        values = dataclasses.asdict(values)
    if not isinstance(values, Mapping):
        where = f"config {place}={values!r}" if place else f"config {values!r}"
        raise InputError(f"{where}: not a table of settings; correct it")
    place = place and f"{place}."
    hints = typing.get_type_hints(frozen)
    parts = {}
    for name, value in values.items():
        hint = hints.get(name)
        if hint is None:
            raise InputError(f"config {place}{name}: no such setting; remove it")
        if dataclasses.is_dataclass(hint):
            default = getattr(frozen, name, None)
            if isinstance(value, Mapping) and default is not None:
                value = dataclasses.asdict(default) | dict(value)
            value = freeze(hint, value, f"{place}{name}")
        elif not _fits(value, hint):
            raise InputError(f"config {place}{name}={value}: {_cure(hint, value)}")
        if type(value) is int and int not in _kinds(hint) and float in _kinds(hint):
            value = float(value)  # JAX takes no integer beyond 32 bits
        parts[name] = tuple(value) if isinstance(value, list) else value
    return frozen(**parts)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def check_batch_size(field: str, value: int, *, least: int) -> None:
    """Raises InputError for a number of items that no device takes at once."""
    if not least <= value <= _LARGEST_BATCH:
        measured = "; 0 is the measured one" if least == 0 else ""
        raise InputError(
            f"config {field}={value}: not from {least} to {_LARGEST_BATCH:,}{measured}; correct it"
        )


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if len(_kinds(hint)) > 1:
        return any(_fits(value, choice) for choice in _kinds(hint))
    if typing.get_origin(hint) is tuple:  # of any length; JSON has lists
        kind = typing.get_args(hint)[0]
        return isinstance(value, list | tuple) and all(_fits(each, kind) for each in value)
    if isinstance(value, bool) or hint is bool:
        return isinstance(value, bool) and hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint)


def _cure(hint: Any, value: Any) -> str:
    numbers = value if isinstance(value, list | tuple) else (value,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        return "not finite; give a number"
    if typing.get_origin(hint) is Literal:
        return f"unknown; use {' or '.join(typing.get_args(hint))}"
    return f"not of type {hint.__name__ if type(hint) is type else hint}; correct it"
