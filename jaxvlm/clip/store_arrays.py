"""What a table of the embedding store is on disk: zarr arrays in chunks, and a description."""

import contextlib
import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore

from jaxvlm import files
from jaxvlm.errors import InputError

CONTENT = "content"
DESCRIPTION = "description.json"
DIGEST_BYTES = 32
CHUNK_NUMBERS = 2**53  # the longest range of integers that every reader of JSON holds exactly
DTYPES = ("float32", "float16", "bfloat16", "int32", "uint8", "bool")

_BYTES_IN_FLIGHT = 2**27
_CHUNKS_IN_FLIGHT = 256
# No locks: every write has a temporary file of its own and ends with a rename, and a lock on a
# network file system can outlive the host that held it. No cache: a chunk is read once per call.
_CONTEXT = {"file_io_locking": {"mode": "none"}, "cache_pool": {"total_bytes_limit": 0}}


class Column(NamedTuple):
    """Shape and dtype of one row of a column."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Record(NamedTuple):
    """What ``description.json`` says: what the rows are, their columns, and R, rows per chunk."""

    description: Any
    columns: Mapping[str, Column]
    chunk_rows: int


class Chunk(NamedTuple):
    """One column's part of a chunk, [R, *shape]; ``values`` is None where it is damaged."""

    name: str
    number: int
    values: np.ndarray | None
    damage: str


def canonical_json(value: Any) -> str:
    """JSON that is the same for equal values: keys sorted, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def as_column(name: str, row: Any) -> Column:
    """The column of anything with a shape and a dtype. Raises ValueError if it cannot be stored."""
    column = Column(tuple(int(length) for length in row.shape), np.dtype(row.dtype))
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == CONTENT:
        raise ValueError(f"column {name!r}: not a name in a-z, 0-9 and _, or taken by the store")
    if column.dtype.name not in DTYPES or min(column.shape, default=1) < 1:
        raise ValueError(f"column {name!r}: no way to store {column.dtype} {column.shape}")
    return column


def write_record(folder: Path, record: Record) -> None:
    """Writes ``description.json``, flushed to the disk like everything else in a table."""
    value = {
        "description": record.description,
        "columns": {
            name: {"dtype": column.dtype.name, "shape": list(column.shape)}
            for name, column in record.columns.items()
        },
        "chunk_rows": record.chunk_rows,
    }
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with input_errors(folder):
        spec = {"driver": "file", "path": f"{folder}/", "context": _CONTEXT}
        tensorstore.KvStore.open(spec).result().write(DESCRIPTION, text.encode()).result()


def read_record(folder: Path) -> Record:
    """Reads ``description.json``. Raises InputError if it is missing or says something else."""
    path = folder / DESCRIPTION
    value = files.read_json(path)
    try:
        columns = {
            name: Column(tuple(c["shape"]), tensorstore.dtype(c["dtype"]).numpy_dtype)
            for name, c in value["columns"].items()
        }
        return Record(value["description"], columns, int(value["chunk_rows"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not the description of a table; remove its folder") from None


def open_arrays(folder: Path, record: Record) -> dict[str, tensorstore.TensorStore]:
    """Opens or creates the array of every column, and of ``content``.

    Raises InputError where one cannot be opened, or is not of the record's shape and dtype.
    """
    columns = {**record.columns, CONTENT: Column((DIGEST_BYTES,), np.dtype(np.uint8))}
    with input_errors(folder):
        context = tensorstore.Context(_CONTEXT)
        opening = {
            name: tensorstore.open(
                _specification(folder / name, column, record.chunk_rows),
                context=context,
                open=True,
                create=True,
            )
            for name, column in columns.items()
        }
        return {name: future.result() for name, future in opening.items()}


def complete_chunks(arrays: Mapping[str, tensorstore.TensorStore]) -> list[int]:
    """Numbers of the chunks that have a file in every column, in order; no file is read."""
    listed = {name: array.kvstore.list() for name, array in arrays.items()}
    numbers = []
    for name, keys in listed.items():
        pattern = re.compile(rb"c\.(\d+)" + rb"\.0" * (arrays[name].rank - 1))
        matches = (pattern.fullmatch(key) for key in keys.result())
        numbers.append({int(match[1]) for match in matches if match})
    return sorted(set.intersection(*numbers))


def read_chunks(
    arrays: Mapping[str, tensorstore.TensorStore], wanted: Iterable[tuple[str, int]]
) -> Iterator[Chunk]:
    """Reads (column, number) after (column, number), many at once, at most 128 MiB on the way."""
    size = max(array.dtype.numpy_dtype.itemsize * array[0].size for array in arrays.values())
    limit = min(max(2, _BYTES_IN_FLIGHT // size), _CHUNKS_IN_FLIGHT)
    pending: deque = deque()
    for name, number in wanted:
        pending.append((name, number, arrays[name][number].read()))
        if len(pending) == limit:
            yield _finished(*pending.popleft())
    while pending:
        yield _finished(*pending.popleft())


def write_chunk(
    folder: Path,
    arrays: Mapping[str, tensorstore.TensorStore],
    number: int,
    rows: Mapping[str, np.ndarray],
) -> None:
    """Writes all columns of a chunk, then ``content``. Raises InputError where that fails."""
    length = arrays[CONTENT].shape[1]
    # Whole chunks: a part of one would be read, changed and written.
    padded = {
        name: np.concatenate([v, np.zeros((length - len(v), *v.shape[1:]), v.dtype)])
        for name, v in rows.items()
    }
    with input_errors(folder):
        writes = [arrays[name][number].write(padded[name]) for name in padded if name != CONTENT]
        for write in writes:
            write.result()
        arrays[CONTENT][number].write(padded[CONTENT]).result()


def chunk_number(digests: Iterable[bytes]) -> int:
    """The number of the chunk that holds these rows."""
    return int.from_bytes(hashlib.sha256(b"".join(digests)).digest()) % CHUNK_NUMBERS


def chunk_path(folder: Path, array: tensorstore.TensorStore, name: str, number: int) -> Path:
    """The file of a column's chunk."""
    return folder / name / f"c.{number}{'.0' * (array.rank - 1)}"


