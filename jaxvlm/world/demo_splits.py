"""A split of the demo's world: looked at as a user would, from its videos on, and read back."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvlm import clip, files, resources, runs
from jaxvlm.data import tables
from jaxvlm.data.videos import extract_folder
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.progress import Progress, ignore
from jaxvlm.video import pipeline
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import Segmented

ONTOLOGY_FILE = resources.path("configs/ontology/world.yaml")
# Of pictures: measured beside processes that draw, it was 1, 4 or 16, and figures differed in the
# third digit.
_BATCH_SIZE = 16


class Split(NamedTuple):
    """A split after the pipeline: per video p̄, truth [T, E], times and the rest of the run."""

    folder: Path
    names: list[str]
    segmented: list[Segmented]
    embeddings: list[np.ndarray]
    times: list[np.ndarray]
    truth: list[np.ndarray]


@functools.cache
def demo_encoder(batch_size: int | None) -> clip.Encoder:
    """The embedded encoder. None: of a batch size that is not measured."""
    model = clip.load(resources.path("checkpoints/clip"))
    return clip.make_encoder(model, batch_size=batch_size or _BATCH_SIZE)


def look_at(folder: Path, config: AtomsConfig, on_progress: Progress = ignore) -> dict[str, float]:
    """Extracts the frames of a split's videos and runs the pipeline on them; seconds of each."""
    seconds: dict[str, float] = {}
    with runs.timed(seconds, "extract frames"):
        extract_folder(folder / "videos", folder / "frames", fps=config.fps)
    with runs.timed(seconds, "presence"):
        pipeline.run_pipeline(
            folder / "frames",
            folder / "runs",
            encoder=demo_encoder(config.batch_size),
            ontology_file=ONTOLOGY_FILE,
            config=config,
            labels_csv=folder / "labels.csv",
            on_progress=on_progress,
        )
    return seconds


def read_split(folder: Path, ontology: Ontology) -> Split:
    """Reads a split's run folders and its true intervals."""
    intervals = tables.read_intervals(folder / "intervals.csv", ontology.events)
    run_dirs = [run.run_dir for run in tables.read_manifest(folder / "runs" / "manifest.csv")]
    segmented, embeddings, times, truth = [], [], [], []
    for run in run_dirs:
        presence = files.read_arrays(run / "presence.safetensors")
        boundary = files.read_arrays(run / "boundary.safetensors")
        pbar = files.read_arrays(run / "seg_presence.safetensors")["seg_presence"]
        segmented.append(Segmented(boundary["divergence"], boundary["boundary"], pbar))
        embeddings.append(presence["image_embeddings"])
        times.append(presence["times"])
        own = intervals[intervals["video_id"] == run.name]
        truth.append(tables.intervals_to_frames(own, presence["times"], ontology.events))
    return Split(folder, [run.name for run in run_dirs], segmented, embeddings, times, truth)
