"""Rules of an event as text and as data: "smoke plume with people running away unless film crew".

A rule is one atom, or two that count together, and may have counters of its own, each of which
holds this rule back and no other.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from jaxvlm.ontology.document import Place
from jaxvlm.ontology.parts import Note, check_keys, read_list, read_name, read_strength

KEYS = ("atoms", "unless", "strength")
_WITH, _UNLESS = (re.compile(rf"\s{word}\s", re.IGNORECASE) for word in ("with", "unless"))
_COMMA = re.compile(r",\s")
_MOST_PARTS = 12  # words and commas of a line that may divide it; a longer one is written as data


class WrittenRule(NamedTuple):
    """A rule of an event: its atoms, one or two, its own counters, and how strong each is."""

    atoms: tuple[str, ...]
    unless: tuple[str, ...] = ()
    strength: float = 1.0
    unless_strengths: tuple[float, ...] = ()  # of each counter

    def __str__(self) -> str:
        return rule_text(self.atoms, self.unless)


class RawRule(NamedTuple):
    """A rule as it stands in the file: data, or a line of text that the file's atoms divide."""

    place: Place
    rule: WrittenRule | None
    text: str = ""
    strength: float = 1.0


def rule_text(atoms: Sequence[str], unless: Sequence[str] = ()) -> str:
    """The rule as one line: ``smoke plume with debris unless film crew, red carpet``."""
    return " with ".join(atoms) + (f" unless {', '.join(unless)}" if unless else "")


