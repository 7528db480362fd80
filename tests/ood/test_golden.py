"""Reference mode reproduces the prototype's arrays, for both layers that it was recorded with."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jaxvlm import clip, ood
from jaxvlm.files import read_arrays
from jaxvlm.ood.cam import cam_masks
from tests.clip.conftest import GOLDEN

LAYERS = {"last_output": -1, "penultimate_output": -2}  # name in the file -> cam_block


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    return read_arrays(GOLDEN / "negalign.safetensors")


@functools.cache
def golden_model() -> clip.ClipModel:
    return clip.load(GOLDEN / "clip-small")


def golden_banks() -> ood.LabelBanks:
    names = ("pos_features", "neg_features", "neg_features_object", "neg_features_background")
    return ood.LabelBanks(*(arrays()[name] for name in names))


def reference_config(block: int, **changes) -> ood.NegAlignConfig:
    return ood.NegAlignConfig(
        **{
            "num_groups": 10,
            "pos_topk": 1,
            "neg_topk": 5,
            "lambda_bg": 2.0,
            "cam_layer": "output",
            "cam_block": block,
            "cam_threshold": "percentile",
        }
        | changes
    )


def permutations() -> dict[str, np.ndarray]:
    return {
        "permutation": arrays()["permutation.neg"],
        "permutation_object": arrays()["permutation.neg_object"],
    }


def encode_golden(block: int) -> ood.Encoded:
    images, config = arrays()["pixel_values"], reference_config(block)
    return ood.encode(golden_model(), golden_banks().positive, images, config.cam)


@pytest.mark.parametrize("layer", LAYERS)
def test_scores(layer):
    actual = ood.score_images(
        golden_model(),
        golden_banks(),
        arrays()["pixel_values"],
        reference_config(LAYERS[layer]),
        **permutations(),
    )
    for name in ("s_neglabel_plain", "s_neglabel_star", "p_align", "s_final"):
        np.testing.assert_allclose(
            actual[name], arrays()[f"{layer}.{name}"], rtol=1e-4, err_msg=name
        )
    classes = arrays()[f"{layer}.predicted_class_idx"]
    np.testing.assert_array_equal(actual["predicted_class_idx"], classes)
    # The prototype's own layer tells nothing of where the background is.
    np.testing.assert_array_equal(actual["cam_valid"], [layer != "last_output"] * 6)


@pytest.mark.parametrize("layer", LAYERS)
def test_maps_masks_and_embeddings(layer):
    encoded = encode_golden(LAYERS[layer])
    features = arrays()["image_features"]
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded.image, units, rtol=0, atol=1e-5)
    np.testing.assert_allclose(encoded.cam, arrays()[f"{layer}.cam"], rtol=0, atol=1e-5)
    background = arrays()[f"{layer}.bg_embedding"]
    np.testing.assert_allclose(encoded.background, background, rtol=0, atol=1e-5)
    for threshold in ("percentile", "positive_percentile"):  # alike, unless most patches are 0
        masks = jax.vmap(functools.partial(cam_masks, threshold=threshold))(encoded.cam)
        np.testing.assert_array_equal(masks.foreground, arrays()[f"{layer}.fg_mask"])
        np.testing.assert_array_equal(masks.background, arrays()[f"{layer}.bg_mask"])
        np.testing.assert_array_equal(encoded.cam_valid, masks.valid)


def test_gl_mcm_is_that_of_its_published_code():
    """What GL-MCM's code (AtsuMiyai/GL-MCM at 8708a084) gives of the golden CLIP and pictures."""
    encoded = ood.encode(
        golden_model(), golden_banks().positive, arrays()["pixel_values"][:3],
        ood.NegAlignConfig(patch_features="value_only").cam,  # these are for the pooling alone
    )  # fmt: skip
    local = np.array([0.07437754, 0.07215603, 0.07288364])
    np.testing.assert_allclose(encoded.local_mcm, local, rtol=2e-6)
    assert np.abs(encoded.local_mcm_output - local).min() > 1e-4
    config = reference_config(-1)
    found = ood.method_scores(encoded, ood.place_banks(golden_banks(), config), config)
    mcm = np.array([0.07014789, 0.06740848, 0.06890136])
    np.testing.assert_allclose(found["gl_mcm"], mcm + local, rtol=2e-6)
    halved = dataclasses.replace(config, glmcm_weight=0.5)  # of its ImageNet script
    found = ood.method_scores(encoded, ood.place_banks(golden_banks(), halved), halved)
    np.testing.assert_allclose(found["gl_mcm"], mcm + 0.5 * local, rtol=2e-6)
