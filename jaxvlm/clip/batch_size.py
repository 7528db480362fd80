"""How many pictures a device takes best at a time: measured once per device and architecture."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

from jaxvlm import files, outputs
from jaxvlm.clip.embeddings import encode_images
from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.preprocessing import pixel_table, pixel_values
from jaxvlm.errors import InputError

_SIZES = tuple(2**n for n in range(11))
_GAIN = 1.03  # a larger batch must be this much faster, or it only costs memory and latency
_SECONDS = 0.3  # a size is timed at least so long


def measured_batch_size(model: ClipModel, *, cache_dir: str | os.PathLike | None = None) -> int:
    """Pictures per forward pass at which the first device encodes the most per second.

    Powers of two are timed from 1 up, until two in a row are no faster than the best (by 3 %) or
    the device's memory is full. A forward pass of ViT-B/16 on two CPU cores is fastest at 2 to 4
    pictures, on an accelerator at a hundred and more.

    cache_dir: a folder where the answer is kept, by device, architecture, backend and its version,
    so that later runs use the same size and give the same bytes; None: measured anew.
    """
    if cache_dir is None:
        return fastest_size(lambda size: _throughput(model, size))
    path = Path(cache_dir) / f"{_key(model)}.json"
    kept = _read(path)
    if kept is None:
        kept = fastest_size(lambda size: _throughput(model, size))
        record = {"batch_size": kept, "device": jax.devices()[0].device_kind}
        outputs.write_cache(path, json.dumps(record).encode())
    return kept


def fastest_size(throughput: Callable[[int], float | None]) -> int:
    """The power of two of highest throughput; the smaller one unless the larger gains 3 %.

    throughput: pictures per second in batches of a size, None where these do not fit. Stops after
    two sizes without gain. Raises InputError if not even one picture fits.
    """
    best, best_rate, without_gain = 0, 0.0, 0
    for size in _SIZES:
        rate = throughput(size)
        if rate is None:
            break
        if rate > _GAIN * best_rate:
            best, best_rate, without_gain = size, rate, 0
        elif without_gain == 1:
            break
        else:
            without_gain += 1
    if not best:
        raise InputError("device memory: not even one picture fits; use a smaller CLIP")
    return best


def _throughput(model: ClipModel, size: int) -> float | None:
    """Pictures per second in batches of a size; None where these do not fit."""
    side = model.preprocessing.crop
    table, batch = pixel_table(model.preprocessing), np.zeros((size, side, side, 3), np.uint8)

    def encode(batches: int) -> float:
        start, previous = time.perf_counter(), None
        for _ in range(batches):
            values = encode_images(model, pixel_values(table, batch))
            jax.block_until_ready(previous)  # two on their way at a time, as in a stream
            previous = values
        jax.block_until_ready(previous)
        return (time.perf_counter() - start) / batches

    try:
        encode(1)  # compiles
        times = [encode(4)]
        while 4 * sum(times) < _SECONDS:
            times.append(encode(4))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None
    return size / min(times)  # the least disturbed one


def _key(model: ClipModel) -> str:
    device = jax.devices()[0]
    parts = (device.platform, device.device_kind, os.cpu_count(), jax.__version__)
    own = () if model.backend == "jax" else (model.backend, metadata.version(model.backend))
    described = json.dumps([*parts, *model.architecture, *own])
    return hashlib.sha256(described.encode()).hexdigest()[:32]


def _read(path: Path) -> int | None:
    try:
        value = files.read_json(path)["batch_size"]
    except (InputError, KeyError, TypeError):
        return None
    return value if type(value) is int and value >= 1 else None
