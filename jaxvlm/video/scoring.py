"""A video file straight to event probabilities, segments, reasons and the page."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jax.typing import ArrayLike

from jaxvlm import clip, reading
from jaxvlm.atoms.alarm_budget import GAP_SECONDS
from jaxvlm.atoms.reasons import Reason
from jaxvlm.data import sampling, tables, videos
from jaxvlm.ontology.captions import Coverage
from jaxvlm.progress import Progress, ignore
from jaxvlm.video import ordinary_reading, role_settings
from jaxvlm.video import role_model as role_models
from jaxvlm.video.caption_evidence import Spoken, raise_presence, read_spoken
from jaxvlm.video.detections import find_detections, thumbnail_frames
from jaxvlm.video.doubts import no_information, often_detected, video_doubts
from jaxvlm.video.frame_presence import (
    AtomBank,
    Segmented,
    embed_atoms,
    score_frames,
    score_stored_frames,
    segment,
)
from jaxvlm.video.kept_frames import Frames
from jaxvlm.video.ordinary_model import NOVELTY, OrdinaryModel
from jaxvlm.video.ordinary_reading import Ordinary
from jaxvlm.video.result import Finding, ScoredVideo, Thumbnail
from jaxvlm.video.role_file import read_role_file
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.thumbnails import thumbnails_of

_PICTURED = 200  # detections of a video that get pictures


class Scorer(NamedTuple):
    """Everything that does not depend on the video: encoder, text side, roles and settings."""

    encoder: clip.Encoder | None  # None: only features are scored, and their texts were given
    bank: AtomBank
    roles: RoleModel
    warnings: tuple[str, ...] = ()  # what speaks against trusting the scores
    named: Mapping[str, Any] | None = None  # without an encoder: what is known of it
    ordinary: Ordinary | None = None  # what presence is read against

    @property
    def made_by(self) -> Mapping[str, Any]:
        """What is known of the encoder: a `clip.clip_record`, or the name that was given."""
        return self.named or clip.clip_record(self.encoder.model)

    @property
    def signals(self) -> tuple[str, ...]:
        """What is told of a frame: the events and, with an ordinary model, the novelty."""
        return ordinary_reading.signals(self.roles, self.ordinary)

    @property
    def model(self) -> clip.ClipModel | None:
        """The encoder's model; None where there is none."""
        return None if self.encoder is None else self.encoder.model


def read_roles(
    source: str | os.PathLike,
    ontology_file: str | os.PathLike,
    config: Any,
    *,
    file: Any = None,
    given: Mapping[str, Any] | None = None,
    captions: bool = False,
) -> tuple[RoleModel, list[str]]:
    """A trained role model from its folder, or for "ontology" the roles of the ontology file; and a
    line for each setting that differs from the training's.

    Args:
      config: how to score with written roles, unchecked.
      file, given, captions: what the user set, see `role_settings.of_trained_roles`.

    Raises InputError as `role_model.load_role_model`, `read_role_file` and `role_settings`.
    """
    options = {"file": file, "given": given or {}, "captions": captions}
    if str(source) == "ontology":
        return read_role_file(ontology_file, config, **options)
    return role_settings.of_trained_roles(role_models.load_role_model(source), **options)


def make_scorer(
    encoder: clip.Encoder,
    roles: RoleModel,
    *,
    force: bool = False,
    warnings: Sequence[str] = (),
    ordinary: OrdinaryModel | None = None,
) -> Scorer:
    """Sets a role model up with the settings, templates and neutral prompts it was trained with.

    Args:
      force: take a role model of another encoder, with a warning.
      warnings: lines to give on with the scorer, before its own.
      ordinary: what presence is read against, see `with_ordinary`.

    Raises InputError: the roles were trained with another encoder, or as `with_ordinary`.
    """
    told = [*warnings, *(kind.sentence() for kind in roles.one_kind)]
    told += role_models.check_encoder(roles, encoder.model, force=force)
    texts = roles.atoms, roles.templates, roles.neutral_prompts
    bank = embed_atoms(encoder.model, *texts, roles.config, cache_dir=encoder.cache_dir)
    return with_ordinary(Scorer(encoder, bank, roles, tuple(told)), ordinary, roles.config.fps)


