"""A configuration is what transformers' CLIPConfig makes of the same file."""

import dataclasses

import pytest
from transformers import CLIPConfig

from jaxvlm.clip import config
from tests.clip import hub_layouts as layouts

CASES = layouts.CONFIGS | {
    "nothing": {},
    "one tower": {"vision_config": {"image_size": 336, "patch_size": 14}, "projection_dim": 768},
    "an old tower": {"text_config": {"vocab_size": 100}, "text_config_dict": {"hidden_size": 64}},
    "an empty old tower": {"text_config": {"vocab_size": 100}, "text_config_dict": {}},
}


@pytest.mark.parametrize("name", CASES)
def test_every_field_is_that_of_transformers(name):
    own, theirs = config.from_dict(CASES[name]), CLIPConfig.from_dict(CASES[name])
    assert own.projection_dim == theirs.projection_dim
    assert own.logit_scale_init_value == theirs.logit_scale_init_value
    for tower in ("text_config", "vision_config"):
        fields = dataclasses.asdict(getattr(own, tower))
        assert fields == {field: getattr(getattr(theirs, tower), field) for field in fields}


def test_a_configuration_and_its_json_are_one():
    told = config.from_dict(layouts.CONFIGS["openai/clip-vit-base-patch32"])
    assert config.from_dict(told.to_dict()) == told
    assert config.from_dict(CLIPConfig.from_dict(told.to_dict()).to_dict()) == told


@pytest.mark.parametrize("value", [[], "text", 3])
def test_a_tower_that_is_no_object_is_refused(value):
    with pytest.raises(TypeError, match="vision_config is no object"):
        config.from_dict({"vision_config": value})
