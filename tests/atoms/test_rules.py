import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms import explanation, members, reasons, role_tables, roles
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rules import NOBODY, Rules, exponents_without_atoms, rule_exponents
from tests.atoms.role_fixtures import random_params

T, C, E, R, U = 6, 7, 3, 5, 2
OFF = -30.0


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def random_rules(seed: int) -> Rules:
    """Two rules of one atom, two pairs and none, each with up to two counters."""
    rng = np.random.default_rng(seed)
    atoms = np.full((E, R, 2), NOBODY, np.int32)
    unless = np.full((E, R, U), NOBODY, np.int32)
    for e, r in itertools.product(range(E), range(R - 1)):
        picked = rng.permutation(C)
        atoms[e, r, : 1 + r % 2] = picked[: 1 + r % 2]
        unless[e, r, : r % 3] = picked[2 : 2 + r % 3]
    thetas = rng.normal(size=(E, R)), rng.normal(size=(E, R, U))
    return Rules(atoms, jnp.float32(thetas[0]), unless, jnp.float32(thetas[1]))


def rule_params(seed: int = 0) -> RoleParams:
    params = random_params(seed, C, E)._replace(rules=random_rules(seed))
    return jax.tree.map(jnp.asarray, params)


PRESENCE = np.random.default_rng(5).uniform(size=(T, C)).astype(np.float32)
CANDIDATES = np.ones((C, E), np.float32)
CANDIDATES[[0, 3], [0, 1]] = 0.0


def slow_exponents(rules: Rules, presence: np.ndarray) -> np.ndarray:
    """Both exponents [2, T, E] by the equation, one rule at a time, in float64."""
    found = np.zeros((2, len(presence), E))
    sigma = [
        1 / (1 + np.exp(-np.asarray(x, np.float64))) for x in (rules.theta, rules.theta_unless)
    ]
    for t, e, r in itertools.product(range(len(presence)), range(E), range(R)):
        i, j = np.asarray(rules.atoms)[e, r]
        if i == NOBODY:
            continue
        holds = sigma[0][e, r] * presence[t, i] * (1.0 if j == NOBODY else presence[t, j])
        for u, kappa in zip(np.asarray(rules.unless)[e, r], sigma[1][e, r], strict=True):
            if u != NOBODY:
                holds *= 1.0 - kappa * presence[t, u]
        found[int(j != NOBODY), t, e] -= np.log1p(-holds)
    return found


def test_exponents_are_the_equation() -> None:
    rules = random_rules(1)
    strengths = roles.rule_strengths(rules)
    found = rule_exponents(rules, PRESENCE, strengths)
    np.testing.assert_allclose(found, slow_exponents(rules, PRESENCE), rtol=2e-6)


def test_a_rule_for_every_pair_is_the_product_of_strengths() -> None:
    """S = ρρᵀ is the case of the roles."""
    params = random_params(3, C, E)
    pairs = np.array(list(itertools.combinations(range(C), 2)), np.int32)
    rho = 1 / (1 + np.exp(-np.asarray(params.theta_indirect, np.float64)))
    strength = (rho[pairs[:, 0]] * rho[pairs[:, 1]]).T
    rules = Rules(
        np.broadcast_to(pairs, (E, *pairs.shape)),
        np.float32(logit(strength)),
        np.zeros((E, len(pairs), 0), np.int32),
        np.zeros((E, len(pairs), 0), np.float32),
    )
    alone = params._replace(theta_indirect=np.full((C, E), OFF, np.float32), rules=rules)
    np.testing.assert_allclose(
        roles.event_probability(alone, PRESENCE),
        roles.event_probability(params, PRESENCE),
        atol=1e-6,
    )
    trained = alone._replace(theta_indirect=None)
    np.testing.assert_allclose(
        roles.event_logits(trained, PRESENCE), roles.event_logits(alone, PRESENCE), rtol=1e-6
    )


