"""The pair exponent against a float64 double loop, and the shapes it is allowed to form."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxvlm.atoms import RoleParams, role_evidence
from jaxvlm.atoms.pairs import pairwise_method, pairwise_noisy_or
from tests.atoms.jaxprs import avals

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


def pair_matrix(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x [N] and ∂x/∂a [N, C] of [N, C] in float64: the double loop as one matrix per row."""
    values, gradients = [], []
    for row in np.asarray(a, np.float64):
        pairs = np.outer(row, row)
        np.fill_diagonal(pairs, 0.0)
        values.append(-np.log1p(-pairs).sum() / 2.0)
        gradients.append((row / (1.0 - pairs)).sum(axis=1) - row)
    return np.array(values), np.array(gradients)


def many_atoms(num_atoms: int, dtype: type = np.float32) -> np.ndarray:
    """[13, C] for every number of terms: by shape of the distribution, then by adversary."""
    rng = np.random.default_rng(num_atoms)
    uniform = rng.random(num_atoms)
    one_large = np.where(np.arange(num_atoms) == 3, 0.99, 1e-7 * uniform)
    # The head is full of sure atoms, and what is left converges slowly, or not at all.
    crowded = np.where(np.arange(num_atoms) % 5 == 0, NEARLY_ONE, 0.6 * uniform)
    full = np.where(np.arange(num_atoms) < 120, NEARLY_ONE, 0.97)
    rows = [
        *(uniform, 0.3 * uniform, uniform**30, 1e-3 * uniform, 1e-12 * uniform),
        *(np.zeros(num_atoms), one_large, crowded, full, 1.0 - 1e-4 * uniform),
        *(np.full(num_atoms, value) for value in (0.5, 0.9, 0.98)),
    ]
    return np.minimum(rows, NEARLY_ONE).astype(dtype)


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
    with pytest.raises(ValueError, match=r"pairwise_noisy_or: a has shape \(\), needs"):
        pairwise_noisy_or(0.5)


@pytest.mark.parametrize("backward", [False, True])
def test_no_pair_matrix_exists(backward):
    num_frames, num_events, num_atoms = 7, 3, 40
    batched = jax.vmap(jax.vmap(pairwise_noisy_or))
    function = jax.grad(lambda a: batched(a).sum()) if backward else batched
    jaxpr = jax.make_jaxpr(function)(jnp.zeros((num_frames, num_events, num_atoms)))
    sizes = [aval.size for aval in avals(jaxpr.jaxpr)]
    assert len(sizes) > 20  # the walk went inside
    assert max(sizes) <= 2 * num_frames * num_events * num_atoms


# Row after row, so that each has the method that it asks for; `batched` shares it among sixteen.
one_by_one = jax.jit(lambda a: jax.lax.map(jax.value_and_grad(pairwise_noisy_or), a))
batched = jax.jit(jax.vmap(jax.value_and_grad(pairwise_noisy_or)))


@pytest.mark.parametrize("num_atoms", [300, 2000])
def test_many_atoms_equal_the_pair_matrix(num_atoms):
    a = many_atoms(num_atoms)
    x, gradient = one_by_one(a)
    expected, slope = pair_matrix(a)
    assert (abs(x - expected) <= np.minimum(1e-5, 1e-5 * expected) + 4e-6 * expected).all()
    np.testing.assert_allclose(gradient, slope, rtol=2e-5, atol=0)


def test_what_the_series_misses_is_within_the_stated_bound():
    """In float64, where rounding does not hide it."""
    with jax.enable_x64(True):
        a = many_atoms(1000, np.float64)
        x, gradient = one_by_one(a)
        method = pairwise_method(a)
        assert set(np.asarray(method.terms)) == {0, 64, 256, 1024}
        expected, slope = pair_matrix(a)
        assert (method.bound <= 1e-6).all()
        assert (abs(x - expected) <= method.bound + 1e-12 * expected).all()
        np.testing.assert_allclose(gradient, slope, rtol=1e-6, atol=0)


def test_the_bound_is_no_larger_than_it_must_be():
    """Equal atoms: the bound is n² m^{2K+2}/(2(K+1)(1−m²)), and half of it is really missing."""
    with jax.enable_x64(True):
        a = np.full((1, 800), 0.83)
        method = pairwise_method(a)
        x = pairwise_noisy_or(a)
        assert int(method.terms[0]) == 64 and method.bound[0] > 1e-9
        np.testing.assert_allclose(
            method.bound, 680**2 * 0.83**130 / (130 * (1 - 0.83**2)), rtol=1e-10
        )
        missing = 800 * 799 / 2 * -np.log1p(-(0.83**2)) - x
        assert method.bound[0] / 2 < missing[0] < method.bound[0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    scale=st.floats(1e-6, 1.0),
    power=st.floats(0.01, 50.0),
    num_sure=st.integers(0, 300),
    num_absent=st.integers(0, 800),
    sure=st.floats(0.5, NEARLY_ONE),
)
def test_error_is_bounded_whatever_the_atoms(seed, scale, power, num_sure, num_absent, sure):
    rng = np.random.default_rng(seed)
    a = scale * rng.random(800) ** power
    a[:num_sure] = sure
    a[rng.permutation(800)[:num_absent]] = 0.0
    a = np.minimum(a, NEARLY_ONE).astype(np.float32)[None]
    x, gradient = one_by_one(a)
    expected, slope = pair_matrix(a)
    assert abs(x[0] - expected[0]) <= 1e-5 + 4e-6 * expected[0]
    np.testing.assert_allclose(gradient, slope, rtol=2e-5, atol=0)


