"""Text, JSON, CSV and arrays, written as outputs (see `outputs`) and read with one clear line."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from jaxvlm.errors import InputError
from jaxvlm.outputs import output_path


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with output_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON atomically, indented, keys in the order given; NaN, which JSON lacks, as null."""
    text = json.dumps(_without_nan(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_csv(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Writes a table as CSV atomically, without the index, floats to 6 significant digits.

    Columns called ``…_seconds`` are written to the microsecond, so that times stay distinct however
    long a video is.
    """
    seconds = [name for name in table if str(name).endswith("_seconds")]
    table = table.assign(**{name: table[name].map(_microseconds) for name in seconds})
    with output_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays as safetensors atomically."""
    contiguous = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    with output_path(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(contiguous))


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a safetensors file. Raises InputError if it is missing or not safetensors."""
    _require_file(path)
    try:
        return safetensors.numpy.load_file(str(path))
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}); write it again") from None


def read_json(path: str | os.PathLike) -> Any:
    """Reads UTF-8 JSON. Raises InputError if it is missing, not UTF-8 or not JSON."""
    _require_file(path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); correct the file") from None


def read_csv(path: str | os.PathLike, **options: Any) -> pd.DataFrame:
    """Reads a CSV table with a header. Raises InputError if it is missing, empty or no table."""
    _require_file(path)
    try:
        return pd.read_csv(path, **options)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: not a CSV table ({cause}); correct the file") from None


def _microseconds(value: Any) -> Any:
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _require_file(path: str | os.PathLike) -> None:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; check the path")
