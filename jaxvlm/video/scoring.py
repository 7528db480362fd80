"""A video file straight to event probabilities, segments, reasons and the page."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from jaxvlm import clip, files, names, outputs, runs
from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.atoms.roles import ROLES
from jaxvlm.data import tables, videos
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, check
from jaxvlm.video.detections import (
    events_table,
    find_detections,
    segments_table,
    sentence,
    thumbnail_frames,
)
from jaxvlm.video.doubts import video_doubts
from jaxvlm.video.frame_presence import (
    AtomBank,
    Segmented,
    embed_atoms,
    score_frames,
    segment,
)
from jaxvlm.video.result import Finding, ScoredVideo, Thumbnail
from jaxvlm.video.role_model import RoleModel

_THUMBNAIL_SIDE = 160


class Scorer(NamedTuple):
    """Everything that does not depend on the video: encoder, text side, roles and settings."""

    encoder: clip.Encoder
    bank: AtomBank
    roles: RoleModel


class ScoringResult(NamedTuple):
    """The videos that could be scored, a line per video that failed, and what was not used."""

    videos: list[ScoredVideo]
    failures: list[str]
    notes: list[str]  # intervals of videos that there are not
    warnings: list[str] = []  # what speaks against trusting the scores

    def sentences(self) -> list[str]:
        """A line per detection: the video, the event, when, and why."""
        return [
            f"{video.name}: {sentence(found.detection, found.reasons)}"
            for video in self.videos
            for found in video.findings
        ]


def read_roles(
    source: str | os.PathLike, ontology_file: str | os.PathLike, config: Any
) -> RoleModel:
    """A trained role model from its folder, or for "ontology" the roles of the ontology file.

    ``config``: how to score with the written roles, unchecked; a trained model knows it itself.
    Raises InputError as `role_model.load_role_model` and `written_roles`.
    """
    if str(source) == "ontology":
        return written_roles(ontology_file, check(config))
    return role_models.load_role_model(source)


def written_roles(ontology_file: str | os.PathLike, config: AtomsConfig | None = None) -> RoleModel:
    """The roles that a person wrote into an ontology file; nothing is trained."""
    ontology = load_ontology(ontology_file)
    if not ontology.has_roles:
        raise InputError(
            f"{ontology_file}: states no roles; write direct, indirect and counter "
            "atoms under its events, or use a trained role model"
        )
    params = roles_from_strengths(*(ontology.strengths[role] for role in ROLES))
    return role_models.of_ontology(ontology, params, config or AtomsConfig())


def make_scorer(encoder: clip.Encoder, roles: RoleModel) -> Scorer:
    """Sets a role model up with the settings, templates and neutral prompts it was trained with."""
    bank = embed_atoms(
        encoder.model, roles.atoms, roles.templates, roles.neutral_prompts, roles.config
    )
    return Scorer(encoder, bank, roles)


def score_video(
    scorer: Scorer,
    path: str | os.PathLike,
    *,
    intervals: pd.DataFrame | None = None,
    threshold: float = 0.5,
    on_progress: Callable[[int, int], object] | None = None,
) -> ScoredVideo:
    """Scores one video file and explains what it finds.

    Frames are streamed and not kept: the pictures of what was found are read once more at the end,
    so that hours of video fit into memory.

    Args:
      intervals: true ones to show, see `tables.read_intervals`.
      threshold: probability from which an event is reported.
      on_progress: is told how many frames are read, and of how many.

    Raises InputError for a video that cannot be read whole.
    """
    config = scorer.roles.config
    total = 0
    if on_progress is not None:
        total = len(videos.sample_times(videos.frame_times(path), config.fps))
    times: list[float] = []
    indices: list[int] = []

    def watched() -> Iterator[np.ndarray]:
        for frame in videos.frames(path, fps=config.fps):
            times.append(frame.time_seconds)
            indices.append(frame.index)
            if on_progress is not None:
                on_progress(len(times), total)
            yield frame.image

    def thumbnails(places: Sequence[int]) -> list[np.ndarray]:
        wanted = [indices[place] for place in places]
        again = videos.frames(path, fps=config.fps, only=wanted, say=lambda line: None)
        return [_thumbnail(frame.image) for frame in again]

    embeddings, presence = score_frames(scorer.encoder, scorer.bank, watched(), config)
    segmented = segment(presence, config)
    name, truth = Path(path).stem, None
    if intervals is not None:
        own = intervals[intervals["video_id"] == name]
        truth = tables.intervals_to_frames(own, np.array(times), scorer.roles.events)
    scored = explain(scorer.roles, name, thumbnails, np.array(times), segmented, truth, threshold)
    return scored._replace(embeddings=embeddings)


def explain(
    roles: RoleModel,
    name: str,
    thumbnails: Callable[[Sequence[int]], Sequence[np.ndarray]],
    times: np.ndarray,
    segmented: Segmented,
    truth: np.ndarray | None = None,
    threshold: float = 0.5,
) -> ScoredVideo:
    """Event probabilities of a segmented video, its detections and their reasons.

    thumbnails: gives pictures of frames by their places, which increase.
    """
    pbar = segmented.segment_presence
    probability = roles.probability(pbar)
    contributions = roles.contributions(pbar)
    detections = find_detections(probability, times, roles.events, threshold=threshold)
    shown = sorted({t for detection in detections for t in thumbnail_frames(detection)})
    images = dict(zip(shown, thumbnails(shown) if shown else (), strict=True))
    peaks = []
    for detection in detections:
        reasons = roles.reasons(
            contributions, detection.event, detection.start_frame, detection.stop_frame
        )
        pictures = tuple(Thumbnail(float(times[t]), images[t]) for t in thumbnail_frames(detection))
        peaks.append(Finding(detection, tuple(reasons), pictures))
    return ScoredVideo(
        name, np.asarray(times), probability, segmented.boundary, pbar, truth, tuple(peaks)
    )


def score_videos(
    video: str | os.PathLike,
    out_dir: str | os.PathLike,
    scorer: Scorer,
    *,
    intervals_csv: str | os.PathLike | None = None,
    threshold: float = 0.5,
    progress: bool = False,
) -> ScoringResult:
    """Scores a video file, or every video below a folder.

    Writes events.csv and segments.csv (into ``out_dir``; for a folder into ``out_dir/<video>``)
    and run.json. A video that fails is reported and skipped.

    Raises:
      InputError: nothing there, two videos of one name, intervals that cannot be used, or no
        video that could be scored.
    """
    out_dir = Path(out_dir)
    outputs.require_places(out_dir, "run.json")
    before = dataclasses.replace(scorer.encoder.statistics)
    events, atoms = scorer.roles.events, scorer.roles.atoms
    intervals = None if intervals_csv is None else tables.read_intervals(intervals_csv, events)
    reports, failures, notes = [], [], []
    found = videos.find_videos(video)
    if intervals is not None:
        unknown = names.unmatched(intervals_csv, intervals["video_id"], [p.stem for p in found])
        notes += [] if unknown is None else [f"{unknown}; its intervals are not used"]
    seconds: dict[str, float] = {}
    for path in tqdm(found, desc="score", unit="video", disable=not progress):
        folder = out_dir
        try:
            if Path(video).is_dir():
                folder = out_dir / names.free_name(path.stem, path, ("run.json", "report.html"))
            outputs.require_places(folder, "events.csv", "segments.csv")
            with runs.timed(seconds, "score"):
                report = score_video(scorer, path, intervals=intervals, threshold=threshold)
        except InputError as error:
            failures.append(str(error))
            continue
        write_tables(folder, report, events, atoms)
        reports.append(report)
    if not reports:
        several = f"{video}: no video could be scored; first: {failures[0]}"
        raise InputError(failures[0] if len(failures) == 1 else several)
    record = runs.run_record(scorer.roles.config, seed=None, seconds=seconds)
    record["encoding"] = clip.encoding_record(
        scorer.encoder, scorer.encoder.statistics.since(before)
    )
    record["videos"] = [report.name for report in reports]
    known = scorer.roles.training.get("training_videos", [])
    record["roles"] = {"training_videos": list(known)}
    frames = {report.name: report.embeddings for report in reports}
    warnings = video_doubts(scorer.encoder.model, scorer.bank, scorer.roles, frames)
    record["warnings"] = warnings
    files.write_json(out_dir / "run.json", record)
    return ScoringResult(reports, failures, notes, warnings)


def write_tables(
    folder: Path, report: ScoredVideo, events: Sequence[str], atoms: Sequence[str]
) -> None:
    """Writes a video's events.csv and segments.csv."""
    files.write_csv(folder / "events.csv", events_table(report.times, report.probability, events))
    files.write_csv(
        folder / "segments.csv",
        segments_table(
            report.times,
            report.probability,
            report.boundary,
            report.segment_presence,
            events,
            atoms,
        ),
    )


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """The picture at no more than 160 pixels a side, so that hours of video fit into memory."""
    shrink = min(1.0, _THUMBNAIL_SIDE / max(image.shape[:2]))
    return cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