def with_ordinary(scorer: Scorer, model: OrdinaryModel | None, fps: float | None = None) -> Scorer:
    """The scorer that reads presence against what the camera ordinarily shows, before segments.

    Where the roles were trained on presence as it is they get it so, with a warning, and only
    novelty, thresholds and drift are of the model. None: the scorer as it is.

    Raises InputError: a model that does not fit, or of too little footage.
    """
    if model is None:
        return scorer
    ordinary = ordinary_reading.prepare(model, scorer.roles, scorer.made_by, fps=fps)
    told = (*scorer.warnings, *ordinary_reading.doubts(ordinary))
    return scorer._replace(ordinary=ordinary, warnings=told)


def score_video(
    scorer: Scorer,
    path: str | os.PathLike,
    *,
    intervals: pd.DataFrame | None = None,
    threshold: ArrayLike = 0.5,
    qwen_json: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
) -> ScoredVideo:
    """Scores one video file and explains what it finds.

    Frames are streamed and not kept: the pictures of what was found are read once more at the end,
    so that hours of video fit into memory. Where the encoder has a store, a frame that it knows
    costs no forward pass, whatever the number of frames per second was.

    Args:
      intervals: true ones to show, see `tables.read_intervals`.
      threshold: probability from which an event is reported; or of each of the scorer's signals,
        as from a budget of false alarms, and then what is a minute apart or less is one event.
      qwen_json: captions of its frames, which are called as `extract-frames` calls them.
      on_progress: is told the video's name, how many frames are read, and of how many.

    Raises InputError for a video that cannot be read whole, or captions of other videos.
    """
    path = Path(path)
    name, spoken, truth = path.stem, None, None
    if qwen_json is not None:
        spoken = read_spoken(
            qwen_json,
            [name],
            scorer.encoder.model,
            scorer.roles.atoms,
            scorer.roles.config.presence,
        )
    frames = see_video(scorer, path, on_progress=on_progress)
    if intervals is not None:
        truth = true_frames(intervals, {name: name}, name, frames.times, scorer.signals)
    segmented, _ = segment_seen(scorer, name, frames.presence, frames, spoken)
    pictures = thumbnails_of(path, scorer.roles.config.fps, frames.instants)
    new = novelty_seen(scorer, frames.image_embeddings)
    scored = explain(scorer.roles, name, pictures, frames.times, segmented, truth, threshold, new)
    own = {name: frames.image_embeddings}
    doubts = video_doubts(scorer.encoder.model, scorer.bank, scorer.roles, own)
    often = often_detected(scored.probability, threshold)
    doubts += no_information([often], len(scorer.signals))
    return scored._replace(warnings=(*scorer.warnings, *doubts))


def see_video(
    scorer: Scorer,
    path: Path,
    *,
    sha256: str | None = None,
    on_progress: Progress = ignore,
) -> Frames:
    """What the encoder gives of a video's frames. sha256: of the file, if it is known."""
    encoder, fps = scorer.encoder, scorer.roles.config.fps
    samples, total = None, 0
    if on_progress is not ignore or encoder.store_dir is not None:  # reads the whole file once
        samples = sampling.sample(videos.frame_times(path), fps)
        total = len(samples.instants)
    instants: list[int] = []
    times: list[float] = []

    def watched(frames: Iterable[videos.Frame]) -> Iterator[np.ndarray]:
        for frame in frames:
            instants.append(frame.index)
            times.append(frame.time_seconds)
            on_progress(path.stem, len(instants), total)
            yield frame.image

    if encoder.store_dir is None:
        images = watched(videos.frames(path, fps=fps))
        found = score_frames(encoder, scorer.bank, images, scorer.roles.config)
        return Frames(np.array(instants, np.int64), np.array(times), *found)
    digest = bytes.fromhex(sha256 or reading.sha256(path))

    def draw(places: Sequence[int]) -> Iterator[np.ndarray]:
        return watched(videos.frames(path, fps=fps, only=samples.instants[places].tolist()))

    # The place of a frame among all does not depend on how many are taken a second.
    keys = [hashlib.sha256(digest + b"frame %d" % place).digest() for place in samples.frames]
    found = score_stored_frames(encoder, scorer.bank, keys, draw, scorer.roles.config)
    on_progress(path.stem, total, total)
    return Frames(samples.instants, samples.instants / fps, *found)