def test_an_atom_that_is_no_candidate_takes_no_part_in_rules() -> None:
    """Its rule is off, and as a counter it holds nothing back."""
    rules = random_rules(2)
    outside = 2
    candidates = np.ones((C, E), np.float32)
    candidates[outside] = 0.0
    atoms, unless = np.array(rules.atoms), np.array(rules.unless)
    atoms[(atoms == outside).any(axis=-1)] = NOBODY
    unless[unless == outside] = NOBODY
    np.testing.assert_allclose(
        rule_exponents(rules, PRESENCE, roles.rule_strengths(rules, candidates)),
        slow_exponents(rules._replace(atoms=atoms, unless=unless), PRESENCE),
        rtol=2e-6,
    )


def test_own_atoms_of_events_give_the_same_logits() -> None:
    params = rule_params()
    own = members.members_of(CANDIDATES)
    found = members.logits_of_members(
        params, jnp.asarray(PRESENCE)[None], candidates=CANDIDATES, members=own, temperature=2.0
    )[0]
    np.testing.assert_allclose(
        found, roles.event_logits(params, PRESENCE, candidates=CANDIDATES), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("few", [True, False])
def test_the_logits_of_some_frames_are_those_of_all_frames_there(few: bool) -> None:
    """Two videos, three frames of each event."""
    params, both = rule_params(), jnp.stack([PRESENCE, PRESENCE[::-1]])
    num_events = CANDIDATES.shape[1]
    frames = np.random.default_rng(0).integers(len(PRESENCE), size=(2, num_events, 3))
    own = members.members_of(CANDIDATES) if few else None
    options = {"candidates": CANDIDATES, "members": own, "temperature": 2.0}
    found = members.logits_of_frames(params, both, frames, **options)
    for video, presence in enumerate(both):
        whole = np.asarray(roles.event_logits(params, presence, candidates=CANDIDATES))
        expected = [whole[frames[video, event], event] for event in range(num_events)]
        np.testing.assert_allclose(found[video].T, expected, rtol=1e-5, atol=1e-5)


def test_leave_one_out_is_the_logit_without_the_atom() -> None:
    params = rule_params()
    full = roles.event_logits(params, PRESENCE, candidates=CANDIDATES)
    found = explanation.role_contributions(params, PRESENCE, candidates=CANDIDATES)
    for atom in range(C):
        without = CANDIDATES.copy()
        without[atom] = 0.0
        rest = roles.event_logits(params, PRESENCE, candidates=without)
        np.testing.assert_allclose(found.total[:, atom], full - rest, atol=2e-5)


def test_removing_an_atom_never_raises_what_it_supports() -> None:
    """Nor does removing a counter lower what it holds back."""
    for seed in range(5):
        rules = random_rules(seed)
        strengths = roles.rule_strengths(rules)
        whole = rule_exponents(rules, PRESENCE, strengths)
        evidence, counters, _ = exponents_without_atoms(rules, PRESENCE, strengths)
        for full, less, more in zip(whole, evidence, counters, strict=True):
            assert np.all(less <= full[:, None] + 1e-6)
            assert np.all(more >= full[:, None] - 1e-6)


def test_gradients_are_finite_where_everything_is_sure() -> None:
    params = rule_params()
    certain = (
        jnp.full_like(params.rules.theta, 40.0),
        jnp.full_like(params.rules.theta_unless, 40.0),
    )
    free = params.rules.theta, params.rules.theta_unless
    for thetas, presence in itertools.product((certain, free), (0.0, 1.0, PRESENCE)):

        def total(thetas, presence):
            rules = params.rules._replace(theta=thetas[0], theta_unless=thetas[1])
            return jnp.sum(roles.event_logits(params._replace(rules=rules), presence))

        slopes = jax.grad(total, argnums=(0, 1))(thetas, jnp.broadcast_to(presence, (T, C)))
        for slope in jax.tree.leaves(slopes):
            assert np.all(np.isfinite(slope))


def test_rules_of_the_wrong_shape_are_named() -> None:
    params = rule_params()
    bad = params._replace(rules=params.rules._replace(theta=jnp.zeros((E, R + 1))))
    with pytest.raises(ValueError, match="rules.theta"):
        roles.event_probability(bad, PRESENCE)


def test_rules_that_are_none_change_no_behaviour() -> None:
    """Two ways to the same table: from sums, and from every frame computed."""
    params = random_params(4, C, E)._replace(presence_scale=None, presence_center=None)
    none = Rules(
        np.full((E, 1, 2), NOBODY, np.int32),
        np.zeros((E, 1), np.float32),
        np.full((E, 1, 1), NOBODY, np.int32),
        np.zeros((E, 1, 1), np.float32),
    )
    sums = role_tables.role_behaviour(params, candidates=CANDIDATES)
    frames = role_tables.role_behaviour(params._replace(rules=none), candidates=CANDIDATES)
    for own, other in zip(sums, frames, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def written() -> RoleParams:
    """Event: 0 unless 1; or 2 with 3. Atom 4 argues against everything."""
    rules = Rules(
        np.array([[[0, NOBODY], [2, 3]]], np.int32),
        np.full((1, 2), logit(0.95), np.float32),
        np.array([[[1], [NOBODY]]], np.int32),
        np.full((1, 2, 1), logit(0.95), np.float32),
    )
    none, counter = np.zeros((5, 1)), np.zeros((5, 1))
    counter[4] = 1.0
    return role_tables.roles_from_strengths(none, none, counter, rules=rules)


def test_roles_by_behaviour_know_rules() -> None:
    words = role_tables.assign_roles(written())[:, 0]
    assert list(words) == ["direct", "counter", "indirect", "indirect", "counter"]


def test_a_rules_counter_holds_back_its_rule_alone() -> None:
    frames = np.full((5, 5), 0.1, np.float32)
    for t, shown in enumerate([(0,), (0, 1), (2, 3), (2, 3, 1), (2, 3, 4)]):
        frames[t, list(shown)] = 0.9
    probability = np.asarray(roles.event_probability(written(), frames))[:, 0]
    assert np.all((probability > 0.5) == [True, False, True, True, False])


def test_the_strongest_pair_may_be_a_rule() -> None:
    frames = np.full((1, 5), 0.9, np.float32)
    pair = explanation.top_pair(written(), frames)
    assert {int(pair.first[0, 0]), int(pair.second[0, 0])} == {2, 3}
    none = written()._replace(rules=None)
    assert pair.exponent[0, 0] > 10 * explanation.top_pair(none, frames).exponent[0, 0]


def test_reasons_name_the_rule_and_what_would_have_cancelled_it() -> None:
    params = written()
    names = ["crashed car", "tow truck", "smoke", "running", "film crew"]
    rules = [reasons.NamedRule((0,), (1,)), reasons.NamedRule((2, 3), ())]

    def told(*shown: int) -> list[reasons.Reason]:
        frames = np.full((2, 5), 0.1, np.float32)
        frames[:, list(shown)] = 0.9
        found = explanation.role_contributions(params, frames)
        return reasons.reasons(found, names, event=0, start=0, stop=2, rules=rules, smallest=0.5)

    (alone,) = told(0)
    assert alone[:2] == (("crashed car",), "direct") and alone.unless == ("tow truck",)
    (pair,) = told(2, 3)
    assert set(pair.atoms) == {"smoke", "running"} and pair.role == "indirect" and not pair.unless
    # A counter that is there is not told to be absent.
    assert [r.unless for r in told(0, 1) if r.atoms == ("crashed car",)] == [()]
    against = [reason for reason in told(0, 1) if reason.contribution < 0]
    assert [reason.atoms for reason in against] == [("tow truck",)]
    assert against[0].role == "counter"
