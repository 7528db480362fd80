"""The tapped pass against a vision tower written in NumPy, float64, and finite differences."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.clip.tap import Tap, Tapped, encode_tapped, project_tokens
from jaxvlm.files import read_arrays
from tests.clip.conftest import GOLDEN

PLACES = ("attention_input", "output")
INPUTS = tuple(Tap("attention_input", block) for block in (3, 2, 1))
TAPS = tuple(Tap(place, block) for block in (3, 2, 1) for place in PLACES)
NUM_IMAGES = 2


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    return read_arrays(GOLDEN / "negalign.safetensors")


def pixels() -> np.ndarray:
    return arrays()["pixel_values"][:NUM_IMAGES]


@functools.cache
def load(dtype: str = "float32") -> clip.ClipModel:
    return clip.load(GOLDEN / "clip-small", dtype=dtype)


def cosine_to_nearest(embeddings, backend=jnp):
    """An objective that is not linear: the cosine to the nearest of the golden labels."""
    length = backend.sqrt((embeddings**2).sum(-1, keepdims=True))
    return ((embeddings / length) @ arrays()["pos_features"].T).max(-1)


@functools.cache
def tapped(
    taps: tuple[Tap, ...] = TAPS,
    patch_features: tuple[str, ...] = ("output",),
    dtype: str = "float32",
) -> Tapped:
    model = load(dtype)
    run = jax.jit(
        functools.partial(
            encode_tapped,
            objective=cosine_to_nearest,
            architecture=model.architecture,
            taps=taps,
            patch_features=patch_features,
        )
    )
    return jax.tree.map(np.asarray, run(model.params, pixels()))


class SlowTower:
    """CLIP's ViT as its paper and its checkpoint say, on any leading axes."""

    def __init__(self, model: clip.ClipModel):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), model.params)
        self.vision, self.projection = params["vision_model"], params["visual_projection"]["kernel"]
        self.blocks = [self.vision["encoder"]["layers"][str(i)] for i in range(4)]
        self.heads = model.config.vision_config.num_attention_heads
        self.patch = model.config.vision_config.patch_size

    @staticmethod
    def norm(x, p):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]

    @staticmethod
    def dense(x, p):
        return x @ p["kernel"] + p["bias"]

    def attend(self, x, p):
        query, key, value = (
            self.dense(x, p[name]).reshape(*x.shape[:-1], self.heads, -1)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        mixed = np.zeros_like(query)
        for h in range(self.heads):
            logits = query[..., h, :] @ np.swapaxes(key[..., h, :], -1, -2)
            powers = np.exp(logits / np.sqrt(query.shape[-1]))
            mixed[..., h, :] = powers / powers.sum(-1, keepdims=True) @ value[..., h, :]
        return self.dense(mixed.reshape(x.shape), p["out_proj"])

    def finish_block(self, hidden, attention, p):
        hidden = hidden + attention
        inner = self.dense(self.norm(hidden, p["layer_norm2"]), p["mlp"]["fc1"])
        return hidden + self.dense(inner / (1 + np.exp(-1.702 * inner)), p["mlp"]["fc2"])

    def block(self, hidden, p):
        attention = self.attend(self.norm(hidden, p["layer_norm1"]), p["self_attn"])
        return self.finish_block(hidden, attention, p)

    def embed(self, pixel_values):
        """[N, 3, S, S] -> the tokens that enter the first block, [N, 1 + P, H]."""
        kernel = self.vision["embeddings"]["patch_embedding"]["kernel"]
        n, _, side, _ = pixel_values.shape
        cells = side // self.patch
        cut = pixel_values.reshape(n, 3, cells, self.patch, cells, self.patch)
        patches = np.einsum("ncyixj,ijch->nyxh", cut, kernel).reshape(n, cells**2, -1)
        first = np.broadcast_to(
            self.vision["embeddings"]["class_embedding"], (n, 1, kernel.shape[-1])
        )
        tokens = np.concatenate([first, patches], axis=1)
        tokens = tokens + self.vision["embeddings"]["position_embedding"]["embedding"]
        return self.norm(tokens, self.vision["pre_layrnorm"])

    def until(self, pixel_values, tap):
        """(the activation at the tap, what runs past it)."""
        hidden = self.embed(pixel_values.astype(np.float64))
        for p in self.blocks[: tap.block]:
            hidden = self.block(hidden, p)
        p = self.blocks[tap.block]
        attended = self.norm(hidden, p["layer_norm1"])
        if tap.place == "attention_input":
            return attended, hidden
        return self.finish_block(hidden, self.attend(attended, p["self_attn"]), p), None

    def after(self, activation, residual, tap):
        """The image embedding as a function of the activation at the tap."""
        hidden = activation
        if tap.place == "attention_input":
            p = self.blocks[tap.block]
            hidden = self.finish_block(residual, self.attend(activation, p["self_attn"]), p)
        for p in self.blocks[tap.block + 1 :]:
            hidden = self.block(hidden, p)
        return self.norm(hidden[..., 0, :], self.vision["post_layernorm"]) @ self.projection


@functools.cache
def slow_tower() -> SlowTower:
    return SlowTower(load())


def assert_close(actual, expected, relative):
    """To a share of the largest entry: an entry that is near 0 by chance has no digits."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_the_image_is_that_of_encode_images():
    expected = clip.encode_images(load(), pixels())
    assert_close(tapped().image, expected, 1e-5)
    assert_close(tapped(INPUTS, ("value_only",)).image, expected, 1e-5)
    assert_close(expected, arrays()["image_features"][:NUM_IMAGES], 1e-5)


@pytest.mark.parametrize("tap", TAPS, ids=str)
def test_activations(tap):
    activation, _ = slow_tower().until(pixels(), tap)
    assert_close(tapped().activations[TAPS.index(tap)], activation[:, 1:], 1e-5)


@pytest.mark.parametrize("tap", TAPS, ids=str)
def test_gradients_equal_differences(tap):
    """Along a random direction of single patches, and of all patches at once."""
    tower, rng, step = slow_tower(), np.random.default_rng(0), 1e-4
    gradients = tapped().gradients[TAPS.index(tap)].astype(np.float64)
    for image in range(NUM_IMAGES):
        activation, residual = tower.until(pixels()[image : image + 1], tap)
        directions = rng.normal(size=(8, *activation.shape[1:]))
        for row, patch in enumerate(rng.choice(64, 6, replace=False)):
            directions[row, np.arange(65) != 1 + patch] = 0
        directions[:, 0] = 0  # the class token is no patch
        ahead, behind = (
            cosine_to_nearest(tower.after(activation + sign * directions, residual, tap), np)
            for sign in (step, -step)
        )
        expected = (ahead - behind) / (2 * step)
        actual = (gradients[image] * directions[:, 1:]).sum((1, 2))
        if tap == Tap("output", 3):
            np.testing.assert_array_equal(expected, np.zeros(8))
            np.testing.assert_array_equal(gradients[image], np.zeros_like(gradients[image]))
        else:
            assert_close(actual, expected, 1e-4)
            assert np.abs(expected[:6]).min() > 0


def test_the_other_taps_change_no_gradient():
    several, fewer = tapped(), tapped(INPUTS, ("value_only",))
    for ours, tap in enumerate(INPUTS):
        there = TAPS.index(tap)
        assert_close(fewer.gradients[ours], several.gradients[there], 1e-5)
        assert_close(fewer.activations[ours], several.activations[there], 1e-6)


def test_patches_by_the_tower_in_numpy():
    """The three kinds of patch features, of the last block's input h, in float64."""
    tower, last = slow_tower(), Tap("attention_input", 3)
    attended, hidden = tower.until(pixels(), last)
    block = tower.blocks[3]
    attention = block["self_attn"]
    value = tower.dense(tower.dense(attended, attention["v_proj"]), attention["out_proj"])
    expected = {
        "output": tower.finish_block(hidden, tower.attend(attended, attention), block),
        "value_block": tower.finish_block(hidden, value, block),
        "value_only": value,
    }
    found = tapped(INPUTS, tuple(expected))
    for patches, wanted in zip(found.patches, expected.values(), strict=True):
        assert_close(patches, wanted[:, 1:], 1e-5)
    assert_close(tapped().patches[0], expected["output"][:, 1:], 1e-5)


@pytest.mark.parametrize("layernorm", [True, False])
def test_projection_of_tokens(layernorm):
    tokens = np.random.default_rng(1).normal(size=(2, 3, 128)).astype(np.float32)
    model, tower = load(), slow_tower()
    actual = project_tokens(
        model.params, tokens, architecture=model.architecture, layernorm=layernorm
    )
    expected = tower.norm(tokens, tower.vision["post_layernorm"]) if layernorm else tokens
    assert_close(actual, expected @ tower.projection, 1e-5)


def test_bfloat16_points_the_same_way():
    """Eight bits of mantissa through four blocks, forwards and backwards."""
    exact, rounded = tapped(), tapped((TAPS[0], TAPS[3]), ("output",), "bfloat16")
    chex.assert_type(jax.tree.leaves(rounded), jnp.float32)

    def cosine(a, b):
        a, b = (x.reshape(NUM_IMAGES, -1) for x in (a, b))
        return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)

    assert cosine(exact.image, rounded.image).min() > 0.998
    assert cosine(exact.patches[0], rounded.patches[0]).min() > 0.998
    for ours, number in ((0, 0), (1, 3)):
        assert cosine(exact.activations[number], rounded.activations[ours]).min() > 0.998
        similarity = cosine(exact.gradients[number], rounded.gradients[ours])
        assert similarity.min() > 0.98
        assert similarity.max() < 1 - 1e-7, "computed in float32 after all"


def test_wrong_shapes_are_named():
    model = load()
    vision = model.config.vision_config
    patches, width = (vision.image_size // vision.patch_size) ** 2, vision.hidden_size
    run = functools.partial(
        encode_tapped,
        model.params,
        objective=cosine_to_nearest,
        architecture=model.architecture,
        taps=INPUTS,
    )
    for wrong in (pixels()[0], pixels()[:, :2], pixels().transpose(0, 2, 3, 1)):
        with pytest.raises(ValueError, match="encode_below: pixel_values has shape .*N, 3, 64, 64"):
            run(wrong)
    for wrong in ((2, patches, width), (2, 1 + patches, width - 1), (1 + patches, width)):
        with pytest.raises(ValueError, match="encode_tapped: hidden has shape"):
            run(None, hidden=np.zeros(wrong, np.float32))
    for wrong in ((2, width + 1), ()):
        with pytest.raises(ValueError, match=rf"project_tokens: tokens .* needs .*{width}"):
            project_tokens(
                model.params, np.zeros(wrong, np.float32), architecture=model.architecture
            )
