"""Scores many videos, or what a run kept of them, and writes the tables."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxvlm import clip, files, names, outputs, reading, runs
from jaxvlm.data import tables, videos
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.ontology.captions import Coverage
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.video import kept_frames, result_tables
from jaxvlm.video.caption_evidence import read_spoken, total_coverage
from jaxvlm.video.detections import sentence
from jaxvlm.video.doubts import no_information, often_detected, video_doubts
from jaxvlm.video.kept_frames import Frames
from jaxvlm.video.one_kind import left_out
from jaxvlm.video.result import ScoredVideo
from jaxvlm.video.role_data import spread
from jaxvlm.video.scoring import (
    Scorer,
    explain,
    novelty_seen,
    see_video,
    segment_seen,
    true_frames,
)
from jaxvlm.video.thumbnails import thumbnails_of

TOP = ("run.json", "report.html", "detections.csv", "detections.json")  # beside the videos' folders
OF_VIDEO = (*result_tables.FILES, kept_frames.FILE)
_LONG = 4096  # frames


class ScoringResult(NamedTuple):
    """The videos that could be scored, a line per video that failed, what was not used, what speaks
    against trusting the scores, and how much of the captions was used."""

    videos: list[ScoredVideo]  # none where somebody else took them, see `score_all`
    failures: list[str]
    notes: list[str]  # intervals of videos that there are not
    warnings: list[str]
    coverage: Coverage | None
    names: list[str]
    lines: list[str]  # a sentence per detection
    highest: float  # P of all

    def sentences(self, threshold: ArrayLike) -> list[str]:
        """A line per detection: the video, the event, when, and why. Where there is none a line
        says so, with the highest probability of all and the threshold."""
        if self.lines or not self.names:
            return self.lines
        if np.ndim(threshold):
            return [f"no event detected: P is {self.highest:.3f} at most, below every threshold"]
        return [f"no event detected: P is {self.highest:.3f} at most, --threshold={threshold:g}"]


class Done(NamedTuple):
    """A video that was scored, and the folder of its tables.

    file: the video, where it is there. fps: of its frames, where only its features are.
    """

    video: ScoredVideo
    folder: Path
    file: Path | None
    fps: float | None


class Source(NamedTuple):
    """What is scored: where it was found, what each video's id stands for, and how its frames are
    seen."""

    path: str | os.PathLike
    paths: Mapping[str, Path]
    see: Callable[[str, Progress], "Seen"]


class Seen(NamedTuple):
    """A video's frames with the presence p [T, C] that the roles are given; pictures of them; path
    and SHA-256 of the video; a line that warns."""

    frames: Frames
    presence: np.ndarray
    thumbnails: Callable[[Sequence[int]], list[np.ndarray]]
    fps: float
    video: Mapping[str, Any]
    warning: str | None = None
    file: Path | None = None  # the video, where it is there

    @property
    def sample(self) -> np.ndarray:
        """The image embeddings that doubts are decided from; of features, whose videos are many and
        long, and of hours of video, evenly spread ones, or all would be in memory at once."""
        rows = self.frames.image_embeddings
        return spread(rows) if self.of_features or len(rows) > _LONG else rows

    @property
    def of_features(self) -> bool:
        """True: the video's features were given, and not the video."""
        return kept_frames.ROW_FRAMES in self.video


def score_videos(
    video: str | os.PathLike, out_dir: str | os.PathLike, scorer: Scorer, **options: Any
) -> ScoringResult:
    """Scores a video file, or every video below a folder.

    Writes into ``out_dir/<id>`` `result_tables.FILES` and what the encoder gave of the frames, see
    `kept_frames`; into ``out_dir`` the detections of all, and run.json. The id of a video is its
    path below the folder, without the suffix. A video that fails is reported and skipped. Where the
    encoder has a store, a frame that it knows costs no forward pass.

    Args:
      options: of `score_all`.

    Raises:
      InputError: nothing there, two videos of one id, and as `score_all`.
    """
    found = videos.video_ids(video, videos.find_videos(video))

    def see(name: str, on_progress: Progress) -> Seen:
        path, fps = found[name], scorer.roles.config.fps
        sha256 = reading.sha256(path)
        frames = see_video(scorer, path, sha256=sha256, on_progress=on_progress)
        told = {"path": names.printable(str(path)), "sha256": sha256}
        pictures = thumbnails_of(path, fps, frames.instants)
        return Seen(frames, frames.presence, pictures, fps, told, file=path)

    return score_all(Source(video, found, see), out_dir, scorer, **options)


