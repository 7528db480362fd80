"""Boundaries against golden arrays and closed forms."""

from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from safetensors.numpy import load_file

from jaxvlm.atoms.boundary import (
    auto_delta,
    auto_kappa,
    boundary_probability,
    divergence,
    log_survival,
)

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "atoms.safetensors")


class GoldenTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_divergence(self):
        actual = self.variant(divergence)(GOLDEN["presence"])
        np.testing.assert_allclose(actual, GOLDEN["divergence"], rtol=1e-5, atol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_boundary(self):
        def boundary(d):
            return boundary_probability(
                d, delta=float(GOLDEN["delta"]), kappa=float(GOLDEN["kappa"])
            )

        actual = self.variant(boundary)(GOLDEN["divergence"])
        np.testing.assert_allclose(actual, GOLDEN["boundary"], rtol=1e-5, atol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(0, 1)
    def test_few_frames(self, num_frames):
        d = self.variant(divergence)(np.full((num_frames, 3), 0.7, np.float32))
        np.testing.assert_array_equal(d, np.zeros(num_frames))
        b = self.variant(lambda d: boundary_probability(d, delta="auto", kappa="auto"))(d)
        np.testing.assert_allclose(b, np.full(num_frames, 1 / (1 + np.exp(4.8))), rtol=1e-5)


def test_the_mean_does_not_grow_with_the_atoms():
    """Twice the same atoms: the sum doubles, the mean stays; atoms that stand still dilute it."""
    p = np.random.default_rng(0).random((20, 5)).astype(np.float32)
    mean = np.zeros(20)
    for t in range(1, 20):
        mean[t] = sum((float(p[t, c]) - float(p[t - 1, c])) ** 2 for c in range(5)) / 5
    np.testing.assert_allclose(divergence(p, reduction="mean"), mean, rtol=1e-5)
    twice = np.concatenate([p, p], axis=1)
    np.testing.assert_allclose(divergence(twice, reduction="mean"), mean, rtol=1e-5)
    np.testing.assert_allclose(divergence(twice), 10 * mean, rtol=1e-5)
    still = np.concatenate([p, np.ones((20, 15), np.float32)], axis=1)
    np.testing.assert_allclose(divergence(still, reduction="mean"), mean / 4, rtol=1e-5)
    np.testing.assert_array_equal(divergence(p[:, :0], reduction="mean"), np.zeros(20))
    with pytest.raises(ValueError, match="reduction 'max'; use sum or mean"):
        divergence(p, reduction="max")


def test_log_survival_is_exact_where_the_boundary_rounds_to_one():
    d = np.array([0.0, 0.6, 5.0, 40.0], np.float32)
    z = 8.0 * (d.astype(np.float64) - 0.6)
    np.testing.assert_allclose(log_survival(d), -np.logaddexp(0.0, z), rtol=1e-6)
    assert boundary_probability(d)[-1] == 1.0 and np.isfinite(log_survival(d)).all()


def test_auto_delta_is_the_robust_threshold():
    # median 3, absolute deviations 2 1 0 1 97: MAD 1.
    d = np.array([1.0, 2.0, 3.0, 4.0, 100.0], np.float32)
    np.testing.assert_allclose(auto_delta(d), 3.0 + 3.0 * 1.4826, rtol=1e-6)
    b = boundary_probability(d, delta="auto")
    np.testing.assert_array_equal(np.asarray(b) > 0.5, [False, False, False, False, True])


def test_padding_leaves_auto_alone():
    d = np.random.default_rng(0).random(30).astype(np.float32)
    padded = np.concatenate([d, np.zeros(10, np.float32)])
    mask = np.arange(40) < 30
    assert auto_delta(padded, mask=mask) == auto_delta(d)
    actual = boundary_probability(padded, delta="auto", kappa="auto", mask=mask)[:30]
    expected = boundary_probability(d, delta="auto", kappa="auto")
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert np.isfinite(auto_delta(padded, mask=np.zeros(40, bool)))


def test_auto_does_not_depend_on_the_spread_of_the_presences():
    presence = np.random.default_rng(1).random((50, 6)).astype(np.float32)
    presence[25:] = 1.0 - presence[25:]
    squeezed = 0.55 + 0.02 * presence  # what `cosine` makes of CLIP
    wide, narrow = (
        boundary_probability(divergence(p), delta="auto", kappa="auto")
        for p in (presence, squeezed)
    )
    np.testing.assert_allclose(narrow, wide, rtol=1e-3)
    assert wide[0] < 0.01


def test_auto_finds_the_only_change_of_a_frozen_video():
    presence = np.full((20, 4), 0.6, np.float32)
    presence[12:] = 0.61
    b = np.asarray(boundary_probability(divergence(presence), delta="auto", kappa="auto"))
    assert np.flatnonzero(b > 0.5).tolist() == [12]
    np.testing.assert_allclose(auto_kappa(0.6), 8.0, rtol=1e-6)


def test_delta_and_kappa_can_be_learned():
    """Gradient descent on (δ, log κ) recovers the boundary that made the targets."""
    d = jnp.linspace(0.0, 2.0, 41)
    target = boundary_probability(d, delta=1.1, kappa=5.0)

    def loss(params):
        b = boundary_probability(d, delta=params[0], kappa=jnp.exp(params[1]))
        return jnp.mean((b - target) ** 2)

    params = jnp.array([0.6, jnp.log(8.0)])
    params, _ = jax.lax.scan(lambda p, _: (p - 2.0 * jax.grad(loss)(p), None), params, length=2000)
    np.testing.assert_allclose([params[0], jnp.exp(params[1])], [1.1, 5.0], rtol=1e-2)


def test_another_string_is_refused():
    with pytest.raises(ValueError, match="delta 'median'"):
        boundary_probability(np.zeros(3), delta="median")
