"""The rules of a role model as names and figures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.atoms.padding import by_blocks
from jaxvlm.atoms.reasons import NamedRule
from jaxvlm.atoms.roles import RoleParams, calibrated_presence
from jaxvlm.atoms.rules import NOBODY, Rules, rule_activation, rule_strengths
from jaxvlm.errors import InputError
from jaxvlm.evaluation.rule_stability import rule_stability
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.video.rule_figures import TOLD_SHARE

FIGURES = "rules"  # where the record of a training has them
_CANCELS = 0.5  # κ from which a counter is told as one of its rule
_FIRES = 0.5  # what a rule has to be above to fire in a frame


class ListedRule(NamedTuple):
    """A rule that takes part, its atoms and events by number."""

    event: int
    place: int  # among the rules of the event
    atoms: tuple[int, ...]
    unless: tuple[int, ...]  # counters that cancel more than half of it
    strength: float


def listed_rules(rules: Rules, candidates: ArrayLike | None) -> list[ListedRule]:
    """The rules that take part, event by event."""
    strengths = rule_strengths(rules, candidates)
    tables = (rules.atoms, strengths.strength, rules.unless, strengths.unless)
    found = []
    for event, own in enumerate(zip(*map(np.asarray, tables), strict=True)):
        for place, (atoms, s, unless, kappa) in enumerate(zip(*own, strict=True)):
            if s > 0:
                numbers = tuple(c for c in atoms.tolist() if c != NOBODY)
                strong = [c for c, k in zip(unless.tolist(), kappa, strict=True) if k >= _CANCELS]
                found.append(ListedRule(event, place, numbers, tuple(strong), float(s)))
    return found


def named_rules(
    rules: Rules, candidates: ArrayLike | None, event: int, members: Sequence[int]
) -> tuple[NamedRule, ...]:
    """All rules of one event, their atoms numbered by their places in members; one that takes no
    part has no atoms."""
    place = {int(atom): n for n, atom in enumerate(members) if atom != NOBODY}
    found = [NamedRule((), ())] * np.shape(rules.theta)[1]
    for rule in listed_rules(rules, candidates):
        if rule.event == event:
            own = (tuple(place[c] for c in atoms) for atoms in (rule.atoms, rule.unless))
            found[rule.place] = NamedRule(*own)
    return tuple(found)


def figures_of_training(
    params: RoleParams,
    ontology: Ontology,
    videos: Sequence[np.ndarray],
    labels: np.ndarray,
    fits: Sequence[Rules] = (),
) -> list[dict[str, Any]]:
    """How each rule did on the training videos: JSON, one record for each rule that takes part.

    support: the videos in which it fires, p̃_i p̃_j Π(1 − κ p̃_u) > 1/2 in a frame; precision: the
    share of these that show the event, None without any; stability: the share of ``fits`` in which
    the event has a rule of these atoms at least half as strong as its strongest; None without fits.
    """
    rules, candidates = params.rules, ontology.candidates
    strengths = rule_strengths(rules, candidates)

    def activation(presence: np.ndarray) -> jax.Array:
        return rule_activation(rules, calibrated_presence(params, presence), strengths)

    fired = np.stack([by_blocks(activation, v).max(axis=0) > _FIRES for v in videos])  # [N, E, R]
    back = {}
    if fits:
        frequent = rule_stability([_strong(fit, candidates) for fit in fits])
        back = {one.rule[:2]: one.frequency for one in frequent}
    found = []
    for rule in listed_rules(rules, candidates):
        own = fired[:, rule.event, rule.place]
        support = int(own.sum())
        found.append(
            {
                "event": ontology.events[rule.event],
                "atoms": [ontology.atoms[c] for c in rule.atoms],
                "support": support,
                "precision": float(labels[own, rule.event].mean()) if support else None,
                "stability": back.get((rule.event, tuple(sorted(rule.atoms))), 0.0)
                if fits
                else None,
            }
        )
    return found


def read_figures(value: Any, place: object) -> dict[tuple[str, frozenset[str]], dict[str, Any]]:
    """What `figures_of_training` gave, by event and atoms. Raises InputError, which begins with
    ``place``, for anything else."""
    found = {}
    for record in value if isinstance(value, list) else [value]:
        if not isinstance(record, dict) or not _is_record(record):
            raise InputError(f"{place}: rules is no list of figures; train the roles again")
        found[record["event"], frozenset(record["atoms"])] = record
    return found


def _is_record(record: dict[str, Any]) -> bool:
    atoms, support = record.get("atoms"), record.get("support")
    shares = [record.get("precision"), record.get("stability")]
    return (
        isinstance(record.get("event"), str)
        and isinstance(atoms, list)
        and all(isinstance(atom, str) for atom in atoms)
        and type(support) is int
        and support >= 0
        and all(s is None or type(s) in (int, float) and 0 <= s <= 1 for s in shares)
    )


def _strong(rules: Rules, candidates: ArrayLike | None) -> list[tuple]:
    """The rules of one fit that are at least half as strong as their event's strongest."""
    listed = listed_rules(rules, candidates)
    strongest = {}
    for rule in listed:
        strongest[rule.event] = max(rule.strength, strongest.get(rule.event, 0.0))
    return [
        (rule.event, rule.atoms, rule.unless)
        for rule in listed
        if rule.strength >= TOLD_SHARE * strongest[rule.event]
    ]
