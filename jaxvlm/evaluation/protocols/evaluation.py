"""Scores of a published benchmark's videos to frame AUC and AP: overall, per class, intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvlm.data import tables, video_lists
from jaxvlm.data.annotations import video_key
from jaxvlm.errors import InputError
from jaxvlm.evaluation.beside import beside
from jaxvlm.evaluation.bootstrap import FrameIntervals, resampled_metrics
from jaxvlm.evaluation.evaluated import Evaluated, Video, anomaly_score
from jaxvlm.evaluation.no_look import no_look_figures
from jaxvlm.evaluation.processing import Embeddings, Rows, gains, stages
from jaxvlm.evaluation.protocols import ground_truth
from jaxvlm.evaluation.protocols.conventions import VIDEO_FPS, Conventions
from jaxvlm.evaluation.protocols.ground_truth import GroundTruth
from jaxvlm.evaluation.protocols.scores import (
    VideoScores,
    read_scores,
    row_of_frames,
    score_unit,
    split_scores,
    to_frames,
)
from jaxvlm.evaluation.protocols.sources import Sources
from jaxvlm.evaluation.steps import parse_steps
from jaxvlm.evaluation.trained_on import find_trained

HIGHEST = "highest of all"  # what ranks a class that has no column


def evaluate_protocol(
    protocol: str,
    sources: Sources,
    conventions: Conventions | None = None,
    *,
    video_fps: float | None = None,
    partial: bool = False,
    trained: str = "refuse",
    num_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Rebuilds a benchmark's ground truth and, if there are scores, evaluates them.

    A frame's anomaly score is the highest of its scores. The frames of a class are ranked by the
    column with the name of the class, if the scores have one; case, a plural s, and all but letters
    and digits do not matter. Otherwise they are ranked by the anomaly score. Frame counts come from
    the CSV, the videos, or the score files.

    Args:
      protocol: "ucf_crime", "xd_violence" or "lists".
      conventions: default: those that give the published totals.
      video_fps: frames per second of the videos, for scores and delays in seconds; known for the
        first two.
      partial: evaluate the videos that have scores; otherwise one without is an error.
      trained: what happens to videos that the roles were trained on, see `trained_on.CHOICES`.

    Returns:
      ``protocol``, ``conventions`` (as used), ``truth`` (videos, frames, anomalous frames, and
      per class), ``no_look`` (`no_look.no_look_figures`); with scores also ``scores``, ``overall``,
      ``anomalous_videos``, ``classes`` and ``mean_of_classes``, whose metrics are ``{"value",
      "low", "high"}`` of 95 %; what `beside` returns; and with steps of post-processing, whose
      scores all these are of, ``postprocess``, the rows of `processing.gains`.

    Raises:
      InputError: as the readers; a video without scores, scores of an unknown video.

    Source: docs/protocols.md, Conventions and Figures, which name the papers and their scripts.
    """
    conventions = conventions or Conventions()
    if sources.annotations is None:
        raise InputError(f"--protocol={protocol} needs --annotations, its annotation file")
    if sources.scores_dir is not None and sources.scores_npy is not None:
        raise InputError("--scores_dir and --scores_npy: give one of them")
    ground_truth.check_conventions(conventions)
    steps = parse_steps(conventions.postprocess)
    counts = ground_truth.read_counts(sources)
    scores = seen = None
    if sources.scores_dir is not None:
        scores = read_scores(sources.scores_dir)
        seen = find_trained(
            sources.scores_dir, scores, roles=sources.roles, treated=trained, key=video_key
        )
        scores = {key: item for key, item in scores.items() if key not in seen.left_out}
        partial = partial or bool(seen.left_out)
    elif sources.scores_npy is not None:
        if protocol != "lists" or sources.video_list is None or counts is None:
            raise InputError(
                f"{sources.scores_npy}: scores of all videos in one array need --protocol=lists, "
                "--video_list and --frame_counts"
            )
        listed = video_lists.read_video_list(sources.video_list)
        for key in listed:
            if key not in counts:
                raise InputError(f"{sources.video_list}: {key} has no frame count; add it")
        scores = split_scores(sources.scores_npy, {k: counts[k] for k in listed}, conventions)
    if counts is None and scores is not None:
        counts = _counts_of_scores(protocol, sources, scores, conventions)
    only = list(scores) if scores is not None and partial else None
    truth = ground_truth.read_ground_truth(protocol, sources, counts, conventions, only=only)
    lengths = {key: len(video.anomalous) for key, video in truth.videos.items()}
    result: dict[str, Any] = {"protocol": protocol, "conventions": conventions.record()}
    if scores is None:
        del result["conventions"]["score_unit"]
        blind = [np.zeros((length, 1)) for length in lengths.values()]
        data = _evaluated(truth, blind, (), None)
        rows = no_look_figures(data, ap_definition=conventions.ap_definition)
        return result | {"truth": _describe(truth, sources), "no_look": rows}
    _check_videos(truth, scores, sources, partial)
    unit = score_unit(scores, lengths, conventions)
    rate = video_fps or VIDEO_FPS.get(protocol)
    fps = rate if unit == "time" else None
    columns = next(iter(scores.values())).columns
    result["conventions"]["score_unit"] = unit
    result |= {"truth": _describe(truth, sources)}
    result["scores"] = {
        "columns": list(columns),
        "frames_per_row": sorted({scores[key].row_frames for key in truth.videos})
        if unit == "row"
        else None,
        "video_fps": fps,
        "only_scored_videos": partial,
        "frames_added": 0,
        "frames_cut": 0,
        "trained_on": None if seen is None else seen.record(),
    }
    parts = []
    for key in truth.videos:
        part = to_frames(scores[key], lengths[key], conventions, unit=unit, fps=fps)
        result["scores"]["frames_added"] += part.added
        result["scores"]["frames_cut"] += part.cut
        parts.append(part.values)
    data = _evaluated(truth, parts, columns, rate)
    options = dict(ap_definition=conventions.ap_definition, num_resamples=num_resamples, seed=seed)
    result["bootstrap"] = {"resamples": num_resamples, "level": 0.95, "seed": seed}
    if steps:
        rows = {}
        for key, length in lengths.items():
            own, shown = scores[key], dict(unit=unit, fps=fps)
            rows[key] = Rows(
                own.values,
                lambda values, own=own, length=length, shown=shown: (
                    to_frames(own._replace(values=values), length, conventions, **shown).values
                ),
                row_of_frames(own, length, conventions, **shown),
                len(own.values) * rate / length if rate else None,
                rate,
            )
        folders = Embeddings(sources.scores_dir, sources.embeddings, sources.caption_embeddings)
        found = stages(steps, rows, [video.abnormal for video in data.videos], folders)
        parts, result["postprocess"] = gains(found, data, options)
        data = _evaluated(truth, parts, columns, rate)
    normal = "none" if protocol == "ucf_crime" else "videos"
    return (
        result
        | _metrics(truth, data, conventions, options)
        | beside(data, conventions.rules, options, normal=normal)
    )


