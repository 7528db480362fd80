"""Maps and masks against loops over patches and pixels, in float64; maps of rendered pictures."""

import functools

import chex
import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxvlm import clip, ood, resources
from jaxvlm.errors import InputError
from jaxvlm.ood import cam
from jaxvlm.world.pictures import random_picture
from jaxvlm.world.vocabulary import OBJECTS

otsu_threshold = jax.jit(cam.otsu_threshold)
masked_mean = jax.jit(cam.masked_mean)
few = settings(max_examples=25, deadline=None)
# Few distinct values, so that ties are the rule; eighths are exact in float32.
coarse = hnp.arrays(np.float32, (4, 5), elements=st.integers(0, 8).map(lambda i: i / 8))


def random_map(seed: int, height: int = 7, width: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


def slow_grad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    count, channels = activations.shape
    raw = np.zeros(count)
    for p in range(count):
        for h in range(channels):
            weight = sum(float(gradients[q, h]) for q in range(count)) / count
            raw[p] += weight * float(activations[p, h])
    raw = np.maximum(raw, 0)
    return raw / raw.max() if raw.max() > 0 else raw


def slow_percentile(values: np.ndarray, percent: float) -> float:
    ordered = sorted(float(v) for v in values.ravel())
    place = percent / 100 * (len(ordered) - 1)
    low = min(int(place), len(ordered) - 2)
    return ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])


def between_variance(values: np.ndarray, threshold: float) -> float:
    """ω₀ω₁(μ₀ − μ₁)² of {v < t} and {v ≥ t}; 0 where one of them is empty."""
    values = values.astype(np.float64).ravel()
    low, high = values[values < threshold], values[values >= threshold]
    if not len(low) or not len(high):
        return 0.0
    return len(low) * len(high) / len(values) ** 2 * (low.mean() - high.mean()) ** 2


def slow_dilate(mask: np.ndarray, times: int) -> np.ndarray:
    for _ in range(times):
        grown = mask.copy()
        for y, x in zip(*np.nonzero(mask), strict=True):
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]:
                    grown[y + dy, x + dx] = True
        mask = grown
    return mask


class GradCamTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_equals_a_loop(self):
        rng = np.random.default_rng(0)
        activations = rng.normal(size=(12, 5)).astype(np.float32)
        gradients = rng.normal(size=(12, 5)).astype(np.float32)
        actual = self.variant(cam.grad_cam)(activations, gradients)
        np.testing.assert_allclose(actual, slow_grad_cam(activations, gradients), atol=1e-6)
        assert actual.max() == 1 and actual.min() == 0


SETTINGS = [
    *(
        {"threshold": kind, "fg_percentile": q, "dilate_px": n}
        for kind in ("percentile", "positive_percentile")
        for q in (0.0, 50.0, 80.0)
        for n in (0, 1, 3)
    ),
    {"fg_percentile": 100.0, "dilate_px": 0},
    {"threshold": "otsu", "dilate_px": 0},
    {"threshold": "otsu", "dilate_px": 2},
]


@jax.jit  # one compilation for all of them
def every_mask(values: jax.Array) -> list[cam.Masks]:
    return [cam.cam_masks(values, **setting) for setting in SETTINGS]


@pytest.mark.parametrize("zeros", [0, 3, 10, 18, 19])
def test_masks(zeros):
    values = random_map(zeros, 4, 5)
    values.ravel()[np.random.default_rng(zeros).permutation(20)[:zeros]] = 0
    for setting, actual in zip(SETTINGS, every_mask(values), strict=True):
        if setting.get("threshold") == "otsu":
            limit = max(np.unique(values), key=lambda t: between_variance(values, t))
        else:
            limit = slow_percentile(values, setting["fg_percentile"])
            if setting.get("threshold") != "percentile":
                limit = max(limit, values[values > 0].min())
        foreground = slow_dilate(values >= limit, setting["dilate_px"])
        covers = foreground.all()
        np.testing.assert_array_equal(actual.foreground, foreground, err_msg=str(setting))
        background = np.ones_like(foreground) if covers else ~foreground
        if covers and setting.get("threshold") == "percentile":
            background = values <= slow_percentile(values, 20.0)
        np.testing.assert_array_equal(actual.background, background, err_msg=str(setting))
        assert bool(actual.valid) is not covers


