"""One video's presence to d, b and p̄, by the settings."""

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.video.config import AtomsConfig, threshold

_BUCKET = 64  # frames; videos are padded to multiples of it, so that few lengths are compiled


class Segmented(NamedTuple):
    """One video: d [T], b [T], p̄ [T, C], float32."""

    divergence: np.ndarray
    boundary: np.ndarray
    segment_presence: np.ndarray


def segment(presence: np.ndarray, config: AtomsConfig) -> Segmented:
    """d, b and p̄ of one video's presence [T, C].

    The video is padded to a bucket of lengths and cut again: the window is causal, so what
    follows the last frame cannot matter.
    """
    num_frames, num_atoms = presence.shape
    padded = np.zeros((-(-max(num_frames, 1) // _BUCKET) * _BUCKET, num_atoms), np.float32)
    padded[:num_frames] = presence
    mask = np.arange(len(padded)) < num_frames
    change = divergence(padded)
    boundary = boundary_probability(
        change, delta=_start("delta", config), kappa=_start("kappa", config), mask=mask
    )
    pbar = segment_presence(padded, boundary, **dataclasses.asdict(config.segments))
    return Segmented(*(np.asarray(x)[:num_frames] for x in (change, boundary, pbar)))


def _start(name: str, config: AtomsConfig) -> float | str:
    """The value to start from: "learned" begins at the prototype's number."""
    value = threshold(name, getattr(config.boundary, name))
    return {"delta": 0.6, "kappa": 8.0}[name] if value == "learned" else value
