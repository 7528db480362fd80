"""The embedding store: what was computed from a file once stays on disk for every later run.

A store is a folder with one *table* per description: what is computed, from which weights, with
which preprocessing and settings. A table has one row per item, found by the SHA-256 of the item's
content, so a file that is renamed, or stands in two sets, is encoded once.

    STORE/KEY/description.json      the description and the columns, for whoever wants to know
    STORE/KEY/DIGEST.safetensors    a chunk: ``keys`` [n, 32] uint8 says whose rows it holds, and
                                    every column has them, [n, *shape]

KEY is a hash of ``description.json``, DIGEST the SHA-256 of the chunk's bytes. A chunk
that has not the digest that it is called by is never returned. It is written under a temporary
name, flushed and renamed, so it is there whole or not at all, and a process that is killed loses
the chunk in flight and nothing else. Nobody waits: any number of processes, on all hosts that share
the folder, write at once. A row that two of them write is there twice, which does no harm.

    table = open_table(folder, description, columns)
    for keys, rows in read_rows(table, digests): ...  # what is there
    append_rows(table, digests, arrays)  # what was not
"""

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.replacing import write_durably
from jaxvlm.terminal import shown

KEYS = "keys"
KEY_BYTES = 32
# By their names in a safetensors file.
DTYPES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "uint8": "U8",
    "bool": "BOOL",
}

_CHUNK = re.compile(r"[0-9a-f]{64}\.safetensors")
_LARGEST = bounds.STORE_CHUNK  # what else has a chunk's name should not fill the memory
_TOGETHER = 4  # chunks that are read at a time, a thread each


class Column(NamedTuple):
    """Shape and dtype of one row of a column."""

    shape: tuple[int, ...]
    dtype: np.dtype


class Table(NamedTuple):
    """An open table: its folder, its columns, and the file name of the chunk with each key's row.

    ``rows`` is as it was when the table was opened, and what was appended through it since; what
    other processes append is seen by opening the table again.
    """

    folder: Path
    columns: Mapping[str, Column]
    rows: dict[bytes, str]


def open_table(
    store_dir: str | os.PathLike, description: Mapping[str, Any], columns: Mapping[str, Column]
) -> Table:
    """Opens the table of a description, or creates it, and reads whose rows are there.

    Chunks that cannot be read are passed over with a warning.

    Args:
      store_dir: the folder of the store; created where it is missing.
      description: JSON values; everything that a row depends on, but the item, must be in it.
      columns: name -> shape and dtype of one row; a dtype of ``DTYPES``.

    Raises:
      InputError: the folder cannot be made or listed.
      TypeError, ValueError: a column that cannot be stored, a description that is not JSON.
    """
    for name, column in columns.items():
        if name == KEYS or column.dtype.name not in DTYPES:
            raise ValueError(f"column {name!r}: no way to store {column.dtype} under this name")
    shapes = {n: {"dtype": c.dtype.name, "shape": list(c.shape)} for n, c in columns.items()}
    record = {"description": description, "columns": shapes}
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    folder = Path(store_dir).absolute() / hashlib.sha256(text.encode()).hexdigest()[:32]
    with _input_errors(folder):
        if not (folder / "description.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            described = json.dumps(record, indent=2, ensure_ascii=False)
            write_durably(folder / "description.json", f"{described}\n".encode())
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if _CHUNK.fullmatch(e.name) and e.is_file())
    table = Table(folder, dict(columns), {})
    for name in names:
        with _passed_over(folder / name):
            table.rows.update(dict.fromkeys(_read_keys(folder / name), name))
    return table


def read_rows(
    table: Table, digests: Iterable[bytes]
) -> Iterator[tuple[list[bytes], dict[str, np.ndarray]]]:
    """The rows of those digests that have one, a few chunks at a time; each chunk is read once.

    Yields (n keys, column -> [n, *shape]), every key once, in the order of the chunks. Rows of a
    chunk that is damaged, or cannot be read, are passed over with a warning, and the table forgets
    them: append them again. A damaged chunk is renamed to DIGEST.damaged.
    """
    wanted: dict[str, set[bytes]] = {}
    for digest in digests:
        if digest in table.rows:
            wanted.setdefault(table.rows[digest], set()).add(digest)
    names = list(wanted)
    with ThreadPoolExecutor(_TOGETHER) as pool:
        for start in range(0, len(names), _TOGETHER):
            group = names[start : start + _TOGETHER]
            reading = [pool.submit(_read_chunk, table, name, wanted[name]) for name in group]
            parts = []
            for name, part in zip(group, reading, strict=True):
                with _passed_over(table.folder / name):
                    parts.append(part.result())
                    continue
                for digest in wanted[name]:  # of a chunk that was passed over
                    del table.rows[digest]
            if parts:
                yield (
                    [key for keys, _ in parts for key in keys],
                    {n: np.concatenate([rows[n] for _, rows in parts]) for n in table.columns},
                )


