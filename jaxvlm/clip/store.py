"""The embedding store: what was computed from a file once stays on disk for every later run.

A store is a folder with one *table* per description: what is computed, from which weights, with
which preprocessing and settings. A table has one row per item, addressed by the SHA-256 of the
item's content, so a file that is renamed, or stands in two sets, is encoded once.

    STORE/KEY/description.json    the description, the columns, and R, the rows per chunk
    STORE/KEY/COLUMN/             zarr v3 array [2⁵³, R, *shape]: number of the chunk, row in it
    STORE/KEY/content/            the same, [2⁵³, R, 32] uint8: whose rows these are (0: no row)

Rows come in chunks of up to R, one file per column. The number of a chunk is a hash of the digests
of its rows, so any number of processes, on all hosts that share the folder, write without talking
to each other, and two that write the same rows write them to the same place. A file is written
under a temporary name, flushed and renamed; ``content`` is written last, and a chunk is there when
all its files are. So a process that is killed, at whatever moment, loses the chunk in flight and
nothing else. Every file ends with a checksum: a damaged one is never returned.

    table = open_table(folder, description, columns)
    forget_damaged(table, digests)
    for indices in batches of missing(table, digests):  # nothing, in a second run
        append_rows(table, [digests[i] for i in indices], encode(indices))
    rows = read_rows(table, digests)
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorstore

from jaxvlm.clip import store_arrays
from jaxvlm.clip.store_arrays import CONTENT, DESCRIPTION, DIGEST_BYTES, Column, Record
from jaxvlm.errors import InputError


class Table(NamedTuple):
    """An open table: where it is, its columns, and the rows that are known to be there.

    ``chunks`` maps the number of a chunk to the digests of its rows, ``rows`` a digest to (number,
    row). They show the folder as it was when the table was opened, and what was appended through
    this table since; what other processes appended is seen by opening it again.
    """

    folder: Path
    columns: Mapping[str, Column]
    chunk_rows: int
    arrays: Mapping[str, tensorstore.TensorStore]
    chunks: dict[int, tuple[bytes, ...]]
    rows: dict[bytes, tuple[int, int]]


class TableSummary(NamedTuple):
    """What a table of a store holds: rows, and bytes on the disk."""

    folder: Path
    description: Any
    rows: int
    bytes: int


def table_key(description: Mapping[str, Any]) -> str:
    """The name of a table's folder: 32 hexadecimal digits of SHA-256 of the description as JSON.

    The order of keys does not matter. Raises TypeError or ValueError for what is not JSON.
    """
    return hashlib.sha256(store_arrays.canonical_json(description).encode()).hexdigest()[:32]


def open_table(
    store_dir: str | os.PathLike,
    description: Mapping[str, Any],
    columns: Mapping[str, Any],
    *,
    chunk_rows: int = 256,
) -> Table:
    """Opens the table of a description, or creates it, and finds the rows that are there.

    tensorstore has threads from then on, and aborts a process that forks: workers are spawned, or
    forked before.

    Args:
      store_dir: the folder of the store; created where it is missing.
      description: JSON values; everything that a row depends on, but the item, must be in it.
      columns: name -> shape and dtype of one row: a Column, a jax.ShapeDtypeStruct or an array.
      chunk_rows: R of a new table; one that is there keeps its own (``Table.chunk_rows``).

    Raises:
      InputError: the folder holds another description or other columns, or cannot be used.
      ValueError: a column that cannot be stored, no column, or R < 1.
    """
    columns = {name: store_arrays.as_column(name, columns[name]) for name in sorted(columns)}
    if not columns or chunk_rows < 1:
        raise ValueError(f"{len(columns)} columns, {chunk_rows} rows per chunk: both must be ≥ 1")
    folder = Path(store_dir).absolute() / table_key(description)
    if not (folder / DESCRIPTION).exists():
        store_arrays.write_record(folder, Record(description, columns, chunk_rows))
    # Read in any case: another process may have created the table at the same time.
    record = store_arrays.read_record(folder)
    if table_key(record.description) != table_key(description):
        raise InputError(f"{folder}: holds another description; move it out of the store")
    for name in sorted({*columns, *record.columns}):
        there, asked = record.columns.get(name), columns.get(name)
        if there != asked:
            raise InputError(
                f"{folder}: column {name!r}: {_in_words(there)} in the store, {_in_words(asked)} "
                f"now; remove the folder or choose another store"
            )
    return _open(folder, record)


def missing(table: Table, digests: Sequence[bytes]) -> list[int]:
    """Indices of the digests that have no row, each digest once, where it comes first."""
    first: dict[bytes, int] = {}
    for i, digest in enumerate(digests):
        if digest not in table.rows:
            first.setdefault(_checked(digest), i)
    return list(first.values())


def forget_damaged(table: Table, digests: Iterable[bytes]) -> int:
    """Reads the chunks of these digests and forgets the damaged ones; returns how many rows.

    ``missing`` then names those rows, and appending them makes them whole. Nothing is removed from
    the disk. Digests without a row are passed over.
    """
    before = len(table.rows)
    unchecked = {table.rows[digest][0] for digest in digests if digest in table.rows}
    while unchecked:
        wanted = [(name, number) for number in sorted(unchecked) for name in table.columns]
        chunks = store_arrays.read_chunks(table.arrays, wanted)
        damaged = {chunk.number for chunk in chunks if chunk.values is None}
        lost = {digest for number in damaged for digest in table.chunks.pop(number)}
        if lost:
            table.rows.clear()
            table.rows.update(_index(table.chunks))
        # A row that was written twice is still in another chunk.
        unchecked = {table.rows[digest][0] for digest in lost if digest in table.rows}
    return before - len(table.rows)


def read_rows(
    table: Table, digests: Sequence[bytes], *, columns: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Rows of N digests in the order given: column -> [N, *shape]. A digest may come twice.

    ``columns``: the names to read; None: all.

    Raises:
      InputError: a digest has no row, or its chunk is damaged (see ``forget_damaged``).
    """
    places: dict[int, tuple[list[int], list[int]]] = {}
    for i, digest in enumerate(digests):
        if digest not in table.rows:
            raise InputError(f"{table.folder}: no row of {digest.hex()}; encode its file first")
        number, row = table.rows[digest]
        positions, rows = places.setdefault(number, ([], []))
        positions.append(i)
        rows.append(row)
    chosen = {name: table.columns[name] for name in (table.columns if columns is None else columns)}
    result = {name: np.empty((len(digests), *c.shape), c.dtype) for name, c in chosen.items()}
    wanted = [(name, number) for number in places for name in chosen]
    for name, number, values, damage in store_arrays.read_chunks(table.arrays, wanted):
        if values is None:
            path = store_arrays.chunk_path(table.folder, table.arrays[name], name, number)
            raise InputError(f"{path}: damaged ({damage}); remove it and run again")
        positions, rows = places[number]
        result[name][positions] = values[rows]
    return result


