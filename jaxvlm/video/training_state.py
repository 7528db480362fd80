"""A training that resumes: its state as safetensors, beside a metadata.json."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm import files, outputs, parallel
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.training import TrainState
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.errors import InputError

_ARRAYS = "arrays.safetensors"
_METADATA = "metadata.json"
_KIND = "train_state"


def fingerprints(
    prepared: TrainingData, names: Mapping[str, Sequence[str]], seed: int
) -> dict[str, str]:
    """What a training depends on beside its config, each as a SHA-256.

    names: of the videos, atoms and events, in order. "data" is p̄, masks, candidates and prior.
    """
    fields = prepared._asdict()
    labels = fields.pop("labels")
    return {
        "labels": _sha256(labels),
        "data": _sha256(fields),
        "seed": _sha256(np.int64(seed)),
        **{f"{what} names": _sha256(np.array(list(own))) for what, own in names.items()},
    }


def save_train_state(
    folder: str | os.PathLike,
    state: TrainState,
    config: RoleConfig,
    made_of: Mapping[str, str],
) -> None:
    """Writes a training state with what it belongs to; an older one is replaced.

    made_of: see `fingerprints`. Of several processes the first one writes, and all may call it.
    """
    if not parallel.is_writer():
        return
    arrays = _arrays(state._replace(key=jax.random.key_data(state.key)))
    metadata = {"kind": _KIND, "config": dataclasses.asdict(config)}
    metadata["made_of"] = dict(made_of)
    with outputs.output_path(folder, kind="a training state") as temporary:
        temporary.mkdir()
        files.write_arrays(temporary / _ARRAYS, arrays)
        files.write_json(temporary / _METADATA, metadata)


def load_train_state(
    folder: str | os.PathLike,
    template: TrainState,
    config: RoleConfig,
    made_of: Mapping[str, str],
) -> TrainState:
    """Reads a training state to go on from: training continues bit for bit.

    Args:
      folder: what `save_train_state` wrote.
      template: a state of the run that continues, from `initial_state`; its shapes must fit.
      config, made_of: of the run that continues; all of it must be as it was.

    Raises:
      InputError: no such folder, a damaged one, another config, other data, labels, names or seed.
    """
    folder = outputs.recover(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path, or train first")
    metadata = files.read_json(folder / _METADATA)
    if not isinstance(metadata, dict) or metadata.get("kind") != _KIND:
        raise InputError(f"{folder}: not a training state; check the path")
    trained_with = metadata.get("config")
    if not isinstance(trained_with, dict):
        raise InputError(f"{folder / _METADATA}: lacks config; start in another folder")
    for name, now in dataclasses.asdict(config).items():
        before = trained_with.get(name)
        if before != now:
            raise InputError(
                f"{folder}: was trained with {name}={before}, now it is {now}; "
                "use the old value, or start in another folder"
            )
    before = metadata.get("made_of")
    for what, now in made_of.items():
        if not isinstance(before, dict) or before.get(what) != now:
            raise InputError(
                f"{folder}: is the state of a training with other {what}; "
                "remove it to train anew, or start in another folder"
            )
    raw = template._replace(key=jax.random.key_data(template.key))
    expected = _arrays(raw)
    arrays = files.read_arrays(folder / _ARRAYS)
    for name in sorted(expected.keys() | arrays.keys()):
        before, now = (_kind(table.get(name)) for table in (arrays, expected))
        if before != now:
            raise InputError(
                f"{folder}: {name} is {before}, this run needs {now}; "
                "the atoms or events differ: start in another folder"
            )
    leaves = [jnp.asarray(arrays[name]) for name in expected]
    state = jax.tree.unflatten(jax.tree.structure(raw), leaves)
    return state._replace(key=jax.random.wrap_key_data(state.key))


def _sha256(tree: Any) -> str:
    """Of the arrays of a tree, with their places, types and shapes."""
    digest = hashlib.sha256()
    for name, array in sorted(_arrays(tree).items()):
        digest.update(f"{name} {array.dtype} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _kind(array: np.ndarray | None) -> str:
    return "missing" if array is None else f"{array.dtype} {list(array.shape)}"


def _arrays(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by their path, in tree order: stored files do not depend on Python classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
        for path, leaf in leaves
    }
