"""Labels, intervals, manifests and training packs: the tables between the launchers."""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import bounds, files
from jaxvlm.errors import InputError
from jaxvlm.terminal import control_character

TRUTH = {"0": 0, "no": 0, "false": 0, "1": 1, "yes": 1, "true": 1}
INTERVAL_COLUMNS = ("video_id", "event", "start_seconds", "end_seconds")
MANIFEST_COLUMNS = ("run_dir", "labels_csv")
TRAINPACK, PRESENCE = "trainpack.safetensors", "presence.safetensors"
ENCODER = "encoder.json"  # which encoder a run folder is of
_RUN_AGAIN = "run jaxvlm run-pipeline again"
_ROUNDING = 1 + 1e-4  # of sums of float32
_LARGEST = 2.0**53  # a number of frames: up to it all whole numbers are floats
RUN_FOLDER = "a run folder"  # what `outputs` calls one


class Run(NamedTuple):
    """One video's run folder and its label table, or None where the video has no labels."""

    run_dir: Path
    labels_csv: Path | None


class TrainPack(NamedTuple):
    """Segment presence p̄ [T, C] float32 and frame labels [T] of one video."""

    pbar: np.ndarray
    labels: np.ndarray


def read_event_labels(path: str | os.PathLike, events: Sequence[str] | None = None) -> pd.DataFrame:
    """Reads 0/1 labels: ``video_id``, with a ``frame`` column one row per frame, then the events.

    0, 1, true, false, yes and no are accepted in any case. Without ``events`` every other column
    is an event; with it the columns come back in its order. Values are uint8, frames int64.

    Raises:
      InputError: no rows; a missing, extra, repeated or misspelled column; a value that is no 0/1
        (with its row and column); a repeated video_id, or (video_id, frame).
    """
    table = _read_text(path)
    keys = ["video_id"] + ["frame"] * ("frame" in table)
    if events is None:
        events = [c for c in table if c not in keys]
        if not events:
            raise InputError(f"{path}: no event column; add one 0/1 column per event")
    _check_columns(path, table, [*keys, *events])
    columns = {"video_id": _video_ids(path, table)}
    if "frame" in keys:
        columns["frame"] = _numbers(path, table, "frame").astype(np.int64)
    for event in events:
        values = [TRUTH.get(cell.casefold()) for cell in table[event]]
        if None in values:
            row = values.index(None)
            place = f"{path}: row {row + 2}, column {event}: {table[event][row]!r}"
            raise InputError(f"{place} is no 0/1; write 0, 1, true, false, yes or no")
        columns[event] = np.array(values, np.uint8)
    result = pd.DataFrame(columns)
    twice = result.duplicated(keys).to_numpy()
    if twice.any():
        row = int(twice.argmax())
        raise InputError(
            f"{path}: row {row + 2}: {' '.join(str(result[k][row]) for k in keys)} is there twice; "
            f"remove one"
        )
    return result


def read_intervals(path: str | os.PathLike, events: Sequence[str] | None = None) -> pd.DataFrame:
    """Reads when events happen: video_id, event, start_seconds, end_seconds; none is a valid table.

    Raises:
      InputError: a wrong column, an event that is not in ``events``, or a time that is no number
        with 0 ≤ start ≤ end (with its row).
    """
    table = _read_text(path, allow_empty=True)
    _check_columns(path, table, INTERVAL_COLUMNS)
    result = pd.DataFrame({"video_id": _video_ids(path, table), "event": table["event"]})
    for row, event in enumerate(table["event"]):
        if not event or control_character(event) or event not in (events or [event]):
            raise InputError(
                f"{path}: row {row + 2}: unknown event {event!r}{_suggest(event, events or ())}; "
                f"correct the name"
            )
    for column in ("start_seconds", "end_seconds"):
        result[column] = _numbers(path, table, column)
    wrong = (result["start_seconds"] < 0) | (result["end_seconds"] < result["start_seconds"])
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise InputError(f"{path}: row {row + 2}: not 0 ≤ start ≤ end; correct the times")
    return result


def intervals_to_frames(
    intervals: pd.DataFrame, times: np.ndarray, events: Sequence[str]
) -> np.ndarray:
    """[T, E] uint8: 1 where start ≤ t < end for an interval of that event.

    Args:
      intervals: rows of ``read_intervals`` of one video.
      times: [T] seconds of the frames.
      events: names of the E columns; intervals of other events are left out.
    """
    times = np.asarray(times, np.float64)
    frames = np.zeros((len(times), len(events)), np.uint8)
    for row in intervals.itertuples(index=False):
        if row.event in events:
            inside = (row.start_seconds <= times) & (times < row.end_seconds)
            frames[inside, list(events).index(row.event)] = 1
    return frames