def prototype_background(values: np.ndarray, percent: float, dilate: int) -> np.ndarray:
    """Not the dilated foreground; if that is nothing, what is at or below the 20th percentile."""
    background = ~slow_dilate(values >= slow_percentile(values, percent), dilate)
    return background if background.any() else values <= slow_percentile(values, 20.0)


@pytest.mark.parametrize("positive", [1, 5, 12, 20, 40, 64])
@pytest.mark.parametrize("dilate", [1, 4])
def test_the_background_of_the_reference_form_is_the_prototypes(positive, dilate):
    """Of a sparse map the 80th percentile is 0, so all is foreground; dilated often, too."""
    rng = np.random.default_rng(positive)
    values = np.zeros(64, np.float32)
    values[rng.permutation(64)[:positive]] = rng.uniform(0.05, 1.0, positive)
    values = values.reshape(8, 8)
    masks = cam.cam_masks(values, threshold="percentile", dilate_px=dilate)
    np.testing.assert_array_equal(masks.background, prototype_background(values, 80.0, dilate))
    covered = positive <= 12 or dilate == 4
    assert bool(masks.valid) is not covered
    assert not masks.background.all(), "the whole picture, though the map is not constant"


def test_the_prototypes_background_of_a_map_of_zeros_is_all():
    masks = cam.cam_masks(np.zeros((8, 8), np.float32), threshold="percentile")
    assert masks.background.all() and not masks.valid


def test_a_map_without_positive_evidence_is_zero():
    activations = np.abs(np.random.default_rng(3).normal(size=(12, 5))).astype(np.float32)
    for gradients in (np.zeros_like(activations), -activations):
        np.testing.assert_array_equal(cam.grad_cam(activations, gradients), np.zeros(12))


def test_the_scale_of_the_gradient_does_not_matter():
    rng = np.random.default_rng(4)
    activations, gradients = rng.normal(size=(2, 12, 5)).astype(np.float32)
    for scale in (1e-20, 1e-6, 1e6):
        actual = cam.grad_cam(activations, np.float32(scale) * gradients)
        np.testing.assert_allclose(actual, cam.grad_cam(activations, gradients), atol=1e-5)


def test_average_of_the_maps_of_several_blocks():
    maps = np.random.default_rng(5).random((3, 10)).astype(np.float32)
    expected = np.zeros(10)
    for weight, layer in zip((0.5, 0.3, 0.2), maps, strict=True):
        expected += weight * layer.astype(np.float64)
    actual = cam.average_cams(maps, (0.5, 0.3, 0.2))
    np.testing.assert_allclose(actual, expected / expected.max(), rtol=1e-6)
    np.testing.assert_array_equal(cam.average_cams(0 * maps, (0.5, 0.3, 0.2)), np.zeros(10))
    alone = cam.average_cams(maps, (0.0, 2.0, 0.0))
    np.testing.assert_allclose(alone, maps[1] / maps[1].max(), rtol=1e-6)


@pytest.mark.parametrize("threshold", ["percentile", "positive_percentile", "otsu"])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_map_tells_no_background(value, threshold):
    masks = cam.cam_masks(np.full((8, 8), value, np.float32), threshold=threshold)
    assert not masks.valid
    assert masks.background.all()


@few
@given(values=coarse)
def test_the_background_is_never_empty(values):
    for setting, masks in zip(SETTINGS, every_mask(values), strict=True):
        assert masks.background.any() and masks.foreground.any()
        if masks.valid:
            np.testing.assert_array_equal(masks.foreground, ~masks.background)
            assert masks.foreground[values == values.max()].all()
        else:
            assert masks.foreground.all()
            assert masks.background[values == values.min()].all()
            assert masks.background.all() or setting.get("threshold") == "percentile"