def _evaluated(
    truth: GroundTruth, parts: list[np.ndarray], columns: tuple[str, ...], rate: float | None
) -> Evaluated:
    videos = []
    for video, scores in zip(truth.videos.values(), parts, strict=True):
        n = len(scores)  # shorter than the truth with padding=truncate
        seconds = np.arange(n + 1) / (rate or 1.0)
        frames = video.anomalous[:n], video.events[:n]
        videos.append(Video(scores, *frames, video.abnormal, seconds, video.spans))
    return Evaluated(tuple(videos), columns, truth.events, timed=rate is not None)


def _metrics(
    truth: GroundTruth, data: Evaluated, conventions: Conventions, options: Mapping[str, Any]
) -> dict[str, Any]:
    videos = list(truth.videos.values())
    video = np.repeat(np.arange(len(videos)), [len(own.scores) for own in data.videos])
    every = np.concatenate([own.scores for own in data.videos])
    anomaly = anomaly_score(every, data.columns)
    anomalous = np.concatenate([own.anomalous for own in data.videos])
    events = np.concatenate([own.events for own in data.videos])
    abnormal = np.array([own.abnormal for own in data.videos])

    def rank(values: np.ndarray, labels: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
        return _record(resampled_metrics(values[kept], labels[kept], video[kept], **options))

    result = {
        "overall": rank(anomaly, anomalous, np.full(len(video), True)),
        "anomalous_videos": rank(anomaly, anomalous, abnormal[video]),
        "classes": {},
    }
    for index, event in enumerate(truth.events):
        labels = events[:, index]
        own = np.array(
            [event in (v.labels or ()) or bool(v.events[:, index].any()) for v in videos]
        )
        negative = {
            "normal": ~anomalous & (own | ~abnormal)[video],
            "own": ~anomalous & own[video],
            "all": ~labels,
        }[conventions.class_negatives]
        column = data.column_of(event)
        values = anomaly if column is None else every[:, column]
        source = HIGHEST if column is None else data.columns[column]
        result["classes"][event] = rank(values, labels, labels | negative) | {"ranked_by": source}
    if truth.events:
        result["mean_of_classes"] = {
            metric: _mean([c[metric]["value"] for c in result["classes"].values()])
            for metric in ("auc", "ap")
        }
    return result


def _counts_of_scores(
    protocol: str,
    sources: Sources,
    scores: Mapping[str, VideoScores],
    conventions: Conventions,
) -> dict[str, int] | None:
    """Frames per video from its number of scores, if their unit is given or follows."""
    if conventions.score_unit in ("auto", "row") and all(s.row_frames for s in scores.values()):
        return {key: item.row_frames * len(item.values) for key, item in scores.items()}
    sizes = {"frame": 1, "snippet": conventions.snippet_frames}
    size = sizes.get(conventions.score_unit)
    if size is None and protocol == "lists" and conventions.score_unit == "auto":
        if str(sources.annotations).endswith(".npy"):
            frames = len(video_lists.read_truth(sources.annotations))
            number = sum(len(item.values) for item in scores.values())
            size = next((size for size in sizes.values() if size * number == frames), None)
    if size is None or next(iter(scores.values())).times is not None:
        return None
    return {key: size * len(item.values) for key, item in scores.items()}


def _check_videos(
    truth: GroundTruth, scores: Mapping[str, VideoScores], sources: Sources, partial: bool
) -> None:
    for key in sorted(set(scores) - set(truth.videos)):
        raise InputError(
            f"{scores[key].path}: {key} is not in {sources.video_list or sources.annotations}; "
            "remove it or correct its name"
        )
    missing = [key for key in truth.videos if key not in scores]
    if missing and not partial:
        raise InputError(
            f"{sources.scores_dir}: no scores of {missing[0]} ({len(missing)} of "
            f"{len(truth.videos)} videos have none); score them, or evaluate the others with "
            "--partial"
        )


def _describe(truth: GroundTruth, sources: Sources) -> dict[str, Any]:
    videos = truth.videos
    record: dict[str, Any] = {
        "videos": len(videos),
        "anomalous_videos": sum(bool(v.anomalous.any()) for v in videos.values()),
        "frames": sum(len(v.anomalous) for v in videos.values()),
        "anomalous_frames": int(sum(v.anomalous.sum() for v in videos.values())),
    }
    if sources.frame_counts is not None:
        table = tables.read_frame_counts(sources.frame_counts)
        if "anomalous_frames" in table:
            rows = zip(table["video"], table["anomalous_frames"], strict=True)
            stated = {video_key(name): number for name, number in rows}
            record["frame_counts_agree"] = sum(
                stated[key] == int(video.anomalous.sum()) for key, video in videos.items()
            )
    record["classes"] = {
        event: {
            "videos": sum(event in (v.labels or ()) for v in videos.values()),
            "frames": int(sum(v.events[:, index].sum() for v in videos.values())),
        }
        for index, event in enumerate(truth.events)
    }
    return record


def _record(found: FrameIntervals) -> dict[str, Any]:
    return found._asdict() | {"auc": found.auc._asdict(), "ap": found.ap._asdict()}


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
