"""What a camera ordinarily shows: kept in constant memory, and its folder on disk."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import clip, files, outputs
from jaxvlm.atoms.novelty import CAPACITY, SIGNAL, Memory, empty_memory
from jaxvlm.atoms.ordinary import Zero, fit_zero
from jaxvlm.atoms.quantile_sketch import LARGEST, NUM_CELLS, empty_sketch
from jaxvlm.errors import InputError
from jaxvlm.reading import sha256
from jaxvlm.terminal import control_character
from jaxvlm.video import kept_frames
from jaxvlm.video.role_model import RoleModel

FOLDER = "a model of ordinary footage"  # what `outputs` calls one
NOVELTY = SIGNAL  # in which no atom has a part
PARTS = 8  # of the day, three hours each
LEAST_FRAMES = 60  # of footage that the zero is taken from
LEAST_IN_PART = 1200  # from which a part of the day has a zero of its own

_ARRAYS, _METADATA, _KIND = "arrays.safetensors", "metadata.json", "ordinary_model"
_CURE = "make it again with jaxvlm learn-ordinary"
_UNIT = 1e-2  # how far from length 1 a row in float16 may be


class Held(NamedTuple):
    """Held-out footage in stretches: margins [N, C] and unit embeddings [N, D] in float16, the part
    of the day, 0 unknown, the stretch, and whether the frame only leads up to it, [N] each."""

    margins: np.ndarray
    embeddings: np.ndarray
    part: np.ndarray
    stretch: np.ndarray
    leads: np.ndarray


class Place(NamedTuple):
    """Where the footage is: number of the stretch and of the occasion, and frames of each."""

    stretch: int = 0
    filled: int = 0
    occasion: int = 0
    lasted: int = 0


class OrdinaryModel(NamedTuple):
    """The ordinary of one camera, learned by `ordinary_learning`.

    Stretches of two minutes are taken in turn: the margins of one go into the sketches and its
    embeddings into the memory, those of the next are held out, as they are, for thresholds under
    whatever roles. frames: how many were learned from and held out in all; of many hours the
    stretches that stand out least are not kept.
    """

    name: str
    atoms: tuple[str, ...]  # C
    made_by: Mapping[str, Any]  # the encoder, see `clip.clip_record`
    seen_as: Mapping[str, Any]  # settings of presence and texts, see `kept_frames.description`
    fps: float
    counts: np.ndarray  # [1 + PARTS, C, B] sketches by part of the day, 0 unknown
    memory: Memory
    held: Held
    recent: Held  # the latest frames, of which the next stretch is the continuation
    frames: tuple[int, int] = (0, 0)
    place: Place = Place()
    window: int = 20  # frames that lead up to a stretch
    source: str | None = None

    def __repr__(self) -> str:
        """One line."""
        return f"OrdinaryModel({self.name}, {self.hours:.3g} hours, {len(self.atoms)} atoms)"

    @property
    def hours(self) -> float:
        """Of footage, learned from and held out."""
        return sum(self.frames) / self.fps / 3600

    @property
    def held_hours(self) -> float:
        return self.frames[1] / self.fps / 3600

    @property
    def daily(self) -> tuple[int, ...]:
        """The parts of the day that have a zero of their own."""
        seen = self.counts[:, 0].sum(axis=1) if len(self.atoms) else np.zeros(1 + PARTS)
        return tuple(part for part in range(1, 1 + PARTS) if seen[part] >= LEAST_IN_PART)

    def zeros(self) -> Zero:
        """q and w [1 + PARTS, C]: at 0, and where a part of the day has too little, of all."""
        whole = fit_zero(self.counts.sum(axis=0))
        own = {part: fit_zero(self.counts[part]) for part in self.daily}
        found = [own.get(part, whole) for part in range(1 + PARTS)]
        return Zero(*(np.stack(each) for each in zip(*found, strict=True)))

    def sentences(self) -> list[str]:
        """What was learned, for a person."""
        learned, held = (count / self.fps / 3600 for count in self.frames)
        told = [
            f"{self.name}: {learned:.3g} hours learned from and {held:.3g} held out, "
            f"{len(self.memory.rows)} sights"
        ]
        if self.daily:
            parts = ", ".join(f"{3 * p - 3}–{3 * p}" for p in self.daily)
            told.append(f"a zero of its own for {parts} o'clock, one for the rest")
        else:
            told.append(
                "one zero for the whole day: no three hours of the day have "
                f"{LEAST_IN_PART / self.fps / 60:.0f} minutes of footage whose time is known"
            )
        return told


def new_model(
    name: str, made_by: Mapping[str, Any], roles: RoleModel, dimension: int, fps: float
) -> OrdinaryModel:
    """A model of nothing. roles: whose atoms, prompts and settings of presence it is of."""
    num_atoms = len(roles.atoms)
    return OrdinaryModel(
        name,
        roles.atoms,
        dict(made_by),
        kept_frames.description(made_by, roles)["seen_as"],
        float(fps),
        np.stack([empty_sketch(num_atoms)] * (1 + PARTS)),
        empty_memory(dimension),
        no_frames(num_atoms, dimension),
        no_frames(num_atoms, dimension),
        window=roles.config.segments.window,
    )


def no_frames(num_atoms: int, dimension: int) -> Held:
    """Held-out footage without a frame."""
    return Held(
        np.zeros((0, num_atoms), np.float16),
        np.zeros((0, dimension), np.float16),
        np.zeros(0, np.int8),
        np.zeros(0, np.int32),
        np.zeros(0, bool),
    )


def check_fits(
    model: OrdinaryModel, made_by: Mapping[str, Any], roles: RoleModel, fps: float | None = None
) -> None:
    """Raises InputError where a model is of another encoder, of other atoms, prompts or settings of
    presence, or of another number of frames per second than what is to be read against it."""
    place = "the ordinary model" if model.source is None else f"--ordinary={model.source}"
    if (differs := clip.identity_difference(model.made_by, made_by)) is not None:
        raise InputError(f"{place}: learned with another encoder ({differs}); learn it again")
    if model.atoms != roles.atoms:
        odd = sorted(set(model.atoms) ^ set(roles.atoms))
        which = f"{odd[0]!r} is only in one of the two" if odd else "their order differs"
        raise InputError(f"{place}: learned for other atoms ({which}); learn it again for these")
    now = kept_frames.description(made_by, roles)["seen_as"]
    for field, value in (*now["presence"].items(), *now.items()):
        was = {**model.seen_as["presence"], **model.seen_as}.get(field)
        if field not in ("presence", "atoms") and was != value:
            shown = f"{field} is {value}, was {was}" if isinstance(value, str | int) else field
            raise InputError(
                f"{place}: learned with other settings of presence ({shown}); learn it again"
            )
    if fps is not None and not np.isclose(fps, model.fps, rtol=1e-3):
        raise InputError(
            f"{place}: learned at {model.fps:g} frames per second, these are {fps:g}; "
            "learn it again, or take as many"
        )


def save_ordinary(folder: str | os.PathLike, model: OrdinaryModel) -> None:
    """Writes a model: arrays.safetensors and metadata.json, in one step. What stands there is
    replaced."""
    arrays: dict[str, np.ndarray] = {}
    for part in range(1 + PARTS):
        if model.counts[part].any():
            arrays[f"counts.{part}"] = model.counts[part]
    for name in ("rows", "first", "last"):
        arrays[f"memory.{name}"] = getattr(model.memory, name)
    for name in Held._fields:
        arrays[f"held.{name}"] = np.asarray(getattr(model.held, name))
        arrays[f"recent.{name}"] = np.asarray(getattr(model.recent, name))
    metadata = {
        "kind": _KIND,
        "name": model.name,
        "atoms": list(model.atoms),
        "clip": dict(model.made_by),
        "seen_as": dict(model.seen_as),
        "fps": model.fps,
        "frames": list(model.frames),
        "hours": model.hours,
        "place": list(model.place),
        "window": model.window,
        "radius": model.memory.radius,
    }
    with outputs.output_path(folder, kind=FOLDER) as temporary:
        temporary.mkdir()
        files.write_arrays(temporary / _ARRAYS, arrays)
        metadata["arrays_sha256"] = sha256(temporary / _ARRAYS)
        files.write_json(temporary / _METADATA, metadata)


def load_ordinary(folder: str | os.PathLike) -> OrdinaryModel:
    """Reads a model. Raises InputError: no such folder, another kind of folder, a damaged one."""
    folder = outputs.recover(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; check the path, or run jaxvlm learn-ordinary")
    for _ in range(3):  # again where it was replaced between the two looks
        metadata = files.read_json(folder / _METADATA)
        if not isinstance(metadata, dict) or metadata.get("kind") != _KIND:
            raise InputError(f"{folder}: not {FOLDER}; check the path")
        arrays = files.read_arrays(folder / _ARRAYS)
        if metadata.get("arrays_sha256") == sha256(folder / _ARRAYS):
            break
    else:
        raise InputError(f"{folder}: {_ARRAYS} is not what {_METADATA} tells of; {_CURE}")
    if fault := _fault(metadata):
        raise InputError(f"{folder / _METADATA}: {fault}; {_CURE}")
    model = _assembled(folder, metadata, arrays)
    return model._replace(source=str(folder))


def _fault(metadata: Mapping[str, Any]) -> str | None:
    """What is wrong with a model's JSON; None where it is right."""
    atoms, seen = metadata.get("atoms"), metadata.get("seen_as")
    texts = [metadata.get("name"), *(atoms if isinstance(atoms, list) else [None])]
    if not all(isinstance(text, str) and not control_character(text) for text in texts):
        return "name and atoms are no texts"
    if not atoms or len(set(atoms)) < len(atoms):
        return "no atoms, or one twice"
    if not isinstance(metadata.get("clip"), dict) or not isinstance(seen, dict):
        return "does not say clip and seen_as"
    if not isinstance(seen.get("presence"), dict):
        return "seen_as has no presence"
    for field, low, high in (("fps", 1e-3, 1e4), ("radius", 0, 2), ("window", 1, 1e6)):
        value = metadata.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{field} is no number"
        if not low <= value <= high:
            return f"{field} is {value}"
    if not isinstance(metadata["window"], int):
        return "window is no whole number"
    for field, size in (("frames", 2), ("place", len(Place._fields))):
        value = metadata.get(field)
        if not isinstance(value, list) or len(value) != size:
            return f"{field} is no list of {size}"
        if not all(type(x) is int and 0 <= x < 2**31 for x in value):
            return f"{field} holds other than counts"
    return None


