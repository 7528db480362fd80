import functools

import chex
import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from scipy.special import expit
from scipy.special import logit as log_odds

from jaxvlm import files
from jaxvlm.atoms import roles
from jaxvlm.atoms.roles import RoleParams
from tests.atoms.role_fixtures import (
    GOLDEN,
    golden_params,
    largest_array,
    random_params,
    select_atoms,
)


def slow_logits(params: RoleParams, presence: np.ndarray, tau: float) -> tuple[np.ndarray, ...]:
    """float64, one frame, event and pair at a time: D, I, C, K and the logit of P."""
    p = RoleParams(*(np.asarray(leaf, np.float64) for leaf in params))
    (num_frames, num_atoms), num_events = presence.shape, p.bias.shape[0]
    out = np.zeros((5, num_frames, num_events))
    for t in range(num_frames):
        q = expit(p.presence_scale * (presence[t] - p.presence_center))
        for e in range(num_events):
            d = i = k = 1.0
            for c in range(num_atoms):
                d *= 1.0 - expit(p.theta_direct[c, e]) * q[c]
                k *= 1.0 - expit(p.theta_counter[c, e]) * q[c]
                for j in range(c):
                    a_c = expit(p.theta_indirect[c, e]) * q[c]
                    i *= 1.0 - a_c * expit(p.theta_indirect[j, e]) * q[j]
            logit = p.gamma_direct[e] * log_odds(1 - d) + p.gamma_indirect[e] * log_odds(1 - i)
            logit += p.gamma_counter[e] * log_odds(d * i)
            logit += p.gamma_explicit[e] * log_odds(1 - k * np.exp(-0.1))
            out[:, t, e] = 1 - d, 1 - i, d * i, 1 - k, logit / tau + p.bias[e]
    return tuple(out)


@pytest.mark.parametrize("mask", ["mask", "nomask"])
@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_reference_mode_reproduces_the_prototype(kind: str, mask: str) -> None:
    arrays = files.read_arrays(GOLDEN)
    options = {
        "candidates": arrays["role.candidate_mask"] if mask == "mask" else None,
        "reference": True,
    }
    params, presence = golden_params(arrays, "role"), arrays[f"pbar_{kind}"]
    evidence = roles.role_evidence(params, presence, **options)
    probability = roles.event_probability(params, presence, **options)
    got = {
        "D": evidence.direct,
        "I": evidence.indirect,
        "C": evidence.counter,
        "P": probability,
    }
    for name, value in got.items():
        np.testing.assert_allclose(value, arrays[f"role.{kind}.{mask}.{name}"], rtol=1e-4)


def test_default_mode_equals_a_float64_loop() -> None:
    params = random_params(0, 7, 3)
    presence = np.random.default_rng(1).uniform(size=(5, 7)).astype(np.float32)
    direct, indirect, counter, explicit, logits = slow_logits(params, presence, 1.5)
    evidence = roles.role_evidence(params, presence)
    np.testing.assert_allclose(evidence.direct, direct, rtol=1e-5)
    np.testing.assert_allclose(evidence.indirect, indirect, rtol=1e-5)
    np.testing.assert_allclose(evidence.counter, counter, rtol=1e-5)
    np.testing.assert_allclose(evidence.explicit, explicit, rtol=1e-5)
    got = roles.event_logits(params, presence, temperature=1.5)
    np.testing.assert_allclose(got, logits, rtol=1e-4, atol=1e-5)
    probability = roles.event_probability(params, presence, temperature=1.5)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logits)), rtol=1e-4)


class EvidenceLogitTest(chex.TestCase, parameterized.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(1e-6, 1e-4, 0.1, 0.6931472, 5.0, 40.0, 1000.0)
    def test_is_the_logit_of_the_noisy_or(self, x: float) -> None:
        got = self.variant(roles.evidence_logit)(jnp.float32(x))
        x = float(np.float32(x))
        # logit(1 − e^{−x}) in float64; beyond 30 the correction e^{−x} is below float64's step.
        expected = np.log(-np.expm1(-x)) + x
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)

    def test_has_a_floor_and_a_finite_slope(self) -> None:
        floor = float(roles.evidence_logit(0.0))
        np.testing.assert_allclose(floor, np.log(np.expm1(1e-6)), rtol=1e-6)
        slopes = jax.vmap(jax.grad(roles.evidence_logit))(jnp.array([0.0, 1e-7, 1.0, 1e3]))
        np.testing.assert_allclose(slopes, [0.0, 0.0, 1 / (1 - np.exp(-1.0)), 1.0], rtol=1e-5)


