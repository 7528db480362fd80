"""The rules and roles of a model on a page: per event a sentence, its rules, its γ, its atoms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT, ROLES
from jaxvlm.errors import InputError
from jaxvlm.pages import style
from jaxvlm.video.ordinary_model import NOVELTY
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.role_outputs import roles_table
from jaxvlm.video.role_sentences import rules_of
from jaxvlm.video.rule_figures import LEAST, RuleFigures, rules_sentence, told_rules

ROLE_COLUMNS = (
    "event", "atom", "role", "rho_direct", "rho_indirect", "rho_counter",
    "gamma_direct", "gamma_indirect", "gamma_counter",
)  # fmt: skip


class RoleBook(NamedTuple):
    """What is looked for, and why it is believed: E events, C atoms, and their roles."""

    events: Sequence[str]
    atoms: Sequence[str]
    table: pd.DataFrame | None = None  # rows with `ROLE_COLUMNS`; None: no section on the page
    notes: Mapping[str, str] = {}  # what to know of an event's roles; of others than E, too
    rules: Sequence[RuleFigures] = ()  # of all events


def role_book(model: RoleModel, signals: Sequence[str] = ()) -> RoleBook:
    """The roles of a model; of events of one kind of label it is noted.

    signals: what is shown, where that is more than the events.
    """
    notes = {kind.event: kind.sentence() for kind in model.one_kind}
    if NOVELTY in signals:
        notes[NOVELTY] = (
            "no atom has a part in it: how far a frame is from all that this camera showed before"
        )
    return RoleBook(
        signals or model.events, model.atoms, roles_table(model), notes, rules_of(model)
    )


def check_columns(roles: RoleBook) -> None:
    """Raises InputError where the roles' table lacks a column."""
    if roles.table is not None and (lost := sorted(set(ROLE_COLUMNS) - set(roles.table.columns))):
        raise InputError(f"roles table: no column {lost[0]!r}; train the roles again")


def role_sections(roles: RoleBook) -> list[dict[str, Any]]:
    """Per event: its rules as a sentence and as rows, its γ, the atoms with a role (strongest
    first), the rest, and its note; then the events that have but a note."""
    sections, table = [], roles.table
    if table is None:
        return sections
    for event, color in style.colors_of(roles.events).items():
        rows = table[table["event"] == event].to_dict("records")
        if not rows:
            continue
        rules = [rule for rule in roles.rules if rule.event == event]
        in_rules = strongest_rules(rules)
        atoms = []
        for row in rows:
            rho = {r: max(row[f"rho_{r}"], in_rules.get((row["atom"], r), 0.0)) for r in ROLES}
            atoms.append(
                {
                    "atom": row["atom"],
                    "role": row["role"] if row["role"] in ROLES else "",
                    "rho": [(role, f"{rho[role]:.2f}", 100 * rho[role]) for role in ROLES],
                }
            )
        strength = {role: i for i, role in enumerate(ROLES)}
        atoms.sort(
            key=lambda a: (
                strength.get(a["role"], len(ROLES)),
                -(a["rho"][strength[a["role"]]][2] if a["role"] else max(r[2] for r in a["rho"])),
            )
        )
        rules.sort(key=lambda rule: -rule.strength)
        rho = {row["atom"]: row for row in rows}
        named = {
            role: [
                a["atom"]
                for a in atoms
                if a["role"] == role and rho[a["atom"]][f"rho_{role}"] >= LEAST[role]
            ]
            for role in ROLES
        }
        told = told_rules(rules, *(named[role] for role in (DIRECT, INDIRECT, COUNTER)))
        sections.append(
            {
                "event": event,
                "sentence": rules_sentence(told, style.emphasised),
                "rules": [_rule_row(rule) for rule in rules if not rule.is_faint],
                "faint": [_rule_row(rule) for rule in rules if rule.is_faint],
                "color": color,
                "note": roles.notes.get(event),
                "gamma": [
                    (role, style.number(float(rows[0][f"gamma_{role}"]), places=2, sign="+"))
                    for role in ROLES
                ],
                "named": [a for a in atoms if a["role"]],
                "rest": [a for a in atoms if not a["role"]],
            }
        )
    shown = {section["event"] for section in sections}
    others = [event for event in roles.notes if event not in shown]
    nothing = {
        "color": "var(--rule)",
        "gamma": [],
        "named": [],
        "rest": [],
        "rules": [],
        "faint": [],
        "sentence": "",
    }
    return sections + [nothing | {"event": e, "note": roles.notes[e]} for e in others]


def strongest_rules(rules: Sequence[RuleFigures]) -> dict[tuple[str, str], float]:
    """By atom and role: the strength of its strongest rule, direct alone, indirect with another.

    What an atom is worth in a rule is in the rule, and its own ρ is 0.
    """
    found: dict[tuple[str, str], float] = {}
    for rule in rules:
        role = DIRECT if len(rule.atoms) == 1 else INDIRECT
        for atom in rule.atoms:
            found[atom, role] = max(found.get((atom, role), 0.0), rule.strength)
    return found


def _rule_row(rule: RuleFigures) -> dict[str, Any]:
    """A rule as its row on the page."""
    told = told_rules([rule._replace(strength=1.0, stability=None)])
    stability = "" if rule.stability is None else f"{100 * rule.stability:.0f} %"
    return {
        "text": rules_sentence(told, style.emphasised),
        "strength": f"{rule.strength:.2f}",
        "percent": 100 * rule.strength,
        "support": "–" if rule.support is None else rule.support,
        "precision": "–" if rule.precision != rule.precision else f"{100 * rule.precision:.0f} %",
        "uncertain": stability if rule.is_uncertain else "",
    }
