"""Sketches against NumPy's quantiles of the numbers themselves."""

import numpy as np
import pytest

from jaxvlm.atoms import quantile_sketch as qs


def values(seed=0, frames=4000):
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.normal(-6, 1.5, frames), rng.exponential(0.4, frames), rng.normal(0, 0.01, frames)]
    )


def test_quantiles_are_within_a_hundredth():
    x, levels = values(), [0.05, 0.5, 0.8, 0.99]
    expected = np.quantile(x, levels, axis=0).T
    np.testing.assert_allclose(
        qs.quantiles(qs.sketch(x), levels), expected, rtol=0.012, atol=2 * qs.SMALLEST
    )


def test_a_sketch_of_pieces_in_any_order_is_that_of_the_whole():
    x = values()
    pieces = [x[2500:], x[:70], x[70:2500]]
    assert (sum(map(qs.sketch, pieces)) == qs.sketch(x)).all()


def test_its_size_does_not_depend_on_the_frames():
    assert qs.sketch(values(frames=10)).shape == qs.sketch(values()).shape == (3, qs.NUM_CELLS)
    assert (qs.sketch(values()).sum(axis=1) == 4000).all()


def test_what_lies_beyond_the_range_counts_as_its_end():
    found = qs.quantiles(qs.sketch([[1e9, -1e9, 0.0]]), [0.5])[:, 0]
    np.testing.assert_allclose(found, [qs.LARGEST, -qs.LARGEST, 0], rtol=0.01, atol=qs.SMALLEST)


def test_an_atom_without_a_value_has_no_quantile():
    assert np.isnan(qs.quantiles(qs.empty_sketch(2), [0.1, 0.9])).all()


def test_shares_between_edges():
    x = values()
    edges = np.quantile(x, [0.1, 0.4], axis=0).T
    np.testing.assert_allclose(
        qs.shares(qs.sketch(x), edges), np.tile([0.1, 0.3, 0.6], (3, 1)), atol=0.06
    )


def test_another_number_of_cells_is_refused():
    with pytest.raises(ValueError, match="quantiles: counts"):
        qs.quantiles(np.zeros((2, 5)), [0.5])
