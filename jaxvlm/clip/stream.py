"""Any number of pictures through the encoder: hosts decode while devices compute."""

import collections
import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvlm import parallel
from jaxvlm.clip import preprocessing
from jaxvlm.clip.embeddings import encode_images
from jaxvlm.clip.encoder import Encoder, make_encoder
from jaxvlm.clip.model import ClipModel
from jaxvlm.data.waiting import read_ahead
from jaxvlm.errors import InputError, item_failure

_IN_FLIGHT = 2  # batches on the device: one that is computed, one that is copied


class EncodedBatch(NamedTuple):
    """Part of a stream: which items, and what ``encode`` gave for them, [n, ...] each."""

    indices: np.ndarray
    values: Any


def encode_image_stream(
    model: ClipModel, items: Iterable[Any], *, batch_size: int = 32, **options: Any
) -> tuple[Any, list[tuple[int, str]]]:
    """Encodes any number of pictures and collects them; ``options`` as of `encode_batches`.

    Returns (embeddings, failures): what ``encode`` gives, by default float32 [N, D],
    unnormalised, of the N readable items in order, and (index in ``items``, message) for each
    item whose reading raised InputError;
    ``np.delete(range(len(items)), [i for i, _ in failures])`` are the items of the rows.
    """
    failures: list[tuple[int, str]] = []
    encoder = make_encoder(model, batch_size=batch_size)
    parts = [part.values for part in encode_batches(encoder, items, failures=failures, **options)]
    if not parts:
        parts = [no_rows(model, options.get("encode", encode_images))]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts), failures


