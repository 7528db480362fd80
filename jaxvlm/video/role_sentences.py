"""The rules and roles of a model as sentences, one per event."""

import math

import numpy as np
import pandas as pd

from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT, role_strengths
from jaxvlm.ontology.trained import FAINT
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.role_rules import FIGURES, listed_rules, read_figures
from jaxvlm.video.rule_figures import LEAST, RuleFigures, rules_sentence, told_rules


def event_sentences(model: RoleModel) -> dict[str, str]:
    """By event what makes it, see `rule_figures.rules_sentence`; empty where nothing does."""
    tables = role_strengths(model.params, model.candidates)
    strength = {r: np.asarray(t) for r, t in zip((DIRECT, INDIRECT, COUNTER), tables, strict=False)}
    roles, rules = model.roles(), rules_of(model)
    found = {}
    for e, event in enumerate(model.events):
        own = {}
        for role, table in strength.items():
            having = np.flatnonzero((roles[:, e] == role) & (table[:, e] >= LEAST[role]))
            order = sorted(having.tolist(), key=lambda c, t=table, e=e: (-t[c, e], c))
            own[role] = [model.atoms[c] for c in order]
        rows = [rule for rule in rules if rule.event == event]
        found[event] = rules_sentence(told_rules(rows, *own.values()))
    return found


def rules_of(model: RoleModel) -> list[RuleFigures]:
    """The rules that take part, event by event, with what the training knows of them.

    Raises InputError: a model whose figures are none.
    """
    if model.params.rules is None:
        return []
    known = read_figures(model.training.get(FIGURES, []), model.source or "the roles")
    found = []
    for rule in listed_rules(model.params.rules, model.candidates):
        event = model.events[rule.event]
        atoms, unless = (tuple(model.atoms[c] for c in own) for own in (rule.atoms, rule.unless))
        figures = RuleFigures(event, atoms, unless, rule.strength)
        record = known.get((event, frozenset(atoms)))
        if record is not None:
            precision = math.nan if record["precision"] is None else record["precision"]
            figures = figures._replace(
                support=record["support"], precision=precision, stability=record["stability"]
            )
        found.append(figures)
    return found


def rules_table(model: RoleModel) -> pd.DataFrame:
    """event, rule, strength, support, precision and stability of every rule, an event's strongest
    first; empty cells: not known."""
    rows = sorted(rules_of(model), key=lambda r: (model.events.index(r.event), -r.strength))
    columns = ("strength", "support", "precision", "stability")
    cells = [(r.event, r.text, *(getattr(r, name) for name in columns)) for r in rows]
    table = pd.DataFrame(cells, columns=["event", "rule", *columns])
    return table.astype({"support": "Int64", "stability": float})


def told_of_atoms(model: RoleModel) -> dict[tuple[str, str], str]:
    """By event and atom the rules that have the atom, as evidence or as counter, strongest first;
    those next to nothing left out."""
    found: dict[tuple[str, str], list[str]] = {}
    for rule in sorted(rules_of(model), key=lambda rule: -rule.strength):
        if rule.strength >= FAINT:
            for atom in (*rule.atoms, *rule.unless):
                found.setdefault((rule.event, atom), []).append(rule.text)
    return {key: "; ".join(texts) for key, texts in found.items()}
