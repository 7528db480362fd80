"""Events, their atoms and, where a person states them, the atoms' roles: a file that users edit.

YAML or JSON:

    events:
      explosion: [fireball, smoke plume]         # candidates, roles to be learned
      riot:                                      # or roles, each atom with an optional strength
        direct: [burning barricade]
        indirect: [angry crowd, thrown stones: 0.8]
        counter: [carnival parade]
        candidates: [balloons]
    ambiguous: [smoke plume: [explosion, riot], siren]   # more candidates: of these, of all events
    clutter: [street vendor]                     # scored and shown, candidates of no event
    atoms: [...]                                 # optional: every atom there may be
    templates: ["a photo of {}"]
    neutral_prompts: [a photo of a road]         # or words, if neutral_templates are given;
    neutral_templates: [...]                     # without the key: `neutral.everyday_prompts`
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.atoms import novelty
from jaxvlm.atoms.roles import ROLES
from jaxvlm.errors import InputError
from jaxvlm.names import nearest
from jaxvlm.ontology.captions import singular
from jaxvlm.ontology.document import Place, read_document
from jaxvlm.ontology.neutral import everyday_prompts
from jaxvlm.terminal import control_character

KEYS = (
    "events",
    "ambiguous",
    "clutter",
    "atoms",
    "templates",
    "neutral_prompts",
    "neutral_templates",
)
RESERVED = ("frame", "time_seconds", "video_id", novelty.SIGNAL)  # of labels.csv and events.csv
DEFAULT_TEMPLATES = ("a photo of {}",)

# Takes the place of a problem and its text, "cause; cure".
_Note = Callable[[Place, str], None]
# An atom's role or None for a candidate, its strength, and where the file says so.
_Stated = tuple[str | None, float, Place]


class Ontology(NamedTuple):
    """Events in the file's order, atoms sorted, and what the file says about each pair."""

    events: tuple[str, ...]
    atoms: tuple[str, ...]
    candidates: np.ndarray  # [C, E] uint8
    strengths: dict[str, np.ndarray]  # role -> [C, E] float32 in [0, 1], 0 where not stated
    has_roles: bool
    templates: tuple[str, ...]
    neutral_prompts: tuple[str, ...]


class Problem(NamedTuple):
    """What is wrong with a file: its line (None: no single one), "cause; cure", and how bad."""

    line: int | None
    text: str
    is_error: bool = True

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


class Reading(NamedTuple):
    """An ontology, all errors of its file, and the first lines of its atoms and events."""

    ontology: Ontology
    problems: list[Problem]
    atom_lines: dict[str, int | None]
    event_lines: dict[str, int | None]


def load_ontology(path: str | os.PathLike) -> Ontology:
    """Reads an ontology; an atom with a role, of any strength (1 if none is given), is a candidate.

    Raises:
      InputError: not YAML or JSON; a repeated or unknown key; an event without atoms; an atom
        twice in an event, in two spellings, or not in ``atoms``; a strength outside (0, 1]; a
        name that is no text; a template without exactly one {}.
    """
    reading = read_ontology(path)
    problems = reading.problems
    if problems:
        more = len(problems) - 1
        others = f" ({more} more: see jaxvlm check-ontology)" if more else ""
        raise InputError(f"{path}: {problems[0]}{others}")
    return reading.ontology


