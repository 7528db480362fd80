"""Scores as detectors write them, brought to the frames of their videos."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.atoms.novelty import SIGNAL
from jaxvlm.data.annotations import video_key
from jaxvlm.data.array_files import read_array
from jaxvlm.data.videos import CLOCK
from jaxvlm.errors import InputError
from jaxvlm.evaluation.protocols.conventions import Conventions

_KEYS = (SIGNAL, "frame", "time_seconds")


class VideoScores(NamedTuple):
    """The n scores of one video: [n, S], the S names, and [n] seconds where the file has them.

    A file of one unnamed score has S = 1 and no name. row_frames: of how many frames a score is,
    where the folder says that it is of a row of features.
    """

    path: Path
    values: np.ndarray
    columns: tuple[str, ...]
    times: np.ndarray | None
    row_frames: int | None = None


class FrameScores(NamedTuple):
    """[T, S] scores of a video's frames; how many were added at the end, or cut off."""

    values: np.ndarray
    added: int
    cut: int


def read_scores(folder: str | os.PathLike) -> dict[str, VideoScores]:
    """Scores of every video in a folder, by `video_key`, in sorted order.

    ``VIDEO/events.csv`` as score_video writes it, ``VIDEO.csv`` (columns of scores, with names
    unless it is one; ``time_seconds`` and ``frame`` may be there) or ``VIDEO.npy`` ([n] or [n, 1]).

    Raises:
      InputError: nothing there, a video twice, files of different columns, a value that is no
        finite number, or an .npy file that holds Python objects.
    """
    folder = Path(folder)
    paths = sorted([*folder.glob("**/events.csv"), *folder.glob("*.csv"), *folder.glob("*.npy")])
    if any(path.parent != folder for path in paths):  # score-video writes it beside its folders
        paths = [path for path in paths if path != folder / "detections.csv"]
    rows = _row_frames(folder)
    result: dict[str, VideoScores] = {}
    first = None
    for path in paths:
        key = video_key(path.parent.name if path.name == "events.csv" else path.name)
        scores = _read_npy(path) if path.suffix == ".npy" else _read_csv(path)
        scores = scores._replace(row_frames=rows.get(key))
        if key in result:
            raise InputError(f"{path}: {key} has scores in {result[key].path} too; remove one")
        first = first or scores
        if scores.columns != first.columns or (scores.times is None) != (first.times is None):
            raise InputError(
                f"{path}: other columns than {first.path}; score all videos in the same way"
            )
        result[key] = scores
    if first is None:
        raise InputError(f"{folder}: no VIDEO/events.csv, VIDEO.csv or VIDEO.npy; check the path")
    return result


