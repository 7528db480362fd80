"""Text, JSON, CSV and arrays, written as outputs (see `outputs`) and read with one clear line."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxvlm import bounded_json
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.outputs import output_path
from jaxvlm.reading import read_bounded, unreadable
from jaxvlm.terminal import control_character

if TYPE_CHECKING:  # who writes JSON should not wait for tables
    import pandas as pd

# What safetensors raises where a type or a shape of a good file is none of NumPy's.
NOT_FOR_NUMPY = (AttributeError, KeyError, TypeError, ValueError)

_DIGITS = 300  # of a number in a table; from 309 on no whole number is a float


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically; a byte of a name that is not UTF-8 as ``\\xe9``."""
    with output_path(path) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON atomically, indented, keys in the order given; NaN, which JSON lacks, as null.

    Texts are `names.printable`.
    """
    text = json.dumps(_writable(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Writes a table as CSV atomically, without the index, floats to 6 significant digits.

    Columns called ``…_seconds`` are written to the microsecond, so that times stay distinct however
    long a video is. A text (of a cell or of the header) that a spreadsheet would take for a formula
    gets an apostrophe in front, as OWASP advises against CSV injection; so does one that has
    apostrophes before such a beginning, so that `read_csv`, which takes one off, gives back every
    text. Numbers stay as they are.
    """
    table = _texts(table, _inert)
    texts = [*table.columns, *table.select_dtypes(exclude="number").to_numpy().ravel()]
    # The csv module leaves a lone carriage return bare, which readers take for the end of a row.
    returns = any(isinstance(text, str) and "\r" in text for text in texts)
    seconds = [name for name in table if str(name).endswith("_seconds")]
    table = table.assign(**{name: table[name].map(_microseconds) for name in seconds})
    with output_path(path) as temporary:
        table.to_csv(
            temporary,
            index=False,
            float_format="%.6g",
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL,
        )


def write_arrays(
    path: str | os.PathLike, arrays: Mapping[str, np.ndarray], *, about: Any = None
) -> None:
    """Writes named arrays as safetensors atomically; ``about``, JSON, goes into the header."""
    import safetensors.numpy

    # Unlike ascontiguousarray this keeps a shape of ().
    contiguous = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    told = None if about is None else {"about": json.dumps(about, ensure_ascii=False)}
    with output_path(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(contiguous, told))


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a safetensors file. Raises InputError if it is missing or not safetensors."""
    import safetensors.numpy

    _require_file(path)
    try:
        return safetensors.numpy.load_file(str(path))
    except OSError as error:
        raise unreadable(path, error) from None
    except (safetensors.SafetensorError, *NOT_FOR_NUMPY) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); write it again") from None


def read_about(path: str | os.PathLike) -> Any:
    """What `write_arrays` was told ``about`` the arrays; None without it. Raises InputError as
    `read_arrays`."""
    import safetensors

    _require_file(path)
    try:
        with safetensors.safe_open(path, framework="np") as opened:
            text = (opened.metadata() or {}).get("about")
    except (safetensors.SafetensorError, *NOT_FOR_NUMPY) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); write it again") from None
    return None if text is None else bounded_json.parse(text, path)


def read_json(path: str | os.PathLike) -> Any:
    """Reads UTF-8 JSON. Raises InputError if it is missing, or as `bounded_json.parse`."""
    return bounded_json.parse(read_bounded(path, bounded_json.MAX_BYTES), path)


def read_csv(path: str | os.PathLike, **options: Any) -> pd.DataFrame:
    """Reads a CSV table with a header. Raises InputError if it is missing, empty or no table, has
    more cells in its rows than in its header, or names with a control character in its first row.

    Texts come as `write_csv` was given them.
    """
    import pandas as pd

    _require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Else pandas takes the first cells of rows that are too long for row names.
            table = pd.read_csv(path, index_col=False, **options)
    except pd.errors.ParserWarning:
        raise InputError(
            f"{path}: rows have more cells than the header; correct the file"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV table ({cause}); correct the file") from None
    for name in table if options.get("header", 0) is not None else table.iloc[0]:
        if found := control_character(str(name)):
            raise InputError(f"{path}: row 1 holds the control character {found}; correct the file")
    return _texts(table, _as_given)


def numbers(table: pd.DataFrame | pd.Series) -> np.ndarray:
    """float64 of the table's shape: NaN for a cell that is no number or one that no float holds."""
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return np.column_stack([numbers(table.iloc[:, n]) for n in range(table.shape[1])])
    if not pd.api.types.is_numeric_dtype(table):
        # Whole numbers without end, on which pandas and NumPy trip.
        table = table.map(lambda value: math.nan if len(str(value)) > _DIGITS else value)
    values = pd.to_numeric(table, errors="coerce")
    return values.to_numpy(np.float64)


def _microseconds(value: Any) -> Any:
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return f"{value:.6f}".rstrip("0").rstrip(".")


# What makes a cell a formula, or is dropped before one: with the forms of full width, which
# Japanese and Chinese spreadsheets take for the same.
_FORMULA = re.compile("('*)[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def _inert(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _as_given(text: str) -> str:
    found = _FORMULA.match(text)
    return text[1:] if found and found[1] else text


def _texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """The table with its texts changed, those of the header too."""
    import pandas as pd

    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, str) else value

    out = table.copy()
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            out.isetitem(place, table.iloc[:, place].map(changed))
    return out.set_axis([changed(name) for name in table.columns], axis=1)


def _writable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _require_file(path: str | os.PathLike) -> None:
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
