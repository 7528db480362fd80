"""Features of videos as others save them: a file per video, or per crop of it, with a row for every
few frames. They stay on disk until a video is asked for."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvlm import names
from jaxvlm.arrays import unit
from jaxvlm.data import images, video_lists
from jaxvlm.data.annotations import video_key
from jaxvlm.data.embedding_files import FEATURES, check_rows
from jaxvlm.data.folders import files_below
from jaxvlm.data.saved_arrays import SUFFIXES, open_arrays
from jaxvlm.errors import InputError

KEPT = "embeddings.safetensors"  # what score-video keeps of a video, in the video's folder

_CROP = re.compile(r"(?P<name>.+)__(?P<crop>\d{1,2})")
_CROPS = (1, 5, 10)  # how many crops of a frame are published
_SHOWN = 3


class Part(NamedTuple):
    """Where rows stand: a file, which of its arrays (None: the only one), and the number of the
    crop that the file's name says."""

    path: Path
    key: str | None
    crop: int | None


class FeatureVideo(NamedTuple):
    """A video of features: its id, and its parts, in the order of their crops."""

    name: str
    parts: tuple[Part, ...]

    @property
    def path(self) -> Path:
        """A file of it, for messages."""
        return self.parts[0].path


class Rows(NamedTuple):
    """A video's unit rows [T, D]; of how many crops each is the mean; the least and the largest
    length that a row had."""

    rows: np.ndarray
    crops: int
    norms: tuple[float, float]


class Listed(NamedTuple):
    """The videos of a list that are here; the events of each, () for normal, None where the list
    says nothing; what was not found, or not listed, a line each."""

    videos: dict[str, FeatureVideo]
    events: dict[str, tuple[str, ...] | None]
    notes: list[str]


