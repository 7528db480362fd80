import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms import explanation, reasons, roles
from jaxvlm.atoms.roles import RoleParams
from tests.atoms.role_fixtures import largest_array, random_params

# One shape for all: each function compiles once.
T, C, E = 5, 6, 3


def random_frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(T, C)).astype(np.float32)


def all_but(atom: int) -> np.ndarray:
    candidates = np.ones((C, E), np.float32)
    candidates[atom] = 0.0
    return candidates


def logits(params: RoleParams, frames: np.ndarray, without: int | None = None) -> np.ndarray:
    candidates = np.ones((C, E), np.float32) if without is None else all_but(without)
    return np.asarray(roles.event_logits(params, frames, candidates=candidates))


@pytest.mark.parametrize("explicit", [True, False])
def test_leave_one_out_equals_recomputation(explicit: bool) -> None:
    params = random_params(0, C, E)
    if not explicit:
        params = params._replace(gamma_explicit=None)
    frames = random_frames(1)
    got = explanation.leave_one_out(params, frames)
    for atom in range(C):
        change = logits(params, frames) - logits(params, frames, without=atom)
        np.testing.assert_allclose(got[:, atom], change, rtol=1e-4, atol=2e-5)


def test_in_the_prototypes_arithmetic_too() -> None:
    """On unnormalised p̄, which exceeds 1: D takes it as it is, I clipped to 1."""
    params = random_params(3, C, E)._replace(
        theta_direct=random_params(4, C, E).theta_direct - 2.0,
        theta_indirect=random_params(5, C, E).theta_indirect - 2.0,
    )
    frames = 3.0 * random_frames(6)
    got = explanation.role_contributions(params, frames, reference=True)

    def reference(params: RoleParams, candidates: np.ndarray | None = None) -> np.ndarray:
        return np.asarray(roles.event_logits(params, frames, candidates=candidates, reference=True))

    whole = reference(params)
    assert (np.abs(whole) < 8.0).any() and (np.abs(whole) == 8.0).any()  # it clips some
    for atom in range(C):
        change = whole - reference(params, all_but(atom))
        np.testing.assert_allclose(got.total[:, atom], change, rtol=1e-3, atol=1e-4)
        for role, field in (("direct", "theta_direct"), ("indirect", "theta_indirect")):
            silenced = params._replace(**{field: getattr(params, field).at[atom].set(-90.0)})
            change = whole - reference(silenced)
            np.testing.assert_allclose(getattr(got, role)[:, atom], change, rtol=1e-3, atol=1e-4)
    assert np.abs(got.total).max() > 0.1
    assert not np.any(got.counter)  # the prototype does not use ρᶜ
    default = explanation.role_contributions(params, frames)
    assert np.abs(np.asarray(default.total) - np.asarray(got.total)).max() > 0.1


def test_leave_one_out_is_exact_where_one_pair_is_nearly_all_the_evidence() -> None:
    """Beside x_I = 8 the rest, 1e-6, is below a float32 rounding: a difference would lose it."""
    params = random_params(2, C, E)._replace(
        theta_indirect=jnp.full((C, E), 12.0),
        presence_scale=jnp.full(C, 16.0),
        presence_center=jnp.full(C, 0.5),
    )
    frames = np.tile(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0], np.float32), (T, 1))
    got = explanation.leave_one_out(params, frames)
    for atom in range(C):
        change = logits(params, frames) - logits(params, frames, without=atom)
        np.testing.assert_allclose(got[:, atom], change, rtol=1e-4, atol=1e-4)


def test_a_single_role_is_removed_by_silencing_its_strength() -> None:
    params = random_params(3, C, E)
    frames = random_frames(4)
    got = explanation.role_contributions(params, frames)
    fields = {"direct": "theta_direct", "indirect": "theta_indirect", "counter": "theta_counter"}
    for role, field in fields.items():
        silenced = params._replace(**{field: getattr(params, field).at[2].set(-90.0)})
        change = logits(params, frames) - logits(silenced, frames)
        np.testing.assert_allclose(
            getattr(got, role)[:, 2], change, rtol=1e-4, atol=2e-5, err_msg=role
        )


def test_an_atom_that_is_no_candidate_changes_nothing() -> None:
    frames = random_frames(5)
    got = explanation.leave_one_out(random_params(5, C, E), frames, candidates=all_but(1))
    np.testing.assert_allclose(got[:, 1], 0.0, atol=1e-5)
    assert np.all(np.abs(got[:, 0]) > 1e-4)


