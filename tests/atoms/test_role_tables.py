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
    expected = [
        ["direct", "direct"],
        ["indirect", "indirect"],
        ["indirect", "indirect"],
        ["counter", "none"],
        ["none", "none"],
    ]
    assert role_tables.assign_roles(params).tolist() == expected


def test_an_atom_that_is_no_candidate_has_no_role() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    candidates = np.ones((5, 2))
    candidates[0, 1] = candidates[1, 0] = 0
    words = role_tables.assign_roles(params, candidates)
    assert words[0].tolist() == ["direct", "none"]
    # Its only possible partner lost, atom 2 is no longer indirect for event 0.
    assert words[2].tolist() == ["none", "indirect"]


def test_an_event_that_learned_nothing_gives_no_roles() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    flat = params._replace(gamma_counter=params.gamma_counter.at[0].set(0.0))
    words = role_tables.assign_roles(flat._replace(gamma_explicit=None))
    assert set(words[:, 0]) == {"none"}


def test_behaviour_is_the_events_probability_in_such_frames() -> None:
    params = role_tables.roles_from_strengths(DIRECT, INDIRECT, COUNTER)
    params = params._replace(presence_scale=None, presence_center=None)
    behaviour = role_tables.role_behaviour(params)
    frames = np.full((3, 5), 0.05, np.float32)
    frames[1, 0] = frames[2, 1:3] = 1.0
    probability = np.asarray(roles.event_probability(params, frames))
    np.testing.assert_allclose(behaviour.background, probability[0], rtol=1e-4)
    np.testing.assert_allclose(behaviour.alone[0], probability[1], rtol=1e-4)
    np.testing.assert_allclose(behaviour.paired[1], probability[2], rtol=1e-4)
    np.testing.assert_allclose(behaviour.best, probability[1:3].max(axis=0), rtol=1e-4)
    opposed = frames[1].copy()
    opposed[3] = 1.0
    expected = roles.event_probability(params, opposed[None])[0, 0]
    np.testing.assert_allclose(behaviour.opposed[3, 0], expected, rtol=1e-4)