def test_the_foreground_of_a_map_with_few_positive_patches():
    """The percentile is 0, so the prototype's threshold calls everything foreground."""
    values = np.zeros((6, 6), np.float32)
    values[2, 3], values[2, 4] = 1.0, 0.2
    prototype = cam.cam_masks(values, threshold="percentile")
    assert prototype.foreground.all() and not prototype.valid
    ours = cam.cam_masks(values, dilate_px=0)
    np.testing.assert_array_equal(ours.foreground, values > 0)
    np.testing.assert_array_equal(ours.background, values == 0)
    assert ours.valid


@few
@given(values=coarse)
def test_ties_at_the_threshold_are_foreground(values):
    """Above the 100th percentile lie only the peaks, all of them."""
    peaks = every_mask(values)[SETTINGS.index({"fg_percentile": 100.0, "dilate_px": 0})]
    np.testing.assert_array_equal(peaks.foreground, values == values.max())


@few
@given(values=coarse)
def test_otsu_finds_the_largest_variance_between(values):
    chosen = float(otsu_threshold(values.ravel()))
    assert chosen in values
    best = max(between_variance(values, float(t)) for t in np.unique(values))
    np.testing.assert_allclose(between_variance(values, chosen), best, rtol=1e-5, atol=1e-9)


def test_otsu_splits_two_heaps():
    heaps = np.array([0.1, 0.9, 0.15, 0.12, 0.8, 0.95], np.float32)
    assert otsu_threshold(heaps) == np.float32(0.8)
    assert otsu_threshold(np.full(6, 0.25, np.float32)) == 0.25
    assert otsu_threshold(np.array([0, 0, 0, 0, 0, 1], np.float32)) == 1


def test_masks_of_a_batch_equal_masks_one_by_one():
    maps = np.stack([random_map(6), random_map(7), np.zeros((7, 7), np.float32)])
    batched = jax.jit(jax.vmap(cam.cam_masks))(maps)
    for i, values in enumerate(maps):
        single = cam.cam_masks(values)
        for together, alone in zip(batched, single, strict=True):
            np.testing.assert_array_equal(together[i], alone)
    np.testing.assert_array_equal(batched.valid, [True, True, False])


@few
@given(mask=hnp.arrays(bool, 9))
def test_masked_mean_is_the_mean_of_the_subset(mask):
    tokens = np.random.default_rng(8).normal(size=(9, 4)).astype(np.float32)
    expected = tokens[mask].astype(np.float64).mean(0) if mask.any() else np.zeros(4)
    np.testing.assert_allclose(masked_mean(tokens, mask), expected, rtol=1e-5, atol=1e-6)


@functools.cache
def world() -> tuple[clip.ClipModel, np.ndarray, np.ndarray]:
    """The shipped encoder, class embeddings, pixels of sixteen rendered pictures."""
    model = clip.load(resources.path("checkpoints/clip"))
    pictures = [random_picture(np.random.default_rng((5, k)), size=64).image for k in range(16)]
    pixels = clip.preprocess(model, pictures)
    return model, clip.embed_prompts(model, OBJECTS, ["a photo of {}"]), pixels


def test_the_default_map_tells_places_apart_on_pictures():
    """Nearly every picture: an encoder may see nothing of any class in one of them."""
    found = ood.encode(*world(), ood.NegAlignConfig().cam)
    maps = np.asarray(found.cam)
    varied = maps.reshape(16, -1).std(1) > 0.02
    assert varied.mean() >= 0.75
    np.testing.assert_array_equal(found.cam_valid[varied], True)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps[varied].max((1, 2)), 1, rtol=1e-6)
    assert np.abs(maps - maps[:1])[1:].max() > 0.1, "the same map for all pictures"


def test_the_map_of_the_prototype_is_zero_on_pictures():
    config = ood.NegAlignConfig(cam_layer="output", cam_block=-1)
    found = ood.encode(*world(), config.cam)
    np.testing.assert_array_equal(found.cam, np.zeros((16, 8, 8)))
    assert not found.cam_valid.any()


def test_an_unknown_threshold_is_refused():
    with pytest.raises(InputError, match="cam_threshold 'mean': unknown.*otsu"):
        cam.cam_masks(np.eye(4), threshold="mean")
