"""JSON that others wrote, within bounds: of bytes, of depth, of digits."""

import json
from typing import Any

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import too_large

MAX_DEPTH = bounds.JSON_DEPTH
MAX_DIGITS = bounds.JSON_DIGITS
MAX_BYTES = bounds.TEXT_BYTES


def parse(
    text: str | bytes, name: object, *, max_bytes: int | None = None, cure: str = "correct the file"
) -> Any:
    """The value of a JSON text; bytes are UTF-8. Takes time in proportion to the text.

    Args:
      name: of the file or the sender, for the message.

    Raises:
      InputError: no JSON, not UTF-8, more than ``max_bytes`` long (characters, for a str), nested
        deeper than MAX_DEPTH, or a whole number of more than MAX_DIGITS digits.
    """
    max_bytes = MAX_BYTES if max_bytes is None else max_bytes
    if len(text) > max_bytes:
        raise InputError(f"{name}: {too_large(len(text), max_bytes)}; {cure}")
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise InputError(f"{name}: {_DEEP}; {cure}") from None
    except ValueError as error:
        raise InputError(f"{name}: not valid JSON ({error}); {cure}") from None
    if is_deep(value):
        raise InputError(f"{name}: {_DEEP}; {cure}")
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


_DEEP = f"nested deeper than {MAX_DEPTH} levels"
