"""Corruptions against slow independent ones: colorsys, SciPy, OpenCV, loops."""

import colorsys

import cv2
import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxvlm.errors import InputError
from jaxvlm.ood import corruptions

IMAGE = np.random.default_rng(0).random((24, 20, 3)).astype(np.float32)
KEY = jax.random.key(0)


def by_pixel(change):
    """The picture with every pixel changed in HSV."""
    flat = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*p))) for p in IMAGE.reshape(-1, 3)]
    return np.reshape(flat, IMAGE.shape)


@pytest.mark.parametrize(("severity", "more", "times"), [(1, 0.1, 0.3), (2, 0.2, 0.1)])
def test_brightness_and_saturation(severity, more, times):
    brighter = corruptions.brightness(IMAGE, severity=severity)
    np.testing.assert_allclose(
        brighter, by_pixel(lambda h, s, v: (h, s, min(v + more, 1))), atol=2e-6
    )
    greyer = corruptions.saturate(IMAGE, severity=severity)
    np.testing.assert_allclose(greyer, by_pixel(lambda h, s, v: (h, s * times, v)), atol=2e-6)


def test_grey_and_black_have_no_hue():
    grey = np.full((2, 2, 3), 0.5, np.float32)
    assert np.allclose(corruptions.saturate(grey), grey)
    assert np.allclose(corruptions.saturate(0 * grey), 0)


@pytest.mark.parametrize("severity", [1, 2])
def test_gaussian_blur(severity):
    expected = ndimage.gaussian_filter(IMAGE, (severity, severity, 0), mode="nearest", truncate=4)
    np.testing.assert_allclose(
        corruptions.gaussian_blur(IMAGE, severity=severity), expected, atol=1e-5
    )


@pytest.mark.parametrize(("severity", "radius", "sigma"), [(1, 3, 0.1), (2, 4, 0.5)])
def test_defocus_blur(severity, radius, sigma):
    at = np.arange(-8, 9)
    disc = ((at[:, None] ** 2 + at**2) <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disc / disc.sum(), (3, 3), sigma)
    expected = cv2.filter2D(IMAGE, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(
        corruptions.defocus_blur(IMAGE, severity=severity), expected, atol=1e-5
    )


def test_motion_blur_moves_along_one_line():
    """A single bright pixel becomes a line of weights that sum to it, within 45 degrees."""
    image = np.zeros((64, 64, 3), np.float32)
    image[32, 40] = 1
    found = np.asarray(corruptions.motion_blur(image, KEY))
    assert found[..., 0].sum() == pytest.approx(1, abs=0.1)
    rows, columns = np.nonzero(found[..., 0] > 1e-3)
    assert columns.max() == 40 and columns.min() < 36
    assert (abs(rows - 32) <= 40 - columns + 1).all()


def test_a_fractal_is_smooth_and_fills_its_range():
    field = np.asarray(corruptions.plasma_fractal(KEY, size=64, decay=2.0))
    assert field.min() == 0 and field.max() == 1
    # numbers drawn anew for each pixel would differ by a third on average
    assert np.abs(np.diff(field, axis=0)).mean() < 0.08


def test_the_first_squares_and_diamonds_of_a_fractal():
    """Size 2 by the rule: one square, then two edges, of the keys that it draws."""
    _, *keys = jax.random.split(KEY, 4)
    noise = [
        float(100 * jax.random.uniform(k, (1, 1), minval=-100, maxval=100)[0, 0]) for k in keys
    ]
    middle = noise[0]  # the corners are 0
    field = np.array([[0, middle / 2 + noise[1]], [middle / 2 + noise[2], middle]])
    expected = (field - field.min()) / (field.max() - field.min())
    found = corruptions.plasma_fractal(KEY, size=2, decay=2.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fog_brightens_towards_the_fractal_and_stays_in_range():
    found = np.asarray(corruptions.fog(IMAGE, KEY, severity=2))
    plasma = np.asarray(corruptions.plasma_fractal(KEY, size=256, decay=2.0))[:24, :20, None]
    largest = IMAGE.max()
    np.testing.assert_allclose(found, (IMAGE + 2 * plasma) * largest / (largest + 2), atol=1e-5)


def test_all_versions_of_a_picture_and_of_a_batch():
    versions = np.asarray(corruptions.corrupted(IMAGE, KEY))
    assert versions.shape == (13, *IMAGE.shape) and (versions[0] == IMAGE).all()
    assert len({v.tobytes() for v in versions}) == 13
    assert versions.min() >= -1e-6 and versions.max() <= 1 + 1e-6


def test_a_severity_beyond_the_mild_ones_is_refused():
    with pytest.raises(InputError, match="CoVer takes 1 and 2"):
        corruptions.brightness(IMAGE, severity=3)