def append_rows(table: Table, digests: Sequence[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes up to R rows as one chunk, whole or not at all; on return they are on the disk.

    A digest that has a row, or comes twice, is passed over: rows are never changed.

    Args:
      digests: SHA-256 of the content of each of N items.
      arrays: for every column the rows [N, *shape], in the column's dtype.

    Raises:
      InputError: the folder cannot be written.
      ValueError: more than R rows, or not the columns of the table.
    """
    arrays = {name: np.asarray(arrays[name]) for name in sorted(arrays)}
    given = {name: Column(values.shape, values.dtype) for name, values in arrays.items()}
    expected = {n: Column((len(digests), *c.shape), c.dtype) for n, c in table.columns.items()}
    if given != expected or len(digests) > table.chunk_rows:
        raise ValueError(f"rows {given}, expected {expected} and up to {table.chunk_rows} rows")
    # Sorted: the same rows make the same chunk in whatever order they come.
    order = sorted(missing(table, digests), key=lambda i: digests[i])
    if not order:
        return
    keys = tuple(digests[i] for i in order)
    number = store_arrays.chunk_number(keys)
    while _keys_on_disk(table, number) not in (None, keys):  # two hashes of 53 bits are the same
        number = (number + 1) % store_arrays.CHUNK_NUMBERS
    content = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, DIGEST_BYTES)
    rows = {name: values[order] for name, values in arrays.items()}
    store_arrays.write_chunk(table.folder, table.arrays, number, {**rows, CONTENT: content})
    table.chunks[number] = keys
    table.rows.update(_index({number: keys}))


def summarize(store_dir: str | os.PathLike) -> list[TableSummary]:
    """What a store holds, table by table, for somebody who wants to know which folder to remove.

    Raises InputError where a table cannot be read.
    """
    summaries = []
    for path in sorted(Path(store_dir).glob(f"*/{DESCRIPTION}")):
        record = store_arrays.read_record(path.parent)
        size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
        rows = len(_open(path.parent.absolute(), record).rows)
        summaries.append(TableSummary(path.parent, record.description, rows, size))
    return summaries


def _open(folder: Path, record: Record) -> Table:
    arrays = store_arrays.open_arrays(folder, record)
    wanted = [(CONTENT, number) for number in store_arrays.complete_chunks(arrays)]
    contents = store_arrays.read_chunks({CONTENT: arrays[CONTENT]}, wanted)
    chunks = {c.number: _keys(c.values) for c in contents if c.values is not None}
    return Table(folder, record.columns, record.chunk_rows, arrays, chunks, _index(chunks))


def _index(chunks: Mapping[int, tuple[bytes, ...]]) -> dict[bytes, tuple[int, int]]:
    return {
        digest: (number, row) for number, keys in chunks.items() for row, digest in enumerate(keys)
    }


def _keys(content: np.ndarray) -> tuple[bytes, ...]:
    filled = content[content.any(axis=1)]
    data = filled.tobytes()
    return tuple(data[i : i + DIGEST_BYTES] for i in range(0, len(data), DIGEST_BYTES))


def _keys_on_disk(table: Table, number: int) -> tuple[bytes, ...] | None:
    chunk = next(store_arrays.read_chunks(table.arrays, [(CONTENT, number)]))
    return None if chunk.values is None else _keys(chunk.values)


def _checked(digest: bytes) -> bytes:
    if not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES or not any(digest):
        raise ValueError(f"{digest!r}: not a SHA-256 digest of {DIGEST_BYTES} bytes")
    return digest


def _in_words(column: Column | None) -> str:
    return "none" if column is None else f"{column.dtype} {list(column.shape)}"
