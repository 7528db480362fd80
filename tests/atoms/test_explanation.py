import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms import explanation, roles
from jaxvlm.atoms.explanation import Reason
from jaxvlm.atoms.roles import RoleParams
from tests.atoms.role_fixtures import largest_array, random_params


def removed(num_atoms: int, num_events: int, atom: int) -> np.ndarray:
    candidates = np.ones((num_atoms, num_events), np.float32)
    candidates[atom] = 0.0
    return candidates


@pytest.mark.parametrize("explicit", [True, False])
def test_leave_one_out_equals_recomputation(explicit: bool) -> None:
    params = random_params(0, 6, 3)
    if not explicit:
        params = params._replace(gamma_explicit=None)
    frames = np.random.default_rng(1).uniform(size=(5, 6)).astype(np.float32)
    full = roles.event_logits(params, frames, temperature=1.5)
    got = explanation.leave_one_out(params, frames, temperature=1.5)
    for atom in range(6):
        rest = roles.event_logits(
            params, frames, candidates=removed(6, 3, atom), temperature=1.5
        )
        np.testing.assert_allclose(got[:, atom], full - rest, rtol=1e-4, atol=2e-5)


def test_leave_one_out_is_exact_where_one_pair_is_nearly_all_the_evidence() -> None:
    """x_I minus the pair's share would keep no digit: the rest is 1e-7 of it."""
    params = random_params(2, 6, 1)._replace(presence_scale=None, presence_center=None)
    params = params._replace(theta_indirect=jnp.full((6, 1), 12.0))
    frames = np.array([[1.0, 1.0, 4e-4, 4e-4, 4e-4, 4e-4]], np.float32)
    full = roles.event_logits(params, frames)
    got = explanation.leave_one_out(params, frames)
    for atom in range(6):
        rest = roles.event_logits(params, frames, candidates=removed(6, 1, atom))
        np.testing.assert_allclose(got[:, atom], full - rest, rtol=1e-3, atol=1e-4)


def test_a_single_role_is_removed_by_silencing_its_strength() -> None:
    params = random_params(3, 5, 2)
    frames = np.random.default_rng(4).uniform(size=(3, 5)).astype(np.float32)
    full = roles.event_logits(params, frames)
    got = explanation.role_contributions(params, frames)
    fields = {"direct": "theta_direct", "indirect": "theta_indirect", "counter": "theta_counter"}
    for role, field in fields.items():
        silenced = params._replace(**{field: getattr(params, field).at[2].set(-90.0)})
        rest = roles.event_logits(silenced, frames)
        np.testing.assert_allclose(
            getattr(got, role)[:, 2], full - rest, rtol=1e-4, atol=2e-5, err_msg=role
        )


def test_an_atom_that_is_no_candidate_changes_nothing() -> None:
    params = random_params(5, 4, 2)
    candidates = removed(4, 2, 1)
    got = explanation.leave_one_out(params, np.full((2, 4), 0.6), candidates=candidates)
    np.testing.assert_allclose(got[:, 1], 0.0, atol=1e-5)
    assert np.all(np.abs(got[:, 0]) > 1e-3)


def test_top_pair_is_the_best_of_all_pairs() -> None:
    params = random_params(6, 7, 2)
    frames = np.random.default_rng(7).uniform(size=(9, 7)).astype(np.float32)
    pair = explanation.top_pair(params, frames)
    rho = 1 / (1 + np.exp(-np.asarray(params.theta_indirect, np.float64)))
    for t, e in itertools.product(range(9), range(2)):
        a = rho[:, e] * np.asarray(roles.calibrated_presence(params, frames))[t]
        shares = {
            pair: -np.log1p(-a[pair[0]] * a[pair[1]])
            for pair in itertools.combinations(range(7), 2)
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
    """blast flash is direct, smoke with debris is indirect, toy gun is counter; a tree is none."""
    atoms = ["blast flash", "smoke plume", "flying debris", "toy gun", "tree"]
    strong, weak = 4.0, -9.0
    table = lambda *on: jnp.array([[strong if n in on else weak] for n in range(5)])  # noqa: E731
    one = jnp.ones(1)
    params = RoleParams(table(0), table(1, 2), table(3), one, one, -one, -one, gamma_explicit=-one)
    return params, atoms


def test_reasons_name_roles_partners_and_objections() -> None:
    params, atoms = written_params()
    frames = np.full((6, 5), 0.02, np.float32)
    frames[2:4, :4] = 0.95
    frames[:, 4] = 0.95
    found = explanation.reasons(
        explanation.role_contributions(params, frames), atoms, event=0, start=2, stop=4
    )
    assert {(r.atom, r.role, r.partner) for r in found} in (
        {
            ("blast flash", "direct", None),
            (first, "indirect", second),
            ("toy gun", "counter", None),
        }
        for first, second in (atoms[1:3], atoms[2:0:-1])
    )
    assert [r.contribution < 0 for r in found if r.atom == "toy gun"] == [True]
    sizes = [abs(r.contribution) for r in found]
    assert sizes == sorted(sizes, reverse=True)


def test_reasons_keep_the_strongest_per_side_and_drop_the_small() -> None:
    params, atoms = written_params()
    contributions = explanation.role_contributions(params, np.full((3, 5), 0.9, np.float32))
    one = explanation.reasons(contributions, atoms, event=0, start=0, stop=3, limit=1)
    assert len([r for r in one if r.contribution > 0]) == 1
    assert not explanation.reasons(
        contributions, atoms, event=0, start=0, stop=3, smallest=1e6
    )


def test_sentence() -> None:
    found = [
        Reason("blast flash", "direct", 3.0),
        Reason("toy gun", "counter", -2.0),
        Reason("smoke plume", "indirect", 1.0, "flying debris"),
    ]
    assert explanation.sentence(found) == (
        "because *blast flash* (direct) and *smoke plume* with *flying debris* (indirect), "
        "despite *toy gun* (counter)"
    )
    assert explanation.sentence([]) == ""
