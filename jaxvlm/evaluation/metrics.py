"""Frame-level and video-level scores of a detector, and their spread over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError


def frame_metrics(scores: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Area under the ROC curve and average precision of frame scores.

    AUC = P(s⁺ > s⁻) + ½ P(s⁺ = s⁻);  AP = Σ_n (R_n − R_{n−1}) P_n over distinct thresholds.

    Args:
      scores: [T], higher means more anomalous; any monotone unit.
      labels: [T], 1 where the event is on, else 0.

    Returns:
      ``{"auc", "ap"}``. Both are nan if only one class occurs (or T = 0): a ranking of one class
      says nothing, and the AP of all-positive labels is 1 whatever the scores.

    Raises:
      InputError: a score is NaN, or a label is not 0 or 1.
      ValueError: scores and labels are not both [T].

    Source: scikit-learn ``roc_auc_score`` and ``average_precision_score``.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    check_shapes("frame_metrics", scores=(scores, "T"), labels=(labels, "T"))
    if np.isnan(scores).any():
        raise InputError(
            f"scores: NaN at frame {int(np.isnan(scores).argmax())}; score the video again"
        )
    if not np.isin(labels, (0, 1)).all():
        raise InputError("labels: a value is neither 0 nor 1; correct the labels")
    if np.unique(labels).size < 2:
        return {"auc": float("nan"), "ap": float("nan")}
    labels = labels.astype(int)
    return {
        "auc": float(roc_auc_score(labels, scores)),
        "ap": float(average_precision_score(labels, scores)),
    }


def event_frame_metrics(
    probability: Sequence[ArrayLike], labels: Sequence[ArrayLike], events: Sequence[str]
) -> dict[str, Any]:
    """Frame metrics per event over the frames of all videos, and two overall figures.

    Args:
      probability: one [T_n, E] per video.
      labels: one [T_n, E] of 0/1 per video.
      events: the E names.

    Returns:
      ``{"events": {name: {"auc", "ap"}}, "any": ..., "mean": ...}``. ``any`` (micro) ranks each
      frame by its highest event probability against "some event is on"; ``mean`` (macro) averages
      the events whose metric is defined.

    Raises:
      InputError: as `frame_metrics`, or shapes that do not agree; the video's index is named.
    """
    if len(probability) != len(labels) or not len(labels):
        raise InputError(
            f"{len(probability)} videos scored, {len(labels)} labelled; give both for each video"
        )
    for index, (scores, truth) in enumerate(zip(probability, labels, strict=True)):
        if np.shape(scores) != np.shape(truth) or np.shape(scores)[1:] != (len(events),):
            raise InputError(
                f"video {index}: scores {list(np.shape(scores))}, labels {list(np.shape(truth))}, "
                f"{len(events)} events; give [frames, events] for both"
            )
    scores = np.concatenate([np.asarray(p) for p in probability])
    truth = np.concatenate([np.asarray(y) for y in labels])
    per_event = {e: frame_metrics(scores[:, i], truth[:, i]) for i, e in enumerate(events)}
    return {
        "events": per_event,
        "any": frame_metrics(scores.max(axis=1), truth.max(axis=1)),
        "mean": {key: _defined_mean(m[key] for m in per_event.values()) for key in ("auc", "ap")},
    }


def video_auc(scores: ArrayLike, labels: ArrayLike, events: Sequence[str]) -> dict[str, Any]:
    """AUC of video-level scores [N, E] against video labels [N, E].

    Returns:
      ``{"events": {name: auc}, "any": auc, "mean": auc}``, defined as in `event_frame_metrics`.

    Raises:
      InputError: NaN, or labels that are not 0/1.
      ValueError: scores and labels are not both [N, E], E the number of events.
    """
    axes = f"N {len(events)}"
    check_shapes("video_auc", scores=(scores, axes), labels=(labels, axes))
    metrics = event_frame_metrics([scores], [labels], events)
    return {
        "events": {name: values["auc"] for name, values in metrics["events"].items()},
        "any": metrics["any"]["auc"],
        "mean": metrics["mean"]["auc"],
    }


def mean_and_spread(runs: Sequence[Any]) -> dict[str, Any]:
    """Mean and sample standard deviation over runs (seeds).

    mean = Σ x / n;  std = √(Σ (x − mean)² / (n − 1)).

    Args:
      runs: numbers, or nested dicts of numbers with the same keys in every run.

    Returns:
      ``{"mean", "std", "n"}`` for numbers; for dicts, the same nesting with that at each leaf.
      Undefined (nan) values are left out and n counts the rest; std is nan for n < 2.

    Raises:
      InputError: no run, or runs whose keys differ.
      ValueError: a run is an array; average what it holds first.
    """
    if not runs:
        raise InputError("runs: none given; evaluate at least one seed")
    if isinstance(runs[0], Mapping):
        if any(set(run) != set(runs[0]) for run in runs):
            raise InputError("runs: their keys differ; evaluate every seed the same way")
        return {key: mean_and_spread([run[key] for run in runs]) for key in runs[0]}
    check_shapes("mean_and_spread", runs=(runs, "n"))
    values = np.asarray(runs, dtype=float)
    values = values[~np.isnan(values)]
    return {
        "mean": float(values.mean()) if values.size else float("nan"),
        "std": float(values.std(ddof=1)) if values.size > 1 else float("nan"),
        "n": int(values.size),
    }


def _defined_mean(values) -> float:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
