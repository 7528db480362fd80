"""Frames to p̄: one function per step, and the run over a folder of videos that writes files."""

import dataclasses
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from jaxvlm import cli, clip, files
from jaxvlm.atoms import captions as caption_files
from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.config import AtomsConfig, PresenceConfig, threshold
from jaxvlm.atoms.ontology import Ontology
from jaxvlm.atoms.presence import (
    add_caption_evidence,
    contrast_presence,
    cosine_presence,
    local_presence,
)
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.data import images, tables
from jaxvlm.errors import InputError

_BUCKET = 64  # frames; videos are padded to multiples of it, so that few lengths are compiled


class AtomBank(NamedTuple):
    """The text side, encoded once: unit rows [C, D], neutral unit rows [M, D], CLIP's scale."""

    atoms: np.ndarray
    neutral: np.ndarray
    logit_scale: float


class Segmented(NamedTuple):
    """One video: d [T], b [T], p̄ [T, C], float32."""

    divergence: np.ndarray
    boundary: np.ndarray
    segment_presence: np.ndarray


class PipelineResult(NamedTuple):
    """What a run did: the manifest, the videos done, a line per video that failed, coverage."""

    manifest: Path
    done: list[str]
    failures: list[str]
    coverage: caption_files.Coverage | None


def embed_atoms(
    model: clip.ClipModel,
    atoms: Sequence[str],
    templates: Sequence[str],
    neutral_prompts: Sequence[str],
    config: AtomsConfig,
) -> AtomBank:
    """Encodes atoms and neutral prompts. Raises InputError for a prompt of more than 77 tokens."""
    if config.presence.kind == "contrast" and not neutral_prompts:
        raise InputError(
            "ontology: no neutral_prompts, which contrast presence is measured "
            "against; add some, or set config.presence.kind=cosine"
        )
    renormalize = config.presence.renormalize
    return AtomBank(
        clip.embed_prompts(model, atoms, templates, renormalize=renormalize),
        clip.embed_prompts(model, neutral_prompts, ["{}"])
        if neutral_prompts
        else np.zeros((0, model.config.projection_dim), np.float32),
        float(np.exp(model.params["logit_scale"])),
    )


