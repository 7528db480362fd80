"""The videos of the presence study: real features, real clips, rendered worlds, as embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.clips import find_clips
from jaxvlm import clip, files
from jaxvlm.arrays import unit
from jaxvlm.data import videos
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.world.splits import write_split
from jaxvlm.world.videos import FILE_FPS
from jaxvlm.world.vocabulary import ATOMS

FRAMES_PER_ROW = 16  # of the real features
RECORDED_FPS = 30.0  # of the real videos
CLIP_FPS = 8.0
_BLOCK = 64


class Video(NamedTuple):
    """A video's unit embeddings [T, D], the truth [F] of its frames and the row [F] of each; rows
    per second; where atoms are known, which are there [T, C]."""

    name: str
    rows: np.ndarray
    labels: np.ndarray
    at: np.ndarray
    fps: float
    atoms: np.ndarray | None = None


def real_videos(root: Path) -> tuple[list[Video], dict[str, np.ndarray]]:
    """Videos and texts of ViT-B/16: ``NAME.features`` [ceil(F/16), D], ``NAME.frame_labels`` [F],
    and text embeddings [C, D] by the name of their list. All rows unit."""
    arrays = files.read_arrays(root / "vit_b16_videos.safetensors")
    texts = files.read_arrays(root / "vit_b16_texts.safetensors")
    found = []
    for name in sorted({key.rsplit(".", 1)[0] for key in arrays}):
        labels = arrays[f"{name}.frame_labels"].astype(int)
        rows = unit(arrays[f"{name}.features"].astype(np.float32))
        at = np.arange(len(labels)) // FRAMES_PER_ROW
        if len(rows) != at[-1] + 1:
            raise InputError(f"{root}: {name} has {len(rows)} rows, {len(labels)} labels; see it")
        found.append(Video(name, rows, labels, at, RECORDED_FPS / FRAMES_PER_ROW))
    return found, {name: unit(rows.astype(np.float32)) for name, rows in texts.items()}


def clip_videos(root: Path, model: clip.ClipModel) -> list[Video]:
    """The clips that `benchmarks.real_clips` measures, eight frames a second."""
    found = []
    for name, (path, truth) in find_clips(root).items():
        seen = list(videos.frames(path, fps=CLIP_FPS, say=lambda line: None))
        labels = np.load(truth).astype(int)
        seconds = np.asarray(videos.frame_times(path))[: len(labels)]
        times = np.array([frame.time_seconds for frame in seen])
        at = np.maximum(np.searchsorted(times, seconds + 1e-6, side="right") - 1, 0)
        rows = embed(model, [frame.image for frame in seen])
        found.append(Video(name, rows, labels[: len(seconds)], at, CLIP_FPS))
    return found


def rendered_videos(
    folder: Path, seed: int, count: int, model: clip.ClipModel, ontology: Ontology
) -> list[Video]:
    """Test videos of a world, all their frames, with the truth of the ontology's atoms."""
    split = folder / f"world-{seed}" / "test"
    if not split.is_dir():
        write_split(split, seed, "test", count)
    columns = [ATOMS.index(atom) for atom in ontology.atoms]
    found = []
    for path in sorted((split / "videos").glob("*.mp4")):
        seen = list(videos.frames(path, fps=FILE_FPS, say=lambda line: None))
        truth = files.read_arrays(split / "truth" / f"{path.stem}.safetensors")
        rows = embed(model, [frame.image for frame in seen])
        labels = truth["events"][: len(rows)].max(axis=1).astype(int)
        atoms = truth["atoms"][: len(rows), columns]
        found.append(Video(path.stem, rows, labels, np.arange(len(labels)), FILE_FPS, atoms))
    return found


def embed(model: clip.ClipModel, images: Sequence[np.ndarray]) -> np.ndarray:
    """Unit embeddings [T, D] of pictures."""
    parts = []
    for start in range(0, len(images), _BLOCK):
        block = list(images[start : start + _BLOCK])
        padded = block + block[-1:] * (_BLOCK - len(block))
        pixels = clip.preprocess(model, padded)
        parts.append(np.asarray(clip.encode_images(model, pixels))[: len(block)])
    return unit(np.concatenate(parts))


def thinned(video: Video, step: int) -> Video:
    """Every ``step``-th row."""
    atoms = None if video.atoms is None else video.atoms[::step]
    return video._replace(
        rows=video.rows[::step], at=video.at // step, fps=video.fps / step, atoms=atoms
    )
