"""Pictures and folders of pictures: one folder per video, one file per frame."""

import io
import os
import re
import struct
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxvlm import files
from jaxvlm.data import tar_shards
from jaxvlm.errors import InputError

SUFFIXES = tuple(".bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split())

# Where Pillow stops too, with its settings as they come: 537 MB of RGB.
MAX_PIXELS = 178_956_970

# What a decoder of Pillow raises on bytes that are not what their header says.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error)


class VideoFolders(NamedTuple):
    """The folders that hold frames, and one line for every folder that was skipped."""

    folders: list[Path]
    failures: list[str]


def natural_key(path: str | os.PathLike) -> tuple:
    """Sorting key under which ``9.jpg`` comes before ``10.jpg``, folder by folder."""
    # The plain text decides between 9 and 09, so that the order never depends on the disk.
    parts = tuple(
        tuple(
            (0, int(word), "") if word.isdecimal() else (1, 0, word)
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
        if path.suffix == tar_shards.SUFFIX and path.is_file():
            raise InputError(tar_shards.complaint(path))
        if path.is_file():
            return path.read_bytes()
        return tar_shards.read_member(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the disk") from None


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Reads a picture as HxWx3 uint8 RGB, turned upright as its EXIF orientation says.

    ``decode_image(read_bytes(path), path)``: a file, or a picture in a tar. Raises InputError as
    these.
    """
    return decode_image(read_bytes(path), path)


def decode_image(code: bytes, path: str | os.PathLike) -> np.ndarray:
    """Decodes a picture's bytes as HxWx3 uint8 RGB; ``path`` is what messages call it.

    The same pixels as Pillow's ``ImageOps.exif_transpose(Image.open(path)).convert("RGB")``: grey
    is repeated, alpha is dropped, CMYK is converted, of an animation or a document the first
    picture is taken. 16 bits are cut to the upper 8 (Pillow 13 clips 16-bit grey instead).

    Raises:
      InputError: not a whole picture; more than ``MAX_PIXELS`` pixels; float or 32-bit values,
        which have no white.
    """
    unreadable = InputError(f"{path}: not a readable picture; replace the file or remove it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow: large, or with EXIF that it cannot read
        try:
            picture = Image.open(io.BytesIO(code))
        except Image.DecompressionBombError:
            raise InputError(
                f"{path}: more than {MAX_PIXELS:,} pixels; make it smaller or remove it"
            ) from None
        except (UnidentifiedImageError, *_BROKEN):
            raise unreadable from None
        if picture.width * picture.height > MAX_PIXELS:
            raise InputError(
                f"{path}: more than {MAX_PIXELS:,} pixels; make it smaller or remove it"
            )
        if picture.mode in ("F", "I"):
            raise InputError(f"{path}: float or 32-bit values; convert it to 8 bits per channel")
        try:
            return _decode(picture, code)
        except (cv2.error, *_BROKEN):
            raise unreadable from None


def _decode(picture: Image.Image, code: bytes) -> np.ndarray:
    """The pixels of an opened picture; raises one of Pillow's or OpenCV's errors."""
    # OpenCV decodes a 500x375 JPEG in 0.77 ms, Pillow in 1.29 ms, to the same pixels. In the
    # rest it is hardly faster, or wrong: CMYK is off by one, transparent GIFs are blended.
    if picture.format in ("JPEG", "MPO") and picture.mode in ("L", "RGB"):
        rgb = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR_RGB)
        if rgb is None:
            raise OSError("cannot decode")
        return rgb
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=-1)
    return np.array(picture.convert("RGB"))


def list_images(folder: str | os.PathLike) -> list[Path]:
    """The pictures directly in a folder in natural order, hidden files left out.

    Raises:
      InputError: no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path")
    found = _images(folder)
    if not found:
        raise InputError(f"{folder}: no picture in this folder ({' '.join(SUFFIXES)}); fill it")
    return found


def list_video_folders(frames_root: str | os.PathLike) -> VideoFolders:
    """The folders of frames in ``frames_root``, one per video, in natural order.

    A sub-folder without pictures is reported in ``failures`` and skipped.

    Raises:
      InputError: no such folder, pictures directly in it, or no sub-folder with pictures.
    """
    root = Path(frames_root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; check the path")
    if _images(root):
        raise InputError(
            f"{root}: holds pictures itself, one folder per video is expected; "
            f"move them into a sub-folder or name the folder above"
        )
    folders = sorted(
        (p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")), key=natural_key
    )
    full = [folder for folder in folders if _images(folder)]
    if not full:
        raise InputError(
            f"{root}: no sub-folder with pictures; run jaxvlm extract-frames into it first"
        )
    empty = [
        f"{f}: no picture in this folder; fill it or remove it"
        for f in folders
        if f not in set(full)
    ]
    return VideoFolders(full, empty)


def list_frames(frames_root: str | os.PathLike) -> list[Path]:
    """The pictures of all video folders, in order. Raises InputError as `list_video_folders`."""
    return [
        path for folder in list_video_folders(frames_root).folders for path in list_images(folder)
    ]


def index_times(folder: str | os.PathLike) -> np.ndarray | None:
    """[T] seconds of the pictures that ``list_images`` gives, from ``index.csv``; None without it.

    Raises:
      InputError: ``index.csv`` lacks a column or has no number for one of the pictures.
    """
    index = Path(folder) / "index.csv"
    if not index.is_file():
        return None
    table = files.read_csv(index)
    for column in ("frame", "time_seconds"):
        if column not in table or not np.issubdtype(table[column].dtype, np.number):
            raise InputError(f"{index}: no column {column} of numbers; extract the frames again")
    times = dict(zip(table["frame"], table["time_seconds"], strict=True))
    seconds = []
    for path in list_images(folder):
        time = times.get(int(path.stem)) if path.stem.isdecimal() else None
        if time is None or not np.isfinite(time):
            raise InputError(f"{index}: no time for {path.name}; extract the frames again")
        seconds.append(time)
    return np.asarray(seconds, np.float64)


def _images(folder: Path) -> list[Path]:
    found = (
        p
        for p in folder.iterdir()
        if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    return sorted(found, key=natural_key)
