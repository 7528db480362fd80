"""How often does a rule come back when its model is learned again?"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from jaxvlm.errors import InputError
from jaxvlm.evaluation.rule_recovery import Rule


class RuleFrequency(NamedTuple):
    """How often a rule came back, in [0, 1].

    A rule is its event and its atoms. Its counters are asked for apart, because a counter that is
    rarely beside the rule's atoms in the training videos comes and goes while the atoms stay, and
    with it would make every such rule a new one.
    """

    rule: Rule  # its counters: those that were there in at least half of the sets with the atoms
    frequency: float  # share of the sets with these atoms for this event, whatever the counters
    exact: float  # share of the sets with these atoms and exactly these counters
    unless: dict[int, float]  # each counter ever seen: its share of the sets that had the atoms


def rule_stability(rule_sets: Sequence[Collection[Rule]]) -> list[RuleFrequency]:
    """How often each rule is in sets learned from other seeds and bootstrap samples of the videos.

    Args:
      rule_sets: of each training the rules (event, atoms, counters), by numbers or by names; their
        order in a rule does not matter. One of a set that names the same atoms twice with other
        counters counts once, with all of these counters.

    Returns:
      Every rule that was ever found, the most frequent first, then by event and atoms.

    Raises:
      InputError: no set.

    Source: Barbiero et al., Entropy-based Logic Explanations of Neural Networks (AAAI 2022), who
    call the mean of such shares a model's consistency.
    """
    if not rule_sets:
        raise InputError("rule_stability: no set of rules; learn at least once")
    atoms_of, counters, exact = Counter(), {}, Counter()
    for rules in rule_sets:
        joined: dict[tuple, set] = {}
        for event, atoms, unless in rules:
            joined.setdefault((event, tuple(sorted(atoms))), set()).update(unless)
        for key, unless in joined.items():
            atoms_of[key] += 1
            counters.setdefault(key, Counter()).update(unless)
            exact[key, frozenset(unless)] += 1
    total, found = len(rule_sets), []
    for (event, atoms), count in atoms_of.items():
        seen = counters[event, atoms]
        shares = {counter: seen[counter] / count for counter in sorted(seen)}
        usual = tuple(counter for counter, share in shares.items() if share >= 0.5)
        same = exact[(event, atoms), frozenset(usual)]
        found.append(RuleFrequency((event, atoms, usual), count / total, same / total, shares))
    return sorted(found, key=lambda one: (-one.frequency, one.rule))
