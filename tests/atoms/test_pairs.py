"""The pair exponent against a float64 double loop, and the shapes it is allowed to form."""

from collections.abc import Iterator
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxvlm.atoms.pairs import pairwise_noisy_or

NEARLY_ONE = 1.0 - 1e-6


def double_loop(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and ∂x/∂a of one [C] vector in float64, from the definition."""
    a = np.asarray(a, np.float64)
    x, gradient = 0.0, np.zeros_like(a)
    for i in range(len(a)):
        for j in range(len(a)):
            if i < j:
                x -= np.log1p(-a[i] * a[j])
            if i != j:
                gradient[i] += a[j] / (1.0 - a[i] * a[j])
    return x, gradient


def atoms(num_atoms: int) -> np.ndarray:
    """[6, C]: uniform, tiny, sure, as sure as can be, all of these mixed (twice)."""
    rng = np.random.default_rng(num_atoms)
    rows = [
        rng.random(num_atoms),
        1e-4 * rng.random(num_atoms),
        1.0 - 10.0 ** rng.uniform(-6.0, -3.0, num_atoms),
        np.full(num_atoms, NEARLY_ONE),
        *rng.choice([0.0, 1e-3, 0.5, NEARLY_ONE], (2, num_atoms)),
    ]
    return np.array(rows, np.float32)


class PairwiseTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters(0, 1, 2, 3, 10, 12, 13, 84)
    def test_equals_the_double_loop(self, num_atoms):
        a = atoms(num_atoms)
        value_and_gradient = jax.vmap(jax.value_and_grad(pairwise_noisy_or))
        x, gradient = self.variant(value_and_gradient)(a)
        for row, expected in enumerate(map(double_loop, a)):
            np.testing.assert_allclose(x[row], expected[0], rtol=1e-6, atol=0)
            np.testing.assert_allclose(gradient[row], expected[1], rtol=1e-6, atol=0)


def test_leading_axes_and_vmap_agree():
    a = np.random.default_rng(0).random((3, 4, 9)).astype(np.float32)
    expected = np.array([[double_loop(row)[0] for row in rows] for rows in a])
    np.testing.assert_allclose(pairwise_noisy_or(a), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(jax.vmap(pairwise_noisy_or))(a), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradient_is_finite_at_the_ends(value):
    x, gradient = jax.value_and_grad(pairwise_noisy_or)(jnp.full(12, value))
    assert np.isfinite(x) and np.isfinite(gradient).all()
    if value == 0.0:
        assert x == 0.0 and not gradient.any()


def test_one_counts_as_the_largest_float_below_one():
    below = np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(
        pairwise_noisy_or(np.ones(7, np.float32)), pairwise_noisy_or(np.full(7, below))
    )
    np.testing.assert_allclose(pairwise_noisy_or(np.ones(2)), 23 * np.log(2.0), rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    a=hnp.arrays(np.float32, 6, elements=st.floats(0, 1, width=32)),
    index=st.integers(0, 5),
    more=st.floats(0, 1, width=32),
    seed=st.integers(0, 99),
)
def test_evidence_only_adds_and_order_does_not_matter(a, index, more, seed):
    x = float(pairwise_noisy_or(a))
    raised = a.copy()
    raised[index] = max(a[index], np.float32(more))
    assert float(pairwise_noisy_or(raised)) >= x * (1 - 1e-6)
    shuffled = np.random.default_rng(seed).permutation(a)
    np.testing.assert_allclose(pairwise_noisy_or(shuffled), x, rtol=1e-6)


def test_a_scalar_is_refused():
    with pytest.raises(ValueError, match="atom axis"):
        pairwise_noisy_or(0.5)


def avals(jaxpr: Any) -> Iterator[Any]:
    """Every value formed in a jaxpr and in the jaxprs inside it."""
    for equation in jaxpr.eqns:
        yield from (variable.aval for variable in equation.outvars)
        for inner in jax.core.jaxprs_in_params(equation.params):
            yield from avals(inner)


@pytest.mark.parametrize("backward", [False, True])
def test_no_pair_matrix_exists(backward):
    num_frames, num_events, num_atoms = 7, 3, 40
    batched = jax.vmap(jax.vmap(pairwise_noisy_or))
    function = jax.grad(lambda a: batched(a).sum()) if backward else batched
    jaxpr = jax.make_jaxpr(function)(jnp.zeros((num_frames, num_events, num_atoms)))
    sizes = [aval.size for aval in avals(jaxpr.jaxpr)]
    assert len(sizes) > 20  # the walk went inside
    assert max(sizes) <= 2 * num_frames * num_events * num_atoms
