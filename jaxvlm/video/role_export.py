"""Trained roles as an ontology file, which a person can read, edit and score with."""

import dataclasses
import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from jaxvlm import bounds, resources
from jaxvlm.atoms.roles import ROLES, RoleParams
from jaxvlm.atoms.rules import NOBODY
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.ontology.ontology import read_ontology
from jaxvlm.ontology.parameters import WEIGHTS, written_number, written_strength
from jaxvlm.ontology.rules import rule_text
from jaxvlm.ontology.trained import FAINT, UNCALIBRATED
from jaxvlm.outputs import output_path
from jaxvlm.video import one_kind
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.role_sentences import event_sentences

_WIDTH = 100
_BELOW = f"# below {FAINT}:"
_HEAD = """\
# Roles that were learned{videos}, written by jaxvlm export-roles from
# {source}. Score with them:
#   jaxvlm score-video --roles=ontology --ontology=THIS_FILE --video=...
# Strengths are from 0 to 1, the strongest first. Those below {least} say next to nothing and are
# here so that the probabilities are those of the model to the last digit. What is changed counts as
# it is written, what is taken out counts as 0. An event that is added without weights is read as
# roles that a person wrote.
"""


class Exported(NamedTuple):
    """What was written, and of how many."""

    path: Path
    events: int
    strengths: int
    rules: int


def export_roles(model: RoleModel, path: str | os.PathLike) -> Exported:
    """Writes a role model as an ontology file that gives its probabilities with
    ``--roles=ontology``: strengths of roles and rules, weights, calibration of presence, prompts,
    settings, and which encoder and videos the training had.

    Raises InputError: names that no ontology file can hold, or more than one may be long.
    """
    text, path = ontology_text(model), Path(path)
    size = len(text.encode("utf-8"))
    if size > bounds.YAML_BYTES:
        raise InputError(
            f"{path}: would have {size:,} bytes, an ontology file may have {bounds.YAML_BYTES:,}; "
            "score with the role model itself, or train with fewer candidates"
        )
    with output_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        reading = read_ontology(temporary)
        if reading.problems:
            told = f"cannot be written as an ontology file: {reading.problems[0].text}"
            raise InputError(f"{model.source or 'the roles'}: {told}")
        written = reading.ontology
    count = sum(int((written.strengths[role] > 0).sum()) for role in ROLES)
    return Exported(path, len(written.events), count, sum(map(len, written.rules)))


def ontology_text(model: RoleModel) -> str:
    """The whole file, as YAML with comments."""
    count = model.training.get("videos")
    told = f" from the labels of {number_of(count, 'video')}" if isinstance(count, int) else ""
    source = resources.shown(model.source) if model.source else "a role model"
    lines = [_HEAD.format(videos=told, source=_one_line(source), least=FAINT), "events:\n"]
    params = _as_numpy(model.params)
    used: set[int] = set()
    written = one_kind.as_written(model.one_kind, model.training)
    for e, (event, sentence) in enumerate(event_sentences(model).items()):
        lines += ["\n"] if e else []
        lines += [f"  # {line}\n" for line in _wrapped(f"{event}: {sentence}")] if sentence else []
        lines += _event_lines(model, params, e, used, trained=event not in written)
    if clutter := [atom for c, atom in enumerate(model.atoms) if c not in used]:
        lines.append("\nclutter:\n")
        lines += [f"  - {quoted(atom)}\n" for atom in clutter]
    lines += ["\n", *_presence_lines(model.atoms, params)]
    for name, texts in (
        ("templates", model.templates),
        ("neutral_prompts", model.neutral_prompts),
    ):
        lines.append(f"\n{name}:\n" if texts else f"\n{name}: []\n")
        lines += [f"  - {quoted(text)}\n" for text in texts]
    lines.append("\n# As the roles were trained. What --config can still change is told.\n")
    lines.append(_dumped({"settings": dataclasses.asdict(model.config)}))
    training = {k: v for k, v in model.training.items() if k != one_kind.AS_WRITTEN}
    if model.one_kind:
        training["one_kind"] = [kind._asdict() for kind in model.one_kind]
    if training:
        lines.append("\n# Which encoder the strengths are of, and what they were learned from.\n")
        lines.append(_dumped({"training": training}))
    return "".join(lines)


def _as_numpy(params: RoleParams) -> RoleParams:
    arrays = {name: None if x is None else x for name, x in params._asdict().items()}
    rules = arrays.pop("rules")
    arrays = {name: None if x is None else np.asarray(x) for name, x in arrays.items()}
    if rules is not None:
        rules = type(rules)(*(np.asarray(x) for x in rules))
    return RoleParams(**arrays, rules=rules)