def _assembled(
    folder: Path, metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> OrdinaryModel:
    num_atoms = len(metadata["atoms"])
    rows = arrays.get("memory.rows")
    dimension = rows.shape[1] if rows is not None and rows.ndim == 2 else 0

    def taken(name: str, shape: Sequence[int | None], kind: str, low: float, high: float):
        array = arrays.get(name)
        good = array is not None and array.dtype == kind and array.ndim == len(shape)
        good = good and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if not good or (array.size and not (low <= array.min() and array.max() <= high)):
            raise InputError(f"{folder / _ARRAYS}: {name} is missing or is none; {_CURE}")
        return array

    def footage(name: str) -> Held:
        count = len(taken(f"{name}.stretch", [None], "int32", 0, 2**31))
        found = Held(
            taken(f"{name}.margins", [count, num_atoms], "float16", -LARGEST, LARGEST),
            taken(f"{name}.embeddings", [count, dimension], "float16", -1 - _UNIT, 1 + _UNIT),
            taken(f"{name}.part", [count], "int8", 0, PARTS),
            arrays[f"{name}.stretch"],
            taken(f"{name}.leads", [count], "bool", 0, 1),
        )
        if (np.diff(found.stretch) < 0).any() or not _are_unit(found.embeddings):
            raise InputError(f"{folder / _ARRAYS}: {name} is no footage in order; {_CURE}")
        return found

    counts = np.stack([empty_sketch(num_atoms)] * (1 + PARTS))
    for part in range(1 + PARTS):
        if f"counts.{part}" in arrays:
            counts[part] = taken(f"counts.{part}", [num_atoms, NUM_CELLS], "int64", 0, 2**31)
    count = len(taken("memory.rows", [None, None], "float32", -1 - _UNIT, 1 + _UNIT))
    memory = Memory(
        rows,
        taken("memory.first", [count], "int32", 0, 2**31),
        taken("memory.last", [count], "int32", 0, 2**31),
        float(metadata["radius"]),
    )
    totals = counts.sum(axis=(0, 2))
    if (totals != totals[0]).any() or totals[0] != metadata["frames"][0] or count > CAPACITY:
        raise InputError(f"{folder / _ARRAYS}: counts of other frames than told; {_CURE}")
    if not _are_unit(rows):
        raise InputError(f"{folder / _ARRAYS}: memory.rows are not unit; {_CURE}")
    return OrdinaryModel(
        metadata["name"],
        tuple(metadata["atoms"]),
        metadata["clip"],
        metadata["seen_as"],
        float(metadata["fps"]),
        counts,
        memory,
        footage("held"),
        footage("recent"),
        tuple(metadata["frames"]),
        Place(*metadata["place"]),
        metadata["window"],
    )


def _are_unit(rows: np.ndarray) -> bool:
    lengths = np.linalg.norm(np.asarray(rows, np.float32), axis=1)
    return bool((np.abs(lengths - 1) <= _UNIT).all())
