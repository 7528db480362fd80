"""Videos that come as features: their rows and times, and what they are called and labelled."""

import functools
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip, names, reading, runs
from jaxvlm.data import feature_files
from jaxvlm.data.embedding_files import is_unit
from jaxvlm.data.feature_files import FeatureVideo
from jaxvlm.errors import InputError
from jaxvlm.video import kept_frames
from jaxvlm.video.config import FEATURE_FPS, FRAMES_PER_ROW, PresenceConfig
from jaxvlm.video.frame_presence import AtomBank, FrameFeatures, presence_in_blocks
from jaxvlm.video.kept_frames import Frames


class FeatureSource(NamedTuple):
    """Features of videos, by id, and what their rows stand for.

    Row t stands for the frames t·n to (t+1)·n − 1, n = ``frames_per_row``, of a video of ``fps``
    frames a second, and its time is that of the first of them, t·n/fps. Both are None where
    score-video kept the features, whose times are known. crop: the one that is taken, None: the
    mean of all. events: of the videos of a list, see `feature_files.Listed`; None: no list.
    """

    root: Path
    videos: Mapping[str, FeatureVideo]
    frames_per_row: int | None = FRAMES_PER_ROW
    fps: float | None = FEATURE_FPS
    crop: int | None = None
    events: Mapping[str, tuple[str, ...] | None] | None = None
    notes: tuple[str, ...] = ()


class Taken(NamedTuple):
    """How rows were: how many, of how many crops, of which lengths, by video."""

    rows: int
    crops: int
    norms: tuple[float, float]


def open_features(
    root: str | os.PathLike,
    *,
    features_list: str | os.PathLike | None = None,
    frames_per_row: int | None = None,
    fps: float | None = None,
    crop: int | None = None,
) -> FeatureSource:
    """What is in a folder or file of features, or of these what a list names.

    Raises InputError: as `feature_files.list_features` and `listed`; numbers that cannot be, or
    that cannot apply, because the features are what score-video kept.
    """
    videos, events, notes = feature_files.list_features(root), None, []
    if features_list is not None:
        videos, events, notes = feature_files.listed(videos, features_list)
    source = FeatureSource(Path(root), videos, events=events, notes=tuple(notes))
    given = {"frames_per_row": frames_per_row, "fps": fps, "crop": crop}
    if feature_files.is_kept(videos):
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"--{name}: {root} is what score-video kept, with the times of its frames; "
                    "leave it out"
                )
        return source._replace(frames_per_row=None, fps=None)
    if frames_per_row is not None and frames_per_row < 1:
        raise InputError(f"--frames_per_row={frames_per_row}: give 1 or more")
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"--fps={fps}: give the videos' frames per second, such as 30")
    if crop is not None and crop < 0:
        raise InputError(f"--crop={crop}: give the number of a crop, from 0 on")
    return source._replace(**{name: value for name, value in given.items() if value is not None})


def times_of_rows(num_rows: int, frames_per_row: int, fps: float) -> np.ndarray:
    """[T] seconds t·n/fps at which the rows start."""
    return np.arange(num_rows) * frames_per_row / fps


def read_video(
    source: FeatureSource,
    name: str,
    made_by: Mapping[str, Any],
    bank: AtomBank,
    settings: PresenceConfig,
) -> tuple[Frames, float, dict[str, Any], Taken]:
    """A video's rows as frames with their presence, their rate, a record of their file, and how
    the rows were.

    Raises InputError as `feature_files.read_rows`, or for frames that another encoder gave.
    """
    video, dimension = source.videos[name], bank.atoms.shape[1]
    if source.frames_per_row is None:
        frames, about = kept_frames.read_frames(video.path)
        differs = clip.identity_difference(about["clip"], made_by)
        if differs is not None:
            raise InputError(
                f"{video.path}: was made by another encoder ({differs}); give its texts"
            )
        rows, instants, times = frames.image_embeddings, frames.instants, frames.times
        fps, record = about["fps"], about["video"]
        taken = Taken(len(rows), 1, (1.0, 1.0))
    else:
        found = feature_files.read_rows(video, crop=source.crop, dimension=dimension)
        rows, fps = found.rows, source.fps
        instants = np.arange(len(rows)) * source.frames_per_row
        times = times_of_rows(len(rows), source.frames_per_row, fps)
        record = _record(source, video)
        taken = Taken(len(rows), found.crops, found.norms)
    presence = presence_in_blocks(FrameFeatures(rows, None), bank, settings)
    return Frames(instants, times, rows, presence), float(fps), record, taken


def labels_of(
    source: FeatureSource, events: Sequence[str]
) -> tuple[pd.DataFrame | None, list[str]]:
    """The labels of a list's videos as `tables.read_event_labels` gives them, and a line for the
    classes that are no events of the ontology; None where the list has none.

    A class is the event that differs in case, a plural s and all but letters and digits at most.
    """
    known = {name: found for name, found in (source.events or {}).items() if found is not None}
    if not known:
        return None, []
    columns = {names.plain_event(event): event for event in events}
    others: dict[str, int] = {}
    rows = []
    for name, found in known.items():
        own = {columns[plain] for each in found if (plain := names.plain_event(each)) in columns}
        for each in found:
            if names.plain_event(each) not in columns:
                others[each] = others.get(each, 0) + 1
        rows.append([name, *(int(event in own) for event in events)])
    notes = []
    if others:
        told = ", ".join(f"{name} ({count} videos)" for name, count in sorted(others.items()))
        notes.append(
            f"{told}: no event of the ontology, so these videos are labelled 0 for it and are "
            "examples without its events"
        )
    table = pd.DataFrame(rows, columns=["video_id", *events])
    return table.astype({event: np.uint8 for event in events}), notes


def sentences(source: FeatureSource, taken: Mapping[str, Taken]) -> list[str]:
    """What was read, for a person: rows and their times, crops, lengths."""
    total = sum(one.rows for one in taken.values())
    n, fps = source.frames_per_row, source.fps
    when = "at the times that score-video kept"
    if n is not None:
        when = f"row t stands for frames {n}·t to {n}·t + {n - 1}, from {n}·t/{fps:g} s on"
    lines = [f"{total:,} rows of {len(taken)} videos, no picture encoded; {when}"]
    crops = sorted({one.crops for one in taken.values()})
    if crops[-1:] > [1]:
        many = " or ".join(map(str, crops))
        lines.append(f"a row is the mean of {many} crops, each made unit before and the mean after")
    if source.crop is not None:
        lines.append(f"crop {source.crop} alone")
    low = min((one.norms[0] for one in taken.values()), default=1.0)
    high = max((one.norms[1] for one in taken.values()), default=1.0)
    if not is_unit((low, high)):
        lines.append(f"rows of length {low:.3g} to {high:.3g}, made unit")
    return lines


@functools.lru_cache(maxsize=1)
def _sha256(path: Path, changed: int) -> str:
    """Of a file that may hold many videos, once."""
    return reading.sha256(path)


def _record(source: FeatureSource, video: FeatureVideo) -> dict[str, Any]:
    """Path and SHA-256 of a video's files: of several crops as `runs.hash_of` them."""
    paths = list(dict.fromkeys(part.path for part in video.parts))
    digests = {path.name: _sha256(path, path.stat().st_mtime_ns) for path in paths}
    (first, *more) = digests.values()
    return {
        "path": names.printable(str(paths[0])),
        "sha256": runs.hash_of(digests) if more else first,
        kept_frames.ROW_FRAMES: source.frames_per_row,
    }
