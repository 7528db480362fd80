"""What a shot of the world shows, by the law that the world obeys.

Shares of the shots in which an event happens, and of the harmless ones:

    threshold   a direct atom 50 %, a pair of indirect atoms 50 %
    harmless    a single indirect atom 40 %, evidence beside a counter atom 35 %, a counter atom
                alone 8 %, nothing 17 %

    pairs       a direct atom 33 %, a named pair 67 %
    harmless    a wrong pair 42 %, evidence beside a counter atom 26 %, a single indirect atom
                10 %, a counter atom alone 5 %, nothing 17 %

    specific    a direct atom alone 25 %, beside the other one's counter atom 25 %, a named pair
                alone 25 %, beside a counter atom 25 %
    harmless    a direct atom beside its own counter atom 26 %, a wrong pair 26 %, a wrong pair
                beside a counter atom 10 %, a single indirect atom 8 %, one beside a counter atom
                8 %, a counter atom alone 8 %, nothing 14 %

In a world of pairs, each wrong pair is about as frequent as each named one, so that how many
indirect atoms there are says little; in a specific one, a direct atom stands somewhat more often
beside its own counter atom than without it, and counter atoms are as frequent in events as in
harmless shots.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from jaxvlm.world.laws import (
    NAMED_PAIRS,
    OWN_COUNTER,
    PAIRS,
    SPECIFIC,
    THRESHOLD,
    events_of,
    wrong_pairs,
)
from jaxvlm.world.vocabulary import CLUTTER_ATOMS, EVENT_ROLES, EVENTS, OBJECTS

_Item = TypeVar("_Item")

_HARMLESS = {
    PAIRS: (0.42, 0.26, 0.10, 0.05, 0.17),
    SPECIFIC: (0.26, 0.26, 0.10, 0.08, 0.08, 0.08, 0.14),
}


class Plan(NamedTuple):
    """The atoms and the scenery of a shot."""

    always: tuple[str, ...]  # atoms present for the whole shot
    passing: tuple[str, ...]  # atoms present for a while, together
    scenery: tuple[str, ...]  # objects and role-less atoms


def draw_plan(rng: np.random.Generator, event: str | None, law: str) -> Plan:
    """A shot in which by the law ``event`` alone happens, or nothing (None)."""
    # Rejection keeps the law simple: a shot is drawn until exactly the wanted events hold in it.
    wanted = (event,) if event else ()
    while True:
        plan = _event_plan(rng, event, law) if event else _HARMLESS_PLANS[law](rng)
        if events_of([*plan.always, *plan.passing], law) == wanted:
            return plan


def _event_plan(rng: np.random.Generator, event: str, law: str) -> Plan:
    if law in (THRESHOLD, PAIRS):
        return Plan((), _evidence(rng, event, law), _scenery(rng, 1))
    roles = EVENT_ROLES[event]
    beside = rng.random() < 0.5
    if rng.random() < 0.5:
        direct = _pick(rng, roles.direct)
        other = tuple(k for atom, k in OWN_COUNTER[event].items() if atom != direct)
        return Plan(other if beside else (), (direct,), _scenery(rng, 1))
    counter = (_pick(rng, roles.counter),) if beside else ()
    return Plan(counter, _pick(rng, NAMED_PAIRS[event]), _scenery(rng, 1))


def _evidence(rng: np.random.Generator, event: str, law: str) -> tuple[str, ...]:
    """One direct atom, or two indirect ones that count together."""
    roles = EVENT_ROLES[event]
    if rng.random() < (1 / 2 if law == THRESHOLD else 1 / 3):
        return (_pick(rng, roles.direct),)
    if law == THRESHOLD:
        return tuple(roles.indirect[i] for i in rng.choice(len(roles.indirect), 2, replace=False))
    return _pick(rng, NAMED_PAIRS[event])


def _harmless_threshold(rng: np.random.Generator) -> Plan:
    event = _pick(rng, EVENTS)
    kind = rng.choice(4, p=(0.40, 0.35, 0.08, 0.17))
    if kind == 0:  # a single indirect cue
        return Plan((), (_pick(rng, EVENT_ROLES[event].indirect),), _scenery(rng, 2))
    counter = _pick(rng, EVENT_ROLES[event].counter)
    if kind == 1:  # the evidence, and what makes it harmless
        return Plan((counter,), _evidence(rng, event, THRESHOLD), _scenery(rng, 1))
    if kind == 2:  # a counter atom alone
        return Plan((counter,), (), _scenery(rng, 2))
    return Plan((), (), _scenery(rng, 3))


def _harmless_pairs(rng: np.random.Generator) -> Plan:
    event = _pick(rng, EVENTS)
    roles = EVENT_ROLES[event]
    kind = rng.choice(5, p=_HARMLESS[PAIRS])
    if kind == 0:
        return Plan((), _pick(rng, wrong_pairs(event)), _scenery(rng, 1))
    if kind == 1:
        return Plan((_pick(rng, roles.counter),), _evidence(rng, event, PAIRS), _scenery(rng, 1))
    if kind == 2:
        return Plan((), (_pick(rng, roles.indirect),), _scenery(rng, 2))
    if kind == 3:
        return Plan((_pick(rng, roles.counter),), (), _scenery(rng, 2))
    return Plan((), (), _scenery(rng, 3))


def _harmless_specific(rng: np.random.Generator) -> Plan:
    event = _pick(rng, EVENTS)
    roles = EVENT_ROLES[event]
    kind = rng.choice(7, p=_HARMLESS[SPECIFIC])
    if kind == 0:
        direct = _pick(rng, roles.direct)
        return Plan((OWN_COUNTER[event][direct],), (direct,), _scenery(rng, 1))
    counter = (_pick(rng, roles.counter),) if kind in (2, 4, 5) else ()
    if kind in (1, 2):
        return Plan(counter, _pick(rng, wrong_pairs(event)), _scenery(rng, 1))
    if kind in (3, 4):
        return Plan(counter, (_pick(rng, roles.indirect),), _scenery(rng, 2))
    return Plan(counter, (), _scenery(rng, 3 if kind == 6 else 2))


_HARMLESS_PLANS = {
    THRESHOLD: _harmless_threshold,
    PAIRS: _harmless_pairs,
    SPECIFIC: _harmless_specific,
}


def _scenery(rng: np.random.Generator, most: int) -> tuple[str, ...]:
    count = int(rng.integers(0, most + 1))
    pools = [CLUTTER_ATOMS if rng.random() < 0.3 else OBJECTS for _ in range(count)]
    return tuple(dict.fromkeys(_pick(rng, pool) for pool in pools))


def _pick(rng: np.random.Generator, items: Sequence[_Item]) -> _Item:
    return items[rng.integers(len(items))]