def list_features(root: str | os.PathLike) -> dict[str, FeatureVideo]:
    """The videos of a folder of features, by id, in natural order; or those of one file.

    The id is the path below the folder without the suffix and without the number of a crop:
    ``Abuse/Abuse028_x264__0.npy`` … ``__9.npy`` are crops of ``Abuse/Abuse028_x264``. In an output
    of score-video a video's file is `KEPT` in the folder that the id names. Of one file, a
    video is each array that is called ``ID.features``, or else the file is one video.

    Raises InputError: nothing there, or two files of one video and crop.
    """
    root = Path(root)
    if root.is_file():
        return _of_one_file(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder or file of features; check the path")
    found: dict[str, list[Part]] = {}
    for path in sorted(files_below(root), key=images.natural_key):
        relative = path.relative_to(root)
        if path.suffix.lower() not in SUFFIXES:
            continue
        if path.name == KEPT and path.parent != root:
            name, crop = relative.parent.as_posix(), None
        else:
            name, crop = relative.with_name(path.stem).as_posix(), None
            if match := _CROP.fullmatch(path.stem):
                name, crop = relative.with_name(match["name"]).as_posix(), int(match["crop"])
        found.setdefault(name, []).append(Part(path, None, crop))
    if not found:
        raise InputError(f"{root}: no features in it; they are files of {', '.join(SUFFIXES)}")
    for name, parts in found.items():
        parts.sort(key=lambda part: -1 if part.crop is None else part.crop)
        crops = [part.crop for part in parts]
        if len(set(crops)) < len(crops) or (None in crops and len(crops) > 1):
            several = ", ".join(part.path.name for part in parts[:_SHOWN])
            raise InputError(f"{root}: {several}: which is {name}? keep one file of each crop")
    return {name: FeatureVideo(name, tuple(parts)) for name, parts in found.items()}


def is_kept(videos: Mapping[str, FeatureVideo]) -> bool:
    """Whether these are what score-video kept, whose files tell of times and encoder."""
    return all(video.path.name == KEPT for video in videos.values())


def read_rows(
    video: FeatureVideo, *, crop: int | None = None, dimension: int | None = None
) -> Rows:
    """The unit rows of a video, in float32.

    Several crops: r_t = u(mean_k u(r_{t,k})), u(x) = x/‖x‖, so that each counts the same. A file
    holds [T, D], or crops as [T, K, D] or [K, T, D] if of these two axes exactly one is 1, 5 or 10.

    Args:
      crop: this one alone; None: the mean of all.
      dimension: D, if it is known.

    Raises InputError: a file that cannot be read, another shape or dimension, rows that are not
      finite or zero, crops of different numbers of rows, no such crop.
    """
    parts = video.parts
    if crop is not None and any(part.crop is not None for part in parts):
        parts = tuple(part for part in parts if part.crop == crop)
        if not parts:
            have = ", ".join(str(part.crop) for part in video.parts)
            raise InputError(f"{video.path}: no crop {crop} of it here, but {have}; take another")
    views = []
    for part in parts:
        array = _open(part)
        of_part = _views(part, array)
        if dimension is not None and array.shape[-1] != dimension:
            raise InputError(
                f"{part.path}: shape {list(array.shape)}, rows of {array.shape[-1]} numbers; the "
                f"texts have {dimension}: take features and texts of one encoder"
            )
        views += of_part
    if part.crop is None and crop is not None:
        if not crop < len(views) or len(views) == 1:
            raise InputError(
                f"{video.path}: no crop {crop}, for it has {len(views)}; leave --crop out, or take "
                "another"
            )
        views = [views[crop]]
    lengths = [len(view) for view in views]
    if len(set(lengths)) > 1:
        raise InputError(
            f"{video.path}: crops of {min(lengths)} to {max(lengths)} rows; crops of one video "
            "have the same number, so these are not, or one is cut short"
        )
    if not lengths[0]:
        raise InputError(f"{video.path}: no row in it; leave it out or make it again")
    norms = [check_rows(str(video.path), view) for view in views]
    rows = unit(np.asarray(views[0], np.float32))
    if len(views) > 1:
        total = rows.astype(np.float64)
        for view in views[1:]:
            total += unit(np.asarray(view, np.float32))
        rows = unit(total.astype(np.float32))
    extremes = min(least for least, _ in norms), max(largest for _, largest in norms)
    return Rows(rows, len(views), extremes)


def listed(videos: Mapping[str, FeatureVideo], list_file: str | os.PathLike) -> Listed:
    """The videos that a published list names, by their files: its paths are of another machine.

    The list is read as `video_lists.read_video_list` says. Which crops are taken it does not
    decide.

    Raises InputError: none of them is here, or one name is that of two videos.
    """
    wanted = video_lists.read_video_list(list_file)
    ids: dict[str, str] = {}
    for name in videos:
        key = video_key(name)
        if key in ids and key in wanted:
            raise InputError(
                f"{list_file}: {key} may be {ids[key]} or {name}; a list names a video by its "
                "file, so keep one of the two below the folder"
            )
        ids.setdefault(key, name)
    missing = [key for key in wanted if key not in ids]
    if len(missing) == len(wanted):
        raise InputError(
            f"{list_file}: none of its {len(wanted)} videos is here, {missing[0]} first"
            f"{names.nearest(missing[0], ids)}; give the list of these features"
        )
    events = {ids[key]: video.events for key, video in wanted.items() if key in ids}
    notes = []
    if missing:
        notes.append(f"{list_file}: not found here: {_some(missing)}")
    if others := [name for name in videos if name not in events]:
        notes.append(f"{list_file}: not in it, so left out: {_some(others)}")
    return Listed({name: videos[name] for name in videos if name in events}, events, notes)


def _some(found: list[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{', '.join(found[:_SHOWN])}{more}"


def _of_one_file(path: Path) -> dict[str, FeatureVideo]:
    keys = [key for key in open_arrays(path) if key.endswith(".features")]
    if not keys:
        return {path.stem: FeatureVideo(path.stem, (Part(path, None, None),))}
    found = {}
    for key in sorted(keys, key=lambda key: images.natural_key(Path(key))):
        name = key.removesuffix(".features")
        for part in name.split("/"):
            names.part_of_path(part, f"{path}#{key}")
        found[name] = FeatureVideo(name, (Part(path, key, None),))
    return found


def _open(part: Part) -> np.ndarray:
    """The array of a part, where it lies."""
    arrays = open_arrays(part.path)
    key = part.key or next((name for name in FEATURES if name in arrays), None)
    if key is None:
        tables = [name for name, array in arrays.items() if array.ndim in (2, 3)]
        if len(tables) != 1:
            some = ", ".join(sorted(arrays)[:_SHOWN]) or "none"
            raise InputError(
                f"{part.path}: which array are the features? of {some} call one features, and save "
                "the file again"
            )
        (key,) = tables
    return arrays[key]


def _views(part: Part, array: np.ndarray) -> list[np.ndarray]:
    """The crops [T, D] of an array."""
    if array.ndim == 2:
        return [array]
    if array.ndim == 3 and part.crop is None:
        of_crops = [axis for axis in (0, 1) if array.shape[axis] in _CROPS]
        if len(of_crops) == 1:
            (axis,) = of_crops
            return [array[k] if axis == 0 else array[:, k] for k in range(array.shape[axis])]
    both = " beside a crop in the file's name" if part.crop is not None else ""
    raise InputError(
        f"{part.path}: shape {list(array.shape)}{both}; features are [T, D], or [T, crops, D] or "
        "[crops, T, D] where one of these two axes, and not the other, is 1, 5 or 10"
    )