def divisions(text: str, known: Collection[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(atoms, counters) of a rule's line: A [with B] [unless C[, D …]], in every best way.

    A name may hold the words that divide: "car with open door" is one atom where the file has it
    in ``known``, whatever the line looks like. Of all ways to divide the line those are best that
    leave the fewest names unknown, where an unknown name holds no dividing word or comma. More than
    one: the line says two things. None: no way is left, or there are too many.
    """
    cuts = [[found.span() for found in pattern.finditer(text)] for pattern in (_UNLESS, _WITH)]
    if sum(map(len, cuts)) + len(_COMMA.findall(text)) > _MOST_PARTS:
        return []
    found: list[tuple[int, tuple[str, ...], tuple[str, ...]]] = []
    for head, tail in [(text, None), *((text[:a], text[b:]) for a, b in cuts[0])]:
        tails = [(0, ())] if tail is None else _lists(tail, known)
        heads = [(head,), *((head[:a], head[b:]) for a, b in cuts[1] if b <= len(head))]
        for atoms in heads:
            missing = _unknown(atoms, known)
            if missing is not None:
                found += [(missing + rest, atoms, unless) for rest, unless in tails]
    least = min((missing for missing, *_ in found), default=0)
    return [(atoms, unless) for missing, atoms, unless in found if missing == least]


def _lists(text: str, known: Collection[str]) -> list[tuple[int, tuple[str, ...]]]:
    """The best ways to divide a text at its commas, at most two, with how many names are unknown:
    those of the rest of the text first."""
    starts = [0, *(comma.end() for comma in _COMMA.finditer(text))]
    ends = [*(comma.start() for comma in _COMMA.finditer(text)), len(text)]
    best: dict[int, list[tuple[int, tuple[str, ...]]]] = {len(starts): [(0, ())]}
    for first in reversed(range(len(starts))):
        ways = []
        for last in range(first, len(starts)):
            name = text[starts[first] : ends[last]]
            missing = _unknown((name,), known)
            if missing is not None:
                ways += [(missing + rest, (name, *names)) for rest, names in best[last + 1]]
        least = min((missing for missing, _ in ways), default=0)
        best[first] = [way for way in ways if way[0] == least][:2]
    return best[0]


def _unknown(names: Sequence[str], known: Collection[str]) -> int | None:
    """How many of the names are unknown; None if one of these is none, for it can be divided."""
    missing = [name for name in names if name not in known]
    return None if any(not name.strip() or _divides(name) for name in missing) else len(missing)


def _divides(name: str) -> bool:
    return any(pattern.search(name) for pattern in (_WITH, _UNLESS, _COMMA))


def read_raw(note: Note, place: Place, title: str, item: Any) -> RawRule | None:
    """A rule as the file has it: a list of atoms, a mapping, or a line, with or without strength.

    Problems are told to ``note``; None: what stands there is no rule.
    """
    if isinstance(item, dict):
        if len(item) == 1 and not set(item) & set(KEYS):
            ((text, value),) = item.items()
            if not isinstance(value, list | dict):
                line = read_name(note, place, title, text)
                strength = read_strength(note, place, title, text, value)
                return None if line is None else RawRule(place, None, line, strength)
        return _of_mapping(note, place, title, item)
    if isinstance(item, list):
        return _of_data(note, place, title, item, [], 1.0)
    line = read_name(note, place, title, item)
    return None if line is None else RawRule(place, None, line)


def _of_mapping(note: Note, place: Place, title: str, item: dict) -> RawRule | None:
    check_keys(note, place, f"{title}: a rule", item, KEYS)
    if "atoms" not in item:
        if set(item) <= set(KEYS):  # else an unknown key is told already
            note(place, f"{title}: a rule has no atoms; list one or two under atoms")
        return None
    strength = item.get("strength", 1.0)
    atoms = read_list(note, (*place, "atoms"), f"{title}, atoms", item["atoms"])
    unless = read_list(note, (*place, "unless"), f"{title}, unless", item.get("unless", []))
    if type(strength) not in (int, float) or not 0 < strength <= 1:
        shown = " with ".join(map(str, atoms))
        strength = read_strength(note, (*place, "strength"), title, shown, strength)
    if not isinstance(item["atoms"], list):
        return None
    return _of_data(note, place, title, atoms, unless, float(strength))


def _of_data(
    note: Note, place: Place, title: str, atoms: list, unless: list, strength: float
) -> RawRule | None:
    names = [read_name(note, place, title, atom) for atom in atoms]
    counters = []
    for each in unless:
        own = 1.0
        if isinstance(each, dict) and len(each) == 1:
            ((each, own),) = each.items()
            own = read_strength(note, place, title, each, own)
        counters.append((read_name(note, place, title, each), own))
    if None in names or any(name is None for name, _ in counters):
        return None
    rule = WrittenRule(
        tuple(names), tuple(n for n, _ in counters), strength, tuple(s for _, s in counters)
    )
    return RawRule(place, rule)


def read_rules(
    note: Note, event: str, raw: Sequence[RawRule], known: Collection[str], direct: Collection[str]
) -> list[tuple[WrittenRule, Place]]:
    """The rules of an event, lines divided by the atoms that the file has elsewhere.

    direct: atoms that suffice alone, which no rule may repeat. Problems are told to ``note``, and
    their rules left out.
    """
    title = f"event {event!r}, rules"
    good: dict[tuple[frozenset, frozenset], tuple[WrittenRule, Place]] = {}
    for each in raw:
        rule = each.rule or _divided(note, title, each, known)
        if rule is None:
            continue
        key = frozenset(rule.atoms), frozenset(rule.unless)
        if (wrong := _fault(rule, direct)) is not None:
            note(each.place, f"{title}: {wrong}")
        elif key in good:
            note(each.place, f"{title}: {str(rule)!r} is there twice; remove one")
        else:
            good[key] = rule, each.place
    return list(good.values())


def _divided(note: Note, title: str, raw: RawRule, known: Collection[str]) -> WrittenRule | None:
    found = divisions(raw.text, known)
    if len(found) == 1:
        ((atoms, unless),) = found
        return WrittenRule(atoms, unless, raw.strength, (1.0,) * len(unless))
    cure = "write it as data: {atoms: [A, B], unless: [C]}"
    if not found:
        note(raw.place, f"{title}: {raw.text!r} is no 'A with B unless C' of known atoms; {cure}")
    else:
        ways = " or ".join(repr([*atoms, *(["unless", *u] if u else [])]) for atoms, u in found[:2])
        note(raw.place, f"{title}: {raw.text!r} can be read in two ways, {ways}; {cure}")
    return None


def _fault(rule: WrittenRule, direct: Collection[str]) -> str | None:
    """What is wrong with a rule in itself, "cause; cure"."""
    atoms, unless = rule.atoms, rule.unless
    if not 1 <= len(atoms) <= 2:
        return f"a rule has one atom or two, this one has {len(atoms)}; write a rule per pair"
    if len(set(atoms)) < len(atoms):
        return f"{atoms[0]!r} is in its rule twice; name another atom"
    if len(set(unless)) < len(unless):
        twice = next(name for name in unless if unless.count(name) > 1)
        return f"{twice!r} is twice under unless; remove one"
    if own := set(atoms) & set(unless):
        return f"{min(own)!r} is its own counter in {str(rule)!r}; name another atom"
    if len(atoms) == 1 and not unless and atoms[0] in direct:
        return f"{atoms[0]!r} is a direct atom already; remove the rule"
    return None
