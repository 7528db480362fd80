"""What the pipeline leaves of one video: its arrays and labels, whole or not at all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.video.segmentation import Segmented


def frame_labels(
    labels: pd.DataFrame | None, source: Any, video: str, num_frames: int, events: Sequence[str]
) -> np.ndarray:
    """[T, E] int8: from one row per frame, or a video's row repeated; −1 where nothing is known."""
    if labels is None:
        return np.full((num_frames, len(events)), -1, np.int8)
    rows = labels[labels["video_id"] == video]
    if rows.empty:
        raise InputError(f"{source}: no row for video {video}; add one")
    if "frame" not in rows:
        return np.repeat(rows[list(events)].to_numpy(np.int8), num_frames, 0)
    frame_labels = np.full((num_frames, len(events)), -1, np.int8)
    rows = rows[rows["frame"] < num_frames]
    frame_labels[rows["frame"]] = rows[list(events)].to_numpy(np.int8)
    return frame_labels


def write_run(
    folder: Path,
    embeddings: np.ndarray,
    presence: np.ndarray,
    times: np.ndarray,
    segmented: Segmented,
    labels: np.ndarray,
    events: Sequence[str],
) -> None:
    with files.atomic_path(folder) as run:
        run.mkdir()
        files.write_arrays(
            run / "presence.safetensors",
            {
                "presence": presence,
                "times": np.asarray(times, np.float32),
                "image_embeddings": embeddings,
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
        if (labels >= 0).any():
            row = [folder.name, *labels.max(0).clip(0).tolist()]
            files.write_csv(
                run / "video_event_labels.csv", pd.DataFrame([row], columns=["video_id", *events])
            )
