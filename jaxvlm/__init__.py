"""Explainable video anomaly detection and zero-shot OOD detection on one frozen CLIP, in JAX."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jaxvlm.errors import InputError
from jaxvlm.version import __version__

# The rooms are imported where they are used: `jaxvlm --help` should not wait for JAX.
if TYPE_CHECKING:
    from jax.typing import ArrayLike

    from jaxvlm.clip import ClipModel, Encoder
    from jaxvlm.data.image_sets import ImageSet
    from jaxvlm.pictures.from_arrays import compare_embeddings, score_embeddings
    from jaxvlm.pictures.scoring import FolderScores
    from jaxvlm.video.feature_texts import Texts
    from jaxvlm.video.ordinary_model import OrdinaryModel
    from jaxvlm.video.result import ScoredVideo
    from jaxvlm.video.role_model import RoleModel
    from jaxvlm.video.scoring import Scorer
    from jaxvlm.video.watching import Rules, Summary

__all__ = [
    "InputError",
    "__version__",
    "compare_embeddings",
    "learn_ordinary",
    "ordinary_scorer",
    "score_embeddings",
    "score_features",
    "score_images",
    "score_video",
    "watch_video",
]


def __getattr__(name: str) -> Any:
    """The functions that live in a room, imported when they are asked for."""
    if name in ("compare_embeddings", "score_embeddings"):
        from jaxvlm.pictures import from_arrays

        return getattr(from_arrays, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def score_video(
    video: str | os.PathLike,
    *,
    clip: str | os.PathLike | ClipModel | Encoder | None = None,
    roles: str | os.PathLike | RoleModel | Scorer | None = None,
    ontology: str | os.PathLike | None = None,
    config: Any = None,
    force: bool = False,
    threshold: ArrayLike = 0.5,
    on_progress: Callable[[str, int, int], object] | None = None,
) -> ScoredVideo:
    """What happens in a video file, when, and why.

    ``result.events`` is a list of events with times, probability and reasons, as plain data;
    ``result.to_pandas()`` the same as a table; ``result.probability`` [T, E] and ``result.times``
    [T] are the curves.

    Args:
      clip: a CLIP folder or hub id, a loaded model, or an `Encoder`, which is worth making where
        there are many videos; None: the embedded one, which knows only its rendered world.
      roles: a role model or its folder; None: the roles written in ``ontology`` or, without one,
        the embedded ones. Or a scorer, as of `ordinary_scorer`: it says all but the threshold.
      ontology: a file with events and their atoms in written roles.
      config: settings as a table, ``{"fps": 2.0, "segments": {"window": 10}}``, or a whole
        `AtomsConfig`. Over those of a role model frames per second, boundaries and segments apply,
        with a warning that they differ from the training's; what cannot apply is an error.
      force: take roles that were trained with another encoder, with a warning.
      threshold: probability from which an event is reported, or one of each signal of a scorer, as
        of `video.ordinary_reading.choose_thresholds`.
      on_progress: is told the video's name, how many frames are read, and of how many.

    Raises:
      InputError: a video that cannot be read whole, or files that do not fit.
    """
    from jaxvlm.progress import ignore
    from jaxvlm.video import scoring

    scorer = _scorer(clip, roles, ontology, config, force)
    return scoring.score_video(
        scorer, video, threshold=threshold, on_progress=on_progress or ignore
    )


def score_features(
    rows: ArrayLike,
    *,
    texts: str | os.PathLike | ClipModel | Texts,
    roles: str | os.PathLike | RoleModel | None = None,
    ontology: str | os.PathLike | None = None,
    config: Any = None,
    force: bool = False,
    threshold: float = 0.5,
    seconds_per_row: float = 16 / 30,
) -> ScoredVideo:
    """`score_video` of features [T, D] of a video, a row for every few frames, in any length.

    Args:
      rows: as an array; row t starts at t·``seconds_per_row``.
      texts: who embeds the atoms: the CLIP that gave the features, as a folder, hub id or model, of
        which the text tower is enough; or a `video.feature_texts.Texts` with their embeddings.
      roles, ontology, config, force, threshold: as of `score_video`. Presence that looks at patches
        (``presence.kind`` local, as of the embedded roles) is an error.
      seconds_per_row: default: 16 frames of 30 a second, as VadCLIP's.

    Raises:
      InputError: another shape, rows that are not finite or zero, or files that do not fit.
    """
    import numpy as np

    from jaxvlm.clip import ClipModel, load, make_encoder
    from jaxvlm.video import feature_runs
    from jaxvlm.video.feature_texts import Texts

    if not 0 < seconds_per_row < float("inf"):
        raise InputError(f"seconds_per_row={seconds_per_row}: give a number above 0")
    if not isinstance(texts, Texts):
        model = texts if isinstance(texts, ClipModel) else load(texts, towers="text")
        texts = Texts(make_encoder(model))
    roles, told = _roles(roles, ontology, config)
    scorer, _ = feature_runs.make_scorer(texts, roles, force=force, warnings=told)
    _warn(scorer.warnings, level=3)
    times = np.arange(len(rows)) * seconds_per_row
    return feature_runs.score_rows(scorer, rows, times, name="features", threshold=threshold)


def score_images(
    images: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    class_names: str | os.PathLike | Sequence[str],
    negatives: str | os.PathLike | Sequence[str] | None = None,
    clip: str | os.PathLike | ClipModel | Encoder | None = None,
    id_images: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    keep_id: float = 0.95,
    settings: Any = None,
    on_progress: Callable[[str, int, int], object] | None = None,
) -> FolderScores:
    """How far out of distribution each picture is, and why; nothing is written.

    ``result.to_pandas()`` has a row per picture, farthest out first: ``score`` by ``method``,
    the sentence ``why``, the nearest class and negatives, and every other method's score.

    Args:
      images: a folder, a list of paths, or what ``score-images --images`` takes.
      class_names: the ID classes, as a file or a list of words.
      negatives: a word list or folder, or a list of words; None: the rendered world's words.
      clip: as of `score_video`.
      id_images: pictures known to be in-distribution: a score is then also a share of these, and
        ``decision`` is "in" or "out".
      keep_id: the share of these that is called in.
      settings: an `OodConfig`, which names the method, or what a file of ``configs/ood/`` gives;
        None: the defaults.
      on_progress: is told the set's name, how many pictures are done, and of how many.

    Raises:
      InputError: files or words that do not fit, or no readable picture.
    """
    from jaxvlm.pictures.config import OodConfig, check
    from jaxvlm.pictures.labels import Words
    from jaxvlm.pictures.scoring import score_folder
    from jaxvlm.progress import ignore

    encoder = _encoder(clip)
    return score_folder(
        encoder,
        _image_set(images),
        Words(class_names, negatives),
        check(OodConfig() if settings is None else settings, encoder.model),
        id_set=None if id_images is None else _image_set(id_images),
        keep_id=keep_id,
        on_progress=ignore if on_progress is None else on_progress,
    )


def watch_video(
    source: str,
    on_change: Callable[[dict[str, Any]], object],
    *,
    clip: str | os.PathLike | ClipModel | Encoder | None = None,
    roles: str | os.PathLike | RoleModel | Scorer | None = None,
    ontology: str | os.PathLike | None = None,
    config: Any = None,
    force: bool = False,
    rules: Rules | None = None,
) -> Summary:
    """Watches a file, camera or URL until it ends, and tells where an event starts or ends.

    Args:
      on_change: is told {event, state ("start" or "end"), time_seconds, frame, probability,
        because} at once, and at last {state: "summary", …}.
      clip, roles, ontology, config, force: as of `score_video`.
      rules: thresholds, and what happens where the source is faster; None: `Rules()`.

    Raises:
      InputError: a source that fails, or settings that need the whole video.
    """
    from jaxvlm.video import watching

    scorer = _scorer(clip, roles, ontology, config, force)
    return watching.watch_source(scorer, source, on_change, rules=rules or watching.DEFAULT_RULES)


def learn_ordinary(
    video: str | os.PathLike,
    out_dir: str | os.PathLike | None = None,
    *,
    ordinary: str | os.PathLike | OrdinaryModel | None = None,
    camera: str = "camera",
    **looked_for: Any,
) -> OrdinaryModel:
    """What a camera ordinarily shows, from an unlabelled video file or a folder of them.

    ``ordinary``: a model to go on with. ``looked_for``: as of `ordinary_scorer`, without force.
    Raises InputError: no video that can be read, or too little of it.
    """
    from jaxvlm.video import ordinary_sources

    scorer = _scorer(**looked_for)
    old = ordinary and _ordinary(ordinary)
    learned = ordinary_sources.learn_videos(scorer, video, old, name=camera)
    _warn(learned.failures, level=3)
    ordinary_sources.write_learned(out_dir, learned)
    return learned.model


def ordinary_scorer(ordinary: str | os.PathLike | OrdinaryModel, **looked_for: Any) -> Scorer:
    """What reads videos against their camera's ordinary footage: ``roles`` of `score_video` and
    `watch_video`. ``looked_for``: clip, roles, ontology, config and force as of these. Raises
    InputError: a model of another encoder, other atoms or settings of presence.
    """
    return _scorer(**looked_for, ordinary=_ordinary(ordinary))


def _roles(roles: Any, ontology: Any, config: Any) -> tuple[RoleModel, list[str]]:
    """The roles with the settings, and a line for each that differs from the training's."""
    import dataclasses

    from jaxvlm import resources
    from jaxvlm.video import role_settings
    from jaxvlm.video.role_file import read_role_file
    from jaxvlm.video.role_model import RoleModel, load_role_model

    if roles is not None and ontology is not None:
        raise InputError("roles and ontology: one of them says what to look for; leave one out")
    whole = dataclasses.is_dataclass(config)  # every field is there, be it as it is anyway
    given = {} if whole or config is None else role_settings.flat(config)
    if ontology is not None:
        values = config if whole else role_settings.nested(given)
        return read_role_file(ontology, values, file=config if whole else None, given=given)
    if not isinstance(roles, RoleModel):
        roles = load_role_model(roles or resources.path("checkpoints/roles"))
    return role_settings.of_trained_roles(roles, config if whole else None, given, captions=False)