def segment_seen(
    scorer: Scorer, name: str, presence: np.ndarray, frames: Frames, spoken: Spoken | None
) -> tuple[Segmented, Coverage | None]:
    """Segments of a video's presence, read against the ordinary if there is one and lifted by what
    captions say, and how much of them was used.

    A frame is called ID/000012.jpg, with its sampling instant, as `extract-frames` writes it.
    """
    roles = scorer.roles
    presence = ordinary_reading.read_presence(scorer.ordinary, presence)
    if spoken is None:
        return segment(presence, roles.config), None
    evidence = spoken.evidence(name, [f"{name}/{k:06d}.jpg" for k in frames.instants.tolist()])
    raised = raise_presence(presence, evidence, roles.config.presence)
    return segment(raised, roles.config), evidence.coverage


def novelty_seen(scorer: Scorer, embeddings: np.ndarray) -> np.ndarray | None:
    """The novelty [T] of frames [T, D]; None without an ordinary model."""
    return None if scorer.ordinary is None else scorer.ordinary.novelty(embeddings)


def true_frames(
    intervals: pd.DataFrame,
    ids: Mapping[str, str],
    name: str,
    times: np.ndarray,
    events: Sequence[str],
) -> np.ndarray:
    """[T, E] 0/1 of a video's true intervals. ids: by video_id, see `names.match_ids`."""
    own = intervals[intervals["video_id"].map(lambda given: ids.get(given) == name)]
    return tables.intervals_to_frames(own, times, events)


def explain(
    roles: RoleModel,
    name: str,
    thumbnails: Callable[[Sequence[int]], Sequence[np.ndarray]],
    times: np.ndarray,
    segmented: Segmented,
    truth: np.ndarray | None = None,
    threshold: ArrayLike = 0.5,
    novelty: np.ndarray | None = None,
) -> ScoredVideo:
    """Event probabilities of a segmented video, its detections and their reasons.

    thumbnails: gives pictures of frames by their places, which increase; none where it gives none.
    novelty: [T], a signal beside the events, which has no reasons: no atom has a part in it.
    """
    pbar, signals = segmented.segment_presence, roles.events
    probability = roles.probability(pbar)
    if novelty is not None:
        signals, probability = (*signals, NOVELTY), np.column_stack([probability, novelty])
    # Where thresholds come from a budget, alarms are what it counts.
    gap = GAP_SECONDS if np.ndim(threshold) else 1.0
    detections = find_detections(
        probability, times, signals, threshold=threshold, merge_seconds=gap
    )
    # The strongest only where there are hundreds: hours of video have to fit into memory.
    best = sorted(detections, key=lambda d: -d.probability)[:_PICTURED]
    shown = sorted({t for detection in best for t in thumbnail_frames(detection)})
    drawn = thumbnails(shown) if shown else []
    images = dict(zip(shown, drawn, strict=True)) if drawn else {}
    peaks = []
    for detection in detections:
        reasons: list[Reason] = []
        if detection.event in roles.events:
            span = pbar[detection.start_frame : detection.stop_frame]
            reasons = roles.reasons(span, detection.event)
        places = [t for t in thumbnail_frames(detection) if t in images]
        pictures = tuple(Thumbnail(float(times[t]), images[t]) for t in places)
        peaks.append(Finding(detection, tuple(reasons), pictures))
    return ScoredVideo(
        name,
        np.asarray(times),
        probability,
        segmented.boundary,
        pbar,
        truth,
        tuple(peaks),
        segmented.divergence,
    )
