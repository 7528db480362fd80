"""Folders of frames to run folders: the whole way to p̄, over all videos, with files."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from jaxvlm import clip, files, parallel, runs
from jaxvlm.atoms.presence import add_caption_evidence
from jaxvlm.data import images, tables
from jaxvlm.errors import InputError
from jaxvlm.ontology import captions as caption_files
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.video import run_folder
from jaxvlm.video.config import AtomsConfig, PresenceConfig
from jaxvlm.video.frame_presence import (
    AtomBank,
    embed_atoms,
    features_key,
    frame_features,
    presence_in_blocks,
)
from jaxvlm.video.segmentation import segment


class PipelineResult(NamedTuple):
    """What a run did: the manifest, the videos done, a line per video that failed, coverage, and
    how many frames were encoded."""

    manifest: Path
    done: list[str]
    failures: list[str]
    coverage: caption_files.Coverage | None
    encoding: clip.EncodingStatistics


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
    mesh: Mesh | None = None,
    store_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: bool = False,
) -> PipelineResult:
    """Scores every folder of frames below ``frames_root`` and writes a run folder for each.

    ``out_dir/<video>/`` holds, as safetensors, presence (``presence`` [T, C], ``times`` [T],
    ``image_embeddings`` [T, D]), boundary (``boundary``, ``divergence`` [T]), seg_presence
    (``seg_presence`` [T, C]), labels (``labels`` [T, E], −1 unknown) and trainpack (``pbar``
    [T, C], ``labels`` [T]); and video_event_labels.csv. ``out_dir`` gets manifest.csv, the
    ontology, and pipeline.json with config, versions and timings. A video that fails is reported
    and skipped; what an earlier run wrote for it stays.

    All frames go through the encoder as one stream; a video is written when its last one is there.
    mesh: devices to use, see `parallel.make_mesh`; of several processes each writes a share of the
    videos, and the first one the rest. store_dir: frames are encoded once and kept there: another
    ontology, δ, window or label table then costs no forward pass. cache_dir: of the batch size.

    Raises:
      InputError: nothing to score, or a labels, captions or ontology file that cannot be used.
    """
    out_dir = Path(out_dir)
    seconds: dict[str, float] = {}
    folders = images.list_video_folders(frames_root)
    labels = None if labels_csv is None else tables.read_event_labels(labels_csv, ontology.events)
    paths = {folder.name: images.list_images(folder) for folder in folders.folders}
    with runs.timed(seconds, "texts"):
        evidence, coverage = _caption_evidence(qwen_json, paths, model, ontology, config)
        bank = embed_atoms(
            model, ontology.atoms, ontology.templates, ontology.neutral_prompts, config
        )
    encoder = clip.make_encoder(
        model,
        batch_size=config.batch_size,
        mesh=mesh,
        store_dir=store_dir,
        cache_dir=cache_dir,
    )
    own: dict[str, tuple[Path, np.ndarray]] = {}
    failed: dict[str, str] = {}
    for folder in parallel.own_items(folders.folders):
        name = folder.name
        try:
            known = run_folder.frame_labels(
                labels, labels_csv, name, len(paths[name]), ontology.events
            )
            own[name] = folder, known
        except InputError as error:
            failed[name] = str(error)
    done = []
    videos = _scored_videos(
        encoder, bank, {name: paths[name] for name in own}, config, failed, progress
    )
    for name, embeddings, presence in videos:
        folder, known = own[name]
        try:
            with runs.timed(seconds, "segment"):
                if name in evidence:
                    presence = _with_captions(presence, *evidence[name], config.presence)
                segmented = segment(presence, config)
            times = images.frame_times(folder)
            if times is None:  # frames without an index are one sampling step apart
                times = np.arange(len(presence)) / config.fps
            run_folder.write_run(
                out_dir / name, embeddings, presence, times, segmented, known, ontology.events
            )
            done.append(name)
        except InputError as error:
            failed[name] = str(error)
    seconds["encode"] = round(encoder.statistics.seconds, 3)
    for their_done, their_failed in parallel.gather([done, failed]):
        done += [name for name in their_done if name not in done]
        failed |= their_failed
    done = [name for name in paths if name in set(done)]
    failures = list(folders.failures)
    failures += [f"{name}: {failed[name]}" for name in paths if name in failed]
    if not done:
        raise InputError(f"{frames_root}: no video could be scored; first: {failures[0]}")
    statistics = clip.total_statistics(encoder)
    result = PipelineResult(out_dir / "manifest.csv", done, failures, coverage, statistics)
    if parallel.is_writer():
        with files.atomic_path(out_dir / "ontology.yaml") as temporary:
            shutil.copyfile(ontology_file, temporary)
        record = runs.run_record(config, seed=None, seconds=seconds)
        record["encoding"] = clip.encoding_record(encoder, statistics)
        files.write_json(out_dir / "pipeline.json", record)
        run_dirs = [out_dir / name for name in done]
        csv = None if labels is None else "video_event_labels.csv"
        tables.write_manifest(
            result.manifest, [tables.Run(run, csv and run / csv) for run in run_dirs]
        )
    return result


def _scored_videos(
    encoder: clip.Encoder,
    bank: AtomBank,
    paths: Mapping[str, Sequence[Path]],
    config: AtomsConfig,
    failed: dict[str, str],
    progress: bool,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(video, image embeddings [T, D], presence [T, C]) of every video whose frames are all read.

    The first frame that cannot be read is noted in ``failed``.
    """
    names = [name for name, group in paths.items() for _ in group]
    first = dict(zip(paths, np.cumsum([0, *map(len, paths.values())]), strict=False))
    gathered: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    left = {name: len(group) for name, group in paths.items()}
    failures: list[tuple[int, str]] = []
    parts = clip.encode_items(
        encoder,
        [path for group in paths.values() for path in group],
        computed=features_key(config.presence),
        failures=failures,
        encode=lambda model, pixels: frame_features(model, pixels, config.presence),
    )
    bar = tqdm(total=len(names), desc="presence", unit="frame", disable=not progress)
    with contextlib.closing(parts), bar:
        for part in parts:
            presence = presence_in_blocks(part.values, bank, config.presence)
            bar.update(len(presence))
            of_video: dict[str, list[int]] = {}
            for row, index in enumerate(part.indices):
                of_video.setdefault(names[index], []).append(row)
            for name, rows in of_video.items():
                if name not in gathered:
                    gathered[name] = tuple(
                        np.zeros((len(paths[name]), array.shape[1]), np.float32)
                        for array in (part.values.image, presence)
                    )
                at = part.indices[rows] - first[name]
                gathered[name][0][at] = part.values.image[rows]
                gathered[name][1][at] = presence[rows]
                left[name] -= len(rows)
                if not left[name]:
                    yield name, *gathered.pop(name)
    for index, message in sorted(failures):
        failed.setdefault(names[index], message)


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