@contextlib.contextmanager
def input_errors(folder: str | os.PathLike) -> Iterator[None]:
    """tensorstore has ValueError for all that a disk can say; here it is one line."""
    try:
        yield
    except ValueError as error:
        raise InputError(
            f"{folder}: the store cannot be used ({_cause(error)}); choose a folder that "
            f"can be written, on a disk with space, or remove this one if it is damaged"
        ) from None


def _finished(name: str, number: int, future: tensorstore.Future) -> Chunk:
    try:
        return Chunk(name, number, future.result(), "")
    except ValueError as error:
        return Chunk(name, number, None, _cause(error))


def _cause(error: ValueError) -> str:
    # CODE: what failed "PATH": why [where='in tensorstore']
    text = re.sub(r" \[\w+='.*", "", " ".join(str(error).split()))
    return text.rsplit('": ', 1)[-1]


def _specification(path: Path, column: Column, chunk_rows: int) -> dict[str, Any]:
    chunk = [1, chunk_rows, *column.shape]
    return {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{path}/"},
        "metadata": {
            "shape": [CHUNK_NUMBERS, *chunk[1:]],
            "data_type": column.dtype.name,
            "fill_value": False if column.dtype == bool else 0,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "codecs": [
                {"name": "bytes", "configuration": {"endian": "little"}},
                # Level 1: unit vectors shrink by 7 %, rows that a short chunk lacks to nothing.
                {"name": "zstd", "configuration": {"level": 1}},
                {"name": "crc32c"},
            ],
        },
        # A chunk of zeros is a chunk; one that is not there is an error and not zeros.
        "store_data_equal_to_fill_value": True,
        "fill_missing_data_reads": False,
    }
