"""Arrays of numbers in NumPy's .npy files, read as data and never beyond what the file holds."""

import math
import os
import tokenize
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxvlm import bounds
from jaxvlm.errors import InputError

_MAX_HEADER = bounds.NPY_HEADER
_MAX_BYTES = bounds.NPY_BYTES

# What NumPy raises on senseless headers, which it parses as a Python literal.
_BROKEN = (
    *(ValueError, TypeError, OSError, RecursionError, MemoryError),
    *(SyntaxError, tokenize.TokenError, Warning),
)


def read_array(path: str | os.PathLike) -> np.ndarray:
    """The array of an .npy file, of booleans, integers or floats, in C order; nothing in it is run.

    The header is read first, and what it declares is compared with the file's length before any
    memory is taken.

    Raises:
      InputError: no such file; not .npy; Python objects, text or records; a header or an array
        larger than any that is needed; more or fewer bytes than the header says.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    with path.open("rb") as file:
        return parse_array(file, path.stat().st_size, str(path))


def map_array(path: str | os.PathLike) -> np.ndarray:
    """`read_array` of an array that stays on disk, however large; read-only.

    Raises InputError as `read_array`, but for the bound on its bytes.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    try:
        with path.open("rb") as file:
            shape, fortran_order, dtype = _header(file, path.stat().st_size, "biuf")
            start = file.tell()
        if not math.prod(shape):
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", start, shape, order="F" if fortran_order else "C")
    except _BROKEN as error:
        raise _no_array(str(path), error) from None


def parse_array(
    file: BinaryIO, size: int, name: str, *, texts: bool = False, max_bytes: int = _MAX_BYTES
) -> np.ndarray:
    """The array of an opened .npy of ``size`` bytes, which messages call ``name``.

    texts: it may also be of texts (U). Raises InputError as `read_array`.
    """
    try:
        return _read(file, size, "biufU" if texts else "biuf", max_bytes)
    except _BROKEN as error:
        raise _no_array(name, error) from None


def _no_array(name: str, error: Exception) -> InputError:
    cause = " ".join(str(error).split()).rstrip(".")[:120]
    return InputError(f"{name}: no array of numbers ({cause}); save it with np.save")


def _read(file: BinaryIO, size: int, kinds: str, max_bytes: int) -> np.ndarray:
    shape, fortran_order, dtype = _header(file, size, kinds)
    need = math.prod(shape) * dtype.itemsize
    if need > max_bytes:
        raise ValueError(f"over {max_bytes:,} bytes")
    flat = np.frombuffer(bytearray(file.read(need)), dtype)
    return np.ascontiguousarray(flat.reshape(shape, order="F" if fortran_order else "C"))


def _header(file: BinaryIO, size: int, kinds: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type, of one of ``kinds``, which fit the file's length."""
    if not size:
        raise ValueError("it is empty")
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # (3, 0) is for the names of records
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    start = file.tell()
    width = 2 if version == (1, 0) else 4
    if int.from_bytes(file.read(width), "little") > _MAX_HEADER:
        raise ValueError(f"a header of over {_MAX_HEADER:,} bytes")
    file.seek(start)
    header = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of Python, about a literal that NumPy never wrote
        shape, fortran_order, dtype = header[version[0] - 1](file, max_header_size=_MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("Python objects")
    if dtype.kind not in kinds:
        raise ValueError(f"{str(dtype)[:40]} in it")
    need, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or need != held:
        raise ValueError(f"shape {list(shape)} needs {need:,} bytes, the file has {held:,}")
    return shape, fortran_order, dtype
