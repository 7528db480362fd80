"""The graphs for OpenVINO against the towers in JAX, and against PyTorch's recorded features."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.clip import architecture, config, flax_clip, openvino_graph
from jaxvlm.errors import InputError
from tests.clip.conftest import GOLDEN

SIDE, PATCH, VOCABULARY, END = 21, 6, 40, 39  # a picture is no multiple of its patches


def made(text=(), **changes):
    """A CLIP of small numbers, none of which is another by accident; no bias is 0, no scale 1."""
    sizes = {"intermediate_size": 24, "layer_norm_eps": 1e-3} | changes
    own = config.from_dict(
        {
            "projection_dim": 10,
            "vision_config": {
                "hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 2,
                "image_size": SIDE, "patch_size": PATCH, **sizes,
            },
            "text_config": {
                "hidden_size": 16, "num_attention_heads": 4, "num_hidden_layers": 3,
                "vocab_size": VOCABULARY, "max_position_embeddings": 12, "eos_token_id": END,
                **sizes, **dict(text),
            },
        }
    )  # fmt: skip
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: np.asarray(x + rng.normal(0, 0.3, x.shape), np.float32),
        clip.init_params(own, jax.random.key(0)),
    )
    described = architecture.describe(own)
    return clip.ClipModel(
        params, own, None, clip.preprocessing.Preprocessing(SIDE, SIDE), described
    )


def through_openvino(model):
    return dataclasses.replace(model, backend="openvino")


def pixels(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def close(found, expected, tolerance=1e-5):
    """Within so much of the largest number; float32 has 24 bits, and the sums another order."""
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    assert found.shape == expected.shape and np.isfinite(found).all()
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_every_activation_that_the_towers_know_is_there():
    assert set(openvino_graph.ACTIVATIONS) == set(flax_clip._ACTIVATIONS)


@pytest.mark.parametrize("name", openvino_graph.ACTIVATIONS)
def test_both_towers_are_those_of_jax_with_every_activation(name):
    blocks = {} if name == "quick_gelu" else {"num_hidden_layers": 1}  # seconds to compile, each
    model = made(hidden_act=name, **blocks)
    other, ids = through_openvino(model), np.random.default_rng(1).integers(0, END, (3, 12))
    ids[:, 7] = END
    close(clip.encode_images(other, pixels(3)), clip.encode_images(model, pixels(3)))
    close(clip.encode_token_ids(other, ids), clip.encode_token_ids(model, ids))
    image, patches = clip.encode_patches(other, pixels(2))
    assert patches.shape == (2, (SIDE // PATCH) ** 2, 10)
    for found, expected in zip(
        (image, patches), clip.encode_patches(model, pixels(2)), strict=True
    ):
        close(found, expected)


def test_an_activation_that_it_lacks_is_one_clear_line(monkeypatch):
    monkeypatch.delitem(openvino_graph.ACTIVATIONS, "relu")
    with pytest.raises(InputError, match="no activation 'relu'; take backend jax"):
        clip.encode_images(through_openvino(made(hidden_act="relu")), pixels(1))


def test_a_tower_of_one_block():
    model = made(text={"num_hidden_layers": 1}, num_hidden_layers=1)
    ids = np.array([[3, 5, END, 0], [4, END, 8, 8]])
    other = through_openvino(model)
    close(clip.encode_images(other, pixels(2)), clip.encode_images(model, pixels(2)))
    close(clip.encode_token_ids(other, ids), clip.encode_token_ids(model, ids))


@pytest.mark.parametrize("block", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_hidden_state_below_every_block(block, dtype):
    model = made()
    model = dataclasses.replace(model, architecture=architecture.describe(model.config, dtype))
    expected = clip.encode_below(
        model.computed, pixels(2), architecture=model.architecture, block=block
    )
    found = clip.hidden_below(through_openvino(model), pixels(2), block)
    assert found.dtype == expected.dtype == dtype
    close(found, expected, 1e-5 if dtype == "float32" else 0.05)


@pytest.mark.parametrize("end", [END, 2])
def test_a_text_ends_at_its_first_end_token_or_at_the_first_of_its_highest_ids(end):
    model = made(text={"eos_token_id": end})
    ids = np.array(
        [
            [1, 2, END, END, END],  # padded with the end token
            [1, 2, END, 0, 0],
            [END, 4, END, 4, 4],
            [5, 9, 9, 7, 8],  # none: the first token, or the first 9
            [1, 2, 3, 4, END],
        ]
    )
    found = np.asarray(clip.encode_token_ids(through_openvino(model), ids))
    close(found, clip.encode_token_ids(model, ids))
    close(found[1], found[0])  # what follows is not looked at
    last = {END: 1, 2: 2}[end]
    close(found[3], clip.encode_token_ids(model, ids[3:4, :last])[0])


def test_golden_features(golden):
    model = through_openvino(clip.load(GOLDEN / "clip-small"))
    images = clip.encode_images(model, golden["pixel_values"])
    texts = clip.encode_token_ids(model, golden["token_ids"])
    np.testing.assert_allclose(images, golden["image_features"], atol=1e-4)
    np.testing.assert_allclose(texts, golden["text_features"], atol=1e-4)


def test_bfloat16_gives_float32_embeddings_in_the_same_direction(golden):
    model = through_openvino(clip.load(GOLDEN / "clip-small", dtype="bfloat16"))
    images = clip.encode_images(model, golden["pixel_values"])
    texts = clip.encode_token_ids(model, golden["token_ids"])
    for found, name in ((images, "image_features"), (texts, "text_features")):
        found, expected = np.asarray(found), golden[name]
        lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        similarity = (found * expected).sum(axis=1) / lengths
        assert found.dtype == np.float32 and similarity.min() > 0.998


def test_prompts_of_every_length(speaking_model):
    texts = [" ".join(["cat"] * count) for count in (0, 1, 9, 14, 15, 30, 31, 75)]
    found = clip.encode_texts(through_openvino(speaking_model), texts)
    close(found, clip.encode_texts(speaking_model, texts))