def rescore_videos(
    kept_dir: str | os.PathLike, out_dir: str | os.PathLike, scorer: Scorer, **options: Any
) -> ScoringResult:
    """`score_videos` from what it left in a folder: no video is decoded but for the thumbnails, and
    no picture encoded.

    The frames are those that were kept: ``fps`` of the roles has no part in it, and where it is
    another one a warning says so. Where a video has gone or was changed its page has no pictures.

    Args:
      kept_dir: an ``out_dir`` of `score_videos`; ``out_dir`` may be the same.
      options: of `score_all`.

    Raises:
      InputError: nothing kept, and as `score_all`.
    """
    found = kept_frames.kept_below(Path(kept_dir))

    def see(name: str, on_progress: Progress) -> Seen:
        path, roles = found[name], scorer.roles
        frames, about = kept_frames.read_frames(path)
        presence = kept_frames.presence_again(
            path, frames, about, scorer.made_by, scorer.bank, roles
        )
        warning, fps = None, about["fps"]
        of_features = kept_frames.ROW_FRAMES in about["video"]
        if fps != roles.config.fps and not of_features:
            warning = f"fps is {fps}, as frames were kept; the roles' is {roles.config.fps}"
        video = Path(str(about["video"].get("path")))
        pictures, file = no_pictures, None
        if of_features:
            pass
        elif video.is_file() and reading.sha256(video) == about["video"].get("sha256"):
            pictures, file = thumbnails_of(video, fps, frames.instants), video
        else:
            gone = f"{video}: not there any more, or changed; its page has no pictures"
            warning = gone if warning is None else f"{warning}; {gone}"
        return Seen(frames, presence, pictures, fps, about["video"], warning, file)

    return score_all(Source(kept_dir, found, see), out_dir, scorer, **options)


