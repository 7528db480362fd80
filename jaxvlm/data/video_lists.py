"""Lists of videos and arrays of frame labels, as the repositories of MIL detectors have them."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvlm.data.annotations import (
    NORMAL,
    XD_NAME,
    XD_VIOLENCE_EVENTS,
    decode_labels,
    text_lines,
    video_key,
    xd_events,
)
from jaxvlm.data.array_files import read_array
from jaxvlm.errors import InputError


class Listed(NamedTuple):
    """One video of a list, and its events, or None where the list says nothing of them."""

    name: str
    events: tuple[str, ...] | None


def read_video_list(path: str | os.PathLike) -> dict[str, Listed]:
    """Reads a list of videos, by `video_key`, in its order: a path per line, or ``path,label``.

    Two forms: one path per line (``rgb_test.list``), or CSV with the header ``path,label``. Paths
    may be those of features; crops of one video (``__0.npy`` … ``__4.npy``, or the same path
    again) count once. A label is one class or XD-Violence codes (``B1-B2-0``); normal or A means
    none. Without labels, XD-Violence names give theirs.

    Raises:
      InputError: no lines, a line without a name, or crops of one video that differ in label or
        do not stand together.
    """
    lines = [line.strip() for line in text_lines(path)]
    rows = [(number, line) for number, line in enumerate(lines, 1) if line]
    labelled = bool(rows) and rows[0][1].casefold().replace(" ", "") == "path,label"
    result: dict[str, Listed] = {}
    last = None
    for number, line in rows[1:] if labelled else rows:
        name, _, label = line.rpartition(",") if labelled else (line, "", "")
        key = video_key(name)
        if not key:
            raise InputError(f"{path}: line {number}: names no video; write its path, or remove it")
        try:
            events = _listed_events(name, label.strip()) if label or not labelled else None
        except InputError as error:
            raise InputError(f"{path}: line {number}: {error}") from None
        if key in result and (key != last or events != result[key].events):
            raise InputError(
                f"{path}: line {number}: {key} is there twice, with other videos in between or "
                "another label; remove one"
            )
        result.setdefault(key, Listed(name, events))
        last = key
    if not result:
        raise InputError(f"{path}: no videos in it; write one path per line")
    return result


def read_truth(path: str | os.PathLike) -> np.ndarray:
    """[T] bool, 1 where a frame is anomalous, from an .npy file of zeros and ones."""
    array = np.squeeze(read_array(path))
    if array.ndim != 1 or not array.size:
        raise InputError(f"{path}: shape {list(array.shape)}; one 0 or 1 per frame is expected")
    if not np.isin(array, (0, 1)).all():
        frame = int((~np.isin(array, (0, 1))).argmax())
        raise InputError(f"{path}: frame {frame} is {array[frame]}, neither 0 nor 1; correct it")
    return array.astype(bool)


def read_truth_folder(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """[T] bool per video of a folder with ``VIDEO.npy`` or ``VIDEO_gt.npy``, by `video_key`."""
    result: dict[str, np.ndarray] = {}
    for path in sorted(Path(folder).glob("*.npy")):
        key = video_key(path.stem.removesuffix("_gt"))
        if key in result:
            raise InputError(f"{path}: a second truth for {key}; remove one")
        result[key] = read_truth(path)
    if not result:
        raise InputError(f"{folder}: no VIDEO.npy or VIDEO_gt.npy in it; check the path")
    return result


def _listed_events(name: str, label: str) -> tuple[str, ...] | None:
    if not label:
        return xd_events(name) if XD_NAME.match(video_key(name)) else None
    if label.casefold() in NORMAL:
        return ()
    codes = label.split("-")
    if all(code == "0" or code in XD_VIOLENCE_EVENTS for code in codes):
        return decode_labels(label)
    return (label,)
