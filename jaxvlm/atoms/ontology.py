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
    neutral_prompts: [a photo of a road]         # or words, if neutral_templates are given
    neutral_templates: [...]
"""

import difflib
import json
import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from jaxvlm.errors import InputError

ROLES = ("direct", "indirect", "counter")
KEYS = (
    "events",
    "ambiguous",
    "clutter",
    "atoms",
    "templates",
    "neutral_prompts",
    "neutral_templates",
)
DEFAULT_TEMPLATES = ("a photo of {}",)


class Ontology(NamedTuple):
    """Events in the file's order, atoms sorted, and what the file says about each pair."""

    events: tuple[str, ...]
    atoms: tuple[str, ...]
    candidates: np.ndarray  # [C, E] uint8
    strengths: dict[str, np.ndarray]  # role -> [C, E] float32 in [0, 1], 0 where not stated
    has_roles: bool
    templates: tuple[str, ...]
    neutral_prompts: tuple[str, ...]


def load_ontology(path: str | os.PathLike) -> Ontology:
    """Reads an ontology; an atom with a role, of any strength (1 if none is given), is a candidate.

    Raises:
      InputError: not YAML or JSON; a repeated or unknown key; an event without atoms; an atom
        twice in an event, in two spellings, or not in ``atoms``; a strength outside (0, 1]; a
        name that is no text; a template without exactly one {}.
    """
    path = Path(path)
    content = _read(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping with the key events; correct the file")
    _known_keys(path, "the file", content, KEYS)
    listed = content.get("events")
    if not isinstance(listed, dict) or not listed:
        raise InputError(f"{path}: no events; list each event with its atoms under events")

    pairs: dict[str, dict[str, tuple[str | None, float]]] = {}  # event -> atom -> role, strength
    for event, value in listed.items():
        pairs[_name(path, "events", event)] = _event(path, event, value)
    for atom, events in _ambiguous(path, content.get("ambiguous", []), tuple(pairs)):
        for event in events:
            pairs[event].setdefault(atom, (None, 1.0))
    clutter = _names(path, content, "clutter")
    declared = _names(path, content, "atoms")
    used = [*clutter, *(atom for stated in pairs.values() for atom in stated)]
    atoms = tuple(sorted({*used, *declared}))
    _one_spelling(path, atoms)
    if "atoms" in content:
        for atom in used:
            if atom not in declared:
                raise InputError(
                    f"{path}: unknown atom {atom!r}{_suggest(atom, declared)}; "
                    f"correct it or add it under atoms"
                )

    shape = len(atoms), len(pairs)
    candidates = np.zeros(shape, np.uint8)
    strengths = {role: np.zeros(shape, np.float32) for role in ROLES}
    for e, stated in enumerate(pairs.values()):
        for atom, (role, strength) in stated.items():
            candidates[atoms.index(atom), e] = 1
            if role is not None:
                strengths[role][atoms.index(atom), e] = strength
    return Ontology(
        tuple(pairs),
        atoms,
        candidates,
        strengths,
        any(s.any() for s in strengths.values()),
        _templates(path, content, "templates") or DEFAULT_TEMPLATES,
        _neutral(path, content),
    )


def _event(path: Path, event: str, value: Any) -> dict[str, tuple[str | None, float]]:
    """Atom -> (role or None, strength) for one event."""
    groups = {"candidates": value} if isinstance(value, list) else value
    if not isinstance(groups, dict):
        raise InputError(f"{path}: event {event!r} has no atoms; list at least one")
    _known_keys(path, f"event {event!r}", groups, (*ROLES, "candidates"))
    stated: dict[str, tuple[str | None, float]] = {}
    for group, items in groups.items():
        place = f"event {event!r}, {group}"
        for item in _list(path, place, items):
            strength = 1.0
            if isinstance(item, dict) and len(item) == 1:
                ((item, strength),) = item.items()
                if group == "candidates":
                    raise InputError(
                        f"{path}: {place}: {item!r} has a strength; only roles have, move it"
                    )
                if type(strength) not in (int, float) or not 0 < strength <= 1:
                    raise InputError(
                        f"{path}: {place}: the strength of {item!r} is {strength!r}; "
                        f"write a number above 0, up to 1"
                    )
            atom = _name(path, place, item)
            if atom in stated:
                raise InputError(f"{path}: event {event!r} lists {atom!r} twice; remove one")
            stated[atom] = (group if group in ROLES else None, float(strength))
    if not stated:
        raise InputError(f"{path}: event {event!r} has no atoms; list at least one")
    _one_spelling(path, stated)
    return stated


def _ambiguous(
    path: Path, value: Any, events: tuple[str, ...]
) -> list[tuple[str, tuple[str, ...]]]:
    result = []
    for item in _list(path, "ambiguous", value):
        chosen = events
        if isinstance(item, dict) and len(item) == 1:
            ((item, chosen),) = item.items()
            chosen = tuple(_list(path, f"ambiguous {item!r}", chosen))
            for event in chosen:
                if event not in events:
                    raise InputError(
                        f"{path}: ambiguous {item!r}: unknown event {event!r}"
                        f"{_suggest(event, events)}; correct the name"
                    )
        result.append((_name(path, "ambiguous", item), chosen))
    return result


def _neutral(path: Path, content: dict) -> tuple[str, ...]:
    prompts = _names(path, content, "neutral_prompts")
    templates = _templates(path, content, "neutral_templates")
    return tuple(t.replace("{}", p) for p in prompts for t in templates) if templates else prompts


def _templates(path: Path, content: dict, key: str) -> tuple[str, ...]:
    templates = _names(path, content, key)
    for template in templates:
        if template.count("{}") != 1:
            raise InputError(f"{path}: {key}: {template!r} must hold {{}} once; correct it")
    return templates


def _names(path: Path, content: dict, key: str) -> tuple[str, ...]:
    names = tuple(_name(path, key, item) for item in _list(path, key, content.get(key, [])))
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: {key} lists {name!r} twice; remove one")
    return names


def _list(path: Path, place: str, value: Any) -> list:
    if not isinstance(value, list):
        raise InputError(f"{path}: {place}: must be a list; write one name per line after '- '")
    return value


def _name(path: Path, place: str, value: Any) -> str:
    # YAML reads yes, no, on, off and numbers as something else than text.
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{path}: {place}: {value!r} is no name; put it in quotes")
    return " ".join(value.split())


def _one_spelling(path: Path, atoms: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for atom in atoms:
        other = first.setdefault(atom.casefold(), atom)
        if other != atom:
            raise InputError(f"{path}: the atom {atom!r} is also written {other!r}; choose one")


def _known_keys(path: Path, place: str, mapping: dict, known: Sequence[str]) -> None:
    for key in mapping:
        if key not in known:
            raise InputError(
                f"{path}: {place} has the unknown key {key!r}{_suggest(key, known)}; "
                f"known are {', '.join(known)}"
            )


def _suggest(name: Any, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), choices, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")

    def unique(pairs: Sequence[tuple[Hashable, Any]]) -> dict:
        seen = {}
        for key, value in pairs:
            if not isinstance(key, Hashable):
                raise InputError(f"{path}: {key!r} is no name; write a text before the colon")
            if key in seen:
                raise InputError(f"{path}: the key {key!r} is there twice; remove one")
            seen[key] = value
        return seen

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict:
        construct = loader.construct_object
        return unique([(construct(k, deep=True), construct(v, deep=True)) for k, v in node.value])

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=unique)
        return yaml.load(text, Loader)  # a SafeLoader: it builds plain data only
    except (yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: not valid YAML or JSON ({cause}); correct the file") from None