def _event_lines(
    model: RoleModel, params: RoleParams, e: int, used: set[int], *, trained: bool
) -> Iterator[str]:
    """An event's block. used: gets the atoms that stand in it."""
    candidates = model.candidates
    own = range(len(model.atoms)) if candidates is None else np.flatnonzero(candidates[:, e])
    own = [int(c) for c in own]
    groups: dict[str, list[str]] = {}
    listed: set[int] = set()
    for role in ROLES:
        theta = getattr(params, f"theta_{role}")[:, e]
        order = sorted(own, key=lambda c, theta=theta: (-theta[c], model.atoms[c]))
        pairs = [(c, written_strength(theta[c])) for c in order]
        told = [(f"{quoted(model.atoms[c])}: {s}", float(s)) for c, s in pairs if s is not None]
        groups[role] = [item for item, s in told if s >= FAINT]
        if below := [item for item, s in told if s < FAINT]:
            groups[role] += [_BELOW, *below]
        listed |= {c for c, s in pairs if s is not None}
    rules = _rules(model, params, e, set(own))
    rest = [c for c in own if c not in listed]
    used.update(own)
    yield f"  {quoted(model.events[e])}:\n"
    for role, items in groups.items():
        if items:
            yield f"    {role}:\n"
            yield from (f"      {'' if item == _BELOW else '- '}{item}\n" for item in items)
    if rules:
        yield "    rules:\n"
        yield from rules
    if rest:
        yield "    candidates:\n"
        yield from (f"      - {quoted(model.atoms[c])}\n" for c in rest)
    if trained:
        yield "    weights:\n"
        yield from (f"      {line}\n" for line in _weights(params, e))


def _rules(model: RoleModel, params: RoleParams, e: int, own: set[int]) -> list[str]:
    """The rules of an event, the strongest first. own: its candidates, of which all names are."""
    if params.rules is None:
        return []
    atoms, theta, unless, theta_unless = (field[e] for field in params.rules)
    lines = []
    for r in np.argsort(-theta, kind="stable"):
        members = [int(c) for c in atoms[r] if c != NOBODY]
        strength = written_strength(theta[r])
        if not members or strength is None or not set(members) <= own:
            continue  # takes no part
        pairs = [
            (int(c), written_strength(t))
            for c, t in zip(unless[r], theta_unless[r], strict=True)
            if int(c) in own
        ]
        pairs = sorted(((c, s) for c, s in pairs if s is not None), key=lambda p: -float(p[1]))
        names = [model.atoms[c] for c in members]
        counters = [model.atoms[c] for c, s in pairs if float(s) >= 0.5]
        lines.append(f"      # {rule_text(names, counters)}\n")
        lines.append(f"      - atoms: [{', '.join(map(quoted, names))}]\n")
        lines.append(f"        strength: {strength}\n")
        if pairs:
            items = ", ".join(f"{quoted(model.atoms[c])}: {s}" for c, s in pairs)
            lines.append(f"        unless: [{items}]\n")
    return lines


def _weights(params: RoleParams, e: int) -> Iterator[str]:
    for name, field in WEIGHTS.items():
        values = getattr(params, field)
        yield f"{name}: {written_number(0.0 if values is None else values[e])}"


def _presence_lines(atoms: Sequence[str], params: RoleParams) -> Iterator[str]:
    if params.presence_scale is None:
        yield f"# Presence counts as it is measured.\npresence: {UNCALIBRATED}\n"
        return
    yield "# How present an atom counts: 1/(1 + exp(−scale·(p̄ − center))).\npresence:\n"
    tables = (params.presence_scale, params.presence_center)
    for atom, scale, center in zip(atoms, *tables, strict=True):
        numbers = f"scale: {written_number(scale)}, center: {written_number(center)}"
        yield f"  {quoted(atom)}: {{{numbers}}}\n"


def quoted(text: str) -> str:
    """A text as YAML, plain where it is letters, digits and single blanks."""
    plain = text.replace(" ", "").isalnum() and text.isascii() and text == " ".join(text.split())
    if plain and yaml.safe_load(text) == text:
        return text
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**9).rstrip("\n")


def _dumped(value: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(value, default=str))  # as metadata.json has it
    return yaml.safe_dump(
        plain, allow_unicode=True, sort_keys=False, width=_WIDTH, default_flow_style=None
    )


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH - 4, break_long_words=False, break_on_hyphens=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())
