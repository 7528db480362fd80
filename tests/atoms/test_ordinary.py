"""The zero of presence: what is always seen is worth nothing, and a disturbance does not poison."""

import numpy as np
import pytest

from jaxvlm.atoms.ordinary import LEVEL, fit_zero, margin, ordinary_presence
from jaxvlm.atoms.presence import contrast_presence
from jaxvlm.atoms.quantile_sketch import sketch


def footage(seed=0, frames=20_000):
    """Margins of an atom that is always there, and of one that never is."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(3, 0.8, frames), rng.normal(-7, 1.2, frames)])


def test_the_margin_of_contrast_presence_is_its_logit():
    rng = np.random.default_rng(0)
    v, t, n = (rng.normal(size=(k, 6)) for k in (5, 3, 2))
    v, t, n = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v, t, n))
    expected = 8 * (v @ t.T - (v @ n.T).max(axis=1, keepdims=True))
    p = contrast_presence(v, t, n, logit_scale=8.0, reference="max")
    np.testing.assert_allclose(margin(p), expected, atol=1e-4)
    assert (margin([[0.0, 1.0]]) == [[-16, 16]]).all()


def test_what_is_always_seen_is_worth_nothing_and_what_never_was_counts():
    q, w = fit_zero(sketch(footage()))
    p = np.asarray(ordinary_presence(footage(1), q, w))
    assert (p < 0.5).mean(axis=0).min() > 0.985 and np.median(p, axis=0).max() < 0.02
    # At the margin of what is always there, the other atom is present.
    always, never = np.asarray(ordinary_presence([[3.0, 3.0]], q, w))[0]
    assert always < 0.02 and never > 0.9


def test_an_exponential_tail_is_exceeded_as_often_as_the_level_says():
    x = np.random.default_rng(2).exponential(0.7, (400_000, 1)) - 4
    q, w = fit_zero(sketch(x))
    assert (x > q).mean() == pytest.approx(LEVEL, rel=0.15)
    assert w[0] == pytest.approx(0.7, rel=0.03)


@pytest.mark.parametrize("height", [8.0, 16.0])
def test_five_percent_of_disturbance_hardly_move_the_zero(height):
    x = footage()
    disturbed = x.copy()
    disturbed[:1000] = height
    (q, w), (q2, w2) = fit_zero(sketch(x)), fit_zero(sketch(disturbed))
    clean = q - np.median(x, axis=0)
    assert (np.abs(q2 - q) < 0.25 * clean).all() and (w2 / w < 1.2).all() and (w2 >= w).all()
    # The disturbance stays evidence for the atom that was not there.
    assert np.asarray(ordinary_presence([[height, height]], q2, w2))[0, 1] > 0.95


def test_a_zero_per_frame():
    location, width = np.array([[0.0], [2.0]]), np.ones((2, 1))
    p = np.asarray(ordinary_presence([[0.0], [2.0]], location, width))
    np.testing.assert_allclose(p, 0.5)


def test_a_constant_atom_has_the_narrowest_width():
    q, w = fit_zero(sketch(np.full((50, 1), -16.0)))
    assert w[0] == 0.25 and q[0] > -16
