"""What frame AUC and AP are worth: scores that look at no picture, and how far beyond them one is.

A benchmark whose anomalous videos are mostly anomalous in the middle, and shorter than its normal
ones, gives a score for knowing that. The first two rows know the videos' labels besides: beyond
them, and only there, something was found within a video.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.evaluation.bootstrap import resampled_metrics, sample_videos
from jaxvlm.evaluation.evaluated import Evaluated, within_videos
from jaxvlm.evaluation.intervals import Sampled, difference_interval

VIDEO_LABEL, LABEL_MIDDLE = "video's label", "video's label × middle"
SHORT, MIDDLE, CHANCE = "short videos first", "middle of the video", "chance"
ROWS = {
    VIDEO_LABEL: "1 in every frame of an anomalous video, 0 in a normal one",
    LABEL_MIDDLE: "the same times the Gaussian at the middle",
    SHORT: "minus the number of frames of the video",
    MIDDLE: "a Gaussian at the middle of the video",
    CHANCE: "the same in every frame: its AP is the base rate",
}


def position_prior(frames: int) -> np.ndarray:
    """[T] a Gaussian at the middle of a video: exp(−½ ((t − m)/m)²), m = ⌊T/2⌋.

    It is 1 in the middle and about 0.6 at both ends.

    Source: VERA (Ye et al., CVPR 2025) and CoReVAD (arXiv 2605.23116), which multiply their scores
    by it: ``compute_auc.py``, ``eval_ucf.py``.
    """
    middle = max(frames // 2, 1)
    return np.exp(-0.5 * ((np.arange(frames) - frames // 2) / middle) ** 2)


def no_look_scores(lengths: Sequence[int], abnormal: Sequence[bool]) -> dict[str, list[np.ndarray]]:
    """The frame scores [T] per video of every row of `ROWS`.

    Args:
      lengths: T of each video. abnormal: its label.
    """
    pairs = list(zip(lengths, abnormal, strict=True))
    return {
        VIDEO_LABEL: [np.full(T, float(label)) for T, label in pairs],
        LABEL_MIDDLE: [position_prior(T) * label for T, label in pairs],
        SHORT: [np.full(T, -float(T)) for T, _ in pairs],
        MIDDLE: [position_prior(T) for T, _ in pairs],
        CHANCE: [np.zeros(T) for T, _ in pairs],
    }


def learned_no_look(
    train_lengths: ArrayLike, train_labels: ArrayLike, lengths: ArrayLike
) -> dict[str, np.ndarray]:
    """Video scores of two predictors that see no frame of a video.

    ``base rate``: the share of training videos that show the event, the same for all.
    ``video length``: T, or −T for an event whose training videos are the shorter ones.

    Args:
      train_lengths, train_labels: frames [N] and 0/1 labels [N, E] of the training videos.
      lengths: frames [M] of the videos to score.

    Returns:
      [M, E] each.

    Raises:
      ValueError: shapes that do not fit.
    """
    check_shapes(
        "learned_no_look",
        train_labels=(train_labels, "N E"),
        train_lengths=(train_lengths, "N"),
        lengths=(lengths, "M"),
    )
    labels = np.asarray(train_labels, np.float64)
    # Cov(T, y_e) has the sign in which the length ranks the training videos.
    centred = np.asarray(train_lengths, np.float64) - np.mean(train_lengths)
    sign = np.where(centred @ labels < 0, -1.0, 1.0)
    return {
        "video length": np.asarray(lengths, np.float64)[:, None] * sign,
        "base rate": np.repeat(labels.mean(axis=0)[None], len(np.asarray(lengths)), axis=0),
    }


def overall(
    scores: Sequence[np.ndarray], data: Evaluated, *, ap_definition: str = "average_precision"
) -> dict[str, float]:
    """``auc`` and ``ap`` of one frame score [T] per video against "anomalous", over all frames."""
    return _pooled(scores, [video.anomalous for video in data.videos], ap_definition)


def figures(
    scores: Sequence[np.ndarray], data: Evaluated, *, ap_definition: str = "average_precision"
) -> dict[str, float]:
    """`overall`, and how well anomalies are found within videos; nan: undefined.

    ``auc_anomalous``, ``ap_anomalous``: over the frames of anomalous videos together;
    ``auc_within``: the mean over videos of the AUC within one.
    """
    kept = [i for i, video in enumerate(data.videos) if video.abnormal]
    labels = [video.anomalous for video in data.videos]
    own = _pooled([scores[i] for i in kept], [labels[i] for i in kept], ap_definition)
    return (
        overall(scores, data, ap_definition=ap_definition)
        | {f"{metric}_anomalous": value for metric, value in own.items()}
        | {"auc_within": within_videos(scores, labels)["value"]}
    )


def sampled(
    scores: Sequence[np.ndarray], data: Evaluated, options: Mapping[str, Any]
) -> Sampled | None:
    """`bootstrap.sample_videos` of one frame score [T] per video; None if one kind of frame occurs.

    The same videos are drawn for every score, so that two can be compared with `gain_over`.
    """
    labels = [video.anomalous for video in data.videos]
    truth = np.concatenate(labels)
    if truth.all() or not truth.any():
        return None
    return sample_videos(
        np.concatenate(scores),
        truth,
        np.repeat(np.arange(len(labels)), [len(own) for own in labels]),
        trapezoid=options["ap_definition"] == "trapezoid",
        num_resamples=options["num_resamples"],
        seed=options["seed"],
    )


def gain_over(scores: Sampled, other: Sampled) -> dict[str, dict[str, float]]:
    """How much higher AUC and AP are than those of another score of the same frames.

    ``{"auc", "ap"}``, each ``{"value", "low", "high"}``, `intervals.difference_interval` of 95 %.
    """
    values, influences = scores.values - other.values, scores.influences - other.influences
    return {
        metric: difference_interval(values[i], influences[i], scores.kinds, 0.95)._asdict()
        for i, metric in enumerate(("auc", "ap"))
    }


def no_look_figures(data: Evaluated, *, ap_definition: str = "average_precision") -> dict[str, Any]:
    """``base_rate``, the share of anomalous frames, and ``rows``: `figures` of those of `ROWS`."""
    labels = np.concatenate([video.anomalous for video in data.videos])
    rows = {
        name: figures(own, data, ap_definition=ap_definition) for name, own in _rows(data).items()
    }
    return {"base_rate": float(labels.mean()), "rows": rows}


def beside_no_look(data: Evaluated, options: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the anomaly score, of every row of `ROWS`, and the gain over the best row.

    Args:
      options: ``ap_definition``, ``num_resamples`` and ``seed`` of `bootstrap.resampled_metrics`.

    Returns:
      As `no_look_figures`; ``scores`` with `figures`; ``gain``: of ``auc`` and ``ap``
      the best ``row`` and the difference to it, as `gain_over`, or None.
    """
    scores = [data.anomaly(video) for video in data.videos]
    definition = options["ap_definition"]
    result = no_look_figures(data, ap_definition=definition)
    gain: dict[str, Any] = dict.fromkeys(("auc", "ap"))
    if (ours := sampled(scores, data, options)) is not None:
        found, rows = result["rows"], _rows(data)
        best = {m: max(found, key=lambda row, m=m: found[row][m]) for m in gain}
        theirs = {row: sampled(rows[row], data, options) for row in set(best.values())}
        gain = {m: {"row": row, **gain_over(ours, theirs[row])[m]} for m, row in best.items()}
    return result | {"scores": figures(scores, data, ap_definition=definition), "gain": gain}


def _rows(data: Evaluated) -> dict[str, list[np.ndarray]]:
    lengths = [len(video.anomalous) for video in data.videos]
    return no_look_scores(lengths, [video.abnormal for video in data.videos])


def _pooled(
    scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], ap_definition: str
) -> dict[str, float]:
    if not scores:
        return {"auc": float("nan"), "ap": float("nan")}
    values = np.concatenate(scores)
    found = resampled_metrics(
        values,
        np.concatenate(labels),
        np.zeros(len(values), int),
        ap_definition=ap_definition,
        num_resamples=0,
    )
    return {"auc": found.auc.value, "ap": found.ap.value}
