"""Presence from patches against a loop written from its definition."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.atoms import local_presence

T, P, C, K, D = 3, 5, 4, 2, 6


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("patches", [1, 3, 9])
@pytest.mark.parametrize("neutral", [0, K])
def test_mean_of_the_largest_shares(patches, neutral):
    rng = np.random.default_rng(0)
    local, atoms = rng.standard_normal((T, P, D)), rng.standard_normal((C, D))
    others = rng.standard_normal((neutral, D))
    expected = np.zeros((T, C))
    for t in range(T):
        shares = []
        for p in range(P):
            logits = 9.0 * unit(np.concatenate([atoms, others])) @ unit(local[t, p])
            shares.append((np.exp(logits) / np.exp(logits).sum())[:C])
        expected[t] = np.sort(np.array(shares), axis=0)[::-1][:patches].mean(axis=0)
    actual = local_presence(local, atoms, others, logit_scale=9.0, patches=patches)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="local_presence"):
        local_presence(np.ones((T, D)), np.ones((C, D)), np.ones((K, D)), logit_scale=1.0)


def test_patch_pass_gives_the_same_image_embedding():
    model = clip.load(Path(__file__).parents[1] / "golden" / "clip-small")
    pixels = jax.random.normal(jax.random.key(0), (2, 3, 64, 64))
    images, patches = clip.encode_patches(model, pixels)
    np.testing.assert_allclose(images, clip.encode_images(model, pixels), atol=1e-5)
    assert patches.shape == (2, 64, images.shape[1])
