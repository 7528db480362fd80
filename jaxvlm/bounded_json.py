"""JSON that others wrote, within bounds: of bytes, of depth, of digits."""

import json
import math
import re
from typing import Any

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import too_large

MAX_DEPTH = bounds.JSON_DEPTH
MAX_DIGITS = bounds.JSON_DIGITS
MAX_BYTES = bounds.TEXT_BYTES

# Texts, whole or without an end, and brackets outside of them.
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def parse(
    text: str | bytes, name: object, *, max_bytes: int | None = None, cure: str = "correct the file"
) -> Any:
    """The value of a JSON text; bytes are UTF-8, with or without its mark. Takes time in
    proportion to the text.

    Args:
      name: of the file or the sender, for the message.

    Raises:
      InputError: no JSON, not UTF-8, more than ``max_bytes`` long (characters, for a str), nested
        deeper than MAX_DEPTH, a whole number of more than MAX_DIGITS digits, NaN, infinity, or a
        number beyond a float's range.
    """
    max_bytes = MAX_BYTES if max_bytes is None else max_bytes
    if len(text) > max_bytes:
        raise InputError(f"{name}: {too_large(len(text), max_bytes)}; {cure}")
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = json.loads(
            text, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise InputError(f"{name}: {_deep(text)}; {cure}") from None
    except ValueError as error:
        raise InputError(f"{name}: not valid JSON ({error}); {cure}") from None
    if is_deep(value):
        raise InputError(f"{name}: {_deep(text)}; {cure}")
    return value


def is_deep(value: Any) -> bool:
    """Whether lists and objects lie in each other in more than MAX_DEPTH levels."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:20]}, which is too large")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name}, which JSON does not have")


def _deep(text: str) -> str:
    """That a text is nested too deep, and where the first bracket is that is."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > MAX_DEPTH:
            break
    line = text.count("\n", 0, found.start()) + 1
    column = found.start() - text.rfind("\n", 0, found.start())
    return f"nested deeper than {MAX_DEPTH} levels at line {line} column {column}"
