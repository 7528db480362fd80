"""Versions of a picture through the embedded encoder, against each corruption by itself."""

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.ood import corruptions
from jaxvlm.ood.versions import cover_scores, encode_versions

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)  # as large as it sees them
PLACES = {  # of the corruptions that draw nothing: kind by kind, severity 1 and 2
    kind: 1 + 2 * list(corruptions.KINDS).index(kind)
    for kind in ("brightness", "saturate", "defocus_blur", "gaussian_blur")
}


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


@pytest.fixture(scope="module")
def found(model):
    return np.asarray(encode_versions(model, clip.preprocess(model, PICTURES), seed=0))


def embedded(model, picture):
    """A float picture in [0, 1] through the encoder, normalised by hand."""
    settings = model.preprocessing
    pixels = ((np.asarray(picture) - settings.mean) / settings.std).transpose(2, 0, 1)
    row = np.asarray(clip.encode_images(model, pixels[None].astype(np.float32)))[0]
    return row / np.linalg.norm(row)


def test_a_version_is_its_corruption_encoded(model, found):
    assert found.shape == (2, 13, model.config.projection_dim)
    for n, picture in enumerate(PICTURES / np.float32(255)):
        np.testing.assert_allclose(found[n, 0], embedded(model, picture), atol=1e-4)
        for kind, place in PLACES.items():
            for severity in (1, 2):
                expected = embedded(model, corruptions.KINDS[kind](picture, severity=severity))
                np.testing.assert_allclose(found[n, place + severity - 1], expected, atol=1e-4)
    assert len({row.tobytes() for rows in found for row in rows}) == 26


def test_what_is_drawn_depends_on_the_picture_and_the_seed_alone(model, found):
    pixels = clip.preprocess(model, PICTURES[::-1])
    np.testing.assert_allclose(encode_versions(model, pixels, seed=0), found[::-1], atol=1e-5)
    other = np.asarray(encode_versions(model, pixels, seed=1))[::-1]
    drawn = [k for k in range(13) if not np.allclose(other[:, k], found[:, k], atol=1e-4)]
    kinds = list(corruptions.KINDS)
    random = [1 + 2 * kinds.index(k) + s for k in ("fog", "motion_blur") for s in (0, 1)]
    assert drawn == sorted(random)


def test_cover_is_the_mean_of_the_softmax_maxima():
    versions, positive = RNG.normal(size=(3, 4, 8)), RNG.normal(size=(5, 8))
    versions, positive = (
        x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (versions, positive)
    )
    e = np.exp(versions @ positive.T)
    expected = (e.max(axis=-1) / e.sum(axis=-1)).mean(axis=1)
    np.testing.assert_allclose(cover_scores(versions, positive), expected, rtol=1e-5)