def append_rows(table: Table, digests: Sequence[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes n rows as one chunk, whole or not at all; on return they are on the disk.

    Args:
      digests: SHA-256 of the content of each of the n items.
      arrays: for every column the rows [n, *shape], in the column's dtype.

    Raises:
      InputError: the folder cannot be written, or the disk is full.
      ValueError: not the columns of the table, no digests, or more than 256 MiB.
    """
    given = {name: Column(np.shape(array), array.dtype) for name, array in arrays.items()}
    expected = {n: Column((len(digests), *c.shape), c.dtype) for n, c in table.columns.items()}
    if given != expected:
        raise ValueError(f"rows {given}, expected {expected}")
    if not digests or {(type(digest), len(digest)) for digest in digests} != {(bytes, KEY_BYTES)}:
        raise ValueError(f"digests: need one or more SHA-256, {KEY_BYTES} bytes each")
    keys = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, KEY_BYTES)
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in (*arrays.items(), (KEYS, keys))}
    )
    if len(content) > _LARGEST:
        raise ValueError(f"chunk of {len(content)} bytes: append fewer rows at a time")
    name = f"{hashlib.sha256(content).hexdigest()}.safetensors"
    with _input_errors(table.folder):
        write_durably(table.folder / name, content)
    table.rows.update(dict.fromkeys(digests, name))


def _read_keys(path: Path) -> list[bytes]:
    """Whose rows a chunk says it holds; its digest is checked when these are read."""
    if path.stat().st_size > _LARGEST:
        raise ValueError("too large for a chunk")
    with safetensors.safe_open(path, framework="np") as opened:
        return _split(opened.get_tensor(KEYS))


def _read_chunk(
    table: Table, name: str, wanted: set[bytes]
) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """The wanted rows of a chunk. Raises ValueError or SafetensorError if it is damaged."""
    with open(table.folder / name, "rb") as file:
        content = file.read(_LARGEST)
    if hashlib.sha256(content).hexdigest() != Path(name).stem:
        raise ValueError("its content has not the digest that it is called by")
    tensors = dict(safetensors.deserialize(content))
    count = len(tensors.get(KEYS, {"data": b""})["data"]) // KEY_BYTES
    columns = table.columns | {KEYS: Column((KEY_BYTES,), np.dtype(np.uint8))}
    expected = {n: (DTYPES[c.dtype.name], [count, *c.shape]) for n, c in columns.items()}
    if {n: (tensor["dtype"], tensor["shape"]) for n, tensor in tensors.items()} != expected:
        raise ValueError("not a chunk of this table")
    arrays = {
        n: np.frombuffer(tensors[n]["data"], c.dtype).reshape(count, *c.shape)
        for n, c in columns.items()
    }
    at = {key: row for row, key in enumerate(_split(arrays.pop(KEYS))) if key in wanted}
    rows = list(at.values())
    return list(at), {n: array[rows] for n, array in arrays.items()}


def _split(keys: np.ndarray) -> list[bytes]:
    if keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != KEY_BYTES:
        raise ValueError(f"keys: {keys.dtype} {keys.shape}")
    data = keys.tobytes()
    return [data[i : i + KEY_BYTES] for i in range(0, len(data), KEY_BYTES)]


@contextlib.contextmanager
def _passed_over(path: Path) -> Iterator[None]:
    """A chunk that cannot be read is a warning; one that is damaged is renamed, too, so that the
    next run does not meet it again."""
    try:
        yield
    except OSError as error:
        warnings.warn(
            f"{path}: cannot be read ({error.strerror or error}); its rows are encoded again",
            stacklevel=3,
        )
    except (ValueError, safetensors.SafetensorError) as error:
        with contextlib.suppress(OSError):  # of a store that may only be read
            os.replace(path, path.with_suffix(".damaged"))
        cause = " ".join(str(error).split())
        message = shown(f"{path}: damaged ({cause}); its rows are encoded again")
        warnings.warn(message, stacklevel=3)


@contextlib.contextmanager
def _input_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder}: the store cannot be used ({error.strerror or error}); choose a folder that "
            "can be written, on a disk with space"
        ) from None
