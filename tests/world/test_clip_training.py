"""Losses against loops, the training forward pass against the encoder, training itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from transformers import CLIPConfig

from jaxvlm import clip
from jaxvlm.clip.architecture import describe, expected_shapes
from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.world import clip_training
from jaxvlm.world.clip_training import ContrastiveBatch
from jaxvlm.world.train_config import TrainConfig

SIDE, PATCH, END = 32, 8, 39
NUM_PATCHES = (SIDE // PATCH) ** 2


def tiny_config() -> CLIPConfig:
    tower = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "projection_dim": 8,
    }
    text = {
        "vocab_size": 40,
        "max_position_embeddings": 16,
        "bos_token_id": 38,
        "eos_token_id": END,
        "pad_token_id": END,
    }
    return CLIPConfig(
        text_config=tower | text,
        vision_config=tower | {"image_size": SIDE, "patch_size": PATCH},
        projection_dim=8,
    )


def pictures(count: int, seed: int = 8) -> np.ndarray:
    """[N,3,S,S] with the strong low frequencies of photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, 3, SIDE // 4, SIDE // 4)).repeat(4, 2).repeat(4, 3)
    return (coarse + 0.2 * rng.normal(size=(count, 3, SIDE, SIDE))).astype(np.float32)


def start(seed: int):
    """`initial_params`, compiled as one function: op by op it takes much longer."""
    return jax.jit(lambda: clip_training.initial_params(tiny_config(), seed, pictures(20)))()


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(np.asarray, start(0))


@jax.jit
def embed(params, pixels, ids):
    module = clip.build_module(tiny_config())
    return module.apply({"params": params}, pixels, ids, ids[:2], method=clip_training.embed)


def test_initial_parameters_are_those_of_a_clip(params):
    shapes = {".".join(path): leaf.shape for path, leaf in flatten_dict(params).items()}
    assert shapes == expected_shapes(tiny_config())
    other = start(1)
    kernel = other["visual_projection"]["kernel"]
    assert (np.asarray(kernel) != params["visual_projection"]["kernel"]).any()


def test_the_start_of_keys_and_positions(params):
    tower = params["vision_model"]
    attention = tower["encoder"]["layers"]["0"]["self_attn"]
    np.testing.assert_array_equal(attention["k_proj"]["kernel"], attention["q_proj"]["kernel"])
    positions = tower["embeddings"]["position_embedding"]["embedding"]
    np.testing.assert_allclose(
        positions[1:], 0.5 * clip_training.sincos_positions(4, 16), rtol=1e-6
    )
    assert not positions[0].any()


def test_sines_and_cosines_of_row_and_column():
    side, width = 3, 8
    table = clip_training.sincos_positions(side, width)
    frequencies = [np.pi, np.pi / 3]  # from 1 to 1/side, times π
    for row, column in np.ndindex(side, side):
        expected = [
            f(place * frequency)
            for place in (row, column)
            for f in (np.sin, np.cos)
            for frequency in frequencies
        ]
        np.testing.assert_allclose(
            np.sort(table[side * row + column]), np.sort(expected), atol=1e-6
        )
    assert len(np.unique(table.round(4), axis=0)) == side * side
    with pytest.raises(ValueError, match="10 is no multiple of 4"):
        clip_training.sincos_positions(3, 10)


def test_whitening_filters_give_uncorrelated_responses():
    examples, size = pictures(200), 4
    filters = clip_training.whitening_filters(examples, size)
    assert filters.shape == (size, size, 3, 3 * size * size)
    corners = [(y, x) for y in range(0, SIDE, size) for x in range(0, SIDE, size)]
    patches = np.concatenate([examples[:, :, y : y + size, x : x + size] for y, x in corners])
    responses = np.einsum("ncyx,yxcf->nf", patches.astype(np.float64), filters)
    covariance = np.cov(responses, rowvar=False)
    variance = np.diag(covariance)
    assert np.abs(covariance - np.diag(variance)).max() < 1e-3
    assert variance.max() <= 1.0 and variance[0] > 0.9  # noise gets less than one
    assert (np.diff(variance) < 1e-6).all()  # the strongest first


