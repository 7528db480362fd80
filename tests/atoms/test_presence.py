"""Presence and caption evidence against NumPy written from the definitions."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from jaxvlm.atoms.presence import (
    add_caption_evidence,
    contrast_presence,
    cosine_presence,
    local_presence,
)


def embeddings(seed: int, rows: int, dim: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class PresenceTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_cosine(self):
        frames = np.array([[3.0, 0.0], [0.0, 0.5], [0.0, 0.0]], np.float32)
        texts = np.array([[1.0, 0.0], [-2.0, 0.0], [1.0, 1.0]], np.float32)
        half = 0.5 + 0.5 / np.sqrt(2.0)
        expected = [[1.0, 0.0, half], [0.5, 0.5, half], [0.5, 0.5, 0.5]]
        np.testing.assert_allclose(self.variant(cosine_presence)(frames, texts), expected, 1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.parameters("log_mean_exp", "max")
    def test_contrast(self, reference):
        frames, texts, neutral = embeddings(0, 5), embeddings(1, 4), embeddings(2, 3)
        scale = 20.0
        similarity = unit(frames) @ unit(neutral).T
        level = {
            "log_mean_exp": np.log(np.exp(scale * similarity).mean(axis=1)) / scale,
            "max": similarity.max(axis=1),
        }[reference]
        margin = unit(frames) @ unit(texts).T - level[:, None]
        actual = self.variant(
            lambda v, t, n: contrast_presence(v, t, n, logit_scale=scale, reference=reference)
        )(frames, texts, neutral)
        np.testing.assert_allclose(actual, 1.0 / (1.0 + np.exp(-scale * margin)), 1e-5, 1e-6)

    @chex.variants(with_jit=True, without_jit=True)
    def test_captions(self):
        presence = np.array([[0.4, 0.4, 0.4, 0.17, 0.18]], np.float32)
        named = np.array([[True, False, False, True, True]])
        resembled = np.array([[0.9, 0.5, 0.0, 1.0, 0.0]], np.float32)
        expected = [[0.4 + 0.25 * 0.6, 0.4 + 0.1 * 0.5 * 0.6, 0.4, 0.17, 0.18 + 0.25 * 0.82]]
        actual = self.variant(add_caption_evidence)(presence, named, resembled)
        # One rounding of the product is 3e-8 where the expected value is 0 (seen on a GPU).
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("num_frames", [0, 1])
def test_few_frames(num_frames):
    frames, texts = embeddings(0, num_frames), embeddings(1, 4)
    assert cosine_presence(frames, texts).shape == (num_frames, 4)
    contrast = contrast_presence(frames, texts, texts, logit_scale=100.0)
    assert contrast.shape == (num_frames, 4) and np.isfinite(contrast).all()


def test_an_atom_that_is_the_only_neutral_prompt_is_undecided():
    frames, texts = embeddings(0, 3), embeddings(1, 1)
    presence = contrast_presence(frames, texts, texts, logit_scale=100.0)
    np.testing.assert_allclose(presence, 0.5, atol=1e-5)


def test_repeating_the_neutral_prompts_changes_nothing():
    frames, texts, neutral = embeddings(0, 3), embeddings(1, 4), embeddings(2, 2)
    once = contrast_presence(frames, texts, neutral, logit_scale=20.0)
    thrice = contrast_presence(frames, texts, np.tile(neutral, (3, 1)), logit_scale=20.0)
    np.testing.assert_allclose(once, thrice, rtol=1e-5)


def test_a_zero_row_has_a_finite_gradient():
    gradient = jax.grad(lambda v: cosine_presence(v, embeddings(1, 4)).sum())(jnp.zeros((2, 8)))
    assert np.isfinite(gradient).all()


def test_bad_arguments():
    frames, texts = embeddings(0, 2), embeddings(1, 2)
    with pytest.raises(ValueError, match="L >= 1"):
        contrast_presence(frames, texts, texts[:0], logit_scale=100.0)
    with pytest.raises(ValueError, match="median"):
        contrast_presence(frames, texts, texts, logit_scale=100.0, reference="median")


def test_a_plain_mean_over_templates_counts_as_it_is():
    """The prototype: p = (⟨v, t⟩ + 1)/2 with t the mean of two unit vectors 60° apart."""
    frame = np.array([[2.0, 0.0]])
    half = np.sqrt(3) / 2
    mean = np.array([[half * half, half / 2]])  # of the unit vectors at 0° and 60°
    plain = cosine_presence(frame, mean, renormalize=False)
    np.testing.assert_allclose(plain, [[(0.75 + 1) / 2]], rtol=1e-6)
    np.testing.assert_allclose(cosine_presence(frame, mean), [[(half + 1) / 2]], rtol=1e-6)
    neutral = np.array([[0.0, 1.0]])
    plain = contrast_presence(frame, mean, neutral, logit_scale=4.0, renormalize=False)
    np.testing.assert_allclose(plain, [[1 / (1 + np.exp(-4 * 0.75))]], rtol=1e-6)
    shares = np.exp([4 * 0.75, 0.0])
    plain = local_presence(frame[None], mean, neutral, logit_scale=4.0, renormalize=False)
    np.testing.assert_allclose(plain, [[shares[0] / shares.sum()]], rtol=1e-6)
