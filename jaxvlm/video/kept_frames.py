"""What the encoder gave of a video's frames, kept beside its tables, so that they can be made anew
with another threshold, other boundaries, roles or atoms, without the video and a forward pass."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import clip, files, names
from jaxvlm.data import feature_files, images
from jaxvlm.errors import InputError
from jaxvlm.video.frame_presence import AtomBank, FrameFeatures, presence_in_blocks
from jaxvlm.video.role_model import RoleModel

FILE = feature_files.KEPT
ROW_FRAMES = "frames_per_row"  # told of a video whose features were given
_ARRAYS = {
    "instants": (1, "int64"),
    "times": (1, "float64"),
    "image_embeddings": (2, "float32"),
    "presence": (2, "float32"),
}
_ROUNDING = 1e-5  # of presence, a share
# Of the settings of presence, those that it depends on before captions lift it.
_PRESENCE = ("kind", "patches", "reference", "renormalize")
_OF_SPARSE = ("penalty", "center")


class Frames(NamedTuple):
    """T frames of a video: sampling instants k [T], seconds [T], image embeddings [T, D], and
    presence p [T, C] before captions lift it."""

    instants: np.ndarray
    times: np.ndarray
    image_embeddings: np.ndarray
    presence: np.ndarray


def description(made_by: Mapping[str, Any], roles: RoleModel) -> dict[str, Any]:
    """What frames were seen with, as JSON: the encoder, fps, and all that their presence is of.

    made_by: what is known of the encoder, see `clip.clip_record`.
    """
    presence = dataclasses.asdict(roles.config.presence)
    fields = (*_PRESENCE, *(_OF_SPARSE if presence["kind"] == "sparse" else ()))
    return {
        "clip": dict(made_by),
        "fps": float(roles.config.fps),
        "seen_as": {
            "presence": {name: presence[name] for name in fields},
            "atoms": list(roles.atoms),
            "templates": list(roles.templates),
            "neutral_prompts": list(roles.neutral_prompts),
        },
    }


def write_frames(
    folder: Path, frames: Frames, seen: Mapping[str, Any], video: Mapping[str, Any]
) -> None:
    """Writes `FILE` into a folder. seen: the `description`; video: its path and SHA-256."""
    arrays = {
        "instants": np.asarray(frames.instants, np.int64),
        "times": np.asarray(frames.times, np.float64),
        "image_embeddings": np.asarray(frames.image_embeddings, np.float32),
        "presence": np.asarray(frames.presence, np.float32),
    }
    files.write_arrays(folder / FILE, arrays, about={**seen, "video": dict(video)})


def read_frames(path: str | os.PathLike) -> tuple[Frames, dict[str, Any]]:
    """Kept frames, and what they were seen with. Raises InputError for what `write_frames` did not
    write."""
    arrays, about = files.read_arrays(path), files.read_about(path)
    told = (
        isinstance(about, dict)
        and all(isinstance(about.get(name), dict) for name in ("clip", "seen_as", "video"))
        and isinstance(about.get("fps"), float)
        and about["fps"] > 0
    )
    if not told or (cause := _misfit(arrays)):
        cause = "its header tells of no video" if not told else cause
        raise InputError(
            f"{path}: not the frames that score-video keeps ({cause}); score the video again"
        )
    return Frames(*(arrays[name] for name in _ARRAYS)), about


def _misfit(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Why arrays are not those that `write_frames` wrote; None where they are."""
    for name, (rank, kind) in _ARRAYS.items():
        array = arrays.get(name)
        if array is None or array.ndim != rank or array.dtype != kind:
            return f"no {name} of {kind} with {rank} axes"
        if not len(array) or len(array) != len(arrays["instants"]):
            return f"{len(array)} rows of {name}"
        if not np.isfinite(array).all():
            return f"{name} with NaN or infinity"
    increase = all((np.diff(arrays[name]) > 0).all() for name in ("instants", "times"))
    if not increase or arrays["instants"][0] < 0:
        return "frames that are not in order"
    presence = arrays["presence"]
    within = presence.min(initial=0.0) >= 0 and presence.max(initial=0.0) <= 1 + _ROUNDING
    return None if within else "presence outside [0, 1]"


def presence_again(
    path: str | os.PathLike,
    frames: Frames,
    about: Mapping[str, Any],
    made_by: Mapping[str, Any],
    bank: AtomBank,
    roles: RoleModel,
) -> np.ndarray:
    """Presence p [T, C] of kept frames for these roles: the kept one, or computed again.

    Raises InputError: they were seen by another encoder, or the roles look at patches, which are
    not kept, and at other atoms than before.
    """
    now = description(made_by, roles)
    differs = clip.identity_difference(about["clip"], made_by)
    if differs:
        known = about["clip"].get("path")
        cure = f"give --clip={known}, or score the video again"
        if known is None and "name" in about["clip"]:  # features, with embeddings for texts
            cure = "give the folder as --features_root, with the embeddings of its texts"
        raise InputError(f"{path}: was made by another encoder ({differs}); {cure}")
    if about["seen_as"] == now["seen_as"]:
        return frames.presence
    if roles.config.presence.kind == "local":
        raise InputError(
            f"{path}: keeps no patches, which these roles look at (presence.kind=local), and holds "
            "the presence of other atoms; score the video again, with --store_dir that is done "
            "without a forward pass if it was given before"
        )
    return presence_in_blocks(
        FrameFeatures(frames.image_embeddings, None), bank, roles.config.presence
    )


def kept_below(folder: Path) -> dict[str, Path]:
    """The frames that the last run into a folder kept, by the ids of the videos.

    Raises InputError where there are none.
    """
    found = {
        names.relative_id(path.parent, folder): path
        for path in sorted(folder.rglob(FILE), key=images.natural_key)
    }
    record = files.read_json(folder / "run.json") if (folder / "run.json").is_file() else None
    last = record.get("videos") if isinstance(record, dict) else None
    if isinstance(last, list):
        found = {name: path for name, path in found.items() if name in last}
    if not found:
        raise InputError(
            f"{folder}: no VIDEO/{FILE} of a run of score-video in it; score the videos first"
        )
    return found