def test_training_sees_what_the_encoder_will_see(params):
    """The embeddings are the encoder's, over their length."""
    pixels = pictures(3)
    ids = np.full((5, 9), END, np.int32)
    rng = np.random.default_rng(6)
    for row, length in zip(ids, (1, 2, 4, 6, 7), strict=True):
        row[0], row[1 : 1 + length] = 38, rng.integers(0, 38, length)
    images, texts, prompts, patches = embed(params, pixels, ids)
    model = ClipModel(
        params, tiny_config(), None, Preprocessing(SIDE, SIDE), describe(tiny_config())
    )

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    np.testing.assert_allclose(images, unit(clip.encode_images(model, pixels)), atol=1e-5)
    np.testing.assert_allclose(texts, unit(clip.encode_token_ids(model, ids)), atol=1e-5)
    np.testing.assert_allclose(prompts, texts[:2], atol=1e-6)
    assert patches.shape == (3, NUM_PATCHES, 8)
    np.testing.assert_allclose(patches, unit(clip.encode_patches(model, pixels)[1]), atol=1e-5)


COLOURS = np.array([[2, -2, -2], [-2, 2, -2], [-2, -2, 2], [2, 2, 2]], np.float32)


def colour_batches():
    """Four flat colours with a word each; the last two words count as places."""
    ids = np.full((4, 4), END, np.int32)
    ids[:, 0], ids[:, 1] = 38, np.arange(4)
    rng = np.random.default_rng(7)
    while True:
        rows = rng.permutation(4)
        pixels = np.tile(COLOURS[rows][:, :, None, None], (1, 1, SIDE, SIDE))
        yield ContrastiveBatch(
            pixels + rng.normal(0, 0.1, pixels.shape).astype(np.float32),
            ids[rows],
            (rows[:, None] == rows[None]).astype(np.uint8),
            ids,
            np.repeat(rows[:, None], NUM_PATCHES, 1).astype(np.int32),
        )


STEPS, RATE = 40, 1e-2


def train_on_colours():
    """Parameters, the losses of every step, and the logit scale after every step."""
    config = TrainConfig(20, 20, 4, 2 * RATE, RATE, warmup_steps=5)
    losses, scales = [], []

    def report(step, parts, params):
        assert step == len(losses)
        losses.append(jax.tree.map(float, parts))
        scales.append(float(params["logit_scale"]))

    params = clip_training.train(
        tiny_config(),
        colour_batches(),
        config,
        things=2,
        examples=pictures(20),
        seed=0,
        report=report,
    )
    return jax.tree.map(np.asarray, params), losses, scales


@pytest.fixture(scope="module")
def trainings(params):
    """The same training twice, with one compiled step: compiling takes longer than training."""
    made = []
    make_step = clip_training.make_step

    def make_once(*arguments):
        made.append(made[0] if made else make_step(*arguments))
        return made[0]

    def same_start(_, seed, examples):
        assert seed == 0 and len(examples) == 20
        return jax.tree.map(jnp.array, params)  # copies: the step takes its arguments' memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_training, "make_step", make_once)
        patch.setattr(clip_training, "initial_params", same_start)
        return train_on_colours(), train_on_colours()


@pytest.fixture(scope="module")
def trained(trainings):
    return trainings[0]


def test_training_lowers_every_part_of_the_loss(trained):
    _, losses, _ = trained
    assert len(losses) == STEPS and set(losses[0]) >= {"contrastive", "patch"}
    for part in losses[0]:
        first, last = losses[0][part], np.mean([parts[part] for parts in losses[-5:]])
        assert last < 0.5 * first, (part, first, last)


def test_a_trained_model_tells_the_pictures_apart(trained):
    batch = next(colour_batches())
    images, texts, _, _ = embed(trained[0], batch.pixel_values, batch.token_ids)
    np.testing.assert_array_equal((images @ texts.T).argmax(1), np.arange(4))


def test_the_rate_warms_up_and_falls(trained):
    """Adam's step is the rate where gradients agree, and never far above it."""
    start = tiny_config().logit_scale_init_value
    change = np.abs(np.diff([start, *trained[2]]))
    assert change[0] < 1e-6  # the rate starts at 0
    rates = RATE * np.interp(np.arange(STEPS), [0, 5, 20, 40], [0, 1, 1, 0])
    assert (change[1:6] > 0.2 * rates[1:6]).all() and (change <= 1.5 * rates + 1e-6).all()


def test_two_identical_trainings_agree_bit_for_bit(trainings):
    assert trainings[0][1:] == trainings[1][1:]
    params = [jax.tree.leaves(training[0]) for training in trainings]
    for one, other in zip(*params, strict=True):
        np.testing.assert_array_equal(one, other)
