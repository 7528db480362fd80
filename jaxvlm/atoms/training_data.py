"""What role learning trains on: videos padded to one shape, with labels, candidates and prior."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms.roles import Strengths
from jaxvlm.errors import InputError

# An atom's presence is calibrated to run from σ(−4) = 0.02 at its low quantile to σ(4) = 0.98 at
# its high one. The high quantile lies far out because most atoms are rare.
_LOW_QUANTILE = 0.05
_HIGH_QUANTILE = 0.995
_SPREAD = 8.0
_SMALLEST_SPREAD = 1e-3


class TrainingData(NamedTuple):
    """Padded videos. With calibration, presence is stored as scale·(p̄ − center)."""

    presence: jax.Array  # [N, T, C]
    mask: jax.Array  # [N, T], 1 for a frame, 0 for padding
    labels: jax.Array  # [N, E], 0 or 1
    candidates: jax.Array  # [C, E], 0 or 1
    scale: jax.Array  # [C]
    center: jax.Array  # [C]
    prior: Strengths | None  # [C, E] each, hand-written strengths in [0, 1]


def pack_videos(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    calibrate: bool,
    candidates: ArrayLike | None = None,
    prior: Sequence[ArrayLike] | None = None,
    names: Sequence[str] | None = None,
) -> TrainingData:
    """Checks and pads videos; every check a user's files can fail is here.

    Args:
      videos: N arrays [T_n, C] of p̄.
      labels: [N, E] 0/1.
      calibrate: start each atom's calibration from its own midpoint and spread over all frames.
      candidates: [C, E] 0/1; None: all.
      prior: direct, indirect and counter strengths [C, E] in [0, 1], or None.
      names: what the videos are called in error messages; None: "video 0", "video 1", ….

    Raises:
      InputError: no videos, an empty one, different atom counts, NaN or infinity, labels that are
        no 0/1, shapes that do not fit.
    """
    names = [f"video {n}" for n in range(len(videos))] if names is None else list(names)
    arrays = [np.asarray(video, np.float32) for video in videos]
    labels = np.asarray(labels, np.float32)
    _check_videos(arrays, names)
    _check_labels(labels, len(arrays))
    num_atoms, num_events = arrays[0].shape[1], labels.shape[1]
    if candidates is None:
        candidates = np.ones((num_atoms, num_events))
    candidates = _strength_table("candidates", candidates, (num_atoms, num_events))
    if prior is not None:
        shape = (num_atoms, num_events)
        prior = Strengths(*(_strength_table("prior", table, shape) for table in prior))

    scale, center = np.ones(num_atoms, np.float32), np.zeros(num_atoms, np.float32)
    if calibrate:
        low, high = np.quantile(np.concatenate(arrays), [_LOW_QUANTILE, _HIGH_QUANTILE], axis=0)
        center = ((low + high) / 2.0).astype(np.float32)
        scale = (_SPREAD / np.maximum(high - low, _SMALLEST_SPREAD)).astype(np.float32)
    longest = max(len(array) for array in arrays)
    presence = np.zeros((len(arrays), longest, num_atoms), np.float32)
    mask = np.zeros((len(arrays), longest), np.float32)
    for n, array in enumerate(arrays):
        presence[n, : len(array)] = scale * (array - center)
        mask[n, : len(array)] = 1.0
    return jax.tree.map(
        jnp.asarray, TrainingData(presence, mask, labels, candidates, scale, center, prior)
    )


def _check_videos(arrays: Sequence[np.ndarray], names: Sequence[str]) -> None:
    if not arrays:
        raise InputError("train_roles: there are no videos to learn from; add runs")
    for array, name in zip(arrays, names, strict=True):
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(f"{name}: presence has shape {array.shape}; give [frames, atoms] ≥ 1")
        if array.shape[1] != arrays[0].shape[1]:
            raise InputError(
                f"{name}: {array.shape[1]} atoms, but {names[0]} has {arrays[0].shape[1]}; "
                "make all runs with one ontology"
            )
        bad = int(np.count_nonzero(~np.isfinite(array).all(axis=1)))
        if bad:
            raise InputError(
                f"{name}: presence holds NaN or infinity in {bad} of {len(array)} frames; "
                "make the run again"
            )


def _check_labels(labels: np.ndarray, num_videos: int) -> None:
    if labels.ndim != 2 or labels.shape[0] != num_videos or labels.shape[1] == 0:
        raise InputError(
            f"labels: shape {labels.shape} does not fit {num_videos} videos; give [videos, events]"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError("labels: a value is neither 0 nor 1; correct the label table")


def _strength_table(name: str, table: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    table = np.asarray(table, np.float32)
    if table.shape != shape:
        raise InputError(f"{name}: shape {table.shape}, expected {shape}; give [atoms, events]")
    if not ((table >= 0.0) & (table <= 1.0)).all():
        raise InputError(f"{name}: a value is outside [0, 1]; correct it")
    return table