@pytest.mark.parametrize(
    ("value", "terms"), [(0.0, 64), (0.5, 64), (0.9, 256), (0.98, 1024), (0.999, 0), (np.nan, 0)]
)
def test_the_method_follows_the_rest(value, terms):
    """However large the 120 largest are, the others choose; too large, and pairs are formed."""
    a = np.full(800, value, np.float32)
    a[::8] = NEARLY_ONE
    a[[1, 2]] = 1.0
    method = pairwise_method(a)
    assert int(method.terms) == terms
    assert float(method.bound) <= 1e-6
    x, gradient = one_by_one(a[None])
    assert np.isfinite(x[0]) == np.isfinite(gradient).all() == np.isfinite(value)


@pytest.mark.parametrize(
    ("num_atoms", "method", "terms"),
    [
        *((767, "auto", 0), (768, "auto", 64), (767, "hybrid", 64), (2000, "exact", 0)),
        *((121, "hybrid", 64), (120, "hybrid", 0)),
    ],
)
def test_the_method_is_automatic_visible_and_can_be_chosen(num_atoms, method, terms):
    a = np.full((2, 3, num_atoms), 0.7, np.float32)
    chosen = pairwise_method(a, method=method)
    np.testing.assert_array_equal(chosen.terms, np.full((2, 3), terms))
    assert bool(chosen.bound.any()) == (terms > 0)

    jaxpr = jax.make_jaxpr(lambda a: pairwise_noisy_or(a, method=method))(a)
    sorts = any("top_k" in str(equation) for equation in jaxpr.jaxpr.eqns)
    assert sorts == (terms > 0)  # only the hybrid looks for the largest


@pytest.mark.parametrize("method", ["exact", "hybrid"])
def test_either_method_at_either_size(method):
    for num_atoms in (130, 900):
        a = np.random.default_rng(num_atoms).random((3, num_atoms)).astype(np.float32)
        function = jax.vmap(jax.value_and_grad(lambda a: pairwise_noisy_or(a, method=method)))
        (x, gradient), (expected, slope) = function(a), pair_matrix(a)
        np.testing.assert_allclose(x, expected, rtol=4e-6)
        np.testing.assert_allclose(gradient, slope, rtol=2e-5)


def test_an_unknown_method_is_refused():
    for function in (pairwise_noisy_or, pairwise_method):
        with pytest.raises(ValueError, match="'series'"):
            function(np.ones(3), method="series")


def test_many_atoms_vmapped_equal_one_by_one():
    """37 rows are two whole blocks and a part of one; the rows need all four methods."""
    kinds = many_atoms(800)
    a = kinds[np.random.default_rng(0).permutation(37) % len(kinds)]
    (x, gradient), (alone, slope) = batched(a), one_by_one(a)
    np.testing.assert_allclose(x, alone, rtol=4e-6)
    np.testing.assert_allclose(gradient, slope, rtol=2e-5)
    assert batched(a[:0])[1].shape == (0, 800)


def test_roles_of_many_atoms():
    """Indirect evidence and its gradient through θ, presences [T, C] and E events."""
    rng = np.random.default_rng(1)
    theta = rng.normal(-4.0, 1.0, (800, 2)).astype(np.float32)
    presence = rng.random((3, 800)).astype(np.float32) ** 4
    presence *= 0.3
    weight = jnp.ones(2)
    params = RoleParams(theta - 9.0, theta, theta, weight, weight, -weight, weight)

    def total(theta):
        return jnp.sum(role_evidence(params._replace(theta_indirect=theta), presence).indirect)

    rho = 1.0 / (1.0 + np.exp(-theta.astype(np.float64)))
    expected, slope = 0.0, np.zeros_like(rho)
    for event in range(2):
        x, gradient = pair_matrix(rho[:, event] * presence)
        expected += -np.expm1(-x).sum()
        slope[:, event] = (np.exp(-x)[:, None] * gradient * presence).sum(axis=0)
    value, gradient = jax.value_and_grad(total)(theta)
    assert 0.1 < expected < 5.9
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, slope * rho * (1.0 - rho), rtol=3e-5)


@pytest.mark.parametrize("num_atoms", [700, 3000])
def test_no_two_axes_of_atoms_in_either_direction(num_atoms):
    total = jax.value_and_grad(lambda a: jax.vmap(pairwise_noisy_or)(a).sum())
    jaxpr = jax.make_jaxpr(total)(jnp.zeros((5, 6, num_atoms)))
    shapes = [aval.shape for aval in avals(jaxpr.jaxpr)]
    assert len(shapes) > 20
    assert max(sum(axis >= num_atoms for axis in shape) for shape in shapes) == 1
    # Two tables of 32 powers for 16 vectors at a time, whatever the number of vectors.
    assert max(map(np.prod, shapes)) <= max(2 * 30 * num_atoms, 16 * 32 * (num_atoms + 64))
