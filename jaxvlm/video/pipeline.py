"""Folders of frames to run folders: the whole way to p̄, over all videos, with files."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip, files, names, outputs, parallel, runs
from jaxvlm.data import images, tables
from jaxvlm.data.videos import refuse_inside
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.ontology.captions import Coverage
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.progress import Progress, ignore
from jaxvlm.video.caption_evidence import evidence_by_video, raise_presence
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.frame_presence import (
    AtomBank,
    embed_atoms,
    features_key,
    frame_features,
    presence_in_blocks,
    segment,
)
from jaxvlm.video.run_folders import RunArrays, labels_per_frame, write_run

WRITTEN = ("manifest.csv", "ontology.yaml", "pipeline.json")  # beside the run folders


class PipelineResult(NamedTuple):
    """What a run did: the manifest, the videos done, a line per video that failed, coverage, and
    how many frames were encoded (None: features were given)."""

    manifest: Path
    done: list[str]
    failures: list[str]
    coverage: Coverage | None
    encoding: clip.EncodingStatistics | None
    notes: list[str]  # labels of videos that there are not; how features were taken

    def sentences(self) -> list[str]:
        """The notes, and what was encoded, for a person."""
        return [*self.notes, *([] if self.encoding is None else [self.encoding.sentence()])]


class Labels(NamedTuple):
    """Labels of videos, see `tables.read_event_labels`, by the ids of the run; their file."""

    table: pd.DataFrame
    source: Any


# (video, image embeddings [T, D], presence [T, C], seconds [T]), until all are seen. What cannot be
# read is noted by its video.
Stream = Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]


class Run(NamedTuple):
    """What a run goes over, and with what: the ids of the videos and where each lies; lines about
    what else lies there; the text side; their labels; how the videos are seen."""

    root: str | os.PathLike
    places: Mapping[str, Path]
    failures: Sequence[str]
    ontology_file: str | os.PathLike
    ontology: Ontology
    labels: Labels | None
    made_by: Mapping[str, Any]
    see: Callable[[Sequence[str], dict[str, str]], Stream]
    evidence: Mapping[str, Any] = {}


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
    places = {names.relative_id(folder, Path(frames_root)): folder for folder in folders.folders}
    paths = {name: images.list_images(folder) for name, folder in places.items()}
    labels, notes = read_labels(labels_csv, places, ontology.events)
    with runs.timed(seconds, "texts"):
        evidence, coverage = {}, None
        if qwen_json is not None:
            evidence, coverage = evidence_by_video(
                qwen_json, paths, encoder.model, ontology.atoms, config.presence
            )
        texts = ontology.atoms, ontology.templates, ontology.neutral_prompts
        bank = embed_atoms(encoder.model, *texts, config, cache_dir=encoder.cache_dir)

    def see(wanted: Sequence[str], failed: dict[str, str]) -> Stream:
        own = {name: paths[name] for name in wanted}
        for name, rows, presence in _scored_videos(encoder, bank, own, config, failed, on_progress):
            try:
                times = images.index_times(places[name])
            except ITEM_ERRORS as error:
                failed[name] = item_failure(error, places[name])
                continue
            if times is None:  # frames without an index are one sampling step apart
                times = np.arange(len(presence)) / config.fps
            yield name, rows, presence, times

    run = Run(
        frames_root,
        places,
        folders.failures,
        ontology_file,
        ontology,
        labels,
        clip.clip_record(encoder.model),
        see,
        evidence,
    )
    done, failures = write_runs(run, out_dir, config, seconds)
    seconds["encode"] = round(encoder.statistics.since(before).seconds, 3)
    statistics = clip.total_statistics(encoder, since=before)
    write_record(run, out_dir, config, done, seconds, clip.encoding_record(encoder, statistics))
    return PipelineResult(out_dir / "manifest.csv", done, failures, coverage, statistics, notes)


def read_labels(
    labels_csv: str | os.PathLike | None, ids: Mapping[str, Any], events: Sequence[str]
) -> tuple[Labels | None, list[str]]:
    """Labels by the ids of videos, and a line for those of videos that there are not.

    Raises InputError as `tables.read_event_labels`.
    """
    if labels_csv is None:
        return None, []
    table = tables.read_event_labels(labels_csv, events)
    known = names.match_ids(table["video_id"], ids)
    unknown = names.unmatched(labels_csv, table["video_id"], ids)
    table = table.assign(video_id=table["video_id"].map(lambda name: known.get(name, name)))
    notes = [] if unknown is None else [f"{unknown}; its labels are not used"]
    return Labels(table, labels_csv), notes


def write_runs(
    run: Run, out_dir: Path, config: AtomsConfig, seconds: dict[str, float]
) -> tuple[list[str], list[str]]:
    """Writes the run folder of every video: the videos done, and a line per failure.

    Raises InputError where no video could be scored.
    """
    failed: dict[str, str] = {}
    own, events = [], run.ontology.events

    def known(name: str, num_frames: int) -> np.ndarray:
        table, source = run.labels or (None, None)
        return labels_per_frame(table, source, name, num_frames, events)

    for name in parallel.own_items(list(run.places)):
        try:
            names.free_name(name, run.places[name])
            refuse_inside(name, run.places[name], run.places)
            outputs.require_replaceable(out_dir / name, kind=tables.RUN_FOLDER)
            known(name, 1)
            own.append(name)
        except ITEM_ERRORS as error:
            failed[name] = item_failure(error, run.places[name])
    done = []
    for name, embeddings, presence, times in run.see(own, failed):
        try:
            with runs.timed(seconds, "segment"):
                if name in run.evidence:
                    presence = raise_presence(presence, run.evidence[name], config.presence)
                segmented = segment(presence, config)
            labels = known(name, len(presence))
            arrays = RunArrays(embeddings, presence, times, segmented, labels)
            write_run(out_dir / name, name, arrays, events, run.made_by)
            done.append(name)
        except ITEM_ERRORS as error:
            failed[name] = item_failure(error, run.places[name])
    for their_done, their_failed in parallel.gather([done, failed]):
        done += [name for name in their_done if name not in done]
        failed |= their_failed
    done = [name for name in run.places if name in set(done)]
    failures = list(run.failures)
    failures += [f"{name}: {failed[name]}" for name in run.places if name in failed]
    if not done:
        raise InputError(f"{run.root}: no video could be scored; first: {failures[0]}")
    return done, failures


def write_record(
    run: Run,
    out_dir: Path,
    config: AtomsConfig,
    done: Sequence[str],
    seconds: Mapping[str, float],
    encoding: Mapping[str, Any] | None,
) -> None:
    """Writes what stands beside the run folders. Of several processes the first one does."""
    if not parallel.is_writer():
        return
    with outputs.output_path(out_dir / "ontology.yaml") as temporary:
        shutil.copyfile(run.ontology_file, temporary)
    made_with = {
        "clip": dict(run.made_by),
        "ontology": runs.input_record(run.ontology_file),
        "videos": list(done),
    }
    record = runs.run_record(config, seed=None, seconds=seconds, made_with=made_with)
    record["encoding"] = encoding
    files.write_json(out_dir / "pipeline.json", record)
    run_dirs = [out_dir / name for name in done]
    csv = None if run.labels is None else "video_event_labels.csv"
    rows = [tables.Run(folder, csv and folder / csv) for folder in run_dirs]
    tables.write_manifest(out_dir / "manifest.csv", rows)


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
            presence = presence_in_blocks(
                part.values, bank, config.presence, most=encoder.batch_size
            )
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
