"""By which rules publications choose their negative labels."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxvlm.ood.words.prompts import SUPERCLASSES


class MiningRule(NamedTuple):
    """How a publication's code chooses: s(w) is the ``quantile`` of w's cosines to the classes, 1
    where the largest exceeds ``near`` (None: no such rule); an adjective stands alone or with one
    of the ``superclasses``. excluded: lexicographer files that it leaves out."""

    quantile: float
    near: float | None
    superclasses: tuple[str, ...]
    excluded: tuple[str, ...]


CSP_EXCLUDED = ("noun.person", "noun.quantity", "noun.group", "adj.pert")
# What the codes do, where papers leave it open: NegRefine and NegAlign call CSP's function without
# its quantile, so that the function's own, the maximum, holds.
RULES: Mapping[str, MiningRule] = {
    "neglabel": MiningRule(0.95, None, (), ()),
    "csp": MiningRule(0.95, 0.95, SUPERCLASSES, CSP_EXCLUDED),
    "negrefine": MiningRule(1.0, 0.95, SUPERCLASSES, CSP_EXCLUDED),
    "negalign": MiningRule(1.0, 0.95, SUPERCLASSES, CSP_EXCLUDED),
}