def encode_batches(
    encoder: Encoder,
    items: Iterable[Any],
    *,
    failures: list[tuple[int, str]],
    workers: int | None = None,
    read: Callable[[Any], np.ndarray] | None = None,
    encode: Callable[[ClipModel, jax.Array], Any] = encode_images,
) -> Iterator[EncodedBatch]:
    """Yields what ``encode`` gives for the readable items, in their order, batch by batch.

    A sequence is read and cropped by grain's threads; whatever else can be iterated, such as the
    frames of a video, is drawn by one thread and cropped by others, two batches ahead at most. That
    goes on while the device computes and while who takes the batches works on them. Bytes travel to
    the device, where they become pixel values; two batches are on their way at a time. Every batch
    has the encoder's size; rows without a picture are dropped. What it took is added to the
    encoder's statistics.

    Args:
      items: paths of pictures or arrays H×W×3 uint8 RGB, or whatever ``read`` turns into such
        arrays. With a mesh over several processes: this process's share, a sequence; processes with
        fewer items take part in the others' steps with empty batches.
      failures: gets (index in ``items``, message) for each item whose reading raised InputError.
      workers: threads that read; None: one per core.
      encode: what to compute of pixel values [B, 3, S, S], an array [B, ...] or a tree of them.
    """
    model, mesh, statistics = encoder.placed, encoder.mesh, encoder.statistics
    rows = encoder.batch_size * parallel.rows_here(mesh)
    devices = mesh if model.backend == "jax" else None  # else each process computes its own rows
    steps = None
    if parallel.spans_processes(mesh):
        if not isinstance(items, Sequence):
            raise TypeError("items for several processes: give a sequence")
        steps = parallel.largest(-(-len(items) // rows))
    table = preprocessing.pixel_table(model.preprocessing)
    running: collections.deque[tuple[list[int], Any]] = collections.deque()
    batches = _batches(model, items, rows, steps, read, workers, failures)
    with ThreadPoolExecutor(1) as watcher, contextlib.closing(batches):
        start = time.perf_counter()
        finished: Future | None = None
        try:
            for indices, batch in batches:
                if finished is None or finished.done():
                    idle_since = finished.result() if finished else start
                    statistics.device_idle_seconds += time.perf_counter() - idle_since
                pixels = preprocessing.pixel_values(table, parallel.shard_rows(batch, devices))
                values = encode(model, pixels)
                finished = watcher.submit(_finishing_time, values)
                running.append((indices, values))
                statistics.encoded += len(indices)
                if len(running) == _IN_FLIGHT:
                    yield from _collect(*running.popleft())
            for part in running:
                yield from _collect(*part)
        finally:  # also of a stream that is left early
            statistics.seconds += time.perf_counter() - start


def no_rows(model: ClipModel, encode: Callable[[ClipModel, jax.Array], Any]) -> Any:
    """What a stream of no pictures gives: arrays [0, ...]."""
    model = dataclasses.replace(model, backend="jax")  # what can be traced
    side = model.config.vision_config.image_size
    shapes = jax.eval_shape(
        lambda pixels: encode(model, pixels), jax.ShapeDtypeStruct((1, 3, side, side), np.float32)
    )
    return jax.tree.map(lambda leaf: np.zeros((0, *leaf.shape[1:]), leaf.dtype), shapes)


def _batches(
    model: ClipModel,
    items: Iterable[Any],
    rows: int,
    steps: int | None,
    read: Callable[[Any], np.ndarray] | None,
    workers: int | None,
    failures: list[tuple[int, str]],
) -> Iterator[tuple[list[int], np.ndarray]]:
    """(indices, bytes [rows, S, S, 3]) step by step; rows behind the indices are empty."""

    def prepare(item: Any) -> np.ndarray | InputError:
        try:
            if read is None:
                return preprocessing.read_crop(model, item)
            return preprocessing.crop(model, read(item))
        except InputError as error:
            return error
        except OSError as error:
            return InputError(item_failure(error, item))

    side = model.preprocessing.crop
    crops = _prepared(items, prepare, workers or os.cpu_count() or 1, 2 * rows)
    done = 0
    with contextlib.closing(crops):
        prepared = enumerate(crops)
        while part := _readable(prepared, rows, failures):
            batch = np.zeros((rows, side, side, 3), np.uint8)
            batch[: len(part)] = [crop for _, crop in part]
            yield [index for index, _ in part], batch
            done += 1
    for _ in range(done, steps or 0):
        yield [], np.zeros((rows, side, side, 3), np.uint8)


def _readable(
    prepared: Iterator[tuple[int, np.ndarray | InputError]],
    rows: int,
    failures: list[tuple[int, str]],
) -> list[tuple[int, np.ndarray]]:
    """The next pictures, as many as fill a batch; what cannot be read is noted."""
    part: list[tuple[int, np.ndarray]] = []
    for index, crop in prepared:
        if isinstance(crop, InputError):
            failures.append((index, str(crop)))
            continue
        part.append((index, crop))
        if len(part) == rows:
            break
    return part


def _prepared(
    items: Iterable[Any], prepare: Callable[[Any], Any], workers: int, ahead: int
) -> Iterator[Any]:
    """``prepare(item)`` in order, by threads that work ahead."""
    if isinstance(items, Sequence):
        if not len(items):  # grain refuses an empty source
            return
        import grain  # not for the frames of a video, which are no sequence

        options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=ahead)
        source = grain.MapDataset.source(range(len(items)))  # items may be anything, even None
        read = iter(source.map(lambda index: prepare(items[index])).to_iter_dataset(options))
        with contextlib.closing(read):  # ends the threads, whatever still refers to it
            yield from read
        return
    with contextlib.closing(read_ahead(_drawn(items, prepare, workers), ahead)) as read:
        yield from read


def _drawn(items: Iterable[Any], prepare: Callable[[Any], Any], workers: int) -> Iterator[Any]:
    """``prepare(item)`` in order. Two items for each thread wait for it, and no more: they may be
    large; with fewer who draws them would wait for who prepares them."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: collections.deque[Future] = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(prepare, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _collect(indices: list[int], values: Any) -> Iterator[EncodedBatch]:
    """Waits for a batch; drops the rows that held no picture."""
    if indices:
        kept = jax.tree.map(lambda array: parallel.own_rows(array)[: len(indices)], values)
        yield EncodedBatch(np.asarray(indices), kept)


def _finishing_time(values: Any) -> float:
    jax.block_until_ready(values)
    return time.perf_counter()
