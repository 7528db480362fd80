"""Files appear whole or not at all: everything is written to a temporary name and renamed."""

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy

from jaxvlm.errors import InputError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; on success it is renamed to ``path``.

    The temporary name keeps the suffix, because encoders choose the format by it. A file or a
    folder may be written there; an existing folder is replaced whole. On an exception the
    temporary is removed and what stood at ``path`` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if temporary.is_file():  # some writers create private files
            temporary.chmod(0o644)
        if temporary.is_dir() and path.is_dir():
            old = Path(folder) / (path.name + ".old")
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_path(path) as temporary:
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
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays as safetensors atomically."""
    contiguous = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    with atomic_path(path) as temporary:
        safetensors.numpy.save_file(contiguous, str(temporary))


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
