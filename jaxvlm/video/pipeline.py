"""Folders of frames to run folders: the whole way to p̄, over all videos, with files."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip, files, names, outputs, parallel, runs
from jaxvlm.data import images, tables
from jaxvlm.data.videos import refuse_inside
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.ontology.captions import Coverage
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.progress import Progress, ignore
from jaxvlm.video.caption_evidence import evidence_by_video, raise_presence
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import (
    AtomBank,
    Segmented,
    embed_atoms,
    features_key,
    frame_features,
    presence_in_blocks,
    segment,
)

WRITTEN = ("manifest.csv", "ontology.yaml", "pipeline.json")  # beside the run folders


class RunArrays(NamedTuple):
    """What a run folder holds of T frames: image embeddings [T, D], presence p [T, C], seconds [T],
    segments, and labels [T, E]."""

    embeddings: np.ndarray
    presence: np.ndarray
    times: np.ndarray
    segmented: Segmented
    labels: np.ndarray


class PipelineResult(NamedTuple):
    """What a run did: the manifest, the videos done, a line per video that failed, coverage, and
    how many frames were encoded."""

    manifest: Path
    done: list[str]
    failures: list[str]
    coverage: Coverage | None
    encoding: clip.EncodingStatistics
    notes: list[str]  # labels of videos that there are not


def run_pipeline(
    frames_root: str | os.PathLike,
    out_dir: str | os.PathLike,
    *,
    encoder: clip.Encoder,
    ontology_file: str | os.PathLike,
    config: AtomsConfig,
    labels_csv: str | os.PathLike | None = None,
    qwen_json: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
) -> PipelineResult:
    """Scores every folder of frames below ``frames_root`` and writes a run folder for each.

    ``out_dir/<video>/`` holds, as safetensors, presence (``presence`` [T, C], ``times`` [T],
    ``image_embeddings`` [T, D]), boundary (``boundary``, ``divergence`` [T]), seg_presence
    (``seg_presence`` [T, C]), labels (``labels`` [T, E], −1 unknown) and trainpack (``pbar``
    [T, C], ``labels`` [T]); video_event_labels.csv, and encoder.json, which says by what encoder
    (see `clip.identity`). The video's id is the path of its folder below ``frames_root``; labels
    find it by it, or by its last part where only one ends so. ``out_dir`` gets manifest.csv, the
    ontology, and pipeline.json with all that made it. A video that fails is reported
    and skipped; what an earlier run wrote for it stays.

    All frames go through the encoder as one stream; a video is written when its last one is there.
    Of several processes each writes a share of the videos, and the first one the rest. Where the
    encoder has a store, frames are encoded once: another ontology, δ, window or label table then
    costs no forward pass.

    Raises:
      InputError: nothing to score, or a labels, captions or ontology file that cannot be used.
    """
    out_dir = Path(out_dir)
    before = dataclasses.replace(encoder.statistics)
    outputs.require_places(out_dir, *WRITTEN)
    ontology = load_ontology(ontology_file)
    seconds: dict[str, float] = {}
    folders = images.list_video_folders(frames_root)
    labels = None if labels_csv is None else tables.read_event_labels(labels_csv, ontology.events)
    ids = {folder: names.relative_id(folder, Path(frames_root)) for folder in folders.folders}
    paths = {ids[folder]: images.list_images(folder) for folder in folders.folders}
    if labels is not None:
        known = names.match_ids(labels["video_id"], paths)
        unknown = names.unmatched(labels_csv, labels["video_id"], paths)
        labels = labels.assign(video_id=labels["video_id"].map(lambda name: known.get(name, name)))
    with runs.timed(seconds, "texts"):
        evidence, coverage = {}, None
        if qwen_json is not None:
            evidence, coverage = evidence_by_video(
                qwen_json, paths, encoder.model, ontology.atoms, config.presence
            )
        bank = embed_atoms(
            encoder.model, ontology.atoms, ontology.templates, ontology.neutral_prompts, config
        )
    own: dict[str, tuple[Path, np.ndarray]] = {}
    failed: dict[str, str] = {}
    for folder in parallel.own_items(folders.folders):
        name = ids[folder]
        try:
            names.free_name(name, folder)
            refuse_inside(name, folder, paths)
            outputs.require_replaceable(out_dir / name, kind=tables.RUN_FOLDER)
            known = labels_per_frame(labels, labels_csv, name, len(paths[name]), ontology.events)
            own[name] = folder, known
        except ITEM_ERRORS as error:
            failed[name] = item_failure(error, folder)
    done = []
    videos = _scored_videos(
        encoder, bank, {name: paths[name] for name in own}, config, failed, on_progress
    )
    for name, embeddings, presence in videos:
        folder, known = own[name]
        try:
            with runs.timed(seconds, "segment"):
                if name in evidence:
                    presence = raise_presence(presence, evidence[name], config.presence)
                segmented = segment(presence, config)
            times = images.index_times(folder)
            if times is None:  # frames without an index are one sampling step apart
                times = np.arange(len(presence)) / config.fps
            arrays = RunArrays(embeddings, presence, times, segmented, known)
            write_run(out_dir / name, name, arrays, ontology.events, encoder.model)
            done.append(name)
        except ITEM_ERRORS as error:
            failed[name] = item_failure(error, folder)
    seconds["encode"] = round(encoder.statistics.since(before).seconds, 3)
    for their_done, their_failed in parallel.gather([done, failed]):
        done += [name for name in their_done if name not in done]
        failed |= their_failed
    done = [name for name in paths if name in set(done)]
    failures = list(folders.failures)
    failures += [f"{name}: {failed[name]}" for name in paths if name in failed]
    if not done:
        raise InputError(f"{frames_root}: no video could be scored; first: {failures[0]}")
    statistics = clip.total_statistics(encoder, since=before)
    notes = [] if labels is None or unknown is None else [f"{unknown}; its labels are not used"]
    result = PipelineResult(out_dir / "manifest.csv", done, failures, coverage, statistics, notes)
    if parallel.is_writer():
        with outputs.output_path(out_dir / "ontology.yaml") as temporary:
            shutil.copyfile(ontology_file, temporary)
        made_with = {
            "clip": clip.clip_record(encoder.model),
            "ontology": runs.input_record(ontology_file),
            "videos": done,
        }
        record = runs.run_record(config, seed=None, seconds=seconds, made_with=made_with)
        record["encoding"] = clip.encoding_record(encoder, statistics)
        files.write_json(out_dir / "pipeline.json", record)
        run_dirs = [out_dir / name for name in done]
        csv = None if labels is None else "video_event_labels.csv"
        tables.write_manifest(
            result.manifest, [tables.Run(run, csv and run / csv) for run in run_dirs]
        )
    return result


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
    folder: Path, video: str, arrays: RunArrays, events: Sequence[str], model: clip.ClipModel
) -> None:
    """Writes one video's run folder, whole or not at all: see `run_pipeline`."""
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
        files.write_json(run / tables.ENCODER, clip.clip_record(model))
        if (labels >= 0).any():
            row = [video, *labels.max(0).clip(0).tolist()]
            files.write_csv(
                run / "video_event_labels.csv", pd.DataFrame([row], columns=["video_id", *events])
            )


def _scored_videos(
    encoder: clip.Encoder,
    bank: AtomBank,
    paths: Mapping[str, Sequence[Path]],
    config: AtomsConfig,
    failed: dict[str, str],
    on_progress: Progress,
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
    done = 0
    on_progress("presence of frames", done, len(names))
    with contextlib.closing(parts):
        for part in parts:
            presence = presence_in_blocks(part.values, bank, config.presence)
            done += len(presence)
            on_progress("presence of frames", done, len(names))
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
    on_progress("presence of frames", len(names), len(names))
    for index, message in sorted(failures):
        failed.setdefault(names[index], message)
