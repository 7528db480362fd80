"""Pictures and folders of pictures: one folder per video, one file per frame."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.data import tar_shards
from jaxvlm.data.image_decoding import decode_image
from jaxvlm.errors import InputError
from jaxvlm.names import printable

SUFFIXES = tuple(
    ".avif .bmp .dib .gif .heic .heif .hif .j2k .jfif .jp2 .jpe .jpeg .jpf .jpg .jpx .pbm .pgm "
    ".png .pnm .ppm .tif .tiff .webp".split()
)


class VideoFolders(NamedTuple):
    """The folders that hold frames, and one line for every folder that was skipped."""

    folders: list[Path]
    failures: list[str]


def natural_key(path: str | os.PathLike) -> tuple:
    """Sorting key under which ``9.jpg`` comes before ``10.jpg``, folder by folder."""
    # The plain text decides between 9 and 09, so that the order never depends on the disk.
    parts = tuple(
        tuple(
            (0, len(digits := word.lstrip("0")), digits) if word.isdecimal() else (1, 0, word)
            for word in re.split(r"([0-9]+)", part)
            if word
        )
        for part in Path(path).parts
    )
    return parts, str(path)


def read_bytes(path: str | os.PathLike) -> bytes:
    """The bytes of a picture's file, or of a picture in a tar: ``shards/000000.tar/0001.jpg``.

    Raises:
      InputError: no such file or member; a tar itself (with what it is damaged in); unreadable.
    """
    path = Path(path)
    try:
        if path.suffix == tar_shards.SUFFIX and os.path.isfile(path):
            raise InputError(tar_shards.complaint(path))
        if os.path.isfile(path):
            return path.read_bytes()
        return tar_shards.read_member(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk") from None


def read_image(
    path: str | os.PathLike, *, then: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
) -> np.ndarray:
    """Reads a picture as HxWx3 uint8 RGB, turned upright as its EXIF orientation says.

    A file, or a picture in a tar. ``then`` is applied to the pixels while the memory for them is
    held: threads that make small arrays of large pictures do it there.

    Raises InputError as `read_bytes` and `image_decoding.decode_image`.
    """
    return decode_image(lambda: read_bytes(path), file_size(path) or 0, path, then)


def file_size(path: str | os.PathLike) -> int | None:
    """The size in bytes of a picture's file or of a picture in a tar; None if there is none."""
    path = Path(path)
    try:
        return path.stat().st_size
    except NotADirectoryError:  # in a tar
        return tar_shards.member_size(path)
    except OSError:
        return None


def is_picture(name: str) -> bool:
    """Whether a file is taken for a picture, by the end of its name in any case."""
    return name.lower().endswith(SUFFIXES)


def list_images(folder: str | os.PathLike) -> list[Path]:
    """The pictures directly in a folder in natural order, hidden files left out.

    Raises:
      InputError: no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; check the path")
    found = _images(folder)
    if not found:
        raise InputError(f"{folder}: no picture in this folder ({' '.join(SUFFIXES)}); fill it")
    return found


def list_video_folders(frames_root: str | os.PathLike) -> VideoFolders:
    """The folders of frames below ``frames_root``, one per video, in natural order.

    A folder with no pictures in it or below is reported in ``failures`` and skipped, and so is one
    in whose names are bytes that are no UTF-8: they name videos and frames in tables and captions.

    Raises:
      InputError: no such folder, a path to it that is not UTF-8, pictures directly in it, or no
        sub-folder with pictures.
    """
    root = Path(frames_root)
    if not _is_text(root):
        raise InputError(printable(f"{root}: a path that is not UTF-8; rename the folder"))
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; check the path")
    if _images(root):
        raise InputError(
            f"{root}: holds pictures itself, one folder per video is expected; "
            f"move them into a sub-folder or name the folder above"
        )
    found = {folder: _images(folder) for folder in _folders_below(root)}
    holding = {folder for folder, own in found.items() if own}
    above = {root} | {parent for folder in holding for parent in folder.parents}
    # Of folders in one another without a picture the outermost is told of.
    empty = {f for f in found if f not in above | holding and f.parent in above - holding}
    folders = sorted(holding | empty, key=natural_key)
    odd = [next((p for p in (f, *found[f]) if not _is_text(p)), None) for f in folders]
    full = [f for f, name in zip(folders, odd, strict=True) if found[f] and name is None]
    failures = [
        f"{f}: no picture in this folder; fill it or remove it"
        if name is None
        else printable(f"{name}: a name that is not UTF-8; rename it")
        for f, name in zip(folders, odd, strict=True)
        if f not in set(full)
    ]
    if not full and any(odd):
        raise InputError(failures[0])
    if not full:
        raise InputError(
            f"{root}: no sub-folder with pictures; run jaxvlm extract-frames into it first"
        )
    return VideoFolders(full, failures)


def list_frames(frames_root: str | os.PathLike) -> list[Path]:
    """The pictures of all video folders, in order. Raises InputError as `list_video_folders`."""
    return [
        path for folder in list_video_folders(frames_root).folders for path in list_images(folder)
    ]


def index_times(folder: str | os.PathLike) -> np.ndarray | None:
    """[T] seconds of the pictures that ``list_images`` gives, from ``index.csv``; None without it.

    Raises:
      InputError: ``index.csv`` lacks a column, holds what is no number or a frame twice, has no
        time for one of the pictures, or times that do not increase from 0 on.
    """
    index = Path(folder) / "index.csv"
    if not os.path.isfile(index):
        return None
    table = files.read_csv(index)
    cure = "extract the frames again"
    for column in ("frame", "time_seconds"):
        if column not in table or not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{index}: no column {column} of numbers; {cure}")
    twice = table["frame"].duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        raise InputError(f"{index}: row {row + 2}: frame {table['frame'][row]} again; {cure}")
    times = dict(zip(table["frame"], table["time_seconds"], strict=True))
    seconds: list[float] = []
    for path in list_images(folder):
        time = times.get(int(path.stem)) if path.stem.isdecimal() else None
        if time is None or not np.isfinite(time):
            raise InputError(f"{index}: no time for {path.name}; {cure}")
        if time < 0 or (seconds and time <= seconds[-1]):
            raise InputError(
                f"{index}: {path.name} is at {time:g} s, not after the frame before; {cure}"
            )
        seconds.append(float(time))
    return np.asarray(seconds, np.float64)


def entries(folder: Path) -> list[Path]:
    """What lies in a folder. Raises InputError where it cannot be listed."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); check its permissions and the disk"
        ) from None


def _folders_below(root: Path) -> list[Path]:
    """Every folder below at any depth, hidden ones left out; links are followed, each once."""
    found, waiting, visited = [], [root], set()
    while waiting:
        folder = waiting.pop()
        if (real := folder.resolve()) not in visited:
            visited.add(real)
            found.append(folder)
            waiting += (
                p for p in entries(folder) if os.path.isdir(p) and not p.name.startswith(".")
            )
    return found[1:]


def _is_text(path: Path) -> bool:
    return printable(str(path)) == str(path)


def _images(folder: Path) -> list[Path]:
    found = (
        p
        for p in entries(folder)
        if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and os.path.isfile(p)
    )
    return sorted(found, key=lambda path: natural_key(path.name))  # all in one folder
