"""How well scores of rows find the anomalous frames of videos, with intervals over videos."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from benchmarks.presence_data import Video
from jaxvlm.evaluation.bootstrap import resampled_metrics, sample_videos
from jaxvlm.evaluation.intervals import difference_interval
from jaxvlm.evaluation.metrics import frame_metrics

LEVEL, RESAMPLES = 0.95, 1000


def to_frames(videos: Sequence[Video], scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scores of rows as those of frames."""
    return [np.asarray(s, np.float64)[v.at] for v, s in zip(videos, scores, strict=True)]


def measure(videos: Sequence[Video], scores: Sequence[np.ndarray]) -> dict[str, float]:
    """Frame AUC over all frames and of each video, with intervals; normal frames above one half."""
    frames = to_frames(videos, scores)
    labels = np.concatenate([video.labels for video in videos])
    numbers = np.repeat(np.arange(len(videos)), [len(video.labels) for video in videos])
    together = np.concatenate(frames)
    auc = resampled_metrics(together, labels, numbers, num_resamples=RESAMPLES, level=LEVEL).auc
    each = aucs(videos, frames)
    mean, low, high = mean_interval(each)
    return {
        "pooled": auc.value,
        "pooled_low": auc.low,
        "pooled_high": auc.high,
        "per_video": mean,
        "per_video_low": low,
        "per_video_high": high,
        "normal_above_half": float((together[labels == 0] > 0.5).mean()),
    }


def aucs(videos: Sequence[Video], frames: Sequence[np.ndarray]) -> np.ndarray:
    """Of the videos that have both kinds of frames."""
    each = [frame_metrics(f, v.labels)["auc"] for f, v in zip(frames, videos, strict=True)]
    return np.array([auc for auc in each if not np.isnan(auc)])


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and Student's interval."""
    mean, spread = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    step = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * spread
    return float(mean), float(mean - step), float(mean + step)


def gain(videos: Sequence[Video], new: Sequence[np.ndarray], old: Sequence[np.ndarray]) -> dict:
    """AUC of the first less that of the second, on the same draws of videos."""
    labels = np.concatenate([video.labels for video in videos]).astype(bool)
    numbers = np.repeat(np.arange(len(videos)), [len(video.labels) for video in videos])
    one, other = (
        sample_videos(
            np.concatenate(to_frames(videos, scores)),
            labels,
            numbers,
            trapezoid=False,
            num_resamples=RESAMPLES,
            seed=0,
        )
        for scores in (new, old)
    )
    pooled = difference_interval(
        one.values[0] - other.values[0],
        one.influences[0] - other.influences[0],
        one.kinds,
        LEVEL,
    )
    each = aucs(videos, to_frames(videos, new)) - aucs(videos, to_frames(videos, old))
    return {"pooled": list(pooled), "per_video": list(mean_interval(each))}