def read_ontology(path: str | os.PathLike) -> Reading:
    """As ``load_ontology``, but everything that is wrong is told, and what is right is kept.

    Raises:
      InputError: no such file, or neither YAML nor JSON.
    """
    document = read_document(Path(path))
    problems: list[Problem] = []

    def note(place: Place, text: str) -> None:
        problems.append(Problem(document.line(place), text))

    for place, text in document.bad_keys:
        note(place, text)
    content = document.content
    if not isinstance(content, dict):
        note((), "must be a mapping with the key events; correct the file")
        content = {"events": {}}
    elif not isinstance(content.get("events"), dict) or not content["events"]:
        note(("events",), "no events; list each event with its atoms under events")
        content = content | {"events": {}}
    _known_keys(note, (), "the file", content, KEYS)

    pairs: dict[str, dict[str, _Stated]] = {}
    for event, value in content["events"].items():
        name = _name(note, ("events", event), "events", event)
        if name in RESERVED:
            note(("events", event), f"the event {name!r} is a column of every table; rename it")
        elif name is not None:
            pairs[name] = _event(note, event, value)
    spoken = [(atom, place) for stated in pairs.values() for atom, (*_, place) in stated.items()]
    for atom, place, events in _ambiguous(note, content.get("ambiguous", []), tuple(pairs)):
        spoken.append((atom, place))
        for event in events:
            pairs[event].setdefault(atom, (None, 1.0, place))
    spoken += _names(note, content, "clutter")
    declared = _names(note, content, "atoms")
    if "atoms" in content:
        known = [atom for atom, _ in declared]
        for atom, place in spoken:
            if atom not in known:
                hint = nearest(atom, known)
                note(place, f"unknown atom {atom!r}{hint}; correct it or add it under atoms")
    _one_spelling(note, [*declared, *spoken])
    atom_lines: dict[str, int | None] = {}
    for atom, place in (*spoken, *declared):
        atom_lines.setdefault(atom, document.line(place))
    atoms = tuple(sorted(atom_lines))
    templates = tuple(text for text, _ in _templates(note, content, "templates"))
    templates = templates or DEFAULT_TEMPLATES
    neutral = _neutral(note, content, atoms, templates)
    ontology = _ontology(atoms, pairs, templates, neutral)
    event_lines = {event: document.line(("events", event)) for event in pairs}
    return Reading(ontology, in_order(problems), atom_lines, event_lines)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Errors first, then by line; what has no line comes last."""
    return sorted(problems, key=lambda p: (not p.is_error, p.line is None, p.line or 0))


def _ontology(
    atoms: tuple[str, ...],
    pairs: dict[str, dict[str, _Stated]],
    templates: tuple[str, ...],
    neutral: tuple[str, ...],
) -> Ontology:
    shape = len(atoms), len(pairs)
    candidates = np.zeros(shape, np.uint8)
    strengths = {role: np.zeros(shape, np.float32) for role in ROLES}
    for e, stated in enumerate(pairs.values()):
        for atom, (role, strength, _) in stated.items():
            candidates[atoms.index(atom), e] = 1
            if role is not None:
                strengths[role][atoms.index(atom), e] = strength
    has_roles = any(s.any() for s in strengths.values())
    return Ontology(tuple(pairs), atoms, candidates, strengths, has_roles, templates, neutral)


def _event(note: _Note, event: str, value: Any) -> dict[str, _Stated]:
    """What the file states of each atom for one event."""
    above: Place = ("events", event)
    groups = {"candidates": value} if isinstance(value, list) else value
    if not isinstance(groups, dict):
        note(above, f"event {event!r} has no atoms; list at least one")
        return {}
    _known_keys(note, above, f"event {event!r}", groups, (*ROLES, "candidates"))
    stated: dict[str, _Stated] = {}
    wrong = False
    for group, items in groups.items():
        at = above if groups is not value else (*above, group)
        title = f"event {event!r}, {group}"
        for i, item in enumerate(_list(note, at, title, items)):
            place: Place = (*at, i)
            strength = 1.0
            if isinstance(item, dict) and len(item) == 1:
                ((item, strength),) = item.items()
                strength = _strength(note, place, title, group, item, strength)
            atom = _name(note, place, title, item)
            if atom is None:
                wrong = True
                continue
            role = group if group in ROLES else None
            if atom not in stated:
                stated[atom] = (role, strength, place)
            elif stated[atom][0] == role:
                note(place, f"event {event!r} lists {atom!r} twice; remove one")
            else:
                both = f"{stated[atom][0] or 'candidates'} and {group}"
                note(place, f"event {event!r} lists {atom!r} twice, under {both}; remove one")
    if not stated and not wrong:
        note(above, f"event {event!r} has no atoms; list at least one")
    return stated


def _strength(note: _Note, place: Place, title: str, group: str, atom: Any, value: Any) -> float:
    if group not in ROLES:
        note(place, f"{title}: {atom!r} has a strength; only roles have, move it")
    elif type(value) not in (int, float) or not 0 < value <= 1:
        note(
            place,
            f"{title}: the strength of {atom!r} is {value!r}; write a number above 0, up to 1",
        )
    else:
        return float(value)
    return 1.0


def _ambiguous(
    note: _Note, value: Any, events: tuple[str, ...]
) -> list[tuple[str, Place, tuple[str, ...]]]:
    result = []
    for i, item in enumerate(_list(note, ("ambiguous",), "ambiguous", value)):
        place: Place = ("ambiguous", i)
        chosen = events
        if isinstance(item, dict) and len(item) == 1:
            ((item, listed),) = item.items()
            chosen = tuple(_list(note, place, f"ambiguous {item!r}", listed))
            for event in chosen:
                if event not in events:
                    hint = nearest(event, events)
                    note(
                        place,
                        f"ambiguous {item!r}: unknown event {event!r}{hint}; correct the name",
                    )
        atom = _name(note, place, "ambiguous", item)
        if atom is not None:
            result.append((atom, place, tuple(event for event in chosen if event in events)))
    return result


def _neutral(
    note: _Note, content: dict, atoms: Sequence[str], atom_templates: Sequence[str]
) -> tuple[str, ...]:
    prompts = [text for text, _ in _names(note, content, "neutral_prompts")]
    templates = [text for text, _ in _templates(note, content, "neutral_templates")]
    if "neutral_prompts" not in content:
        return everyday_prompts(atoms, templates or atom_templates)
    if not templates:
        return tuple(prompts)
    return tuple(t.replace("{}", p) for p in prompts for t in templates)


def _templates(note: _Note, content: dict, key: str) -> list[tuple[str, Place]]:
    good = []
    for template, place in _names(note, content, key):
        if template.count("{}") == 1:
            good.append((template, place))
        else:
            note(place, f"{key}: {template!r} must hold {{}} once; correct it")
    return good


def _names(note: _Note, content: dict, key: str) -> list[tuple[str, Place]]:
    names: dict[str, Place] = {}
    for i, item in enumerate(_list(note, (key,), key, content.get(key, []))):
        name = _name(note, (key, i), key, item)
        if name in names:
            note((key, i), f"{key} lists {name!r} twice; remove one")
        elif name is not None:
            names[name] = (key, i)
    return list(names.items())


def _list(note: _Note, place: Place, title: str, value: Any) -> list:
    if isinstance(value, list):
        return value
    note(place, f"{title}: must be a list; write one name per line after '- '")
    return []


def _name(note: _Note, place: Place, title: str, value: Any) -> str | None:
    # YAML reads yes, no, on, off and numbers as something else than text.
    name = " ".join(value.split()) if isinstance(value, str) else ""
    if name and not (odd := control_character(name)):
        return name
    cause = f"has the control character {odd}; drop it" if name else "is no name; put it in quotes"
    note(place, f"{title}: {value!r} {cause}")
    return None


def _one_spelling(note: _Note, atoms: Sequence[tuple[str, Place]]) -> None:
    """Captions are matched without case, articles and plurals, so atoms must differ in more."""
    first: dict[str, str] = {}
    told = set()
    for atom, place in atoms:
        other = first.setdefault(singular(atom), atom)
        if other != atom and atom not in told:
            told.add(atom)
            note(place, f"the atom {atom!r} is also written {other!r}; choose one")


def _known_keys(note: _Note, place: Place, title: str, mapping: dict, known: Sequence[str]) -> None:
    for key in mapping:
        if key not in known:
            hint = nearest(str(key), known)
            text = f"{title} has the unknown key {key!r}{hint}; known are {', '.join(known)}"
            note((*place, key), text)
