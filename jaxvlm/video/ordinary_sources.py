"""Where ordinary footage comes from: videos, folders of frames, features."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxvlm import names
from jaxvlm.data import images, videos
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.video import features as feature_sources
from jaxvlm.video.features import FeatureSource
from jaxvlm.video.frame_presence import score_frames
from jaxvlm.video.kept_frames import Frames
from jaxvlm.video.ordinary_learning import learn, require_enough
from jaxvlm.video.ordinary_model import OrdinaryModel, check_fits, new_model, save_ordinary
from jaxvlm.video.scoring import Scorer, see_video

# The videos of a source: id, path, and what gives its frames.
_Videos = Iterator[tuple[str, Path, Callable[[], Frames]]]


class Learned(NamedTuple):
    """The model, the ids of the videos that it was learned from, a line per one that failed."""

    model: OrdinaryModel
    videos: list[str]
    failures: list[str]


def learn_videos(
    scorer: Scorer,
    video: str | os.PathLike,
    model: OrdinaryModel | None = None,
    *,
    name: str = "camera",
    starts_at: int | None = None,
    on_progress: Progress = ignore,
) -> Learned:
    """Learns from a video file, or from every video below a folder, in the order of their names.

    Args:
      model: one to go on with.
      name: of the camera, for a new model.
      starts_at: second of the day at which the first frame was filmed; the videos follow each
        other without a gap. None: not known.

    Raises InputError: nothing there, a model that does not fit, or no video that could be read.
    """
    found = videos.video_ids(video, videos.find_videos(video))

    def see() -> _Videos:
        for each, path in found.items():
            yield each, path, lambda path=path: see_video(scorer, path, on_progress=on_progress)

    return _learn(scorer, str(video), see, model, (name, scorer.roles.config.fps), starts_at)


def learn_folders(
    scorer: Scorer,
    frames_root: str | os.PathLike,
    model: OrdinaryModel | None = None,
    *,
    name: str = "camera",
    starts_at: int | None = None,
    on_progress: Progress = ignore,
) -> Learned:
    """`learn_videos` of folders of frames, which were extracted at the frames per second of the
    roles."""
    listed = images.list_video_folders(frames_root)
    found = {names.relative_id(folder, Path(frames_root)): folder for folder in listed.folders}

    def frames(folder: Path) -> Frames:
        paths = images.list_images(folder)
        rows, presence = score_frames(scorer.encoder, scorer.bank, paths, scorer.roles.config)
        return Frames(np.arange(len(rows)), np.arange(float(len(rows))), rows, presence)

    def see() -> _Videos:
        for each in counted(list(found), on_progress, "videos"):
            yield each, found[each], lambda each=each: frames(found[each])

    made = (name, scorer.roles.config.fps)
    learned = _learn(scorer, str(frames_root), see, model, made, starts_at)
    return learned._replace(failures=[*listed.failures, *learned.failures])


def learn_features(
    scorer: Scorer,
    source: FeatureSource,
    model: OrdinaryModel | None = None,
    *,
    name: str = "camera",
    starts_at: int | None = None,
    on_progress: Progress = ignore,
) -> Learned:
    """`learn_videos` of features: a row is a frame."""
    settings, made_by = scorer.roles.config.presence, scorer.made_by
    rates: set[float] = set()

    def frames(each: str) -> Frames:
        found, fps, *_ = feature_sources.read_video(source, each, made_by, scorer.bank, settings)
        rates.add(fps / (source.frames_per_row or 1))
        return found

    def see() -> _Videos:
        for each in counted(list(source.videos), on_progress, "videos"):
            yield each, source.videos[each].path, lambda each=each: frames(each)

    if source.frames_per_row is None:  # each file says it
        fps = scorer.roles.config.fps
    else:
        fps = source.fps / source.frames_per_row
    learned = _learn(scorer, str(source.root), see, model, (name, fps), starts_at)
    if len(rates) > 1 or (rates and not np.isclose(next(iter(rates)), fps, rtol=1e-3)):
        raise InputError(
            f"{source.root}: rows of {', '.join(f'{r:g}' for r in sorted(rates))} a second, where "
            f"{fps:g} are needed; learn from footage of one rate (--config.fps)"
        )
    return learned


def write_learned(out_dir: str | os.PathLike | None, learned: Learned) -> None:
    """Writes the model; None: nowhere. Raises InputError for too little footage."""
    require_enough(learned.model)
    if out_dir is not None:
        save_ordinary(out_dir, learned.model)


def _learn(
    scorer: Scorer,
    root: str,
    see: Callable[[], _Videos],
    model: OrdinaryModel | None,
    made: tuple[str, float],
    starts_at: int | None,
) -> Learned:
    name, fps = made
    model = begin(scorer, model, name, fps)
    done, failures, passed = [], [], 0
    for each, path, frames_of in see():
        try:
            frames = frames_of()
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, path))
            continue
        clock = None
        if starts_at is not None:
            clock = starts_at + (passed + np.arange(len(frames.presence))) / fps
        model = learn(
            model,
            frames.presence,
            frames.image_embeddings,
            continues=starts_at is not None and passed > 0,
            second_of_day=clock,
        )
        passed += len(frames.presence)
        done.append(each)
    if not done:
        raise InputError(f"{root}: no video could be read; first: {failures[0]}")
    return Learned(model, done, failures)


def begin(
    scorer: Scorer, model: OrdinaryModel | None, name: str, fps: float | None = None
) -> OrdinaryModel:
    """The model to go on with, or one of nothing. Raises InputError for one that does not fit."""
    fps = scorer.roles.config.fps if fps is None else fps
    if model is None:
        return new_model(name, scorer.made_by, scorer.roles, scorer.bank.atoms.shape[1], fps)
    check_fits(model, scorer.made_by, scorer.roles, fps)
    return model
