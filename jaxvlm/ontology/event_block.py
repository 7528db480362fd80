"""One event of an ontology file: its atoms in their roles, its rules, its weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxvlm.atoms.roles import DIRECT, ROLES
from jaxvlm.ontology import rules
from jaxvlm.ontology.document import Place
from jaxvlm.ontology.parts import (
    Note,
    check_keys,
    read_list,
    read_name,
    read_number,
    read_strength,
)

CANDIDATES, RULES, WEIGHTS = "candidates", "rules", "weights"
# γ of D, I, C and K, and b: what a trained event has beside its strengths.
WEIGHT_NAMES = (*ROLES[:2], "absence", "explicit", "bias")


class Stated(NamedTuple):
    """What the file says of an atom: its role or None for a candidate, its strength, and where."""

    role: str | None
    strength: float
    place: Place
    is_given: bool = False  # the strength stands in the file


class Block(NamedTuple):
    """An event: its atoms, each with what is stated of it, its rules, and its weights if given."""

    atoms: dict[str, list[Stated]]
    rules: list[rules.RawRule]
    weights: dict[str, float] | None

    def names(self) -> list[tuple[str, Place]]:
        """All atoms of it whose names do not depend on others, and where they stand."""
        listed = [(atom, stated[0].place) for atom, stated in self.atoms.items()]
        for raw in self.rules:
            if raw.rule is not None:
                listed += [(atom, raw.place) for atom in (*raw.rule.atoms, *raw.rule.unless)]
        return listed

    def direct(self) -> list[str]:
        """The atoms that suffice alone."""
        return [a for a, stated in self.atoms.items() if any(s.role == DIRECT for s in stated)]


def read_block(note: Note, event: str, value: Any) -> Block:
    """What the file states of one event; what is wrong is told to ``note``."""
    above: Place = ("events", event)
    groups = {CANDIDATES: value} if isinstance(value, list) else value
    if not isinstance(groups, dict):
        note(above, f"event {event!r} has no atoms; list at least one")
        return Block({}, [], None)
    check_keys(note, above, f"event {event!r}", groups, (*ROLES, CANDIDATES, RULES, WEIGHTS))
    block = Block({}, [], _weights(note, event, groups[WEIGHTS]) if WEIGHTS in groups else None)
    wrong = False
    for group, items in groups.items():
        if group == WEIGHTS:
            continue
        at = above if groups is not value else (*above, group)
        title = f"event {event!r}, {group}"
        for i, item in enumerate(read_list(note, at, title, items)):
            if group == RULES:
                raw = rules.read_raw(note, (*at, i), title, item)
                block.rules.extend([] if raw is None else [raw])
                wrong |= raw is None
            else:
                wrong |= not _atom(note, block, event, group, (*at, i), item)
    if not block.atoms and not block.rules and not wrong:
        note(above, f"event {event!r} has no atoms; list at least one")
    return block


def _atom(note: Note, block: Block, event: str, group: str, place: Place, item: Any) -> bool:
    """Takes an atom with or without strength into the block; whether it is a name."""
    title, strength, is_given = f"event {event!r}, {group}", 1.0, False
    if isinstance(item, dict) and len(item) == 1:
        ((item, strength),) = item.items()
        if group in ROLES:
            strength, is_given = read_strength(note, place, title, item, strength), True
        else:
            note(place, f"{title}: {item!r} has a strength; only roles have, move it")
            strength = 1.0
    atom = read_name(note, place, title, item)
    if atom is None:
        return False
    own = Stated(group if group in ROLES else None, strength, place, is_given)
    before = block.atoms.setdefault(atom, [])
    if same := [s for s in before if s.role == own.role]:
        note(place, f"event {event!r} lists {atom!r} twice; remove one")
    elif before and not all(s.is_given for s in (*before, own)):
        both = f"{before[0].role or CANDIDATES} and {group}"
        cure = "remove one" if None in (own.role, before[0].role) else "remove one, or give both"
        cure += "" if cure == "remove one" else " a strength"
        note(place, f"event {event!r} lists {atom!r} twice, under {both}; {cure}")
    if not same:
        before.append(own)
    return True


def _weights(note: Note, event: str, value: Any) -> dict[str, float]:
    place, title = ("events", event, WEIGHTS), f"event {event!r}, {WEIGHTS}"
    if not isinstance(value, dict):
        note(place, f"{title}: must be a mapping; write {', '.join(WEIGHT_NAMES)} with numbers")
        return {}
    check_keys(note, place, title, value, WEIGHT_NAMES)
    found = {}
    for name, number in value.items():
        if name in WEIGHT_NAMES:
            read = read_number(note, (*place, name), f"{title}: {name}", number)
            found |= {} if read is None else {name: read}
    return found


def candidates_of(block: Block, own: Sequence[rules.WrittenRule]) -> set[str]:
    """The atoms that take part in an event."""
    return set(block.atoms) | {atom for rule in own for atom in (*rule.atoms, *rule.unless)}