@hypothesis.settings(deadline=None, max_examples=30)
@hypothesis.given(
    presence=hypothesis.extra.numpy.arrays(np.float32, (3, 6), elements=st.floats(0, 1, width=32)),
    more=hypothesis.extra.numpy.arrays(np.float32, (3, 6), elements=st.floats(0, 1, width=32)),
    seed=st.integers(0, 3),
)
def test_more_evidence_never_lowers_d_or_i_and_never_raises_c(
    presence: np.ndarray, more: np.ndarray, seed: int
) -> None:
    params = random_params(seed, 6, 2)
    before = roles.role_evidence(params, presence)
    after = roles.role_evidence(params, np.maximum(presence, more))
    rounding = 1e-6
    assert np.all(after.direct >= before.direct - rounding)
    assert np.all(after.indirect >= before.indirect - rounding)
    assert np.all(after.counter <= before.counter + rounding)
    assert np.all(after.explicit >= before.explicit - rounding)


def test_permuting_atoms_changes_nothing_else() -> None:
    params = random_params(2, 9, 2)
    rng = np.random.default_rng(3)
    presence = rng.uniform(size=(4, 9)).astype(np.float32)
    order = rng.permutation(9)
    permuted = select_atoms(params, order)
    np.testing.assert_allclose(
        roles.event_logits(permuted, presence[:, order]),
        roles.event_logits(params, presence),
        rtol=1e-5,
    )


@pytest.mark.parametrize("reference", [False, True])
def test_candidates_equal_the_subset_of_atoms(reference: bool) -> None:
    params = random_params(4, 8, 1)
    presence = np.random.default_rng(5).uniform(size=(4, 8)).astype(np.float32)
    candidates = np.array([1, 0, 1, 1, 0, 0, 1, 0])[:, None]
    kept = np.flatnonzero(candidates)
    subset = select_atoms(params, kept)
    np.testing.assert_allclose(
        roles.event_logits(params, presence, candidates=candidates, reference=reference),
        roles.event_logits(subset, presence[:, kept], reference=reference),
        rtol=1e-5,
    )


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("presence", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("theta", [-60.0, 0.0, 60.0])
def test_gradients_are_finite_at_the_edges(theta: float, presence: float, calibrated: bool) -> None:
    params = random_params(6, 5, 2)
    thetas = {name: jnp.full((5, 2), theta) for name in params._fields[:3]}
    params = params._replace(**thetas)
    if not calibrated:
        params = params._replace(presence_scale=None, presence_center=None)
    frames = jnp.full((3, 5), presence)
    value, gradients = _value_and_gradients(params, frames)
    chex.assert_tree_all_finite((value, gradients))


@jax.jit
def _value_and_gradients(params: RoleParams, frames: jax.Array) -> tuple:
    def total(params: RoleParams, frames: jax.Array) -> jax.Array:
        return jnp.sum(roles.event_logits(params, frames))

    return jax.value_and_grad(total, argnums=(0, 1))(params, frames)


@pytest.mark.parametrize("reference", [False, True])
def test_nothing_of_the_size_of_all_pairs_exists(reference: bool) -> None:
    num_frames, num_atoms, num_events = 3, 80, 2
    params = random_params(7, num_atoms, num_events)
    frames = jnp.full((num_frames, num_atoms), 0.3)
    logits = functools.partial(roles.event_logits, reference=reference)
    forward = jax.make_jaxpr(logits)(params, frames)
    gradient = jax.grad(lambda *inputs: jnp.sum(logits(*inputs)), argnums=(0, 1))
    backward = jax.make_jaxpr(gradient)(params, frames)
    atoms_once = num_frames * num_atoms * num_events
    assert atoms_once <= largest_array(forward.jaxpr) <= 4 * atoms_once
    assert atoms_once <= largest_array(backward.jaxpr) <= 4 * atoms_once
