"""Sparse codes against slow solvers and the conditions of the minimum."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from jaxvlm.atoms.sparse_coding import sparse_code, sparse_presence


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def texts(seed: int, rows: int, dim: int, shared: float = 1.0) -> np.ndarray:
    """Unit rows with cosines of about 1/2, as texts of a CLIP: a common part and an own one."""
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(rows, dim)) / np.sqrt(dim)
    return unit(own + shared * unit(rng.normal(size=dim)))


def by_coordinates(v, rows, penalty, sweeps=4000) -> np.ndarray:
    """Coordinate descent: each weight in turn is the best there is, in float64."""
    gram, correlation = rows @ rows.T, rows @ v
    w = np.zeros(len(rows))
    for _ in range(sweeps):
        before = w.copy()
        for k in range(len(rows)):
            rest = correlation[k] - gram[k] @ w + gram[k, k] * w[k]
            w[k] = max(0.0, rest - penalty) / gram[k, k]
        if np.abs(w - before).max() < 1e-12:
            break
    return w


def by_nnls(v, rows, penalty, small=1e-3) -> np.ndarray:
    """‖Dᵀw − v‖² + (ε Σw + λ/ε)² = the objective + ε²(Σw)² + a constant, as a problem of nnls."""
    matrix = np.concatenate([rows.T, small * np.ones((1, len(rows)))])
    return nnls(matrix, np.append(v, -penalty / small))[0]


@pytest.mark.parametrize("penalty", [0.02, 0.1, 0.3])
@pytest.mark.parametrize(("rows", "dim"), [(1, 8), (12, 40), (30, 64)])
def test_the_code_is_that_of_two_slow_solvers(rows, dim, penalty):
    dictionary = texts(rows, rows, dim)
    mixture = dictionary[: max(1, rows // 3)].sum(0) + 0.3 * np.random.default_rng(9).normal(
        size=dim
    )
    v = unit(mixture)
    code = np.asarray(sparse_code(v, dictionary, penalty=penalty))
    np.testing.assert_allclose(code, by_coordinates(v, dictionary, penalty), atol=2e-4)
    np.testing.assert_allclose(code, by_nnls(v, dictionary, penalty), atol=5e-4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**20), st.floats(0.01, 0.5), st.floats(0.0, 3.0))
def test_the_conditions_of_the_minimum_hold(seed, penalty, shared):
    """c = D(v − Dᵀw) is λ where w > 0 and at most λ elsewhere; w ≥ 0. Also where K > D."""
    dictionary = texts(seed, 24, 16, shared)
    v = unit(np.random.default_rng(seed + 1).normal(size=16) + dictionary[3])
    w = np.asarray(sparse_code(v, dictionary, penalty=penalty, steps=2000), np.float64)
    left = dictionary @ (v - dictionary.T @ w)
    assert (w >= 0).all()
    assert (left <= penalty + 2e-3).all()
    np.testing.assert_allclose(left[w > 1e-2], penalty, atol=2e-3)


def test_a_large_penalty_leaves_nothing_and_a_text_alone_has_a_closed_form():
    dictionary = texts(0, 6, 20)
    v = unit(dictionary[1] + dictionary[4])
    most = float((dictionary @ v).max())
    np.testing.assert_array_equal(sparse_code(v, dictionary, penalty=most + 1e-6), np.zeros(6))
    assert np.asarray(sparse_code(v, dictionary, penalty=most - 1e-3)).max() > 1e-4
    alone = sparse_code(v, dictionary[1:2], penalty=0.1)
    np.testing.assert_allclose(alone, [dictionary[1] @ v - 0.1], atol=1e-6)
    np.testing.assert_array_equal(sparse_code(np.zeros(20), dictionary), np.zeros(6))


class PresenceTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_presence_is_the_weight_against_the_penalty(self):
        atoms, neutral = texts(1, 4, 32), texts(2, 3, 32)
        frames = np.stack([atoms[0] + neutral[1], 3 * neutral[2], atoms[1] + atoms[2]])
        expected = []
        for frame in unit(frames):
            w = by_coordinates(frame, np.concatenate([atoms, neutral]), 0.1)[:4]
            expected.append(w / (w + 0.1))
        actual = self.variant(lambda v: sparse_presence(v, 5 * atoms, neutral))(frames)
        np.testing.assert_allclose(actual, expected, atol=2e-3)

    @chex.variants(with_jit=True, without_jit=True)
    def test_centred(self):
        """Both sides less their own mean, then unit."""
        atoms, neutral = texts(1, 4, 32), texts(2, 3, 32)
        frames, mean = texts(3, 5, 32), texts(4, 1, 32)[0]
        rows = np.concatenate([atoms, neutral])
        rows = unit(rows - rows.mean(0))
        expected = []
        for frame in unit(frames - mean):
            w = by_coordinates(frame, rows, 0.05)[:4]
            expected.append(w / (w + 0.05))
        actual = self.variant(
            lambda v: sparse_presence(v, atoms, neutral, penalty=0.05, image_mean=mean)
        )(frames)
        np.testing.assert_allclose(actual, expected, atol=2e-3)


def test_an_atom_that_another_text_explains_is_absent():
    """Contrast would call it present: it is more like the frame than the neutral prompt is."""
    rng = np.random.default_rng(5)
    shown, far = unit(rng.normal(size=(2, 48)))
    like = unit(shown + 0.8 * unit(rng.normal(size=48)))
    presence = np.asarray(sparse_presence(shown[None], np.stack([shown, like]), far[None]))[0]
    assert shown @ like > 0.7 and presence[0] > 0.85 and presence[1] < 1e-3


@pytest.mark.parametrize(("frames", "neutral"), [(0, 3), (2, 0)])
def test_few_frames_and_no_neutral_prompt(frames, neutral):
    rows = texts(0, 8, 16)
    presence = sparse_presence(rows[:frames], rows[:4], rows[4 : 4 + neutral])
    assert presence.shape == (frames, 4) and np.isfinite(presence).all()


def test_frames_do_not_depend_on_each_other_and_the_order_of_texts_does_not_matter():
    rows = texts(0, 12, 24)
    frames = texts(1, 6, 24)
    all_at_once = np.asarray(sparse_presence(frames, rows[:7], rows[7:]))
    for t in range(6):
        alone = sparse_presence(frames[t : t + 1], rows[:7], rows[7:])
        np.testing.assert_allclose(alone[0], all_at_once[t], atol=1e-4)
    turned = np.asarray(sparse_presence(frames, rows[6::-1], rows[:6:-1]))
    np.testing.assert_allclose(turned[:, ::-1], all_at_once, atol=1e-3)


def test_it_is_compiled_once_for_a_shape_and_penalties_do_not_compile_again():
    count = 0

    @functools.partial(jax.jit, static_argnames=["steps"])
    def counted(v, penalty, steps=50):
        nonlocal count
        count += 1
        return sparse_presence(v, rows[:3], rows[3:], penalty=penalty, steps=steps)

    rows = texts(0, 6, 16).astype(np.float32)
    for penalty in (0.1, 0.2, 0.3):
        for seed in (0, 1):
            counted(texts(seed, 4, 16).astype(np.float32), jnp.float32(penalty))
    assert count == 1


def test_bad_arguments():
    rows = texts(0, 4, 16)
    with pytest.raises(ValueError, match="K >= 1"):
        sparse_code(rows[0], rows[:0])
    with pytest.raises(ValueError, match="sparse_code: dictionary has shape"):
        sparse_code(rows[0], rows[:, :8])
    with pytest.raises(ValueError, match="sparse_presence: image_mean has shape"):
        sparse_presence(rows, rows, rows, image_mean=rows)
