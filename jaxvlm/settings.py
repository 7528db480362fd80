"""A config twice: frozen for the library, which compiles for it; open for flags, which set it."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from jaxvlm.errors import InputError

_LARGEST_BATCH = 2**16  # 38 GB of pixel values at 224

Frozen = TypeVar("Frozen")


def open_to_flags(frozen: type) -> type:
    """The mutable dataclass of the same fields and defaults; a part that is a dataclass likewise.

    ``AtomsConfig`` becomes ``AtomsSettings``. A choice of words (Literal) becomes text, because
    flags know no such type; `freeze` checks it.
    """
    fields = []
    for name, hint in typing.get_type_hints(frozen).items():
        if dataclasses.is_dataclass(hint):
            part = open_to_flags(hint)
            fields.append((name, part, dataclasses.field(default_factory=part)))
        else:
            kind = str if typing.get_origin(hint) is Literal else hint
            fields.append((name, kind, dataclasses.field(default=getattr(frozen, name))))
    return dataclasses.make_dataclass(frozen.__name__.replace("Config", "Settings"), fields)


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
            value = freeze(hint, value, f"{place}{name}")
        elif not _fits(value, hint):
            raise InputError(f"config {place}{name}={value}: {_cure(hint, value)}")
        parts[name] = tuple(value) if isinstance(value, list) else value
    return frozen(**parts)


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
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, choice) for choice in typing.get_args(hint))
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