def score_all(
    source: Source,
    out_dir: str | os.PathLike,
    scorer: Scorer,
    *,
    intervals_csv: str | os.PathLike | None = None,
    threshold: ArrayLike = 0.5,
    qwen_json: str | os.PathLike | None = None,
    on_scored: Callable[[Done], object] | None = None,
    on_progress: Progress = ignore,
) -> ScoringResult:
    """Scores every video of a source and writes what `score_videos` says.

    Args:
      intervals_csv: true intervals to show, see `tables.read_intervals`.
      threshold: probability from which an event is reported, see `score_video`.
      qwen_json: captions of the frames, which are called as `extract-frames` calls them.
      on_scored: is given each video as it is done, which is then not kept: ``videos`` of the result
        is empty, so that any number of them fits into memory.
      on_progress: is told of the videos, and of the frames of the one that is read.

    Raises:
      InputError: intervals or captions that cannot be used, places that cannot be written, or no
        video that could be scored.
    """
    out_dir, roles, encoder = Path(out_dir), scorer.roles, scorer.encoder
    outputs.require_places(out_dir, *TOP)
    before = None if encoder is None else dataclasses.replace(encoder.statistics)
    ids, notes, spoken = list(source.paths), [], None
    intervals = known = None
    if intervals_csv is not None:
        unsought = left_out(roles.one_kind)  # the scorer's warnings name them
        intervals = tables.read_intervals(intervals_csv, (*scorer.signals, *unsought))
        known = names.match_ids(intervals["video_id"], ids)
        unknown = names.unmatched(intervals_csv, intervals["video_id"], ids)
        notes += [] if unknown is None else [f"{unknown}; its intervals are not used"]
    if qwen_json is not None:
        spoken = read_spoken(qwen_json, ids, scorer.model, roles.atoms, roles.config.presence)
    reports, failures, coverages, inputs, frames = [], [], [], {}, {}
    found, lines, often, highest = [], [], [], 0.0
    warnings, seconds = list(scorer.warnings), {}
    seen_as = kept_frames.description(scorer.made_by, roles)
    for name in counted(ids, on_progress, "videos"):
        try:
            folder = out_dir / names.free_name(name, source.paths[name])
            outputs.require_places(folder, *OF_VIDEO)
            with runs.timed(seconds, "score"):
                seen = source.see(name, on_progress)
                times, truth = seen.frames.times, None
                if intervals is not None:
                    truth = true_frames(intervals, known, name, times, scorer.signals)
                segmented, coverage = segment_seen(scorer, name, seen.presence, seen.frames, spoken)
                new, pictures = novelty_seen(scorer, seen.frames.image_embeddings), seen.thumbnails
                report = explain(roles, name, pictures, times, segmented, truth, threshold, new)
            result_tables.write_tables(folder, report, scorer.signals, roles.atoms)
            kept = seen.frames._replace(presence=seen.presence)
            kept_frames.write_frames(folder, kept, seen_as | {"fps": seen.fps}, seen.video)
            if on_scored is not None:
                fps = seen.fps if seen.of_features else None
                on_scored(Done(report, folder, seen.file, fps))
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, source.paths[name]))
            continue
        if on_scored is None:
            reports.append(report)
        found += result_tables.found_in(report)
        lines += [f"{name}: {sentence(f.detection, f.reasons)}" for f in report.findings]
        often.append(often_detected(report.probability, threshold))
        highest = max(highest, float(report.probability.max()))
        inputs[name], frames[name] = seen.video, seen.sample
        coverages += [] if coverage is None else [coverage]
        warnings += [] if seen.warning is None else [f"{name}: {seen.warning}"]
    if not inputs:
        several = f"{source.path}: no video could be scored; first: {failures[0]}"
        raise InputError(failures[0] if len(failures) == 1 else several)
    warnings += video_doubts(scorer.model, scorer.bank, roles, frames)
    warnings += no_information(often, len(scorer.signals))
    total = total_coverage(qwen_json, coverages) if coverages else None
    result = ScoringResult(reports, failures, notes, warnings, total, list(inputs), lines, highest)
    result_tables.write_detections(out_dir, found)
    files.write_json(
        out_dir / "run.json",
        _record(scorer, result, threshold, inputs, seconds)
        | {
            "encoding": None
            if encoder is None or not encoder.model.has_vision
            else clip.encoding_record(encoder, encoder.statistics.since(before)),
        },
    )
    return result


def _record(
    scorer: Scorer,
    result: ScoringResult,
    threshold: ArrayLike,
    inputs: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    roles = scorer.roles
    written = not roles.training
    source = None if roles.source is None else runs.input_record(roles.source)
    ordinary = None
    if scorer.ordinary is not None and scorer.ordinary.model.source is not None:
        ordinary = runs.input_record(scorer.ordinary.model.source)
    made_with = {
        "threshold": dict(zip(scorer.signals, map(float, threshold), strict=True))
        if np.ndim(threshold)
        else threshold,
        "ordinary": ordinary,
        "clip": dict(scorer.made_by),
        "roles": {
            "trained": not written,
            "training_videos": list(roles.training.get("training_videos", [])),
            **({"not_looked_for": unsought} if (unsought := left_out(roles.one_kind)) else {}),
            **(source or {}),
        },
        "ontology": source if written else None,
        "warnings": result.warnings,
        "inputs": {"video": [{"id": name, **video} for name, video in inputs.items()]},
        "videos": result.names,
    }
    return runs.run_record(roles.config, seed=None, seconds=seconds, made_with=made_with)


def no_pictures(places: Sequence[int]) -> list[np.ndarray]:
    """Thumbnails of a video that is not there."""
    return []
