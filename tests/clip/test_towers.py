"""A CLIP loaded without its vision tower: the same texts, and no picture."""

import numpy as np
import pytest
import safetensors.numpy

from jaxvlm import clip
from jaxvlm.errors import InputError


def test_the_text_tower_alone_encodes_texts_as_the_whole_model(speaking_model):
    alone = clip.load(speaking_model.source, towers="text")
    texts = ["cat", "a cat", "cats and a"]
    np.testing.assert_array_equal(
        clip.encode_texts(alone, texts), clip.encode_texts(speaking_model, texts)
    )
    assert not alone.has_vision and set(alone.params) == {
        "text_model", "text_projection", "logit_scale",
    }  # fmt: skip
    assert clip.make_encoder(alone).placed.params.keys() == alone.params.keys()


def test_weights_of_the_vision_tower_are_not_read(folder):
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    name = "vision_model.post_layernorm.weight"
    tensors[name] = np.full_like(tensors[name], np.nan)  # an error where it is read
    safetensors.numpy.save_file(tensors, path)
    assert not clip.load(folder, towers="text").has_vision
    with pytest.raises(InputError, match="post_layernorm.weight holds NaN"):
        clip.load(folder)
    tensors["text_model.of_no_configuration"] = tensors[name]
    safetensors.numpy.save_file(tensors, path)
    with pytest.raises(InputError, match="of_no_configuration is not in the configuration"):
        clip.load(folder, towers="text")


def test_a_picture_is_one_clear_error(model):
    alone = clip.load(model.source, towers="text")
    pixels = np.zeros((1, 3, 224, 224), np.float32)
    for encode in (clip.encode_images, clip.encode_patches):
        with pytest.raises(InputError, match="loaded without its vision tower"):
            encode(alone, pixels)
    with pytest.raises(InputError, match="towers 'vision'"):
        clip.load(model.source, towers="vision")


def test_what_two_identities_both_know_is_compared(model):
    whole = clip.identity(model)
    text = clip.identity(clip.load(model.source, towers="text"))
    assert set(text) == {"embedding_dimension", "logit_scale", "text_sha256"}
    assert clip.identity_difference(whole, text) is clip.identity_difference(text, whole) is None
    assert clip.unproved(whole, text) is None
    other = text | {"text_sha256": "0" * 64}
    assert clip.identity_difference(whole, other).startswith("text_sha256 is 0000")
    named = clip.named_identity("ViT-B/16", text["embedding_dimension"], text["logit_scale"])
    assert clip.identity_difference(whole, named) is clip.identity_difference(named, text) is None
    assert "only embedding dimension and logit scale" in clip.unproved(whole, named)
    assert clip.unproved(named, dict(named)) is None
    renamed = named | {"name": "ViT-B/32"}
    assert clip.identity_difference(named, renamed) == "name is ViT-B/32, was ViT-B/16"
    wider = named | {"embedding_dimension": 999}
    for one in (whole, text, named):
        assert clip.identity_difference(one, wider).startswith("embedding_dimension is 999")
    earlier = {name: value for name, value in whole.items() if name != "text_sha256"}
    assert clip.identity_difference(earlier, whole) is None
    nothing = {name: value for name, value in earlier.items() if name != "weights_sha256"}
    assert clip.identity_difference(nothing, whole).startswith("weights_sha256 is ")
