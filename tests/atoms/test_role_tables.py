import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms import role_tables, roles
from tests.atoms.jaxprs import avals
from tests.atoms.role_fixtures import random_params

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


def by_frames(params: roles.RoleParams, candidates: np.ndarray | None) -> list[np.ndarray]:
    """The behaviour from every frame that it speaks of, in float64, written from its definition."""
    theta = np.stack([np.asarray(table, np.float64) for table in params[:3]])
    rho = 1 / (1 + np.exp(-theta)) * (1 if candidates is None else candidates)
    gammas = [np.asarray(gamma, np.float64) for gamma in params[3:6]]
    num_atoms, num_events = rho.shape[1:]

    def probability(shown: set[int], e: int) -> float:
        presence = np.array([1.0 if c in shown else 0.05 for c in range(num_atoms)])
        direct, a, counter = rho[:, :, e] * presence
        x_d, x_k = -np.log1p(-direct).sum(), -np.log1p(-counter).sum() + 0.1
        x_i = -np.log1p(-np.triu(np.outer(a, a), 1)).sum()
        total = sum(
            gamma[e] * sign * np.log(np.expm1(max(x, 1e-6)))
            for gamma, sign, x in zip(gammas, (1, 1, -1), (x_d, x_i, x_d + x_i), strict=True)
        )
        if params.gamma_explicit is not None:
            total += float(params.gamma_explicit[e]) * np.log(np.expm1(x_k))
        return 1 / (1 + np.exp(-(total / 1.5 + float(params.bias[e]))))

    background, best = np.zeros(num_events), np.zeros(num_events)
    alone, paired, opposed = np.zeros((3, num_atoms, num_events))
    for e in range(num_events):
        ranked = np.argsort(-rho[1, :, e], kind="stable")
        background[e] = probability(set(), e)
        alone[:, e] = [probability({c}, e) for c in range(num_atoms)]
        evidence = {int(alone[:, e].argmax())}
        if probability(set(ranked[:2]), e) > alone[:, e].max():
            evidence = set(ranked[:2])
        best[e] = probability(evidence, e)
        for c in range(num_atoms):
            partners = [j for j in ranked if j != c and alone[j, e] < 0.5 * best[e]]
            paired[c, e] = probability({c, *partners[:1]}, e)
            opposed[c, e] = probability({c} | evidence, e)
    return [background, best, alone, paired, opposed]


@pytest.mark.parametrize("num_atoms", [1, 2, 3, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_behaviour_equals_every_frame_by_itself(num_atoms: int, masked: bool) -> None:
    params = random_params(num_atoms, num_atoms, 5)
    # Event 0 has a strong pair, event 1 a direct atom beside two that do not suffice alone.
    params = params._replace(
        theta_indirect=params.theta_indirect.at[:2, 0].set(4.0),
        theta_direct=params.theta_direct.at[:, 0].set(-8.0).at[0, 1].set(4.0),
        bias=params.bias - jnp.array([6.0, 3.0, 2.0, 1.0, 0.0]),
        gamma_explicit=None if masked else params.gamma_explicit,
    )
    candidates = np.random.default_rng(0).integers(0, 2, (num_atoms, 5)) if masked else None
    behaviour = role_tables.role_behaviour(params, candidates=candidates, temperature=1.5)
    for got, expected in zip(behaviour, by_frames(params, candidates), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5)


def test_memory_is_that_of_atoms_by_events() -> None:
    num_atoms, num_events = 900, 3
    params = random_params(0, num_atoms, num_events)
    jaxpr = jax.make_jaxpr(role_tables.role_behaviour)(params)
    shapes = [aval.shape for aval in avals(jaxpr.jaxpr)]
    assert len(shapes) > 20  # the walk went inside
    assert max(sum(axis >= num_atoms for axis in shape) for shape in shapes) == 1


def test_8000_atoms_have_roles() -> None:
    """As many as the pairs are made for; with all their pairs they would take 1.5 GB."""
    num_atoms = 8000
    direct, indirect, counter = np.zeros((3, num_atoms, 2))
    direct[7], counter[11], indirect[[100, 4000], 1] = 0.9, 0.9, 0.9
    params = role_tables.roles_from_strengths(direct, indirect, counter)
    params = params._replace(theta_direct=params.theta_direct - 9.0 * (direct == 0))
    words = role_tables.assign_roles(params)
    assert (words[7] == "direct").all() and (words[11] == "counter").all()
    assert set(np.flatnonzero(words[:, 1] == "indirect")) == {100, 4000}
    assert (words == "none").sum() == 2 * num_atoms - 6
