import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.rule_stability import RuleFrequency, rule_stability


def test_frequencies_by_hand():
    sets = [
        {(0, (2, 3), (6,)), (0, (1,), ()), (1, (4,), ())},
        {(0, (3, 2), (6, 7)), (0, (1,), ())},
        {(0, (2, 3), ()), (0, (1,), (5,))},
        {(0, (2, 3), (6,))},
    ]
    assert rule_stability(sets) == [
        # Counter 6 in 3 of the 4 sets with the atoms, 7 in 1; {6} alone in 2 of 4 sets.
        RuleFrequency((0, (2, 3), (6,)), 1.0, 0.5, {6: 0.75, 7: 0.25}),
        RuleFrequency((0, (1,), ()), 0.75, 0.5, {5: pytest.approx(1 / 3)}),
        RuleFrequency((1, (4,), ()), 0.25, 0.25, {}),
    ]


def test_order_of_sets_and_names_instead_of_numbers():
    one = {("riot", ("smoke", "people"), ("film crew",))}
    two = {("riot", ("people", "smoke"), ()), ("abuse", ("fist",), ())}
    found = rule_stability([one, two])
    assert found == rule_stability([two, one])
    assert [(entry.rule[1], entry.frequency) for entry in found] == [
        (("people", "smoke"), 1.0),
        (("fist",), 0.5),
    ]


def test_atoms_named_twice_in_a_set_count_once():
    (found,) = rule_stability([{(0, (1,), (2,)), (0, (1,), (3,))}])
    assert found == RuleFrequency((0, (1,), (2, 3)), 1.0, 1.0, {2: 1.0, 3: 1.0})


def test_nothing_learned_is_an_error():
    with pytest.raises(InputError, match="learn at least once"):
        rule_stability([])
    assert rule_stability([set(), set()]) == []
