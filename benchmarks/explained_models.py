"""What a model says of each atom over some frames, before anybody looks whether it is so.

A model is its score, p̄ [T, C] -> logits [T, E], in which 0 is the threshold of a detection. With
z̄ the mean logit of an event over the frames of a span:

    leave-one-out      z̄(p̄) − z̄(p̄ with the atom at its absent value): what taking it out changes
    put in             z̄(p̄) − z̄(p̄ with the atom at its present value in the span): of adding it
    gradient × input   Σ_t ∂z̄/∂p̄_c(t) · p̄_c(t); of adding Σ_t ∂z̄/∂p̄_c(t) · (p̄_c(t) − present),
                       t in the span

Absent is the median of an atom's p̄ over the training frames, present the 0.99 quantile: an atom is
on few of them. No truth is used. Roles have their own explanation besides, `role_contributions`,
where an atom is taken out of the evidence.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.threshold import best_threshold
from jaxvlm.evaluation.spans import frame_edges, spans_above
from jaxvlm.video.role_model import RoleModel

Score = Callable[[np.ndarray], np.ndarray]  # p̄ [T, C] -> logits [T, E]

PRESENT = 0.99  # quantile of an atom's p̄ over the training frames
SMALLEST, MOST = 0.1, 3  # change of the mean logit that is a reason, and how many are named
_STEP = 1e-2


class Levels(NamedTuple):
    """p̄ [C] of each atom where it is absent, and where it is present."""

    absent: np.ndarray
    present: np.ndarray


class Span(NamedTuple):
    """Frames [start, stop) of one event, by number."""

    event: int
    start: int
    stop: int


class Model(NamedTuple):
    """A model: its score, and for roles what they say themselves."""

    name: str
    score: Score
    roles: RoleModel | None = None


def levels_of(train: Sequence[np.ndarray]) -> Levels:
    """Of training videos p̄ [T, C]."""
    frames = np.concatenate(train)
    return Levels(np.median(frames, axis=0), np.quantile(frames, PRESENT, axis=0))


def role_model(
    params: RoleParams,
    atoms: Sequence[str],
    events: Sequence[str],
    candidates: np.ndarray,
    train: Sequence[np.ndarray],
    labels: np.ndarray,
) -> Model:
    """Roles as `train_roles` gives them, of the default temperature, rules among them or not."""
    roles = RoleModel(params, tuple(atoms), tuple(events), candidates)
    return Model("role model", centred(roles.logits, train, labels), roles)


def baseline(name: str, score: Score, train: Sequence[np.ndarray], labels: np.ndarray) -> Model:
    """Any model of frames, by its logits."""
    return Model(name, centred(score, train, labels))


def centred(score: Score, train: Sequence[np.ndarray], labels: np.ndarray) -> Score:
    """Logits less the event's threshold: that of `center_decision`, of the training videos."""
    highest = np.stack([score(video).max(axis=0) for video in train])
    shift = [best_threshold(z, y) for z, y in zip(highest.T, labels.T, strict=True)]
    return lambda presence: score(presence) - np.array(shift)


def mean_logit(score: Score, presence: np.ndarray, span: Span) -> float:
    """z̄ of a video p̄ [T, C]."""
    return float(score(presence)[span.start : span.stop, span.event].mean(dtype=np.float64))


def detections(score: Score, presence: np.ndarray, times: np.ndarray) -> list[Span]:
    """Every run of frames of an event at or above its threshold, short gaps closed."""
    logits, edges = score(presence), frame_edges(times)
    return [
        Span(event, found.start, found.stop)
        for event, column in enumerate(logits.T)
        for found in spans_above(column, edges, threshold=0.0)
    ]


def is_detected(score: Score, presence: np.ndarray, span: Span) -> bool:
    """Whether any frame of the span reaches the threshold."""
    return bool((score(presence)[span.start : span.stop, span.event] >= 0).any())


def at_level(
    presence: np.ndarray, atom: int, level: np.ndarray, frames: slice | np.ndarray = slice(None)
) -> np.ndarray:
    """p̄ [T, C] with one atom at its level [C] in some frames, or in all."""
    changed = presence.copy()
    changed[frames, atom] = level[atom]
    return changed


def leave_one_out(score: Score, presence: np.ndarray, span: Span, absent: np.ndarray) -> np.ndarray:
    """[C] z̄ less what it is with each atom at its absent level [C] in all frames."""
    before = mean_logit(score, presence, span)
    without = (at_level(presence, c, absent) for c in range(presence.shape[1]))
    return np.array([before - mean_logit(score, rows, span) for rows in without])


def put_in(score: Score, presence: np.ndarray, span: Span, present: np.ndarray) -> np.ndarray:
    """[C] z̄ less what it is with each atom at its present level [C] in the span."""
    before, frames = mean_logit(score, presence, span), slice(span.start, span.stop)
    added = (at_level(presence, c, present, frames) for c in range(presence.shape[1]))
    return np.array([before - mean_logit(score, rows, span) for rows in added])


def gradient_times(
    score: Score, presence: np.ndarray, span: Span, present: np.ndarray | None = None
) -> np.ndarray:
    """[C] Σ_t ∂z̄/∂p̄_c(t) · p̄_c(t), or, with a present level [C], of p̄_c(t) − present_c in the span.

    A derivative along one direction for each atom, so a central difference gives it of any score.
    """
    direction = presence.astype(np.float64)
    if present is not None:
        direction = np.zeros_like(direction)
        frames = slice(span.start, span.stop)
        direction[frames] = presence[frames] - present
    found = []
    for c in range(presence.shape[1]):
        step = np.zeros_like(direction)
        step[:, c] = _STEP * direction[:, c]
        up, down = (mean_logit(score, presence + sign * step, span) for sign in (1, -1))
        found.append((up - down) / (2 * _STEP))
    return np.array(found)


def predictions(
    model: Model, presence: np.ndarray, span: Span, levels: Levels
) -> dict[str, np.ndarray]:
    """By explanation the fall of z̄ [C] that it says taking each atom out would bring."""
    found = {
        "leave-one-out": leave_one_out(model.score, presence, span, levels.absent),
        "gradient × input": gradient_times(model.score, presence, span),
    }
    if model.roles is not None:
        event = model.roles.events[span.event]
        rows = model.roles.contributions(presence[span.start : span.stop], event).total
        changes = np.zeros(presence.shape[1])
        members = [model.roles.atoms.index(atom) for atom in model.roles.candidates_of(event)]
        changes[members] = np.asarray(rows)[:, :, 0].mean(axis=0)
        found["contributions"] = changes
    return found


def named(
    model: Model, explanation: str, changes: np.ndarray, presence: np.ndarray, span: Span
) -> list[int]:
    """The atoms that an explanation names for the event, most important first: those of the
    sentence for roles' own contributions, else the three largest changes."""
    if explanation == "contributions":
        event = model.roles.events[span.event]
        reasons = model.roles.reasons(presence[span.start : span.stop], event)
        names = [a for reason in reasons if reason.contribution > 0 for a in reason.atoms]
        return [model.roles.atoms.index(atom) for atom in dict.fromkeys(names)]
    order = np.argsort(-changes, kind="stable")[:MOST]
    return [int(c) for c in order if changes[c] >= SMALLEST]