def read_frame_counts(path: str | os.PathLike) -> pd.DataFrame:
    """Reads ``video,frames`` and, if it is there, ``anomalous_frames``; other columns are left out.

    Raises:
      InputError: no rows, a missing column, a video twice or unnamed, or a count that is no whole
        number (frames: at least 1) or above what is read of a video, with its row.
    """
    table = _read_text(path)
    columns = ["video", "frames", *(["anomalous_frames"] if "anomalous_frames" in table else [])]
    _check_columns(path, table[[c for c in columns if c in table]], columns)
    result = pd.DataFrame({"video": table["video"]})
    for column in columns[1:]:
        values = _numbers(path, table, column)
        outside = (values < (column == "frames")) | (values > bounds.VIDEO_PACKETS)
        wrong = (outside | (values % 1 != 0)).to_numpy()
        if wrong.any():
            row = int(wrong.argmax())
            raise InputError(
                f"{path}: row {row + 2}, column {column}: {table[column][row]!r} is no number of "
                f"frames of a video, 1 to {bounds.VIDEO_PACKETS:,}; correct it"
            )
        result[column] = values.astype(np.int64)
    wrong = (result.duplicated("video") | (result["video"] == "")).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{path}: row {row + 2}: video {result['video'][row]!r} is unnamed or there twice; "
            f"correct it"
        )
    return result


def write_manifest(path: str | os.PathLike, runs: Iterable[Run]) -> None:
    """Writes ``run_dir,labels_csv``; paths inside the manifest's folder become relative to it."""
    base = Path(path).resolve().parent

    def entry(target: Path | None) -> str:
        if target is None:
            return ""
        target = Path(target).resolve()
        return (target.relative_to(base) if target.is_relative_to(base) else target).as_posix()

    rows = [(entry(run.run_dir), entry(run.labels_csv)) for run in runs]
    files.write_csv(path, pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)))


def read_manifest(path: str | os.PathLike) -> list[Run]:
    """Reads the runs of a manifest; relative paths start at its folder, an empty label is None.

    Raises:
      InputError: a wrong column, no rows, a run folder or label file that is missing, a run twice.
    """
    table = _read_text(path)
    _check_columns(path, table, MANIFEST_COLUMNS)
    base = Path(path).parent
    runs, seen = [], set()
    for row, (run_dir, labels_csv) in enumerate(
        zip(*map(table.get, MANIFEST_COLUMNS), strict=True)
    ):
        run = Run(base / run_dir, base / labels_csv if labels_csv else None)
        place = f"{path}: row {row + 2}"
        # os.path, because pathlib raises where a name is too long.
        if not run_dir or not os.path.isdir(run.run_dir):
            raise InputError(
                f"{place}: no such run {run_dir[:100]!r}; run jaxvlm run-pipeline for it or remove "
                "the row"
            )
        if run.labels_csv is not None and not os.path.isfile(run.labels_csv):
            raise InputError(f"{place}: no such label file {labels_csv[:100]!r}; correct the row")
        if (own := run.run_dir.resolve()) in seen:
            raise InputError(f"{place}: run {run_dir!r} is there twice; remove one")
        seen.add(own)
        runs.append(run)
    return runs


def read_trainpacks(runs: Iterable[Run], *, most: float = 1.0) -> list[TrainPack]:
    """Reads ``trainpack.safetensors`` of every run.

    Args:
      most: of p̄, which is a share. Only without normalisation, as the prototype has it, is it more:
        see `segment_bound` of `jaxvlm.video.config`.

    Raises:
      InputError: a file or array is missing, p̄ is not [T, C] or not within [0, most], labels are
        not [T], or two runs differ in the number of atoms.
    """
    packs: list[TrainPack] = []
    first = None
    for run in runs:
        path = Path(run.run_dir) / TRAINPACK
        arrays = files.read_arrays(path)
        pbar = _numbers_of(path, arrays, "pbar", 2)
        labels = _numbers_of(path, arrays, "labels", 1)
        if len(pbar) != len(labels):
            raise InputError(
                f"{path}: pbar is {list(pbar.shape)} and labels {list(labels.shape)}; {_RUN_AGAIN}"
            )
        _require_within(path, "pbar", pbar, most)
        first = first or (path, pbar.shape[1])
        if pbar.shape[1] != first[1]:
            raise InputError(
                f"{path}: {pbar.shape[1]} atoms, but {first[1]} in {first[0]}; "
                f"run jaxvlm run-pipeline on both with one ontology"
            )
        packs.append(TrainPack(pbar.astype(np.float32), labels))
    return packs


