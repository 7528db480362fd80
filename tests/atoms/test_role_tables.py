import numpy as np

from jaxvlm.atoms import role_tables, roles

# Atoms 0: direct, 1 and 2: indirect, 3: counter, 4: nothing. Event 1 knows no counter atom.
DIRECT = np.array([[0.9, 0.8], [0, 0], [0, 0], [0, 0], [0, 0]])
INDIRECT = np.array([[0, 0], [0.9, 0.9], [0.9, 0.9], [0, 0], [0, 0]])
COUNTER = np.array([[0, 0], [0, 0], [0, 0], [0.9, 0], [0, 0]])


def test_written_roles_work_without_training() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    on = np.array(
        [
            [0, 0, 0, 0, 1],  # nothing
            [1, 0, 0, 0, 0],  # the direct atom
            [0, 1, 0, 0, 0],  # one indirect atom
            [0, 1, 1, 0, 0],  # two
            [1, 0, 0, 1, 0],  # the direct atom and the counter atom
        ]
    )
    probability = np.asarray(roles.event_probability(params, 0.1 + 0.8 * on))
    np.testing.assert_array_equal(probability[:, 0] > 0.5, [False, True, False, True, False])
    np.testing.assert_array_equal(probability[:, 1] > 0.5, [False, True, False, True, True])


def test_written_roles_are_read_back() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    # γ_direct = γ_indirect = 0 here: the absence term alone carries both.
    expected = np.array(
        [["direct"] * 2, ["none"] * 2, ["none"] * 2, ["counter", "none"], ["none"] * 2]
    )
    words = role_tables.assign_roles(params, threshold=3.0)
    np.testing.assert_array_equal(words[[0, 3, 4]], expected[[0, 3, 4]])
    assert (words[1:3] == "indirect").all()


def test_an_atom_that_is_no_candidate_has_no_role() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    candidates = np.ones((5, 2))
    candidates[0, 1] = 0
    words = role_tables.assign_roles(params, candidates)
    assert words[0].tolist() == ["direct", "none"]


def test_effects_are_differences_of_the_events_logit() -> None:
    """Recomputed with `event_logits` on frames that show what the definition says."""
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    params = params._replace(presence_scale=None, presence_center=None)
    effects = role_tables.role_effects(params)
    frame = np.full((3, 5), 0.05, np.float32)
    frame[1, 0] = frame[2, 3] = 1.0
    logits = np.asarray(roles.event_logits(params, frame))
    np.testing.assert_allclose(effects.direct[0], logits[1] - logits[0], rtol=1e-3)
    np.testing.assert_allclose(effects.counter[3, 0], logits[0, 0] - logits[2, 0], rtol=1e-3)
    pair = np.full((2, 5), 0.05, np.float32)
    pair[:, 2] = 1.0
    pair[1, 1] = 1.0
    logits = np.asarray(roles.event_logits(params, pair))
    np.testing.assert_allclose(effects.indirect[1], logits[1] - logits[0], rtol=1e-2)