def _scorer(
    clip: Any = None,
    roles: Any = None,
    ontology: Any = None,
    config: Any = None,
    force: bool = False,
    ordinary: Any = None,
) -> Scorer:
    from jaxvlm.video import scoring

    if isinstance(roles, scoring.Scorer):
        if any(given is not None for given in (clip, ontology, config)) or force:
            raise InputError("roles: the scorer says clip, ontology, config and force; leave them")
        return roles
    roles, told = _roles(roles, ontology, config)
    options = {"force": force, "warnings": told, "ordinary": ordinary}
    scorer = scoring.make_scorer(_encoder(clip), roles, **options)
    _warn(scorer.warnings, level=4)
    return scorer


def _ordinary(given: Any) -> OrdinaryModel:
    from jaxvlm.video.ordinary_model import OrdinaryModel, load_ordinary

    return given if isinstance(given, OrdinaryModel) else load_ordinary(given)


def _warn(lines: Sequence[str], level: int) -> None:
    """Python's warnings, told of the user's line: the program that called, ``level`` calls up."""
    import warnings

    for line in lines:
        warnings.warn(line, stacklevel=level)


def _encoder(clip: Any) -> Encoder:
    from jaxvlm import resources, runs
    from jaxvlm.clip import ClipModel, Encoder, load, make_encoder

    if isinstance(clip, Encoder):
        return clip
    if not isinstance(clip, ClipModel):
        clip = load(clip or resources.path("checkpoints/clip"))
    return make_encoder(clip, cache_dir=runs.cache_folder("text"))


def _image_set(images: Any) -> ImageSet:
    from jaxvlm.pictures.sets import listed_set, read_set

    if isinstance(images, str | os.PathLike):
        return read_set(os.fspath(images))
    return listed_set(images)
