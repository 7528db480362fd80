"""Encode once: what the store knows is read, the rest is encoded and kept."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxvlm import parallel
from jaxvlm.clip import store
from jaxvlm.clip.embeddings import encode_images
from jaxvlm.clip.encoder import Encoder
from jaxvlm.clip.model import ClipModel, weights_hash
from jaxvlm.clip.store import Column, Table
from jaxvlm.clip.stream import EncodedBatch, encode_batches, no_rows
from jaxvlm.data.image_sets import content_hashes
from jaxvlm.errors import InputError

# A chunk is what a kill can cost, and what is in memory at a time: of patches a row has megabytes.
_CHUNK_ROWS, _CHUNK_BYTES = 256, 2**25


class _Chosen(Sequence):
    """Some of the items, each asked for only when it is needed: it may be made then."""

    def __init__(self, items: Sequence[Any], chosen: Sequence[int]) -> None:
        self._items, self._chosen = items, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Any:
        return self._items[self._chosen[index]]


def encode_items(
    encoder: Encoder,
    items: Sequence[Any],
    *,
    computed: Mapping[str, Any],
    failures: list[tuple[int, str]],
    encode: Callable[[ClipModel, jax.Array], Any] = encode_images,
    read: Callable[[Any], np.ndarray] | None = None,
) -> Iterator[EncodedBatch]:
    """`encode_batches` through the store: every readable item once, in any order.

    Rows that the store has cost no forward pass; the rest is encoded and kept, a chunk at a time,
    so that a run that is stopped at any moment goes on where it was.

    Args:
      items: files of pictures; with several processes this one's share (`parallel.own_items`).
      computed: JSON that says what ``encode`` computes besides the weights: its name, its settings,
        hashes of the labels that it looks at. Two runs share rows where it is equal.
      failures, encode, read: as of `encode_batches`.
    """

    def encoded(chosen: Sequence[int]) -> Iterator[EncodedBatch]:
        return _encode(encoder, items, chosen, failures, encode, read)

    if encoder.store_dir is None:
        yield from encoded(range(len(items)))
        return
    structure = no_rows(encoder.model, encode)
    columns = {n: Column(r.shape[1:], r.dtype) for n, r in _by_name(structure).items()}
    table = store.open_table(encoder.store_dir, _description(encoder, computed), columns)
    # None where a file cannot be read: that will be reported when it is tried.
    digests = [hexed and bytes.fromhex(hexed) for hexed in content_hashes(items)]
    waiting = set(range(len(items)))

    def stored() -> Iterator[EncodedBatch]:
        equal: dict[bytes, list[int]] = {}
        for i in sorted(waiting):
            if digests[i] in table.rows:
                equal.setdefault(digests[i], []).append(i)
        for keys, rows in store.read_rows(table, equal):
            block = [i for key in keys for i in equal[key]]
            copies = np.repeat(np.arange(len(keys)), [len(equal[key]) for key in keys])
            encoder.statistics.from_store += len(block)
            waiting.difference_update(block)
            yield EncodedBatch(
                np.asarray(block, np.int64),
                _like(structure, {name: array[copies] for name, array in rows.items()}),
            )

    yield from stored()
    first: dict[bytes, int] = {}  # of equal files one is encoded
    for i in sorted(waiting):
        if digests[i] is not None:
            first.setdefault(digests[i], i)
    waiting.difference_update(first.values())
    yield from _kept(table, digests, encoded(list(first.values())))
    yield from stored()
    yield from encoded(sorted(waiting))  # what no file is, and copies of what cannot be read


def encode_keyed(
    encoder: Encoder,
    keys: Sequence[bytes],
    draw: Callable[[Sequence[int]], Iterable[np.ndarray]],
    *,
    computed: Mapping[str, Any],
    encode: Callable[[ClipModel, jax.Array], Any] = encode_images,
) -> Iterator[EncodedBatch]:
    """`encode_items` of pictures that are no files, such as a video's frames: every one once, those
    that the store has first.

    Args:
      keys: 32 bytes for each picture, equal where the pictures are; they find it in the store.
      draw: gives the pictures of some places, which increase, one after the other. It is asked for
        those only that have to be encoded, and may raise InputError.
      computed, encode: as of `encode_items`; ``computed`` must say what the keys are made of.

    The encoder has a store. Raises what ``draw`` raises.
    """
    structure = no_rows(encoder.model, encode)
    columns = {n: Column(r.shape[1:], r.dtype) for n, r in _by_name(structure).items()}
    table = store.open_table(encoder.store_dir, _description(encoder, computed), columns)
    equal: dict[bytes, list[int]] = {}
    for i, key in enumerate(keys):
        equal.setdefault(key, []).append(i)

    def copied(own: Sequence[bytes], rows: Mapping[str, np.ndarray]) -> EncodedBatch:
        places = [i for key in own for i in equal[key]]
        copies = np.repeat(np.arange(len(own)), [len(equal[key]) for key in own])
        values = _like(structure, {name: array[copies] for name, array in rows.items()})
        return EncodedBatch(np.asarray(places, np.int64), values)

    missing = dict(equal)
    for own, rows in store.read_rows(table, equal):
        part = copied(own, rows)
        encoder.statistics.from_store += len(part.indices)
        for key in own:
            del missing[key]
        yield part
    first = sorted(group[0] for group in missing.values())
    if first:
        drawn = _all_or_none(encoder, draw(first), encode)
        for part in _kept(table, [keys[i] for i in first], drawn):
            yield copied([keys[first[i]] for i in part.indices], _by_name(part.values))


def _all_or_none(
    encoder: Encoder, pictures: Iterable[np.ndarray], encode: Callable[[ClipModel, jax.Array], Any]
) -> Iterator[EncodedBatch]:
    """`encode_batches` in which one picture that cannot be read is the end of all."""
    failures: list[tuple[int, str]] = []
    yield from encode_batches(encoder, pictures, failures=failures, encode=encode)
    if failures:
        raise InputError(failures[0][1])


def encode_all(
    encoder: Encoder,
    items: Sequence[Any],
    *,
    advance: Callable[[int], object] = lambda count: None,
    finish: Callable[[Any], Any] = lambda values: values,
    **options: Any,
) -> tuple[Any, list[tuple[int, str]]]:
    """`encode_items` of all processes' items, collected: every process gets all rows.

    Args:
      items: the same in every process; each encodes its share.
      advance: is told how many items are done, as they are.
      finish: what to make of the values [n, ...] of a part, so that not all of these are collected.
      options: of `encode_items`.

    Returns (values, failures): [N, ...] of the readable items in order, and (index, message).
    """
    own = np.asarray(parallel.own_items(range(len(items))), np.int64)
    failures: list[tuple[int, str]] = []
    parts = []
    share = [items[i] for i in own]
    with contextlib.closing(encode_items(encoder, share, failures=failures, **options)) as stream:
        for part in stream:
            parts.append(part._replace(values=finish(part.values)))
            advance(len(part.indices))
    empty = finish(no_rows(encoder.model, options.get("encode", encode_images)))
    values = jax.tree.map(
        lambda *arrays: np.concatenate(arrays), empty, *(part.values for part in parts)
    )
    indices = own[np.concatenate([np.zeros(0, np.int64), *(part.indices for part in parts)])]
    values, _ = parallel.gather_rows(values, indices, len(items))
    lost = [(int(own[i]), message) for i, message in failures]
    return values, sorted(tuple(item) for group in parallel.gather(lost) for item in group)


def _encode(
    encoder: Encoder,
    items: Sequence[Any],
    chosen: Sequence[int],
    failures: list[tuple[int, str]],
    encode: Callable[[ClipModel, jax.Array], Any],
    read: Callable[[Any], np.ndarray] | None,
) -> Iterator[EncodedBatch]:
    """`encode_batches` of the chosen items, under their indices among all."""
    if not parallel.largest(len(chosen)):  # no process needs a batch size: none is measured
        return
    own: list[tuple[int, str]] = []
    share = _Chosen(items, chosen)
    for part in encode_batches(encoder, share, failures=own, read=read, encode=encode):
        yield part._replace(indices=np.asarray(chosen, np.int64)[part.indices])
    failures.extend((chosen[i], message) for i, message in own)


def _kept(
    table: Table, digests: Sequence[bytes | None], parts: Iterator[EncodedBatch]
) -> Iterator[EncodedBatch]:
    """The parts, written to the table a chunk at a time; what is there at the end, too."""
    pending: list[EncodedBatch] = []
    chunk = _chunk_rows(table.columns)

    def write(last: bool) -> None:
        nonlocal pending
        indices = np.concatenate([part.indices for part in pending])
        arrays = _by_name(
            jax.tree.map(lambda *a: np.concatenate(a), *(part.values for part in pending))
        )
        done = len(indices) if last else len(indices) // chunk * chunk
        for start in range(0, done, chunk):
            rows = slice(start, min(start + chunk, done))
            store.append_rows(
                table,
                [digests[i] for i in indices[rows]],
                {name: array[rows] for name, array in arrays.items()},
            )
        rest = {name: array[done:] for name, array in arrays.items()}
        pending = [EncodedBatch(indices[done:], _like(pending[0].values, rest))]

    try:
        for part in parts:
            pending.append(part)
            if sum(len(part.indices) for part in pending) >= chunk:
                write(last=False)
            yield part
    finally:  # also when the run is interrupted: appending a row twice does no harm
        if pending:
            write(last=True)


def _chunk_rows(columns: Mapping[str, Column]) -> int:
    row = sum(math.prod(column.shape) * column.dtype.itemsize for column in columns.values())
    return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // row))


def _description(encoder: Encoder, computed: Mapping[str, Any]) -> dict[str, Any]:
    model = encoder.model
    own = {} if model.backend == "jax" else {"backend": model.backend}
    return {
        "computed": dict(computed),
        "weights": weights_hash(model),
        "architecture": model.architecture._asdict(),
        "preprocessing": model.preprocessing._asdict(),
        **own,
    }


def _by_name(values: Any) -> dict[str, Any]:
    """The arrays of a tree by the names of their fields; "image" for a lone array."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(values)
    return {
        jax.tree_util.keystr(path, simple=True, separator="_") or "image": leaf
        for path, leaf in leaves
    }


def _like(structure: Any, rows: Mapping[str, np.ndarray]) -> Any:
    return jax.tree.unflatten(
        jax.tree.structure(structure), [rows[name] for name in _by_name(structure)]
    )
