"""Shapes by the names of their axes, rows of unit length, and the largest of a row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.arrays import check_same_shape, check_shapes, top_indices, unit


def test_sizes_of_the_axes_come_back():
    found = check_shapes(
        "f", presence=(np.zeros((3, 4)), "T C"), boundary=([0.1, 0.2, 0.3], "T"), mask=(None, "T")
    )
    assert found == {"T": 3, "C": 4}


@pytest.mark.parametrize(
    "arrays, message",
    [
        (
            {"presence": (np.zeros((3, 4)), "T C"), "boundary": (np.zeros(2), "T")},
            "f: boundary has shape (2,), needs [T] with T = 3",
        ),
        ({"z": (np.zeros((5, 3)), "K")}, "f: z has shape (5, 3), needs [K]; batch with jax.vmap"),
        ({"a": (1.0, "... C")}, "f: a has shape (), needs [..., C]"),
        ({"pixels": (np.zeros((2, 4, 8, 8)), "N 3 S S")}, "f: pixels has shape (2, 4, 8, 8)"),
        ({"map": (np.zeros((3, 4)), "S S")}, "f: map has shape (3, 4), needs [S, S] with S = 3"),
        ({"x": (np.zeros((2, 2)), "")}, "f: x has shape (2, 2), needs a scalar; batch with"),
    ],
)
def test_a_wrong_shape_is_named_with_its_axes(arrays, message):
    with pytest.raises(ValueError) as error:
        check_shapes("f", **arrays)
    assert str(error.value).startswith(message)


def test_a_list_of_traced_values_is_checked_like_an_array():
    @jax.jit
    def function(rows):
        return check_shapes("f", rows=(rows, "T C"))["C"]

    assert function([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]) == 3
    with pytest.raises(ValueError, match=r"f: rows has shape \(2,\), needs \[T, C\]"):
        function([1.0, 2.0])


def test_elementwise_arrays_have_one_shape():
    check_same_shape("f", a=np.zeros((2, 3)), b=jnp.ones((2, 3)), c=None)
    check_same_shape("f", a=1.0, b=2.0)
    with pytest.raises(ValueError) as error:
        check_same_shape("f", a=np.zeros((2, 3)), b=None, c=np.zeros(3))
    assert str(error.value) == "f: c has shape (3,), needs (2, 3), the shape of a"


def test_traced_values_are_checked_by_their_own_example():
    def one(z):
        assert check_shapes("f", z=(z, "K")) == {"K": 3}
        return z.sum()

    assert jax.jit(jax.vmap(one))(jnp.ones((5, 3))).shape == (5,)


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray])
def test_unit_rows_and_rows_of_zeros(kind):
    rows = unit(kind([[3.0, 4.0], [0.0, 0.0], [1e-15, 0.0]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0], [1.0, 0.0]], rtol=1e-6)
    assert isinstance(rows, np.ndarray) == (kind is np.asarray)


def test_unit_has_a_finite_gradient_at_zero_and_keeps_precision():
    assert np.isfinite(jax.grad(lambda v: unit(v).sum())(jnp.zeros(3))).all()
    assert unit(np.ones((1, 2), np.float16)).dtype == np.float32
    assert unit(np.ones((1, 2), np.float64)).dtype == np.float64


@pytest.mark.parametrize("k", [1, 3, 9, 20])  # the last by sorting
def test_the_largest_are_those_of_a_stable_sort(k):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 5, 24)).astype(np.float32)
    rows[..., 8:16] = rng.integers(-2, 3, (4, 5, 8))  # ties
    rows[0, :, 2:20] = -np.inf  # padding, more than is left
    rows[1] *= -1e-42  # subnormal
    expected = np.argsort(-rows, axis=-1, kind="stable")[..., :k]
    np.testing.assert_array_equal(jax.jit(top_indices, static_argnums=1)(rows, k), expected)
    of_each = jax.vmap(jax.vmap(lambda row: top_indices(row, k)))(rows)
    np.testing.assert_array_equal(of_each, expected)
    whole = np.round(rows[2:]).astype(np.int32)
    expected = np.argsort(-whole, axis=-1, kind="stable")[..., :k]
    np.testing.assert_array_equal(top_indices(whole, k), expected)
