"""What sees next to nothing, on the frames that were scored: rows that scores have to beat."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import files
from jaxvlm.data import videos as video_files
from jaxvlm.errors import InputError
from jaxvlm.evaluation.evaluated import within_videos
from jaxvlm.evaluation.metrics import frame_metrics
from jaxvlm.evaluation.trivial import lagged_pixel_change, median_distance
from jaxvlm.names import match_ids

PIXEL_CHANGE, MEDIAN_DISTANCE = "pixel change, 1 s", "distance from median"

_EMBEDDINGS = "embeddings.safetensors"
_ARRAY = "image_embeddings"


class Baselines(NamedTuple):
    """Frame scores [T] per video of each baseline, and a line for each that cannot be had."""

    scores: dict[str, list[np.ndarray]]
    left_out: list[str]


def read_baselines(
    scores_dir: str | os.PathLike,
    times: Mapping[str, np.ndarray],
    videos: str | os.PathLike | None,
) -> Baselines:
    """Pixel change and distance from the median embedding at the frames that were scored.

    Args:
      times: seconds [T] of the scored frames, by the video's folder in ``scores_dir``.
      videos: the folder or file of the videos; None: pixel change is left out.
    """
    found, left_out = {}, []
    readers = {
        PIXEL_CHANGE: lambda: _pixel_changes(videos, times),
        MEDIAN_DISTANCE: lambda: _median_distances(Path(scores_dir), times),
    }
    for name, read in readers.items():
        try:
            found[name] = read()
        except InputError as error:
            left_out.append(f"{name}: left out; {error}")
    return Baselines(found, left_out)


def any_event_metrics(scores: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> dict[str, Any]:
    """AUC and AP of one score [T] per frame against "some event is on", truth [T, E].

    ``auc`` and ``ap``: over the frames of all videos; ``auc_within``: the mean of the AUC within
    each video that has frames of both kinds.
    """
    labels = [np.asarray(values).max(axis=1) for values in truth]
    pooled = frame_metrics(np.concatenate(scores), np.concatenate(labels))
    return {**pooled, "auc_within": within_videos(scores, labels)["value"]}


def _median_distances(scores_dir: Path, times: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    result = []
    for name, seconds in times.items():
        path = scores_dir / name / _EMBEDDINGS
        if not path.is_file():
            raise InputError(f"{path} is missing; score the video again")
        rows = files.read_arrays(path).get(_ARRAY)
        if rows is None or rows.ndim != 2 or len(rows) != len(seconds):
            raise InputError(f"{path}: not the {len(seconds)} frames that were scored")
        result.append(median_distance(rows))
    return result


def _pixel_changes(
    videos: str | os.PathLike | None, times: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    if videos is None:
        raise InputError("give --videos, their folder")
    paths = video_files.video_ids(videos, video_files.find_videos(videos))
    ids = match_ids(times, paths)
    result = []
    for name, seconds in times.items():
        if name not in ids:
            raise InputError(f"{videos}: {name} is not in it")
        path = paths[ids[name]]
        step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
        frames = video_files.frames(path, fps=1 / step, say=lambda line: None)
        change = lagged_pixel_change((frame.image for frame in frames), max(1, round(1 / step)))
        if len(change) != len(seconds):
            raise InputError(f"{path}: {len(change)} frames, {len(seconds)} were scored")
        result.append(change)
    return result
