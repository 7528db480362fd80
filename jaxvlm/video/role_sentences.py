"""The rules and roles of a model as sentences, one per event."""

import numpy as np

from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT, role_strengths
from jaxvlm.atoms.rules import NOBODY, rule_strengths
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.rule_figures import RuleFigures, rules_sentence, told_rules

_CANCELS = 0.5  # κ from which a counter is told as one of its rule


def event_sentences(model: RoleModel) -> dict[str, str]:
    """By event what makes it, see `rule_figures.rules_sentence`; empty where nothing does."""
    tables = role_strengths(model.params, model.candidates)
    strength = {r: np.asarray(t) for r, t in zip((DIRECT, INDIRECT, COUNTER), tables, strict=False)}
    roles, rules = model.roles(), rules_of(model)
    found = {}
    for e, event in enumerate(model.events):
        own = {}
        for role, table in strength.items():
            having = np.flatnonzero(roles[:, e] == role)
            order = sorted(having.tolist(), key=lambda c, t=table, e=e: (-t[c, e], c))
            own[role] = [model.atoms[c] for c in order]
        rows = [rule for rule in rules if rule.event == event]
        found[event] = rules_sentence(told_rules(rows, *own.values()))
    return found


def rules_of(model: RoleModel) -> list[RuleFigures]:
    """The rules that take part, event by event, without figures of videos."""
    if model.params.rules is None:
        return []
    rules = model.params.rules
    strengths = rule_strengths(rules, model.candidates)
    tables = [
        np.asarray(t) for t in (rules.atoms, strengths.strength, rules.unless, strengths.unless)
    ]
    found = []
    for event, *own in zip(model.events, *tables, strict=True):
        for atoms, strength, unless, kappa in zip(*own, strict=True):
            if strength > 0:
                names = tuple(model.atoms[c] for c in atoms if c != NOBODY)
                counters = [c for c, k in zip(unless, kappa, strict=True) if k >= _CANCELS]
                counters = tuple(model.atoms[c] for c in counters)
                found.append(RuleFigures(event, names, counters, float(strength)))
    return found
