"""The laws of the rendered world: which visible atoms make an event.

Three laws over the same atoms and roles (`vocabulary.EVENT_ROLES`). A rule is an atom alone or two
atoms together, and may have counter atoms of its own; with it, an event has counter atoms that
cancel all of its rules:

    event e ⟺ (a rule of e whose atoms are all visible and none of its own counter atoms is)
               and no counter atom of all rules of e is visible

- ``threshold``: every direct atom, every pair of indirect atoms; both counter atoms cancel all.
  With weights 1 for direct, ½ for indirect and −4 for counter atoms it is Σ w ≥ 1: a linear
  threshold.
- ``pairs``: every direct atom, two named pairs of the four indirect atoms; both counter atoms
  cancel all. The four other pairs mean nothing. Not linear: with named pairs ab and cd,
  w_a + w_b and w_c + w_d would have to reach a threshold that w_a + w_c and w_b + w_d do not, but
  the sums of both are the same.
- ``specific``: every direct atom unless its own counter atom, and the two named pairs. A counter
  atom cancels nothing but its own direct atom. Not linear: with d unless k and d' unless k',
  w_d + w_k' and w_d' + w_k would have to reach a threshold that w_d + w_k and w_d' + w_k' do not.
"""

import itertools
from collections.abc import Collection, Sequence
from typing import NamedTuple

from jaxvlm.errors import InputError
from jaxvlm.world.vocabulary import EVENT_ROLES

LAWS = THRESHOLD, PAIRS, SPECIFIC = ("threshold", "pairs", "specific")


class Rule(NamedTuple):
    """Atoms that make an event when all are visible and none of ``unless`` is."""

    atoms: tuple[str, ...]  # one, or two
    unless: tuple[str, ...] = ()


Numbered = tuple[int, tuple[int, ...], tuple[int, ...]]  # event, atoms, counters; ascending


class EventLaw(NamedTuple):
    """The rules of an event, any of which suffices, and the atoms that cancel all of them."""

    rules: tuple[Rule, ...]
    counter: tuple[str, ...] = ()


# Two pairs of each event's indirect atoms, without an atom in common.
NAMED_PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "explosion": (
        ("smoke plume", "people running away"),
        ("flying debris", "shattered window"),
    ),
    "fighting": (
        ("raised fists", "crowd in a circle"),
        ("person on the ground", "knocked over chair"),
    ),
    "shooting": (
        ("gun in hand", "people taking cover"),
        ("bullet holes", "person on the ground"),
    ),
    "abuse": (
        ("cowering person", "raised stick"),
        ("crying child", "person on the ground"),
    ),
    "riot": (
        ("angry crowd", "thrown stones"),
        ("riot shields", "people running away"),
    ),
    "car accident": (
        ("broken glass", "crumpled hood"),
        ("skid marks", "smoke plume"),
    ),
}

# The one counter atom that each direct atom has of its own.
OWN_COUNTER: dict[str, dict[str, str]] = {
    "explosion": {"blast flash": "fireworks show", "fireball": "film crew"},
    "fighting": {"people punching": "boxing ring", "person kicking": "referee"},
    "shooting": {"muzzle flash": "shooting target", "masked gunman": "toy gun"},
    "abuse": {"person beating a victim": "theater stage", "victim tied up": "nurse"},
    "riot": {"burning barricade": "carnival parade", "crowd attacking police": "concert stage"},
    "car accident": {"crashed cars": "crash test dummy", "overturned car": "film crew"},
}


def _event_law(law: str, event: str) -> EventLaw:
    roles = EVENT_ROLES[event]
    alone = tuple(Rule((atom,)) for atom in roles.direct)
    if law == THRESHOLD:
        pairs = itertools.combinations(roles.indirect, 2)
        return EventLaw((*alone, *(Rule(pair) for pair in pairs)), roles.counter)
    named = tuple(Rule(pair) for pair in NAMED_PAIRS[event])
    if law == PAIRS:
        return EventLaw((*alone, *named), roles.counter)
    own = tuple(Rule((atom,), (OWN_COUNTER[event][atom],)) for atom in roles.direct)
    return EventLaw((*own, *named))


EVENT_LAWS: dict[str, dict[str, EventLaw]] = {
    law: {event: _event_law(law, event) for event in EVENT_ROLES} for law in LAWS
}


def numbered_rules(law: str, events: Sequence[str], atoms: Sequence[str]) -> frozenset[Numbered]:
    """The rules of a law by number of event and atom; counters of all rules are in each of them.

    Raises InputError for an event that is not of the world, or whose atoms are not all there.
    """
    number = {atom: n for n, atom in enumerate(atoms)}
    found = set()
    for e, event in enumerate(events):
        own = EVENT_LAWS[law].get(event)
        if own is None:
            raise InputError(
                f"ontology: event {event} is not of the rendered world; "
                "use configs/ontology/world.yaml"
            )
        for rule in own.rules:
            unless = {*rule.unless, *own.counter}
            if lacking := sorted({*rule.atoms, *unless} - set(number)):
                raise InputError(
                    f"ontology: {lacking[0]} of {event} is missing; use configs/ontology/world.yaml"
                )
            sets = (rule.atoms, unless)
            found.add((e, *(tuple(sorted(number[atom] for atom in own)) for own in sets)))
    return frozenset(found)


def check_law(law: str) -> str:
    """The law, if there is one of this name. Raises InputError for any other."""
    if law not in LAWS:
        raise InputError(f"law {law!r}: unknown; use {', '.join(LAWS)}")
    return law


def events_of(visible: Collection[str], law: str = THRESHOLD) -> tuple[str, ...]:
    """The events that hold for a set of visible atoms by a law of the world."""
    seen = set(visible)
    return tuple(
        event
        for event, (rules, counter) in EVENT_LAWS[law].items()
        if not seen.intersection(counter)
        and any(seen.issuperset(r.atoms) and not seen.intersection(r.unless) for r in rules)
    )


def wrong_pairs(event: str) -> tuple[tuple[str, str], ...]:
    """The pairs of an event's indirect atoms that `NAMED_PAIRS` does not name, in order."""
    named = {frozenset(pair) for pair in NAMED_PAIRS[event]}
    pairs = itertools.combinations(EVENT_ROLES[event].indirect, 2)
    return tuple(pair for pair in pairs if frozenset(pair) not in named)
