"""Scored videos against their true intervals: what evaluate_video reports."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm import files, names
from jaxvlm.atoms.novelty import SIGNAL
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.pooling import pool_video
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.evaluation.beside import beside
from jaxvlm.evaluation.beside_tables import beside_lines, processed_lines
from jaxvlm.evaluation.evaluated import Evaluated, Video
from jaxvlm.evaluation.metrics import event_frame_metrics, video_auc
from jaxvlm.evaluation.processing import Embeddings, Rows, gains, stages
from jaxvlm.evaluation.protocols.conventions import Conventions, check_conventions
from jaxvlm.evaluation.scored_baselines import any_event_metrics, read_baselines
from jaxvlm.evaluation.spans import frame_edges
from jaxvlm.evaluation.steps import parse_steps
from jaxvlm.evaluation.trained_on import find_trained, trained_lines
from jaxvlm.names import number_of

SCORES = "scores"  # the row beside the baselines
RESAMPLES = 1000
_LONGEST = 1e12  # seconds, beyond which differences of times are no longer any
_KEYS = ("frame", "time_seconds")
_OF_MINE = ("scores_dir", "roles", "videos", "embeddings", "caption_embeddings")


def evaluate_scores(
    scores_dir: str | os.PathLike,
    intervals_csv: str | os.PathLike,
    *,
    trained: str = "refuse",
    roles: str | os.PathLike | None = None,
    videos: str | os.PathLike | None = None,
    conventions: Conventions | None = None,
    embeddings: Embeddings | None = None,
) -> dict[str, Any]:
    """Frame AUC and AP and video AUC, per event and overall, beside what has to be beaten.

    scores_dir holds ``ID/events.csv`` for every video, as score_video writes, at any depth; an
    interval's video_id is the id, or the last part of it where only one ends so. A video without
    intervals counts as normal. A frame is positive if start ≤ time < end; a video's score is the
    noisy-OR of its ten highest frames.

    Args:
      trained: what happens to videos that the roles were trained on, see `trained_on.CHOICES`.
      roles: the role model that scored; None: what ``run.json`` says of it.
      videos: where the videos are, for the pixel change; see `scored_baselines.read_baselines`.
      conventions: its ``rules``, ``postprocess`` and ``ap_definition`` (of the no-look rows) count.
      embeddings: for steps that need them; None: what score_video kept.

    Returns:
      Beside the figures what `beside` returns, a scored frame as a snippet for VadCLIP's mAP; with
      steps of post-processing, whose scores all figures are of, ``postprocess``.

    Raises:
      InputError: no scores, tables of different events, intervals of unknown events or videos, or
        as `trained_on.find_trained`.
    """
    scores = _read_scores(Path(scores_dir))
    events = [column for column in next(iter(scores.values())) if column not in _KEYS]
    unsought = _not_looked_for(Path(scores_dir))
    intervals = tables.read_intervals(intervals_csv, (*events, *unsought))
    intervals = intervals[~intervals["event"].isin(unsought)]
    if unknown := names.unmatched(intervals_csv, intervals["video_id"], scores):
        raise InputError(f"{unknown}; {scores_dir} has no scores of it: score it, or correct it")
    known = names.match_ids(intervals["video_id"], scores)
    intervals = intervals.assign(video_id=intervals["video_id"].map(known))
    seen = find_trained(scores_dir, scores, roles=roles, treated=trained)
    earlier = _of_earlier_runs(Path(scores_dir), scores)
    scores = {name: table for name, table in scores.items() if name not in seen.left_out}
    probability, truth = [], []
    for name, table in scores.items():
        own = intervals[intervals["video_id"] == name]
        probability.append(table[events].to_numpy(np.float64))
        truth.append(tables.intervals_to_frames(own, table["time_seconds"].to_numpy(), events))
    times = {name: table["time_seconds"].to_numpy() for name, table in scores.items()}
    conventions = conventions or Conventions()
    check_conventions(conventions)
    options = dict(ap_definition=conventions.ap_definition, num_resamples=RESAMPLES, seed=0)
    data = _evaluated(probability, truth, times, events)
    processed = {}
    if steps := parse_steps(conventions.postprocess):
        rows = {
            name: Rows(values, lambda own: own, np.arange(len(values)), *[_rate(times[name])] * 2)
            for name, values in zip(times, probability, strict=True)
        }
        folders = (embeddings or Embeddings())._replace(scores_dir=scores_dir)
        found = stages(steps, rows, [video.abnormal for video in data.videos], folders)
        probability, processed["postprocess"] = gains(found, data, options)
        data = _evaluated(probability, truth, times, events)
    pooled = np.stack([np.asarray(pool_video(pad_frames(values))) for values in probability])
    labels = np.stack([values.max(0) for values in truth])
    baselines = read_baselines(scores_dir, times, videos)
    rows = {SCORES: [values.max(axis=1) for values in probability], **baselines.scores}
    return {
        "videos": len(scores),
        "trained_on": seen.record(),
        "of_earlier_runs": earlier,
        "not_looked_for": unsought,
        "frames": sum(len(values) for values in truth),
        "positive_frames": int(sum(values.max(1).sum() for values in truth)),
        "frame": event_frame_metrics(probability, truth, events),
        "video_auc": video_auc(pooled, labels, events),
        "any_event": {name: any_event_metrics(values, truth) for name, values in rows.items()},
        "baselines_left_out": baselines.left_out,
        **processed,
        **beside(data, conventions.rules, options, repeats=conventions.snippet_frames),
    }


def _evaluated(
    probability: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    times: Mapping[str, np.ndarray],
    events: Sequence[str],
) -> Evaluated:
    videos = []
    for values, labels, seconds in zip(probability, truth, times.values(), strict=True):
        on = labels > 0
        any_event = on.any(axis=1)
        videos.append(Video(values, any_event, on, bool(any_event.any()), frame_edges(seconds)))
    return Evaluated(tuple(videos), tuple(events), tuple(events))


def _rate(times: np.ndarray) -> float:
    return 1 / float(np.median(np.diff(times))) if len(times) > 1 else 1.0


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


def baseline_table(result: dict[str, Any]) -> str:
    """Scores and baselines against "some event is on", as text: over all frames, within videos."""
    table = pd.DataFrame.from_dict(result["any_event"], orient="index")
    table.columns = ["frame auc", "frame ap", "auc within a video"]
    return table.rename_axis("any event", axis="columns").to_string(float_format="{:.3f}".format)


def summary_lines(result: dict[str, Any]) -> list[str]:
    """`summary_table` as text, and what it was taken from."""
    text = summary_table(result).to_string(float_format="{:.3f}".format)
    lines = [*processed_lines(result), *text.split("\n"), "", *baseline_table(result).split("\n")]
    lines += ["", *beside_lines(result), ""]
    lines += [*result["baselines_left_out"], *trained_lines(result["trained_on"])]
    lines.append(f"{number_of(result['videos'], 'video')}, {number_of(result['frames'], 'frame')}")
    for event in result["not_looked_for"]:
        lines.append(f"{event}: not looked for, because its labels taught nothing: no figures")
    earlier = result["of_earlier_runs"]
    if earlier:
        more = f" and {len(earlier) - 3} more" if len(earlier) > 3 else ""
        lines.append(f"{', '.join(earlier[:3])}{more}: scored by an earlier run than the others")
    return lines


def evaluate_mine(
    sources: Mapping[str, str | None],
    intervals_csv: str | None,
    *,
    trained: str,
    conventions: Conventions | None = None,
) -> dict[str, Any]:
    """`evaluate_scores` of flags by name. Raises InputError also for flags of a protocol."""
    check_flags(intervals_csv, sources)
    return evaluate_scores(
        sources["scores_dir"],
        intervals_csv,
        trained=trained,
        roles=sources["roles"],
        videos=sources["videos"],
        conventions=conventions,
        embeddings=Embeddings(None, sources["embeddings"], sources["caption_embeddings"]),
    )


def check_flags(intervals_csv: str | None, sources: Mapping[str, str | None]) -> None:
    """Raises InputError unless the flags without --protocol are those that belong together."""
    if intervals_csv is None:
        raise InputError("flags: give --protocol and --annotations, or --intervals_csv")
    if sources["scores_dir"] is None:
        raise InputError("flags: --intervals_csv needs --scores_dir, made by jaxvlm score-video")
    for name, value in sources.items():
        if value is not None and name not in _OF_MINE:
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


def _not_looked_for(folder: Path) -> list[str]:
    """The events that the role model knew to be none of its own, as ``run.json`` tells."""
    path = folder / "run.json"
    record = files.read_json(path) if path.is_file() else None
    roles = record.get("roles") if isinstance(record, dict) else None
    events = roles.get("not_looked_for") if isinstance(roles, dict) else None
    return [str(event) for event in events] if isinstance(events, list) else []


def _read_scores(folder: Path) -> dict[str, pd.DataFrame]:
    """events.csv by video, in sorted order, all with the same columns and finite values; without
    the novelty, which is no event."""
    scores = {
        names.relative_id(path.parent, folder): files.read_csv(path).drop(
            columns=SIGNAL, errors="ignore"
        )
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
        numeric = files.numbers(table)
        if not np.isfinite(numeric).all():
            raise InputError(f"{path}: a value that is no finite number; score the video again")
        times = numeric[:, 1]
        if (np.diff(times) <= 0).any() or np.abs(times).max() > _LONGEST:
            raise InputError(
                f"{path}: time_seconds does not increase, or not within 1e12; score the video again"
            )
        wrong = numeric[:, 2:][(numeric[:, 2:] < 0) | (numeric[:, 2:] > 1)]
        if len(wrong):
            raise InputError(f"{path}: {wrong[0]:g} is no probability; score the video again")
    return scores
