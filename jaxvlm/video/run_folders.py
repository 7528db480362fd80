"""A run folder: what the pipeline writes of one video, and its labels per frame."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files, names, outputs
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.video.frame_presence import Segmented


class RunArrays(NamedTuple):
    """What a run folder holds of T frames: image embeddings [T, D], presence p [T, C], seconds [T],
    segments, and labels [T, E]."""

    embeddings: np.ndarray
    presence: np.ndarray
    times: np.ndarray
    segmented: Segmented
    labels: np.ndarray


def labels_per_frame(
    labels: pd.DataFrame | None, source: Any, video: str, num_frames: int, events: Sequence[str]
) -> np.ndarray:
    """[T, E] int8: from one row per frame, or a video's row repeated; −1 where nothing is known."""
    if labels is None:
        return np.full((num_frames, len(events)), -1, np.int8)
    rows = labels[labels["video_id"] == video]
    if rows.empty:
        near = names.nearest(video, labels["video_id"])
        raise InputError(f"{source}: no row for video {video}{near}; add one")
    if "frame" not in rows:
        return np.repeat(rows[list(events)].to_numpy(np.int8), num_frames, 0)
    known = np.full((num_frames, len(events)), -1, np.int8)
    rows = rows[rows["frame"] < num_frames]
    known[rows["frame"]] = rows[list(events)].to_numpy(np.int8)
    return known


def write_run(
    folder: Path,
    video: str,
    arrays: RunArrays,
    events: Sequence[str],
    made_by: Mapping[str, Any],
) -> None:
    """Writes one video's run folder, whole or not at all: see `pipeline.run_pipeline`.

    made_by: what is known of the encoder, see `clip.identity`.
    """
    segmented, labels = arrays.segmented, arrays.labels
    with outputs.output_path(folder, kind=tables.RUN_FOLDER) as run:
        run.mkdir()
        files.write_arrays(
            run / "presence.safetensors",
            {
                "presence": arrays.presence,
                "times": np.asarray(arrays.times, np.float32),
                "image_embeddings": arrays.embeddings,
            },
        )
        files.write_arrays(
            run / "boundary.safetensors",
            {"boundary": segmented.boundary, "divergence": segmented.divergence},
        )
        files.write_arrays(
            run / "seg_presence.safetensors", {"seg_presence": segmented.segment_presence}
        )
        files.write_arrays(run / "labels.safetensors", {"labels": labels})
        files.write_arrays(
            run / "trainpack.safetensors",
            {"pbar": segmented.segment_presence, "labels": labels.max(1)},
        )
        files.write_json(run / tables.ENCODER, dict(made_by))
        if (labels >= 0).any():
            row = [video, *labels.max(0).clip(0).tolist()]
            files.write_csv(
                run / "video_event_labels.csv", pd.DataFrame([row], columns=["video_id", *events])
            )
