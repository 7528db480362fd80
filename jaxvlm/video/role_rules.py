"""The rules of a role model as names and figures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.atoms.reasons import NamedRule
from jaxvlm.atoms.rules import NOBODY, Rules, rule_strengths

_CANCELS = 0.5  # κ from which a counter is told as one of its rule


def named_rules(
    rules: Rules, candidates: ArrayLike | None, event: int, members: Sequence[int]
) -> tuple[NamedRule, ...]:
    """The rules of one event, their atoms numbered by their places in members.

    A rule that no candidates make, or that is none, has no atoms. Own counters are those that
    cancel more than half of the rule.
    """
    strengths = rule_strengths(rules, candidates)
    tables = (rules.atoms, strengths.strength, rules.unless, strengths.unless)
    place = {int(atom): n for n, atom in enumerate(members) if atom != NOBODY}
    found = []
    for atoms, s, unless, kappa in zip(*(np.asarray(t)[event] for t in tables), strict=True):
        own = tuple(place[c] for c in atoms.tolist() if c != NOBODY) if s > 0 else ()
        strong = [c for c, k in zip(unless.tolist(), kappa, strict=True) if k >= _CANCELS]
        found.append(NamedRule(own, tuple(place[c] for c in strong)))
    return tuple(found)
