"""What a configuration refuses, and which tap it asks for."""

import dataclasses

import pytest

from jaxvlm.clip import Tap
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig

README_NAMES = {
    "use_neglabel_star",
    "topk_aggregation_k",
    "use_role_aware_negatives",
    "use_scale_stabilization",
    "use_p_align",
    "lambda_bg",
    "pos_topk",
    "neg_topk",
    "p_align_variant",
    "neg_split_tau",
    "neg_use_ambiguous_in_obj",
    "neg_split_recompute",
    "cam_fg_percentile",
    "cam_dilate_px",
    "cam_block",
}


def test_the_names_of_the_negalign_readme_are_fields():
    assert README_NAMES < {field.name for field in dataclasses.fields(NegAlignConfig)}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("p_align_variant", "v12", "p_align_variant 'v12': unknown.*v1_original"),
        ("lambda_bg", float("nan"), "lambda_bg nan"),
        ("lambda_bg", float("inf"), "lambda_bg inf"),
        ("cam_layer", "layer_norm1", "cam_layer 'layer_norm1': unknown.*attention_input, output"),
        ("cam_threshold", "mean", "cam_threshold 'mean': unknown.*, percentile, otsu"),
        ("patch_features", "key", "patch_features 'key': unknown.*output, value_block, value_only"),
        ("soft_weighting", "v3", "soft_weighting 'v3': unknown.*none, ambiguous, all"),
        ("logit_scale", -1.0, "logit_scale -1.0"),
        ("logit_scale", float("nan"), "logit_scale nan"),
        ("logit_scale", float("inf"), "logit_scale inf"),
        ("num_groups", 0, "num_groups 0"),
        ("pos_topk", 0, "pos_topk 0"),
        ("neg_topk", -1, "neg_topk -1"),
        ("topk_aggregation_k", -1, "topk_aggregation_k.*negative"),
        ("cam_dilate_px", -1, "cam_dilate_px.*negative"),
        ("cam_fg_percentile", 100.5, "cam_fg_percentile 100.5"),
        ("cam_fg_percentile", float("nan"), "cam_fg_percentile nan"),
        ("cam_block_weights", (), "cam_block_weights .*: not weights"),
        ("cam_block_weights", (0.0,), "cam_block_weights .*: not weights"),
        ("cam_block_weights", (float("nan"),), "cam_block_weights .*: not weights"),
        ("cam_block_weights", (0.5, -0.5), "cam_block_weights .*: not weights"),
    ],
)
def test_refused(field, value, message):
    with pytest.raises(InputError, match=message) as caught:
        NegAlignConfig(**{field: value})
    text = str(caught.value)
    assert "\n" not in text and ("give" in text or "use" in text), "no cure"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("p_align_variant", "v3"),
        ("topk_aggregation_k", None),
        ("topk_aggregation_k", 10),
        ("lambda_bg", -1.0),
        ("lambda_bg", 0.0),
        ("cam_fg_percentile", 0.0),
        ("cam_fg_percentile", 100.0),
        ("cam_dilate_px", 0),
        ("cam_threshold", "otsu"),
        ("cam_threshold", "percentile"),
        ("logit_scale", 0.0),
        ("patch_features", "value_only"),
    ],
)
def test_accepted(field, value):
    assert getattr(NegAlignConfig(**{field: value}), field) == value


def test_taps_of_a_tower_with_four_blocks():
    assert NegAlignConfig().cam.taps(4) == (Tap("attention_input", 3),)
    prototype = NegAlignConfig(cam_layer="output", cam_block=-2)
    assert prototype.cam.taps(4) == (Tap("output", 2),)
    assert NegAlignConfig(cam_block=-4).cam.taps(4) == (Tap("attention_input", 0),)
    averaged = NegAlignConfig(cam_block_weights=(0.5, 0.3, 0.2))
    assert averaged.cam.taps(12) == tuple(Tap("attention_input", n) for n in (11, 10, 9))


@pytest.mark.parametrize(
    ("block", "weights"), [(-5, (1.0,)), (0, (1.0,)), (3, (1.0,)), (-3, (0.5, 0.3, 0.2))]
)
def test_blocks_that_the_tower_lacks(block, weights):
    cam = NegAlignConfig(cam_block=block, cam_block_weights=weights).cam
    with pytest.raises(InputError, match=f"cam_block {block} with {len(weights)} .*-1 to -4"):
        cam.taps(4)


def test_frozen_and_hashable():
    config = NegAlignConfig(lambda_bg=2.0)
    assert config == NegAlignConfig(lambda_bg=2.0) != NegAlignConfig()
    assert hash(config) == hash(NegAlignConfig(lambda_bg=2.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.lambda_bg = 1.0


def test_only_what_concerns_the_map_reaches_the_encoder():
    """Equal settings share one compilation, so a sweep over λ and variants encodes once."""
    other = NegAlignConfig(lambda_bg=3.0, p_align_variant="v7", pos_topk=1, num_groups=5)
    assert other.cam == NegAlignConfig().cam and hash(other.cam) == hash(NegAlignConfig().cam)
    for change in (
        {"cam_layer": "output"},
        {"cam_block": -2},
        {"cam_block_weights": (0.5, 0.5)},
        {"cam_fg_percentile": 70.0},
        {"cam_dilate_px": 2},
        {"cam_threshold": "otsu"},
        {"cam_threshold": "percentile"},
        {"patch_features": "value_block"},
        {"pooled_layernorm": True},
    ):
        assert NegAlignConfig(**change).cam != NegAlignConfig().cam, change
