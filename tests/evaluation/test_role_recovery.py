import itertools
import math

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.role_recovery import (
    ROLES,
    role_recovery,
    rule_recovery,
    rules_by_behaviour,
)


def test_counts_by_hand():
    true = [["direct", "none"], ["indirect", "direct"], ["indirect", ""], ["none", "indirect"]]
    given = [["direct", "direct"], ["indirect", "direct"], ["counter", ""], ["none", "none"]]
    result = role_recovery(given, true)
    assert result["direct"] == {
        "true": 2,
        "assigned": 3,
        "recovered": 2,
        "fraction": 1.0,
        "precision": pytest.approx(2 / 3),
        "chance": pytest.approx((1 * 1 / 4 + 1 * 2 / 4) / 2),
    }
    assert result["indirect"]["fraction"] == pytest.approx(1 / 3)
    assert result["indirect"]["precision"] == 1.0
    assert math.isnan(result["counter"]["fraction"]) and result["counter"]["precision"] == 0.0


def test_chance_is_the_mean_over_all_permutations_within_candidates():
    rng = np.random.default_rng(5)
    labels = np.array([*ROLES, "none"])
    given, true = labels[rng.integers(4, size=(2, 6, 2))]
    candidates = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 1, 1, 1]], bool).T
    result = role_recovery(given, true, candidates=candidates)
    for role in ROLES:
        expected = 0.0
        for e in range(2):
            inside = np.flatnonzero(candidates[:, e])
            hits = [
                sum(a == role == b for a, b in zip(order, true[inside, e], strict=True))
                for order in itertools.permutations(given[inside, e])
            ]
            expected += np.mean(hits)
        assert result[role]["chance"] == pytest.approx(expected / (true == role).sum())


def test_true_role_outside_candidates_is_missed():
    result = role_recovery([["direct"], ["none"]], [["direct"], ["none"]], candidates=[[0], [1]])
    assert result["direct"]["true"] == 1
    assert result["direct"]["recovered"] == result["direct"]["assigned"] == 0


def test_bad_labels():
    with pytest.raises(InputError, match="unknown label 'dirct'"):
        role_recovery([["dirct"]], [["direct"]])
    with pytest.raises(InputError, match="one label per atom and event"):
        role_recovery([["direct"]], [["direct"], ["none"]])


def test_rule_recovery_by_hand():
    true = {(0, (0,), (6,)), (0, (2, 3), ()), (0, (4, 5), ()), (1, (8,), ())}
    found = {(0, (0,), (6, 7)), (0, (3, 2), ()), (0, (2, 4), ()), (1, (9,), ())}
    result = rule_recovery(found, true)
    assert result["singles"] == {
        "true": 2, "found": 2, "recovered": 1, "recall": 0.5, "precision": 0.5,
    }  # fmt: skip
    assert result["pairs"] == {
        "true": 2, "found": 2, "recovered": 1, "recall": 0.5, "precision": 0.5,
    }  # fmt: skip
    assert result["counters"] == {
        "true": 1, "found": 2, "recovered": 1, "recall": 1.0, "precision": 0.5,
    }  # fmt: skip
    assert result["rules"] == {
        "true": 4, "found": 4, "recovered": 1, "recall": 0.25, "precision": 0.25,
    }  # fmt: skip
    assert np.isnan(rule_recovery(set(), true)["pairs"]["precision"])


def law(presence):
    """0 unless 3, or 1 with 2; of event 1 only 4; event 2 knows nothing."""
    on = np.asarray(presence) - np.median(presence, axis=0) > 0.3
    one = (on[:, 0] & ~on[:, 3]) | (on[:, 1] & on[:, 2])
    return np.stack([0.05 + 0.9 * one, 0.05 + 0.5 * on[:, 4], np.full(len(on), 0.9)], axis=1)


def test_rules_by_behaviour_are_those_of_the_law():
    absent = np.array([0.1, 0.5, 0.2, 0.3, 0.1])
    found = rules_by_behaviour(law, absent, absent + 0.5, threshold=[0.5] * 3)
    assert found == {(0, (0,), (3,)), (0, (1, 2), ()), (1, (4,), ())}
    candidates = np.ones((5, 3))
    candidates[3, 0] = candidates[2, 0] = 0
    found = rules_by_behaviour(
        law, absent, absent + 0.5, threshold=[0.5] * 3, candidates=candidates
    )
    assert found == {(0, (0,), ()), (1, (4,), ())}
    found = rules_by_behaviour(law, absent, absent + 0.5, threshold=[0.96, 0.5, 0.95])
    assert found == {(1, (4,), ())}  # what never reaches its threshold has no rules
