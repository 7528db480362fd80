"""One mesh over all devices of all processes; JAX's runtime does the rest.

A mesh has two axes: ``data``, over which pictures and videos are split, and ``label``, over which
a large bank of labels is split. Every process runs the same program on its own share of the input
and takes the same number of steps; the first one writes the tables.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxvlm import joined
from jaxvlm.errors import InputError

DATA, LABEL = "data", "label"
Item = TypeVar("Item")


def start(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Joins this process to the others; call it before anything else of JAX.

    Without arguments JAX finds the cluster itself: SLURM, Open MPI, TPU pods, Kubernetes.

    A process that has joined stays as it is. When one of them is gone the others end within half a
    minute, with one line each, see `joined`.

    Raises InputError: no cluster that JAX knows, or the coordinator does not answer.
    """
    if jax.distributed.is_initialized():
        return
    try:
        joined.join(coordinator_address, num_processes, process_id)
    except (ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"processes cannot be joined ({cause}); give --coordinator_address, --num_processes "
            "and --process_id to each"
        ) from None


def make_mesh(*, label: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """The mesh (data, label) over all devices, or the ones given.

    label: devices that share a label bank between them.

    Raises InputError: a number that does not divide the devices of every process.
    """
    devices = jax.devices() if devices is None else list(devices)
    here = sum(device.process_index == jax.process_index() for device in devices)
    if label < 1 or here % label:
        raise InputError(
            f"label axis of {label}: does not divide the {here} devices of a process; "
            "choose a divisor"
        )
    shape = len(devices) // label, label
    # Auto: the partitioner decides. Flax's CLIP cannot be traced under explicit axes.
    types = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(shape, (DATA, LABEL), axis_types=types, devices=devices)


def rows_here(mesh: Mesh | None) -> int:
    """In how many parts this process's rows of a batch are split: 1 without a mesh."""
    return 1 if mesh is None else mesh.local_mesh.shape[DATA]


def spans_processes(mesh: Mesh | None) -> bool:
    """Whether a computation on the mesh needs every process to take part."""
    return mesh is not None and mesh.is_multi_process


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """The arrays of a tree whole on every device; as they are without a mesh.

    Raises InputError where they are not the same in every process.
    """
    if mesh is None:
        return tree
    require_same(tree, mesh)
    return place(tree, mesh, P())


def require_same(tree: Any, mesh: Mesh | None) -> None:
    """Raises InputError where the arrays of a tree are not the same in every process."""
    if spans_processes(mesh):
        content = hashlib.sha256()
        for leaf in jax.tree.leaves(tree):
            content.update(_data(leaf).tobytes())  # bfloat16 has no buffer
        digests = gather(content.hexdigest())
        others = [number for number, one in enumerate(digests) if one != digests[0]]
        if others:
            raise InputError(
                f"process {others[0]} of {len(digests)} has other weights, files or flags than "
                "process 0; give the same to all"
            )


def place(tree: Any, mesh: Mesh, spec: P) -> Any:
    """The arrays of a tree, which every process has whole, split by ``spec`` over the devices.

    Each process gives its devices their parts, and nothing travels. `jax.device_put` would first
    collect the arrays of all P processes in each, to compare them: P·(P − 1) times their bytes.
    """
    sharding = NamedSharding(mesh, spec)

    def put(leaf: Any) -> jax.Array:
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)))
        if not spans_processes(mesh):
            return jax.device_put(leaf, sharding)
        rows = np.asarray(leaf)
        return jax.make_array_from_callback(rows.shape, sharding, lambda index: rows[index])

    return jax.tree.map(put, tree)


def _data(leaf: Any) -> np.ndarray:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def shard_rows(rows: np.ndarray, mesh: Mesh | None) -> jax.Array:
    """A batch on the devices, split along its first axis; every process gives its own rows.

    rows: as many in every process, a multiple of `rows_here`.
    """
    if mesh is None:
        return jax.device_put(rows)
    return jax.make_array_from_process_local_data(NamedSharding(mesh, P(DATA)), rows)


def own_rows(array: jax.Array) -> np.ndarray:
    """The rows that this process gave, of an array that was computed from `shard_rows`.

    Raises ValueError for an array that is not split by rows: whose they are cannot be told.
    """
    if array.is_fully_addressable:
        return np.asarray(array)
    parts = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    rows = np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])
    if (len(rows) * jax.process_count(), *rows.shape[1:]) != array.shape:
        raise ValueError(f"{array.sharding}: not split by rows, one share per process")
    return rows


def own_items(items: Sequence[Item]) -> Sequence[Item]:
    """This process's share: every n-th of n processes."""
    return items[jax.process_index() :: jax.process_count()]


def largest(value: int) -> int:
    """The largest of a number over the processes."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.process_allgather(np.asarray(value)).max())


def first(value: int) -> int:
    """The first process's number, in all of them."""
    if jax.process_count() == 1:
        return value
    return int(multihost_utils.broadcast_one_to_all(np.asarray(value)))


def gather(value: Any) -> list[Any]:
    """A value of every process, in their order, in every process; anything that is JSON."""
    if jax.process_count() == 1:
        return [value]
    code = np.frombuffer(json.dumps(value).encode(), np.uint8)
    padded = np.zeros(largest(len(code)), np.uint8)
    padded[: len(code)] = code
    lengths = multihost_utils.process_allgather(np.asarray(len(code)))
    texts = multihost_utils.process_allgather(padded)
    return [json.loads(bytes(row[:n])) for row, n in zip(texts, lengths, strict=True)]


def gather_rows(tree: Any, indices: np.ndarray, num_rows: int) -> tuple[Any, np.ndarray]:
    """Rows that the processes hold, in one order in every process.

    Args:
      tree: arrays [n, ...], n differing between processes.
      indices: [n] which row of all ``num_rows`` each is.

    Returns:
      The rows that any process holds, by rising index, and their indices.
    """
    indices = np.asarray(indices, np.int64)
    if jax.process_count() > 1:
        size = largest(len(indices))

        def collect(array: np.ndarray, fill: int = 0) -> np.ndarray:
            padded = np.full((size, *array.shape[1:]), fill, array.dtype)
            padded[: len(array)] = array
            return multihost_utils.process_allgather(padded, tiled=True)

        tree = jax.tree.map(collect, tree)
        indices = collect(indices, fill=num_rows)
    order = np.argsort(indices, kind="stable")
    order = order[indices[order] < num_rows]
    return jax.tree.map(lambda array: np.asarray(array)[order], tree), indices[order]


def is_writer() -> bool:
    """Whether this process writes what belongs to all: tables, pages, manifests."""
    return jax.process_index() == 0
