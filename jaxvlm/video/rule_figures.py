"""What is known of each rule of a role model, and an event's rules as a sentence."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from jaxvlm.atoms.roles import COUNTER, DIRECT, INDIRECT
from jaxvlm.names import number_of
from jaxvlm.ontology.rules import rule_text
from jaxvlm.ontology.trained import FAINT

TOLD_SHARE = 0.5  # of the strongest rule's strength, from which another one is told
UNCERTAIN = 0.5  # share of bootstrap fits below which a rule is told as uncertain

# ρ from which an atom is told with its role: one that is indirect for a rule's sake alone makes no
# pair by ρ, and is told in its rule.
LEAST = {DIRECT: 0.0, INDIRECT: FAINT, COUNTER: 0.0}

Text = TypeVar("Text", bound=str)


class RuleFigures(NamedTuple):
    """A rule of an event, and how it did on the training videos."""

    event: str
    atoms: tuple[str, ...]  # one, or two that count together
    unless: tuple[str, ...]  # its own counters
    strength: float  # from 0 to 1
    support: int | None = None  # in how many training videos it fired; None: a person's rule
    precision: float = math.nan  # the share of these that show the event; nan if there are none
    stability: float | None = None  # share of bootstrap fits with this rule; None: not measured

    @property
    def text(self) -> str:
        """As it can be written into an ontology file."""
        return rule_text(self.atoms, self.unless)

    @property
    def is_uncertain(self) -> bool:
        """It came back in fewer than half of the fits."""
        return self.stability is not None and self.stability < UNCERTAIN

    @property
    def is_faint(self) -> bool:
        """It was learned, and adds next to nothing."""
        return self.strength < FAINT

    def figures(self) -> str:
        """``strength 0.81, fired in 12 videos, right in 92 %``, as far as it is known."""
        known = self.support is not None
        videos = f", fired in {number_of(self.support, 'video')}" if known else ""
        right = "" if math.isnan(self.precision) else f", right in {100 * self.precision:.0f} %"
        back = ""
        if self.is_uncertain:
            back = f", uncertain: in {100 * self.stability:.0f} % of repeated fits"
        return f"strength {self.strength:.2f}{videos}{right}{back}"


class EventRules(NamedTuple):
    """All that makes an event, in the order to be told: rules, atoms of which any two suffice, and
    atoms that argue against all of it."""

    rules: Sequence[tuple[Sequence[str], Sequence[str], bool]] = ()  # atoms, unless, uncertain
    pairs_of: Sequence[str] = ()
    against: Sequence[str] = ()


def as_is(name: str) -> str:
    """The name."""
    return name


def told_rules(
    rows: Sequence[RuleFigures],
    direct: Sequence[str] = (),
    indirect: Sequence[str] = (),
    against: Sequence[str] = (),
) -> EventRules:
    """What to say of one event: its rules, the strongest first, then roles.

    direct, indirect, against: atoms with this role, the strongest first. A rule is told that has at
    least half the strength of the strongest and is not next to nothing. An atom that suffices alone
    by a rule is not told again, not with a partner either, but where the two are stronger; one
    indirect atom alone makes no pair.
    """
    ranked = sorted(rows, key=lambda row: -row.strength)
    least = max(FAINT, TOLD_SHARE * ranked[0].strength) if ranked else FAINT
    told: list[RuleFigures] = []
    for row in ranked:
        alone = {each.atoms[0] for each in told if len(each.atoms) == 1}
        if row.strength >= least and (len(row.atoms) == 1 or not alone & set(row.atoms)):
            told.append(row)
    rules = [(row.atoms, row.unless, row.is_uncertain) for row in told]
    alone = {row.atoms[0] for row in told if len(row.atoms) == 1}
    rules = [*(((atom,), (), False) for atom in direct if atom not in alone), *rules]
    return EventRules(rules, indirect if len(indirect) > 1 else (), against)


def rules_sentence(told: EventRules, name: Callable[[str], Text] = as_is) -> Text:
    """``crashed car unless tow truck; or smoke plume with people running away; never with film
    crew``. Empty where nothing makes the event.

    name: how the name of an atom is written; a markup that it returns escapes all around it.
    """
    joined = type(name(""))
    clauses = [_clause(atoms, unless, uncertain, name) for atoms, unless, uncertain in told.rules]
    if told.pairs_of:
        clauses.append(joined("any two of ") + _listed(told.pairs_of, "and", name))
    if not clauses:
        return joined("")
    text = joined("; or ").join(clauses)
    if told.against:
        text = text + joined("; never with ") + _listed(told.against, "or", name)
    return text


def _clause(
    atoms: Sequence[str], unless: Sequence[str], uncertain: bool, name: Callable[[str], Text]
) -> Text:
    joined = type(name(""))
    text = joined(" with ").join(map(name, atoms))
    if unless:
        text = text + joined(" unless ") + _listed(unless, "or", name)
    return text + joined(" (uncertain)") if uncertain else text


def _listed(names: Sequence[str], word: str, name: Callable[[str], Text]) -> Text:
    joined = type(name(""))
    *before, last = map(name, names)
    return joined(", ").join(before) + joined(f" {word} " if before else "") + last
