"""Events, their atoms and, where a person states them, the atoms' roles: a file that users edit.

YAML or JSON:

    events:
      explosion: [fireball, smoke plume]         # candidates, roles to be learned
      riot:                                      # or roles, each atom with an optional strength
        direct: [burning barricade]
        indirect: [angry crowd, thrown stones: 0.8]
        counter: [carnival parade]
        rules:                                   # one atom or two together, own counters, strength
          - [smoke plume, people running away]
          - burning car unless tow truck
          - {atoms: [drums, banners], unless: [brass band: 0.5], strength: 0.8}
        candidates: [balloons]
    ambiguous: [smoke plume: [explosion, riot], siren]   # more candidates: of these, of all events
    clutter: [street vendor]                     # scored and shown, candidates of no event
    atoms: [...]                                 # optional: every atom there may be
    templates: ["a photo of {}"]
    neutral_prompts: [a photo of a road]         # or words, if neutral_templates are given;
    neutral_templates: [...]                     # without the key: `neutral.everyday_prompts`
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.atoms import novelty
from jaxvlm.atoms.roles import ROLES
from jaxvlm.errors import InputError
from jaxvlm.names import nearest
from jaxvlm.ontology.captions import singular
from jaxvlm.ontology.document import Place, read_document
from jaxvlm.ontology.event_block import Block, candidates_of, read_block
from jaxvlm.ontology.neutral import everyday_prompts
from jaxvlm.ontology.parts import Note, Problem, check_keys, in_order, read_list, read_name
from jaxvlm.ontology.rules import WrittenRule, read_rules
from jaxvlm.ontology.trained import TRAINED_KEYS, UNTRAINED, TrainedParts, read_trained

KEYS = (
    "events",
    "ambiguous",
    "clutter",
    "atoms",
    "templates",
    "neutral_prompts",
    "neutral_templates",
    *TRAINED_KEYS,
)
RESERVED = ("frame", "time_seconds", "video_id", novelty.SIGNAL)  # of labels.csv and events.csv
DEFAULT_TEMPLATES = ("a photo of {}",)


class Ontology(NamedTuple):
    """Events in the file's order, atoms sorted, and what the file says about each pair."""

    events: tuple[str, ...]
    atoms: tuple[str, ...]
    candidates: np.ndarray  # [C, E] uint8
    strengths: dict[str, np.ndarray]  # role -> [C, E] float64 in [0, 1], 0 where not stated
    has_roles: bool  # or rules
    templates: tuple[str, ...]
    neutral_prompts: tuple[str, ...]
    rules: tuple[tuple[WrittenRule, ...], ...]  # of each event, in the file's order
    trained: TrainedParts = UNTRAINED  # what a file has that was written from trained roles


class Reading(NamedTuple):
    """An ontology, all errors of its file, and the first lines of its atoms and events."""

    ontology: Ontology
    problems: list[Problem]
    atom_lines: dict[str, int | None]
    event_lines: dict[str, int | None]
    rule_lines: tuple[tuple[int | None, ...], ...]  # of each event's rules


