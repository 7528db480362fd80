"""Scored videos against their true intervals: what evaluate_video reports."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm import files, names
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.pooling import pool_video
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics import event_frame_metrics, video_auc

_KEYS = ("frame", "time_seconds")


def evaluate_scores(
    scores_dir: str | os.PathLike, intervals_csv: str | os.PathLike
) -> dict[str, Any]:
    """Frame AUC and AP and video AUC, per event and overall.

    scores_dir holds ``ID/events.csv`` for every video, as score_video writes, at any depth; an
    interval's video_id is the id, or the last part of it where only one ends so. A video without
    intervals counts as normal. A frame is positive if start ≤ time < end; a video's score is the
    noisy-OR of its ten highest frames.

    Raises:
      InputError: no scores, tables of different events, or intervals of unknown events or videos.
    """
    scores = _read_scores(Path(scores_dir))
    events = [column for column in next(iter(scores.values())) if column not in _KEYS]
    intervals = tables.read_intervals(intervals_csv, events)
    if unknown := names.unmatched(intervals_csv, intervals["video_id"], scores):
        raise InputError(f"{unknown}; {scores_dir} has no scores of it: score it, or correct it")
    known = names.match_ids(intervals["video_id"], scores)
    intervals = intervals.assign(video_id=intervals["video_id"].map(known))
    probability, truth = [], []
    for name, table in scores.items():
        own = intervals[intervals["video_id"] == name]
        probability.append(table[events].to_numpy(np.float64))
        truth.append(tables.intervals_to_frames(own, table["time_seconds"].to_numpy(), events))
    pooled = np.stack([np.asarray(pool_video(pad_frames(values))) for values in probability])
    labels = np.stack([values.max(0) for values in truth])
    return {
        "videos": len(scores),
        "of_earlier_runs": _of_earlier_runs(Path(scores_dir), scores),
        "frames": sum(len(values) for values in truth),
        "positive_frames": int(sum(values.max(1).sum() for values in truth)),
        "frame": event_frame_metrics(probability, truth, events),
        "video_auc": video_auc(pooled, labels, events),
    }


def summary_table(result: dict[str, Any]) -> pd.DataFrame:
    """One row per event, their mean and any event: frame AUC, frame AP, video AUC."""
    rows = {
        event: {**values, "video auc": result["video_auc"]["events"][event]}
        for event, values in result["frame"]["events"].items()
    }
    for name, title in (("mean", "mean of events"), ("any", "any event")):
        rows[title] = {**result["frame"][name], "video auc": result["video_auc"][name]}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.rename(columns={"auc": "frame auc", "ap": "frame ap"})


def summary_lines(result: dict[str, Any]) -> list[str]:
    """`summary_table` as text, and what it was taken from."""
    text = summary_table(result).to_string(float_format="{:.3f}".format)
    lines = [*text.split("\n"), f"{result['videos']} videos, {result['frames']} frames"]
    earlier = result["of_earlier_runs"]
    if earlier:
        more = f" and {len(earlier) - 3} more" if len(earlier) > 3 else ""
        lines.append(f"{', '.join(earlier[:3])}{more}: scored by an earlier run than the others")
    return lines


def check_flags(intervals_csv: str | None, sources: Mapping[str, str | None]) -> None:
    """Raises InputError unless the flags without --protocol are those that belong together."""
    if intervals_csv is None:
        raise InputError("flags: give --protocol and --annotations, or --intervals_csv")
    if sources["scores_dir"] is None:
        raise InputError("flags: --intervals_csv needs --scores_dir, made by jaxvlm score-video")
    for name, value in sources.items():
        if value is not None and name != "scores_dir":
            raise InputError(f"flags: --{name} goes with --protocol, not with --intervals_csv")


def default_out(sources: Mapping[str, str | None]) -> Path | None:
    """metrics.json beside the scores; None where there are none."""
    if sources["scores_dir"] is not None:
        return Path(sources["scores_dir"]) / "metrics.json"
    return sources["scores_npy"] and Path(sources["scores_npy"]).with_name("metrics.json")


def _of_earlier_runs(folder: Path, scored: Iterable[str]) -> list[str]:
    """The videos that the last run of score-video into the folder does not tell of."""
    path = folder / "run.json"
    record = files.read_json(path) if path.is_file() else None
    last = record.get("videos") if isinstance(record, dict) else None
    return sorted(set(scored) - set(map(str, last))) if isinstance(last, list) else []


def _read_scores(folder: Path) -> dict[str, pd.DataFrame]:
    """events.csv by video, in sorted order, all with the same columns and finite values."""
    scores = {
        names.relative_id(path.parent, folder): files.read_csv(path)
        for path in sorted(folder.rglob("events.csv"))
        if path.parent != folder
    }
    if not scores:
        raise InputError(
            f"{folder}: no VIDEO/events.csv in it; run jaxvlm score-video on a folder first"
        )
    first = next(iter(scores))
    columns = list(scores[first])
    for name, table in scores.items():
        path = folder / name / "events.csv"
        if list(table) != columns or tuple(columns[:2]) != _KEYS or len(columns) < 3:
            raise InputError(
                f"{path}: columns {','.join(table)}, not those of {first}; score it again"
            )
        if not len(table):
            raise InputError(f"{path}: no frames; score the video again")
        numeric = table.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        if not np.isfinite(numeric).all():
            raise InputError(f"{path}: a value that is no finite number; score the video again")
    return scores
