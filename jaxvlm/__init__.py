"""Explainable video anomaly detection and zero-shot OOD detection on one frozen CLIP, in JAX."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jaxvlm.errors import InputError
from jaxvlm.version import __version__

# The rooms are imported where they are used: `jaxvlm --help` should not wait for JAX.
if TYPE_CHECKING:
    from jaxvlm.clip import ClipModel, Encoder
    from jaxvlm.video.result import ScoredVideo
    from jaxvlm.video.role_model import RoleModel
    from jaxvlm.video.scoring import Scorer
    from jaxvlm.video.watching import Rules, Summary

__all__ = ["InputError", "__version__", "score_video", "watch_video"]


def score_video(
    video: str | os.PathLike,
    *,
    clip: str | os.PathLike | ClipModel | Encoder | None = None,
    roles: str | os.PathLike | RoleModel | None = None,
    ontology: str | os.PathLike | None = None,
    threshold: float = 0.5,
    on_progress: Callable[[int, int], object] | None = None,
) -> ScoredVideo:
    """What happens in a video file, when, and why.

    ``result.events`` is a list of events with times, probability and reasons, as plain data;
    ``result.to_pandas()`` the same as a table; ``result.probability`` [T, E] and ``result.times``
    [T] are the curves.

    Args:
      clip: a CLIP folder or hub id, a loaded model, or an `Encoder`, which is worth making where
        there are many videos; None: the embedded one, which knows only its rendered world.
      roles: a role model or its folder; None: the roles written in ``ontology`` or, without one,
        the embedded ones.
      ontology: a file with events and their atoms in written roles.
      threshold: probability from which an event is reported.
      on_progress: is told how many frames are read, and of how many.

    Raises:
      InputError: a video that cannot be read whole, or files that do not fit.
    """
    from jaxvlm.video import scoring

    scorer = _scorer(clip, roles, ontology)
    return scoring.score_video(scorer, video, threshold=threshold, on_progress=on_progress)


def watch_video(
    source: str,
    on_change: Callable[[dict[str, Any]], object],
    *,
    clip: str | os.PathLike | ClipModel | Encoder | None = None,
    roles: str | os.PathLike | RoleModel | None = None,
    ontology: str | os.PathLike | None = None,
    fps: float | None = None,
    rules: Rules | None = None,
) -> Summary:
    """Watches a file, camera or URL until it ends, and tells where an event starts or ends.

    Args:
      on_change: is told {event, state ("start" or "end"), time_seconds, frame, probability,
        because} at once, and at last {state: "summary", …}.
      clip, roles, ontology: as of `score_video`.
      fps: frames per second that are scored; None: the role model's.
      rules: thresholds, and what happens where the source is faster; None: `Rules()`.

    Raises:
      InputError: a source that fails, or settings that need the whole video.
    """
    from jaxvlm.video import watching

    scorer = _scorer(clip, roles, ontology)
    rules = watching.DEFAULT_RULES if rules is None else rules
    return watching.watch_source(scorer, source, on_change, fps=fps, rules=rules)


def _scorer(clip: Any, roles: Any, ontology: Any) -> Scorer:
    from jaxvlm import resources
    from jaxvlm.video import scoring
    from jaxvlm.video.role_model import RoleModel, load_role_model

    if roles is not None and ontology is not None:
        raise InputError("roles and ontology: one of them says what to look for; leave one out")
    if ontology is not None:
        roles = scoring.written_roles(ontology)
    elif not isinstance(roles, RoleModel):
        roles = load_role_model(roles or resources.path("checkpoints/roles"))
    return scoring.make_scorer(_encoder(clip), roles)


def _encoder(clip: Any) -> Encoder:
    from jaxvlm import resources, runs
    from jaxvlm.clip import ClipModel, Encoder, load, make_encoder

    if isinstance(clip, Encoder):
        return clip
    if not isinstance(clip, ClipModel):
        clip = load(clip or resources.path("checkpoints/clip"))
    return make_encoder(clip, cache_dir=runs.cache_folder("text"))