def split_scores(
    path: str | os.PathLike, counts: Mapping[str, int], conventions: Conventions
) -> dict[str, VideoScores]:
    """One array of all videos, in the order of ``counts``, as test scripts concatenate it.

    Raises InputError unless it has a score for each frame, or for each begun snippet.
    """
    scores = _read_npy(Path(path))
    size = conventions.snippet_frames
    lengths = {
        "frame": list(counts.values()),
        "snippet": [-(-count // size) for count in counts.values()],
    }
    for unit, own in lengths.items():
        if conventions.score_unit in ("auto", unit) and sum(own) == len(scores.values):
            parts = np.split(scores.values, np.cumsum(own)[:-1])
            return {
                key: VideoScores(Path(path), part, (), None)
                for key, part in zip(counts, parts, strict=True)
            }
    raise InputError(
        f"{path}: {len(scores.values)} scores, but the videos have {sum(lengths['frame'])} frames "
        f"and {sum(lengths['snippet'])} snippets of {size}; give scores in the order of the list"
    )


def score_unit(
    scores: Mapping[str, VideoScores], counts: Mapping[str, int], conventions: Conventions
) -> str:
    """The unit that was asked for, or for ``auto`` the one that fits the frame counts better."""
    timed = next(iter(scores.values())).times is not None
    of_rows = all(item.row_frames is not None for item in scores.values())
    if conventions.score_unit != "auto":
        if conventions.score_unit == "time" and not timed:
            path = next(iter(scores.values())).path
            raise InputError(f"{path}: no column time_seconds; take another --score_unit")
        if conventions.score_unit == "row" and not of_rows:
            path = next(item.path for item in scores.values() if item.row_frames is None)
            raise InputError(
                f"{path}: run.json does not say of how many frames a score is; take another "
                "--score_unit"
            )
        return conventions.score_unit
    if of_rows:
        return "row"
    if timed:
        return "time"
    numbers = [(len(scores[key].values), counts[key]) for key in scores if key in counts]
    misses = {
        unit: sum(abs(n * size - frames) for n, frames in numbers)
        for unit, size in (("frame", 1), ("snippet", conventions.snippet_frames))
    }
    return min(misses, key=misses.get)


def to_frames(
    scores: VideoScores, frames: int, conventions: Conventions, *, unit: str, fps: float | None
) -> FrameScores:
    """Scores of frames 0 … T − 1.

    ``frame``: score t; ``snippet``: score ⌊t/16⌋; ``row``: score ⌊t/n⌋, n frames a row; ``even``:
    score ⌊t n/T⌋; ``time``: frame t is shown at t/fps seconds, and has the score that
    ``time_sampling`` says. Scores after the video are left out; frames after the last score are
    filled or left out as ``padding`` says.

    Args:
      scores: n of them. frames: T. unit: of `score_unit`. fps: of the video, for ``time`` only.

    Raises:
      InputError: scores and video differ in length by more than ``tolerance_frames``; for ``time``
        the last score may also end earlier by the spacing of the scores.

    Source: docs/protocols.md, Conventions.
    """
    n = len(scores.values)
    if unit == "even":
        return FrameScores(scores.values[np.arange(frames) * n // frames], 0, 0)
    if unit == "time":
        if fps is None or not (np.isfinite(fps) and fps > 0):
            raise InputError(f"{scores.path}: scores in seconds need --video_fps, the videos' rate")
        covered = _covered_frames(scores.times, frames, fps)
    else:
        sizes = {"snippet": conventions.snippet_frames, "row": scores.row_frames}
        covered = n * sizes.get(unit, 1)
    if abs(covered - frames) > conventions.tolerance_frames:
        raise InputError(
            f"{scores.path}: {n} scores are for {covered} frames ({unit}), but the video has "
            f"{frames}; score it again, or see --score_unit and --tolerance_frames"
        )
    if unit == "time":
        return FrameScores(_at_times(scores, np.arange(frames) / fps, conventions), 0, 0)
    index = np.arange(min(covered, frames)) // (covered // n)
    values = scores.values[index]
    missing = frames - len(values)
    if missing > 0 and conventions.padding != "truncate":
        last = values[-1:] * (conventions.padding == "hold")
        values = np.concatenate([values, np.repeat(last, missing, axis=0)])
    return FrameScores(values, max(missing, 0), max(covered - frames, 0))


def row_of_frames(
    scores: VideoScores, frames: int, conventions: Conventions, *, unit: str, fps: float | None
) -> np.ndarray:
    """[T] which of the n scores is each frame's: the one that it has, or of two the earlier."""
    padding = "truncate" if conventions.padding == "truncate" else "hold"
    sampling = "nearest" if conventions.time_sampling == "nearest" else "hold"
    held = conventions._replace(padding=padding, time_sampling=sampling)
    numbered = scores._replace(values=np.arange(len(scores.values))[:, None])
    return to_frames(numbered, frames, held, unit=unit, fps=fps).values[:, 0]


def _row_frames(folder: Path) -> dict[str, int]:
    """Of the videos whose features score-video was given, of how many frames a row is."""
    path = folder / "run.json"
    record = files.read_json(path) if path.is_file() else None
    for name in ("inputs", "video"):
        record = record.get(name) if isinstance(record, dict) else None
    found = {}
    for video in record if isinstance(record, list) else []:
        number = video.get("frames_per_row") if isinstance(video, dict) else None
        if type(number) is int and number > 0:
            found[video_key(str(video.get("id")))] = number
    return found


def _covered_frames(times: np.ndarray, frames: int, fps: float) -> int:
    """How many frames have a score: the last score lasts until the next one would come."""
    last = round(float(times[-1]) * fps) + 1
    spacing = round(float(np.median(np.diff(times))) * fps) if len(times) > 1 else frames
    return last if last >= frames else min(frames, last + spacing)


def _at_times(scores: VideoScores, seconds: np.ndarray, conventions: Conventions) -> np.ndarray:
    times = scores.times
    if conventions.time_sampling == "linear":
        columns = [np.interp(seconds, times, column) for column in scores.values.T]
        return np.stack(columns, axis=1)
    after = np.searchsorted(times, seconds + CLOCK, side="right")
    index = np.clip(after - 1, 0, len(times) - 1)
    if conventions.time_sampling == "nearest":
        following = np.minimum(after, len(times) - 1)
        nearer = times[following] - seconds < np.abs(seconds - times[index]) - CLOCK
        index = np.where(nearer, following, index)
    return scores.values[index]


def _read_npy(path: Path) -> VideoScores:
    array = read_array(path)
    values = array.reshape(-1, 1) if array.ndim == 1 else array
    if values.ndim != 2 or values.shape[1] != 1 or not len(values):
        raise InputError(
            f"{path}: shape {list(array.shape)}; give one score per frame or snippet, or a CSV "
            "file with a named column per event"
        )
    return VideoScores(path, _finite(path, values.astype(np.float64)), (), None)


def _read_csv(path: Path) -> VideoScores:
    # Without a header pandas would take the first score for one.
    table = files.read_csv(path, header=None, dtype=str, encoding="utf-8-sig")
    columns: Sequence[str] = ("",)
    if not pd.to_numeric(table.iloc[0], errors="coerce").notna().all():
        columns = tuple(str(name).strip() for name in table.iloc[0])
        table = table.iloc[1:]
    unnamed = len(columns) > 1 and "" in columns
    if unnamed or len(columns) != table.shape[1] or len(set(columns)) < len(columns):
        raise InputError(f"{path}: a name for each of its columns is needed, each once; add them")
    if not len(table):
        raise InputError(f"{path}: no scores; score the video again")
    values = _finite(path, files.numbers(table))
    times = values[:, columns.index("time_seconds")] if "time_seconds" in columns else None
    if times is not None and (np.diff(times) <= 0).any():
        raise InputError(f"{path}: time_seconds does not increase; score the video again")
    if times is None and "frame" in columns:
        if (values[:, columns.index("frame")] != np.arange(len(values))).any():
            raise InputError(f"{path}: frame does not count 0, 1, 2, …; add time_seconds instead")
    kept = [index for index, name in enumerate(columns) if name not in _KEYS]
    if not kept:
        raise InputError(f"{path}: no column of scores; score the video again")
    names = tuple(columns[index] for index in kept if columns[index])
    return VideoScores(path, values[:, kept], names, times)


def _finite(path: Path, values: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise InputError(
            f"{path}: score {int(bad.argmax())} is no finite number; score the video again"
        )
    return values
