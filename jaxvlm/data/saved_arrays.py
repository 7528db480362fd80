"""The arrays of NumPy's, safetensors', PyTorch's and parquet files by their keys, read as data.

Arrays stay on disk where the format allows it (.npy, .safetensors): what is read is only what is
asked for.
"""

import io
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from jaxvlm import bounded_json, bounds, files
from jaxvlm.data import array_files
from jaxvlm.data.torch_files import read_torch
from jaxvlm.errors import InputError
from jaxvlm.reading import BROKEN_ZIP

SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".pth", ".parquet")
_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}  # safetensors' names of what NumPy can map


def open_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file by their keys; that of an .npy is called features.

    Numbers and, for labels and names, texts; float16, bfloat16, float32 and float64 as they are.

    Raises InputError: no such file, another format, a damaged one, or parquet without pyarrow.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: {suffix or 'no ending'}; embeddings are read from {', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if suffix == ".npy":
        return {"features": array_files.map_array(path)}
    if suffix == ".npz":
        return _open_npz(path)
    if suffix == ".safetensors":
        return _open_safetensors(path)
    if suffix == ".parquet":
        return _open_parquet(path)
    return _flat(path, read_torch(path))


def _open_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            size = sum(entry.file_size for entry in entries)
            if size > bounds.EMBEDDING_BYTES:
                raise InputError(
                    f"{path}: {size:,} bytes of arrays, more than the {bounds.EMBEDDING_BYTES:,} "
                    "that are read from a zip; save them with np.save, which is read where it lies"
                )
            found = {}
            for entry in entries:
                with archive.open(entry) as member:
                    content = member.read(entry.file_size + 1)
                name = entry.filename.removesuffix(".npy")
                found[name] = array_files.parse_array(
                    io.BytesIO(content),
                    len(content),
                    f"{path}#{name}",
                    texts=True,
                    max_bytes=bounds.EMBEDDING_BYTES,
                )
            return found
    except BROKEN_ZIP as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: damaged or no .npz ({cause}); save it again") from None


def _open_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays that NumPy can map stay on disk; the others (bfloat16, integers) are read."""
    try:
        with safetensors.safe_open(path, framework="np") as opened:  # checks the whole header
            keys = sorted(opened.keys())
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = bounded_json.parse(file.read(length), path)
    except (safetensors.SafetensorError, OSError, *files.NOT_FOR_NUMPY) as error:
        raise InputError(f"{path}: not a safetensors file ({error}); write it again") from None
    mapped = {}
    for key in keys:
        entry = header[key]
        if entry["dtype"] in _TYPES and math.prod(entry["shape"]):
            mapped[key] = np.memmap(
                path,
                _TYPES[entry["dtype"]],
                "r",
                8 + length + entry["data_offsets"][0],
                tuple(entry["shape"]),
            )
    if len(mapped) < len(keys):
        mapped |= {k: v for k, v in files.read_arrays(path).items() if k not in mapped}
    return mapped


def _open_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(
            f"{path}: parquet is read by pyarrow, which is not installed; "
            "pip install 'jaxvlm[parquet]'"
        ) from None
    try:
        table = parquet.read_table(path)
        return {
            name: found
            for name in table.column_names
            if (found := _column(pyarrow, table.column(name))) is not None
        }
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a parquet table ({cause}); write it again") from None


def _column(pyarrow: Any, column: Any) -> np.ndarray | None:
    """A column of lists of one length as [N, D], of numbers or texts as [N], else None."""
    types = pyarrow.types
    kind = column.type
    lists = types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)
    if column.null_count or not (lists or types.is_string(kind) or types.is_large_string(kind)):
        numbers = types.is_integer(kind) or types.is_floating(kind)
        return column.to_numpy() if numbers and not column.null_count else None
    if not lists:
        return np.array(column.to_pylist(), np.str_)
    rows = column.combine_chunks()
    values = rows.flatten().to_numpy(zero_copy_only=False)
    if not len(rows) or len(values) % len(rows):
        return None
    if not types.is_fixed_size_list(kind):
        lengths = rows.value_lengths().to_numpy()
        if (lengths != lengths[0]).any():
            return None
    return values.reshape(len(rows), -1)


def _flat(path: Path, value: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of nested dicts by joined keys; a list of texts is an array, too."""
    if isinstance(value, np.ndarray):
        return {prefix or "features": value}
    if isinstance(value, Mapping):
        found: dict[str, np.ndarray] = {}
        for key, inner in value.items():
            found |= _flat(path, inner, f"{prefix}.{key}" if prefix else str(key))
        return found
    if isinstance(value, list | tuple) and value:
        if all(isinstance(entry, str) for entry in value):
            return {prefix: np.array(value, np.str_)}
        if all(type(entry) in (int, float) for entry in value):
            return {prefix: np.array(value)}
        if all(isinstance(entry, np.ndarray) for entry in value):  # (features, labels)
            return dict(zip(("features", "labels"), value, strict=False))
    if not prefix:
        raise InputError(f"{path}: no tensor in it; save a tensor, or a dict of tensors")
    return {}
