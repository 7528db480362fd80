import numpy as np

from jaxvlm.evaluation.rule_recovery import atom_levels, rule_recovery, rules_by_behaviour


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


def test_an_atom_that_is_rare_has_the_level_of_the_frames_that_show_it():
    """Quantiles of all frames would not reach them: two in two hundred."""
    presence, visible = np.full((200, 3), 0.1), np.zeros((200, 3), int)
    presence[:2, 0], visible[:2, 0] = (0.5, 0.9), 1
    presence[:, 1], visible[:100, 1] = 0.3, 1
    absent, shown = atom_levels([presence[:150], presence[150:]], [visible[:150], visible[150:]])
    np.testing.assert_allclose(absent, [0.1, 0.3, 0.1])
    np.testing.assert_allclose(shown, [0.5 + 0.9 * 0.4, 0.3, 0.9])  # no frame shows the last
