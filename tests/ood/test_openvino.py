"""Maps and scores where the blocks below the tap run through OpenVINO and the tail in JAX."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxvlm import ood
from jaxvlm.ood import encoding
from tests.ood.test_golden import (
    LAYERS,
    arrays,
    golden_banks,
    golden_model,
    permutations,
    reference_config,
)  # fmt: skip


@pytest.fixture(scope="module")
def other():
    return dataclasses.replace(golden_model(), backend="openvino")


@pytest.mark.parametrize("layer", LAYERS)
def test_scores_are_the_prototype_s(other, layer):
    config = reference_config(LAYERS[layer])
    actual = ood.score_images(
        other, golden_banks(), arrays()["pixel_values"], config, **permutations()
    )
    for name in ("s_neglabel_plain", "s_neglabel_star", "p_align", "s_final"):
        np.testing.assert_allclose(
            actual[name], arrays()[f"{layer}.{name}"], rtol=1e-4, err_msg=name
        )
    classes = arrays()[f"{layer}.predicted_class_idx"]
    np.testing.assert_array_equal(actual["predicted_class_idx"], classes)


def test_all_that_is_encoded_is_what_jax_gives(other):
    """With several blocks averaged and both kinds of taps; the lowest is the third from above."""
    pixels, positive = arrays()["pixel_values"], golden_banks().positive
    for layer in ("attention_input", "output"):
        cam = ood.NegAlignConfig(cam_layer=layer, cam_block_weights=(0.5, 0.3, 0.2)).cam
        expected = ood.encode(golden_model(), positive, pixels, cam)
        found = ood.encode(other, positive, pixels, cam)
        for name, array in expected._asdict().items():
            np.testing.assert_allclose(
                getattr(found, name), array, rtol=1e-4, atol=1e-4, err_msg=name
            )
    assert ("hidden_graph", 1) in other.programs


def test_the_hidden_state_of_the_one_serves_the_other(other):
    pixels, cam = arrays()["pixel_values"], reference_config(-2).cam
    hidden = encoding.encode_hidden(other, pixels, cam)
    assert isinstance(hidden, jax.Array)
    own = np.asarray(encoding.encode_hidden(golden_model(), pixels, cam))
    np.testing.assert_allclose(hidden, own, rtol=0, atol=1e-5 * np.abs(own).max())
    expected = ood.encode(golden_model(), golden_banks().positive, pixels, cam)
    found = encoding.encode_from_hidden(golden_model(), golden_banks().positive, hidden, cam)
    np.testing.assert_allclose(found.cam, expected.cam, atol=1e-4)