def load_ontology(path: str | os.PathLike) -> Ontology:
    """Reads an ontology; an atom with a role, of any strength (1 if none is given), is a candidate.

    Raises:
      InputError: not YAML or JSON; a repeated or unknown key; an event without atoms; an atom
        twice in an event, in two spellings, or not in ``atoms``; a rule of no or three atoms,
        against itself, or there twice; a strength outside (0, 1]; a name that is no text; a
        template without exactly one {}.
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
    check_keys(note, (), "the file", content, KEYS)

    blocks: dict[str, Block] = {}
    for event, value in content["events"].items():
        name = read_name(note, ("events", event), "events", event)
        if name in RESERVED:
            note(("events", event), f"the event {name!r} is a column of every table; rename it")
        elif name is not None:
            blocks[name] = read_block(note, event, value)
    spoken = [named for block in blocks.values() for named in block.names()]
    more: dict[str, set[str]] = {event: set() for event in blocks}
    for atom, place, events in _ambiguous(note, content.get("ambiguous", []), tuple(blocks)):
        spoken.append((atom, place))
        for event in events:
            more[event].add(atom)
    spoken += _names(note, content, "clutter")
    declared = _names(note, content, "atoms")
    known = {atom for atom, _ in declared} if "atoms" in content else {a for a, _ in spoken}
    rules, rule_lines = [], []
    for event, block in blocks.items():
        found = read_rules(note, event, block.rules, known, block.direct())
        rules.append(tuple(rule for rule, _ in found))
        rule_lines.append(tuple(document.line(place) for _, place in found))
        spoken += [(atom, at) for rule, at in found for atom in (*rule.atoms, *rule.unless)]
        more[event] |= candidates_of(block, rules[-1])
    if "atoms" in content:
        _only_declared(note, spoken, known)
    _one_spelling(note, [*declared, *spoken])
    atom_lines: dict[str, int | None] = {}
    for atom, place in (*spoken, *declared):
        atom_lines.setdefault(atom, document.line(place))
    atoms = tuple(sorted(atom_lines))
    templates = tuple(text for text, _ in _templates(note, content, "templates"))
    templates = templates or DEFAULT_TEMPLATES
    candidates, strengths = _tables(atoms, blocks, more)
    ontology = Ontology(
        tuple(blocks),
        atoms,
        candidates,
        strengths,
        any(table.any() for table in strengths.values()) or any(rules),
        templates,
        _neutral(note, content, atoms, templates),
        tuple(rules),
        read_trained(note, content, atoms, [block.weights for block in blocks.values()]),
    )
    event_lines = {event: document.line(("events", event)) for event in blocks}
    return Reading(ontology, in_order(problems), atom_lines, event_lines, tuple(rule_lines))


def _tables(
    atoms: tuple[str, ...], blocks: Mapping[str, Block], members: Mapping[str, set[str]]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Candidates and strengths by role, [C, E] each."""
    shape, index = (len(atoms), len(blocks)), {atom: c for c, atom in enumerate(atoms)}
    candidates = np.zeros(shape, np.uint8)
    strengths = {role: np.zeros(shape) for role in ROLES}
    for e, (event, block) in enumerate(blocks.items()):
        candidates[[index[atom] for atom in sorted(members[event])], e] = 1
        for atom, stated in block.atoms.items():
            for role, strength, *_ in stated:
                if role is not None:
                    strengths[role][index[atom], e] = strength
    return candidates, strengths


def _ambiguous(
    note: Note, value: Any, events: tuple[str, ...]
) -> list[tuple[str, Place, tuple[str, ...]]]:
    result = []
    for i, item in enumerate(read_list(note, ("ambiguous",), "ambiguous", value)):
        place: Place = ("ambiguous", i)
        chosen = events
        if isinstance(item, dict) and len(item) == 1:
            ((item, listed),) = item.items()
            chosen = tuple(read_list(note, place, f"ambiguous {item!r}", listed))
            for event in chosen:
                if event not in events:
                    hint = nearest(event, events)
                    note(
                        place,
                        f"ambiguous {item!r}: unknown event {event!r}{hint}; correct the name",
                    )
        atom = read_name(note, place, "ambiguous", item)
        if atom is not None:
            result.append((atom, place, tuple(event for event in chosen if event in events)))
    return result


def _neutral(
    note: Note, content: dict, atoms: Sequence[str], atom_templates: Sequence[str]
) -> tuple[str, ...]:
    prompts = [text for text, _ in _names(note, content, "neutral_prompts")]
    templates = [text for text, _ in _templates(note, content, "neutral_templates")]
    if "neutral_prompts" not in content:
        return everyday_prompts(atoms, templates or atom_templates)
    if not templates:
        return tuple(prompts)
    return tuple(t.replace("{}", p) for p in prompts for t in templates)


def _templates(note: Note, content: dict, key: str) -> list[tuple[str, Place]]:
    good = []
    for template, place in _names(note, content, key):
        if template.count("{}") == 1:
            good.append((template, place))
        else:
            note(place, f"{key}: {template!r} must hold {{}} once; correct it")
    return good


def _names(note: Note, content: dict, key: str) -> list[tuple[str, Place]]:
    names: dict[str, Place] = {}
    for i, item in enumerate(read_list(note, (key,), key, content.get(key, []))):
        name = read_name(note, (key, i), key, item)
        if name in names:
            note((key, i), f"{key} lists {name!r} twice; remove one")
        elif name is not None:
            names[name] = (key, i)
    return list(names.items())


def _one_spelling(note: Note, atoms: Sequence[tuple[str, Place]]) -> None:
    """Captions are matched without case, articles and plurals, so atoms must differ in more."""
    first: dict[str, str] = {}
    told = set()
    for atom, place in atoms:
        other = first.setdefault(singular(atom), atom)
        if other != atom and atom not in told:
            told.add(atom)
            note(place, f"the atom {atom!r} is also written {other!r}; choose one")


def _only_declared(note: Note, spoken: Sequence[tuple[str, Place]], known: set[str]) -> None:
    told = set()
    for atom, place in spoken:
        if atom not in known and (atom, place) not in told:
            told.add((atom, place))  # those of a rule in data are spoken of twice
            hint = nearest(atom, sorted(known))
            note(place, f"unknown atom {atom!r}{hint}; correct it or add it under atoms")