def test_top_pair_is_the_best_of_all_pairs() -> None:
    params = random_params(6, C, E)
    frames = random_frames(7)
    pair = explanation.top_pair(params, frames)
    rho = 1 / (1 + np.exp(-np.asarray(params.theta_indirect, np.float64)))
    for t, e in itertools.product(range(T), range(E)):
        a = rho[:, e] * np.asarray(roles.calibrated_presence(params, frames))[t]
        shares = {
            pair: -np.log1p(-a[pair[0]] * a[pair[1]])
            for pair in itertools.combinations(range(C), 2)
        }
        best = max(shares, key=shares.__getitem__)
        assert {int(pair.first[t, e]), int(pair.second[t, e])} == set(best)
        np.testing.assert_allclose(pair.exponent[t, e], shares[best], rtol=1e-5)


def test_top_pair_needs_two_atoms() -> None:
    with pytest.raises(ValueError, match="two atoms"):
        explanation.top_pair(random_params(0, 1, 1), np.ones((3, 1)))


def test_nothing_of_the_size_of_all_pairs_exists() -> None:
    params = random_params(8, 80, 2)
    jaxpr = jax.make_jaxpr(explanation.role_contributions)(params, jnp.full((3, 80), 0.3))
    assert 3 * 80 * 2 <= largest_array(jaxpr.jaxpr) <= 4 * 3 * 80 * 2


def written_params() -> tuple[RoleParams, list[str]]:
    """blast flash is direct, smoke with debris is indirect, toy gun counter; others nothing."""
    atoms = ["blast flash", "smoke plume", "flying debris", "toy gun", "tree", "road"]

    def table(*strong: int) -> jax.Array:
        return jnp.full((C, E), -9.0).at[jnp.array(strong)].set(4.0)

    params = random_params(0, C, E)._replace(
        theta_direct=table(0),
        theta_indirect=table(1, 2),
        theta_counter=table(3),
        presence_scale=jnp.full(C, 10.0),
        presence_center=jnp.full(C, 0.5),
    )
    return params, atoms


def test_reasons_name_roles_partners_and_objections() -> None:
    params, atoms = written_params()
    frames = np.full((T, C), 0.1, np.float32)
    frames[2:4, :4] = 0.9
    frames[:, 4] = 0.9
    found = reasons.reasons(
        explanation.role_contributions(params, frames), atoms, event=0, start=2, stop=4
    )
    assert {(r.role, frozenset(r.atoms)) for r in found} == {
        ("direct", frozenset({"blast flash"})),
        ("indirect", frozenset(atoms[1:3])),
        ("counter", frozenset({"toy gun"})),
    }
    assert [r.role for r in found if r.contribution < 0] == ["counter"]
    sizes = [abs(r.contribution) for r in found]
    assert sizes == sorted(sizes, reverse=True)


def test_what_is_next_to_nothing_beside_the_strongest_reason_is_not_told() -> None:
    params, atoms = written_params()
    contributions = explanation.role_contributions(params, np.full((T, C), 0.9, np.float32))
    nothing = jnp.zeros((T, C, E))

    def told(counter: float, direct: float = 8.0) -> list[tuple[str, ...]]:
        given = contributions._replace(
            direct=nothing.at[:, 0].set(direct),
            indirect=nothing,
            counter=nothing.at[:, 3].set(counter),
        )
        return [r.atoms for r in reasons.reasons(given, atoms, event=0, start=0, stop=3)]

    flash, toy = (atoms[0],), (atoms[3],)
    assert told(-0.39) == [flash] and told(-0.41) == [flash, toy]  # a twentieth of 8
    assert told(-0.11, direct=1.0) == [flash, toy] and told(-0.09, direct=1.0) == [flash]


def test_reasons_keep_the_strongest_per_side_and_drop_the_small() -> None:
    params, atoms = written_params()
    contributions = explanation.role_contributions(params, np.full((T, C), 0.9, np.float32))
    one = reasons.reasons(contributions, atoms, event=0, start=0, stop=3, limit=1)
    assert len([r for r in one if r.contribution > 0]) == 1
    assert not reasons.reasons(contributions, atoms, event=0, start=0, stop=3, smallest=1e6)
