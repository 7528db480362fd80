"""Presence, novelty and thresholds of videos, read against what their camera ordinarily shows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from jaxvlm.arrays import unit
from jaxvlm.atoms.alarm_budget import (
    HOURS_PER_DAY,
    Budget,
    alarm_peaks,
    budget_thresholds,
    count_alarms,
)
from jaxvlm.atoms.novelty import novelty
from jaxvlm.atoms.ordinary import Zero, fit_tail, margin, ordinary_presence
from jaxvlm.errors import InputError
from jaxvlm.evaluation.intervals import poisson_interval
from jaxvlm.names import number_of
from jaxvlm.video.frame_presence import segment
from jaxvlm.video.ordinary_learning import STRETCH_SECONDS, require_enough
from jaxvlm.video.ordinary_model import NOVELTY, PARTS, OrdinaryModel, check_fits
from jaxvlm.video.result import ScoredVideo
from jaxvlm.video.role_model import RoleModel

TRAINED_ON = "ordinary"  # of the training of roles that were learned from presence read so
_DAY = 86_400
_SMALLEST = 1e-4  # distance
_NARROWEST = 0.02  # of a logarithm of distances


class Ordinary(NamedTuple):
    """A model made ready to read with.

    zeros: q and w [1 + PARTS, C]. reads_presence: False where the roles were trained on presence as
    it is, and only novelty, thresholds and drift are of the model. usual: q and w of the logarithm
    of the distance from what was seen before. clock: gives the second of the day, where the footage
    is of now.
    """

    model: OrdinaryModel
    zeros: Zero
    reads_presence: bool
    usual: tuple[float, float]
    clock: Callable[[], float] | None = None

    def read(self, presence: np.ndarray, part: np.ndarray | None = None) -> np.ndarray:
        """p [T, C] of the roles, from p as the encoder and the texts give it.

        part: of the day [T], 0 unknown; None: of now where there is a clock.
        """
        if not self.reads_presence:
            return np.asarray(presence)
        if part is None:
            part = np.full(len(presence), self.part_now())
        zero = Zero(*(each[part] for each in self.zeros))
        return np.asarray(ordinary_presence(margin(presence), *zero))

    def part_now(self) -> int:
        """The part of the day; 0 where it is not known."""
        return 0 if self.clock is None else 1 + int(self.clock() % _DAY // (_DAY // PARTS))

    def novelty_logit(self, embeddings: np.ndarray) -> np.ndarray:
        """(log d − q)/w [T], d the `novelty` of frames [T, D] of any length."""
        rows = np.asarray(unit(np.asarray(embeddings, np.float32)))
        location, width = self.usual
        return (_log_distance(rows, self.model) - location) / width

    def novelty(self, embeddings: np.ndarray) -> np.ndarray:
        """[T] in [0, 1]: above one half where a frame is farther from all that the camera showed
        before than a hundredth of its ordinary frames is."""
        return scipy.special.expit(self.novelty_logit(embeddings)).astype(np.float32)


def prepare(
    model: OrdinaryModel, roles: RoleModel, made_by: Mapping[str, Any], *, fps: float | None = None
) -> Ordinary:
    """Raises InputError for a model that does not fit, see `check_fits`, or of too little."""
    check_fits(model, made_by, roles, fps)
    require_enough(model)
    own = ~model.held.leads
    away = _log_distance(model.held.embeddings[own].astype(np.float32), model)
    location, width = fit_tail(*np.quantile(away, [0.5, 0.8]), narrowest=_NARROWEST)
    reads = not roles.training or bool(roles.training.get(TRAINED_ON))
    return Ordinary(model, model.zeros(), reads, (float(location), float(width)))


def doubts(ordinary: Ordinary) -> list[str]:
    """Lines that warn of what the model has no part in."""
    if ordinary.reads_presence:
        return []
    return [
        "the roles were trained on presence as it is, so it is not read against the ordinary "
        "footage, which novelty, thresholds and drift are; roles that a person wrote "
        "(--roles=ontology) are read against it"
    ]


def read_presence(ordinary: Ordinary | None, presence: np.ndarray) -> np.ndarray:
    """p [T, C] as the roles take it; as it is without a model."""
    return presence if ordinary is None else ordinary.read(presence)


def add_novelty(
    ordinary: Ordinary | None, probability: np.ndarray, embeddings: np.ndarray
) -> np.ndarray:
    """P of the signals: that of the events [T, E] and, with a model, the novelty beside it."""
    if ordinary is None:
        return probability
    return np.column_stack([probability, ordinary.novelty(embeddings)])


def signals(roles: RoleModel, ordinary: Ordinary | None) -> tuple[str, ...]:
    """What is told of a frame: the events and, with a model, the novelty."""
    return roles.events if ordinary is None else (*roles.events, NOVELTY)


def held_logits(ordinary: Ordinary, roles: RoleModel) -> tuple[np.ndarray, np.ndarray]:
    """The logits [N, E + 1] of the signals on held-out footage, and its seconds [N].

    Computed when they are needed, and not when the model is learned: so the same model serves
    whatever roles and settings of segments there are over its atoms.
    """
    held = ordinary.model.held
    # p again, of which the margin is the logit.
    presence = ordinary.read(scipy.special.expit(held.margins.astype(np.float64)), held.part)
    ids, starts = np.unique(held.stretch, return_index=True)
    pbar, times = [], []
    for number, start, stop in zip(ids, starts, [*starts[1:], len(held.stretch)], strict=True):
        pbar.append(segment(presence[start:stop], roles.config).segment_presence)
        times.append(number * STRETCH_SECONDS + np.arange(stop - start) / ordinary.model.fps)
    own = ~held.leads
    logits = roles.logits(np.concatenate(pbar)[own])
    new = ordinary.novelty_logit(held.embeddings[own])
    return np.column_stack([logits, new]), np.concatenate(times)[own]


def choose_thresholds(ordinary: Ordinary, roles: RoleModel, per_day: float) -> Budget:
    """Probabilities [E + 1] from which the signals raise ``per_day`` false alarms a day together.

    See `alarm_budget.budget_thresholds`. A signal whose threshold no float below 1 reaches is never
    told. Raises InputError as `budget_thresholds`.
    """
    logits, times = held_logits(ordinary, roles)
    order = np.argsort(times, kind="stable")
    peaks = [alarm_peaks(column, times[order]) for column in logits[order].T]
    budget = budget_thresholds(peaks, ordinary.model.held_hours, per_day)
    levels = scipy.special.expit(budget.thresholds)
    beyond = levels >= 1 - 2.0**-24
    silent = [name for name, x in zip(signals(roles, ordinary), beyond, strict=True) if x]
    return budget._replace(thresholds=np.where(beyond, 2.0, levels), silent=tuple(silent))


def release_levels(thresholds: np.ndarray) -> np.ndarray:
    """Where alarms end that began at thresholds [S]: 1 lower in the logit, so that a score that
    trembles at its threshold is one alarm."""
    reached = np.minimum(thresholds, 1 - 2.0**-24)
    return np.where(
        thresholds > 1, thresholds, scipy.special.expit(scipy.special.logit(reached) - 1)
    )


def alarms_of(video: ScoredVideo, thresholds: ArrayLike) -> tuple[int, float]:
    """How many alarms a scored video raises, at one threshold or one of each signal, and its
    seconds."""
    times = np.asarray(video.times, float)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    levels = np.broadcast_to(thresholds, video.probability.shape[1])
    pairs = zip(video.probability.T, levels, strict=True)
    return sum(count_alarms(column, times, level) for column, level in pairs), len(times) * step


def budget_lines(budget: Budget | None, found: Sequence[tuple[int, float]]) -> list[str]:
    """What a budget promised and what scored videos came to; none without one."""
    return [] if budget is None else [budget.sentence(), achieved(found)]


def achieved(found: Sequence[tuple[int, float]]) -> str:
    """The `alarms_of` videos together, and the 95 % interval of their rate."""
    count = sum(alarms for alarms, _ in found)
    days = max(sum(seconds for _, seconds in found), 1e-9) / 3600 / HOURS_PER_DAY
    low, high = (bound / days for bound in poisson_interval(count))
    return (
        f"{number_of(count, 'alarm')} in {24 * days:.3g} hours: if all of it is ordinary, "
        f"{count / days:.3g} false alarms a day, 95 % interval {low:.3g} to {high:.3g}"
    )


def _log_distance(rows: np.ndarray, model: OrdinaryModel) -> np.ndarray:
    if not len(model.memory.rows):
        raise InputError("the ordinary model has no memory; learn it again")
    return np.log(np.maximum(novelty(rows, model.memory), _SMALLEST))