def segment(presence: np.ndarray, config: AtomsConfig) -> Segmented:
    """d, b and p̄ of one video's presence [T, C].

    The video is padded to a bucket of lengths and cut again: the window is causal, so what
    follows the last frame cannot matter.
    """
    num_frames, num_atoms = presence.shape
    padded = np.zeros((-(-max(num_frames, 1) // _BUCKET) * _BUCKET, num_atoms), np.float32)
    padded[:num_frames] = presence
    mask = np.arange(len(padded)) < num_frames
    change = divergence(padded)
    boundary = boundary_probability(
        change, delta=_start("delta", config), kappa=_start("kappa", config), mask=mask
    )
    pbar = segment_presence(padded, boundary, **dataclasses.asdict(config.segments))
    return Segmented(*(np.asarray(x)[:num_frames] for x in (change, boundary, pbar)))


def encode_presence(
    model: clip.ClipModel, bank: AtomBank, pixel_values: np.ndarray, settings: PresenceConfig
) -> tuple[jax.Array, jax.Array]:
    """Image embeddings [T, D] and presence p [T, C] of preprocessed frames [T, 3, S, S]."""
    if settings.kind == "local":
        images, patches = clip.encode_patches(model, pixel_values)
        return images, local_presence(
            patches,
            bank.atoms,
            bank.neutral,
            logit_scale=bank.logit_scale,
            patches=settings.patches,
        )
    images = clip.encode_images(model, pixel_values)
    if settings.kind == "cosine":
        return images, cosine_presence(images, bank.atoms)
    return images, contrast_presence(
        images,
        bank.atoms,
        bank.neutral,
        logit_scale=bank.logit_scale,
        reference=settings.reference,
    )


def score_frames(
    model: clip.ClipModel, bank: AtomBank, frames: Iterable[Any], config: AtomsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Image embeddings [T, D] and presence p [T, C] of frames given as paths or arrays.

    Raises InputError for a frame that is unreadable.
    """

    def encode(model: clip.ClipModel, pixel_values: np.ndarray) -> tuple[jax.Array, jax.Array]:
        return encode_presence(model, bank, pixel_values, config.presence)

    (embeddings, presence), failures = clip.encode_image_stream(
        model, frames, batch_size=config.batch_size, encode=encode
    )
    if failures:
        raise InputError(failures[0][1])
    return embeddings, presence


def run_pipeline(
    frames_root: str | os.PathLike,
    out_dir: str | os.PathLike,
    *,
    model: clip.ClipModel,
    ontology: Ontology,
    ontology_file: str | os.PathLike,
    config: AtomsConfig,
    labels_csv: str | os.PathLike | None = None,
    qwen_json: str | os.PathLike | None = None,
    progress: bool = False,
) -> PipelineResult:
    """Scores every folder of frames below ``frames_root`` and writes a run folder for each.

    ``out_dir/<video>/`` holds, as safetensors, presence (``presence`` [T, C], ``times`` [T],
    ``image_embeddings`` [T, D]), boundary (``boundary``, ``divergence`` [T]), seg_presence
    (``seg_presence`` [T, C]), labels (``labels`` [T, E], −1 unknown) and trainpack (``pbar``
    [T, C], ``labels`` [T]); and video_event_labels.csv. ``out_dir`` gets manifest.csv, the
    ontology, and pipeline.json with config, versions and timings. A video that fails is reported
    and skipped; what an earlier run wrote for it stays.

    Raises:
      InputError: nothing to score, or a labels, captions or ontology file that cannot be used.
    """
    out_dir = Path(out_dir)
    seconds: dict[str, float] = {}
    folders = images.list_video_folders(frames_root)
    labels = None if labels_csv is None else tables.read_event_labels(labels_csv, ontology.events)
    paths = {folder.name: images.list_images(folder) for folder in folders.folders}
    with cli.timed(seconds, "texts"):
        evidence, coverage = _caption_evidence(qwen_json, paths, model, ontology, config)
        bank = embed_atoms(
            model, ontology.atoms, ontology.templates, ontology.neutral_prompts, config
        )
    done, failures = [], list(folders.failures)
    for folder in tqdm(folders.folders, desc="presence", unit="video", disable=not progress):
        name = folder.name
        try:
            known = _frame_labels(labels, labels_csv, name, len(paths[name]), ontology.events)
            with cli.timed(seconds, "encode"):
                embeddings, presence = score_frames(model, bank, paths[name], config)
            with cli.timed(seconds, "segment"):
                if name in evidence:
                    presence = _with_captions(presence, *evidence[name], config.presence)
                segmented = segment(presence, config)
            times = images.frame_times(folder)
            if times is None:  # frames without an index are one sampling step apart
                times = np.arange(len(presence)) / config.fps
            _write_run(
                out_dir / name, embeddings, presence, times, segmented, known, ontology.events
            )
            done.append(name)
        except InputError as error:
            failures.append(f"{name}: {error}")
    if not done:
        raise InputError(f"{frames_root}: no video could be scored; first: {failures[0]}")
    with files.atomic_path(out_dir / "ontology.yaml") as temporary:
        shutil.copyfile(ontology_file, temporary)
    files.write_json(out_dir / "pipeline.json", cli.run_record(config, seed=None, seconds=seconds))
    runs = [out_dir / name for name in done]
    has_labels = labels is not None
    tables.write_manifest(
        out_dir / "manifest.csv",
        [tables.Run(run, run / "video_event_labels.csv" if has_labels else None) for run in runs],
    )
    return PipelineResult(out_dir / "manifest.csv", done, failures, coverage)


def _start(name: str, config: AtomsConfig) -> float | str:
    """The value to start from: "learned" begins at the prototype's number."""
    value = threshold(name, getattr(config.boundary, name))
    return {"delta": 0.6, "kappa": 8.0}[name] if value == "learned" else value


def _caption_evidence(
    qwen_json: str | os.PathLike | None,
    paths: Mapping[str, Sequence[Path]],
    model: clip.ClipModel,
    ontology: Ontology,
    config: AtomsConfig,
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], caption_files.Coverage | None]:
    """(named, resembled) by video, matched over all videos at once, and the coverage."""
    if qwen_json is None:
        return {}, None
    atom_texts = clip.embed_prompts(model, ontology.atoms, ["{}"])

    def similarity(phrases: Sequence[str]) -> np.ndarray:
        embeddings = clip.encode_texts(model, phrases, truncate=True)
        embeddings /= np.linalg.norm(embeddings, axis=-1, keepdims=True)
        return embeddings @ atom_texts.T

    matched = caption_files.match_captions(
        caption_files.read_captions(qwen_json),
        [path for group in paths.values() for path in group],
        ontology.atoms,
        similarity=similarity,
        tau=config.presence.resemble_threshold,
    )
    ends = np.cumsum([len(group) for group in paths.values()])[:-1]
    pairs = zip(np.split(matched.named, ends), np.split(matched.resembled, ends), strict=True)
    return dict(zip(paths, pairs, strict=True)), matched.coverage


def _with_captions(
    presence: np.ndarray, named: np.ndarray, resembled: np.ndarray, config: PresenceConfig
) -> np.ndarray:
    return np.asarray(
        add_caption_evidence(
            presence,
            named,
            resembled,
            lambda_atoms=config.lambda_atoms,
            lambda_resemble=config.lambda_resemble,
            guard=config.guard,
        )
    )


def _frame_labels(
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


def _write_run(
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
