"""Arrays of numbers in NumPy's .npy files, read as data and never beyond what the file holds."""

import math
import os
import tokenize
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
    *(SyntaxError, tokenize.TokenError),
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
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except _BROKEN as error:
        cause = " ".join(str(error).split()).rstrip(".")[:120]
        raise InputError(f"{path}: no array of numbers ({cause}); save it with np.save") from None


def _read(file: BinaryIO, size: int) -> np.ndarray:
    if not file.peek(1):
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
    shape, fortran_order, dtype = header[version[0] - 1](file, max_header_size=_MAX_HEADER)
    if dtype.hasobject:
        raise ValueError("Python objects")
    if dtype.kind not in "biuf":
        raise ValueError(f"{str(dtype)[:40]} in it")
    need, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if min(shape, default=0) < 0 or need != held:
        raise ValueError(f"shape {list(shape)} needs {need:,} bytes, the file has {held:,}")
    if need > _MAX_BYTES:
        raise ValueError(f"over {_MAX_BYTES:,} bytes")
    flat = np.frombuffer(bytearray(file.read(need)), dtype)
    return np.ascontiguousarray(flat.reshape(shape, order="F" if fortran_order else "C"))
