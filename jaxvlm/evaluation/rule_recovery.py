"""How many of the rules of an event's law does a model give back?"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

# The event, the atoms that together suffice, and those that hold them back; atoms ascending.
Rule = tuple[int, tuple[int, ...], tuple[int, ...]]
_ALONE, _PAIR = 1, 2
_HIGH = 0.9  # the quantile of the frames that show an atom


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def rule_recovery(
    found: Collection[Rule], true: Collection[Rule]
) -> dict[str, dict[str, float | int]]:
    """Precision and recall of the rules of a law.

    What is compared, as sets over all events: ``singles`` and ``pairs``, the atoms of rules of one
    and of two atoms, whatever their counters; ``counters``, each (rule's atoms, counter) by itself,
    so that a rule of two counters counts twice; ``rules``, atoms with all of their counters.

    Args:
      found, true: (event, atoms, counters), of names or numbers; their order does not matter.

    Returns:
      For each: ``true``, ``found``, ``recovered`` (counts), ``recall`` (recovered / true),
      ``precision`` (recovered / found). A ratio over zero is nan.
    """
    result = {}
    for name, select in _COMPARED.items():
        given, wanted = (
            {item for rule in rules for item in select(rule)} for rules in (found, true)
        )
        result[name] = {
            "true": len(wanted),
            "found": len(given),
            "recovered": len(given & wanted),
            "recall": _ratio(len(given & wanted), len(wanted)),
            "precision": _ratio(len(given & wanted), len(given)),
        }
    return result


def atom_levels(
    presence: Sequence[np.ndarray], visible: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Presence [C] of atoms that are not there, and of those that are, for `rules_by_behaviour`.

    The mean of the frames that do not show it, and the 0.9 quantile of those that do, because
    a video is judged by its highest frames; of an atom that no frame shows, the highest presence.

    Args:
      presence, visible: [T_n, C] of each video; visible is true of what is seen, 0/1.
    """
    p, v = np.concatenate(presence), np.concatenate(visible) > 0
    columns = zip(p.T, v.T, strict=True)
    shown = [np.quantile(own[on], _HIGH) if on.any() else p.max() for own, on in columns]
    return (p * ~v).sum(axis=0) / np.maximum((~v).sum(axis=0), 1), np.array(shown)


def rules_by_behaviour(
    probability: Callable[[np.ndarray], ArrayLike],
    absent: ArrayLike,
    shown: ArrayLike,
    *,
    threshold: ArrayLike,
    candidates: ArrayLike | None = None,
) -> frozenset[Rule]:
    """The rules that a model of any form follows, from what it says of frames that show few atoms.

    Of an event's candidates: an atom alone is a rule if its frame reaches the event's threshold;
    two are if theirs does and neither is a rule alone. An atom is a counter of a rule if with it
    the frame falls below. An event that an empty frame shows has no rules.

    Args:
      probability: [T, C] p̄ of a video -> [T, E]. Most frames of it are empty, so that a model
        which reads p̄ against the video's median finds the empty frame there.
      absent, shown: [C] the p̄ of an atom that is not seen, and of one that is.
      threshold: [E] the probability from which an event is found.
      candidates: [C, E] 0/1; None: every atom.

    Returns:
      Rules of atoms by number. Time: O(M² + R·M) frames for M candidates and R rules.
    """
    absent, shown = np.asarray(absent, np.float32), np.asarray(shown, np.float32)

    def of(sets: list[tuple[int, ...]]) -> np.ndarray:
        frames = np.tile(absent, (2 * len(sets) + 1, 1))
        for frame, atoms in zip(frames, sets, strict=False):
            frame[list(atoms)] = shown[list(atoms)]
        return np.asarray(probability(frames))[: len(sets)]

    num_events = of([()]).shape[1]
    listed = np.ones((len(absent), num_events)) if candidates is None else np.asarray(candidates)
    found = set()
    for event in range(num_events):
        atoms = np.flatnonzero(listed[:, event] > 0).tolist()
        sets = [(), *combinations(atoms, _ALONE), *combinations(atoms, _PAIR)]
        empty, *values = of(sets)[:, event]
        enough = np.asarray(threshold)[event]
        if empty >= enough:
            continue
        reached = dict(zip(sets[1:], values, strict=True))
        alone = {c for c in atoms if reached[(c,)] >= enough}
        for rule, value in reached.items():
            if value < enough or (len(rule) == _PAIR and alone & set(rule)):
                continue
            others = [c for c in atoms if c not in rule]
            opposed = of([(*rule, c) for c in others])[:, event] < enough
            unless = tuple(c for c, held in zip(others, opposed, strict=True) if held)
            found.add((event, rule, unless))
    return frozenset(found)


def _atoms_of(size: int) -> Callable[[Rule], Iterator[tuple]]:
    def select(rule: Rule) -> Iterator[tuple]:
        event, atoms, _ = rule
        if len(atoms) == size:
            yield event, frozenset(atoms)

    return select


def _counters(rule: Rule) -> Iterator[tuple]:
    event, atoms, unless = rule
    return ((event, frozenset(atoms), counter) for counter in unless)


def _whole(rule: Rule) -> Iterator[tuple]:
    event, atoms, unless = rule
    yield event, frozenset(atoms), frozenset(unless)


_COMPARED = {
    "singles": _atoms_of(_ALONE),
    "pairs": _atoms_of(_PAIR),
    "counters": _counters,
    "rules": _whole,
}