def read_presence(run_dir: str | os.PathLike) -> np.ndarray:
    """p [T, C] of ``presence.safetensors``. Raises InputError unless it is within [0, 1]."""
    path = Path(run_dir) / PRESENCE
    presence = _numbers_of(path, files.read_arrays(path), "presence", 2)
    _require_within(path, "presence", presence, 1.0)
    return presence


def _numbers_of(path: Path, arrays: Mapping[str, np.ndarray], name: str, rank: int) -> np.ndarray:
    array = arrays.get(name)
    if array is None or array.ndim != rank or 0 in array.shape or array.dtype.kind not in "biuf":
        shape = "missing" if array is None else f"{array.dtype} {list(array.shape)}"
        raise InputError(f"{path}: {name} must have {rank} axes but is {shape}; {_RUN_AGAIN}")
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise InputError(f"{path}: NaN or infinity in frame {int(bad.argmax())}; {_RUN_AGAIN}")
    return array


def _require_within(path: Path, name: str, array: np.ndarray, most: float) -> None:
    bad = ((array < 0) | (array > most * _ROUNDING)).any(axis=1)
    if bad.any():
        frame = int(bad.argmax())
        low, high = float(array[frame].min()), float(array[frame].max())
        raise InputError(
            f"{path}: {name} of frame {frame} runs from {low:g} to {high:g}, outside "
            f"[0, {most:g}]; {_RUN_AGAIN}"
        )


def _read_text(path: str | os.PathLike, *, allow_empty: bool = False) -> pd.DataFrame:
    """All cells as stripped text, so that nothing is guessed; header names stripped and unique."""
    # Read without a header: pandas would rename a repeated column, and would take a row that is
    # one cell too long for an index. Lists: a table of one row is read for every run.
    table = files.read_csv(
        path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
    ).fillna("")  # a row that is too short
    rows = [[cell.strip() for cell in row] for row in table.to_numpy().tolist()]
    rows = [row for row in rows if any(row)]
    if any("\0" in cell for row in rows for cell in row):
        raise InputError(f"{path}: holds NUL bytes, so it is no text; save the table as UTF-8")
    if len(rows) <= (0 if allow_empty else 1):
        raise InputError(f"{path}: a header and no rows; fill the table")
    header = rows[0]
    odd = [name for name in header if not name or header.count(name) > 1]
    if odd:
        raise InputError(f"{path}: column {odd[0]!r} is unnamed or repeated; correct the header")
    return pd.DataFrame(rows[1:], columns=header, dtype=table.dtypes.iloc[0])


def _check_columns(path: str | os.PathLike, table: pd.DataFrame, expected: Sequence[str]) -> None:
    extra = [c for c in table if c not in expected]
    missing = [c for c in expected if c not in table]
    if missing:
        raise InputError(
            f"{path}: no column {missing[0]!r}{_suggest(missing[0], extra, 'is it')}; "
            f"expected {','.join(expected)}"
        )
    if extra:
        raise InputError(
            f"{path}: unexpected column {extra[0]!r}{_suggest(extra[0], expected)}; remove it"
        )


def _suggest(name: str, choices: Sequence[str], words: str = "did you mean") -> str:
    near = difflib.get_close_matches(name, choices, n=1)
    return f" ({words} {near[0]!r}?)" if near else ""


def _video_ids(path: str | os.PathLike, table: pd.DataFrame) -> pd.Series:
    empty = (table["video_id"] == "").to_numpy()
    if empty.any():
        raise InputError(f"{path}: row {int(empty.argmax()) + 2}: no video_id; fill it in")
    return table["video_id"]


def _numbers(path: str | os.PathLike, table: pd.DataFrame, column: str) -> pd.Series:
    values = pd.Series(files.numbers(table[column]), table.index)
    bad = ~np.isfinite(values.to_numpy())
    if column == "frame":
        whole = np.where(bad, 0.0, values.to_numpy())
        bad |= (whole < 0) | (whole % 1 != 0) | (whole > _LARGEST)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"{path}: row {row + 2}, column {column}: {table[column][row]!r} is not a number "
            f"that fits; correct it"
        )
    return values
