"""Why an event over some frames: the atoms that moved it most, as names."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.explanation import Contributions
from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT

_SMALLEST_SHARE = 0.05  # of the largest change


class Reason(NamedTuple):
    """Atoms that speak for (contribution > 0) or against an event."""

    atoms: tuple[str, ...]  # one, or the pair of indirect atoms that counts together
    role: str
    contribution: float  # how much the event's logit falls, on the mean, without the first
    unless: tuple[str, ...] = ()  # counters of the atoms' own rule, which would have cancelled it


class NamedRule(NamedTuple):
    """One rule of an event: its atoms, one or two, and its own counters, by number."""

    atoms: tuple[int, ...]
    unless: tuple[int, ...]


def reasons(
    contributions: Contributions,
    atoms: Sequence[str],
    *,
    event: int,
    start: int,
    stop: int,
    rules: Sequence[NamedRule] = (),
    limit: int = 3,
    smallest: float = 0.1,
) -> list[Reason]:
    """The atoms that moved one event most over frames start..stop−1, strongest first.

    Each atom speaks in the role in which it moved the mean logit most; an indirect atom names the
    partner of its strongest pair, and two atoms that name each other are one reason. Evidence that
    is a rule's names the counters that would have cancelled it and are not there. At most `limit`
    reasons for the event and `limit` against; changes below `smallest`, or below a
    twentieth of the largest, are left out: next to +9.4, a counter of −0.2 is not what it happened
    despite.

    Args:
      contributions: of the whole video, from `role_contributions`.
      atoms: C names.
      event: index of the event.
      rules: the event's R rules; one without atoms is none.

    Raises:
      ValueError: shapes that do not fit.
    """
    fields = contributions._asdict().items()
    axes = {"rule_strength": f"T {len(rules)} E"}
    each = {name: (value, axes.get(name, f"T {len(atoms)} E")) for name, value in fields}
    check_shapes("reasons", **each)
    span = slice(start, stop)
    per_role = {
        DIRECT: np.asarray(contributions.direct)[span, :, event].mean(axis=0),
        INDIRECT: np.asarray(contributions.indirect)[span, :, event].mean(axis=0),
        COUNTER: np.asarray(contributions.counter)[span, :, event].mean(axis=0),
    }
    names = list(per_role)
    change = np.stack([per_role[name] for name in names])
    role = np.abs(change).argmax(axis=0)
    change = np.take_along_axis(change, role[None], axis=0)[0]
    a = np.asarray(contributions.pair_strength)[span, :, event]
    joint = a.T @ a
    np.fill_diagonal(joint, -1.0)
    opposed = _join_rules(joint, contributions.rule_strength, rules, span, event)
    least = max(smallest, _SMALLEST_SHARE * float(np.abs(change).max(initial=0.0)))
    found: list[Reason] = []
    named: set[frozenset[int]] = set()
    kept = {True: 0, False: 0}
    for atom in np.argsort(-np.abs(change), kind="stable"):
        supports = bool(change[atom] > 0)
        if abs(change[atom]) < least or kept[supports] == limit:
            continue
        partner = None
        if names[role[atom]] == INDIRECT:
            partner = int(joint[atom].argmax())
            pair = frozenset((int(atom), partner))
            if pair in named:
                continue
            named.add(pair)
        kept[supports] += 1
        numbers = (int(atom),) if partner is None else (int(atom), partner)
        unless = () if names[role[atom]] == COUNTER else opposed.get(frozenset(numbers), ())
        # One that holds the event back is there.
        unless = [n for n in unless if per_role[COUNTER][n] > -smallest]
        found.append(
            Reason(
                tuple(atoms[n] for n in numbers),
                names[role[atom]],
                float(change[atom]),
                tuple(atoms[n] for n in unless),
            )
        )
    return found


def _join_rules(
    joint: np.ndarray,
    strength: ArrayLike | None,
    rules: Sequence[NamedRule],
    span: slice,
    event: int,
) -> dict[frozenset[int], tuple[int, ...]]:
    """Raises joint [C, C] to the strengths of rules; the own counters of the rules that did it, and
    of those of one atom."""
    opposed = {}
    for r, rule in enumerate(rules):
        if not rule.atoms or strength is None:
            continue
        if len(rule.atoms) == 2:
            total = float(np.asarray(strength)[span, r, event].sum())
            if total <= joint[rule.atoms]:
                continue
            joint[rule.atoms] = joint[rule.atoms[::-1]] = total
        opposed[frozenset(rule.atoms)] = rule.unless
    return opposed
