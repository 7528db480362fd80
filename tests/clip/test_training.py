"""Losses against loops, the training forward pass against the encoder, training itself."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPConfig

from jaxvlm import clip
from jaxvlm.clip import training
from jaxvlm.clip.architecture import describe
from jaxvlm.clip.images import Preprocessing
from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.training import ContrastiveBatch, TrainConfig

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


def random_logits(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 3.0, (rows, columns)).astype(np.float32)


def log_softmax(row: np.ndarray) -> np.ndarray:
    row = row.astype(np.float64)
    return row - np.log(sum(np.exp(value) for value in row))


def test_one_positive_per_row_is_the_loss_of_clip():
    logits = random_logits(0, 6, 6)
    images = -sum(log_softmax(logits[i])[i] for i in range(6)) / 6
    texts = -sum(log_softmax(logits[:, j])[j] for j in range(6)) / 6
    loss = training.multi_positive_loss(logits, np.eye(6))
    np.testing.assert_allclose(loss, (images + texts) / 2, rtol=1e-6)
    # The same pairs in another order.
    order = np.random.default_rng(1).permutation(6)
    shuffled = training.multi_positive_loss(logits[:, order], np.eye(6)[:, order])
    np.testing.assert_allclose(shuffled, loss, rtol=1e-6)


def test_two_positives_by_hand():
    """Row 1 has softmax (1/4, 3/4), both true; row 2 (1/2, 1/2), the second true.

    Row 1: (ln 4 + ln 4/3)/2 = 2 ln 2 − (ln 3)/2. Row 2: ln 2. Columns 2 and 1 are the same.
    """
    logits = np.array([[0.0, np.log(3.0)], [0.0, 0.0]], np.float32)
    described = np.array([[1, 1], [0, 1]], np.uint8)
    expected = (3 * np.log(2.0) - np.log(3.0) / 2) / 2
    np.testing.assert_allclose(
        training.multi_positive_loss(logits, described), expected, rtol=1e-6
    )


def test_rows_without_a_positive_add_nothing():
    logits = random_logits(2, 3, 4)
    described = np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]])
    rows = -((log_softmax(logits[1])[0] + log_softmax(logits[1])[2]) / 2 + log_softmax(logits[2])[2])
    columns = -(
        log_softmax(logits[:, 0])[1]
        + (log_softmax(logits[:, 2])[1] + log_softmax(logits[:, 2])[2]) / 2
    )
    loss, gradient = jax.value_and_grad(training.multi_positive_loss)(logits, described)
    np.testing.assert_allclose(loss, (rows / 3 + columns / 4) / 2, rtol=1e-6)
    assert np.isfinite(gradient).all()
    none = jax.grad(training.multi_positive_loss)(logits, np.zeros((3, 4)))
    np.testing.assert_array_equal(none, 0.0)


def test_sigmoid_loss_is_the_sum_over_pairs():
    logits, bias = random_logits(3, 4, 5), -1.7
    described = np.random.default_rng(4).integers(0, 2, (4, 5)).astype(np.uint8)
    total = 0.0
    for i, j in itertools.product(range(4), range(5)):
        z = float(logits[i, j]) + bias
        total -= np.log(1 / (1 + np.exp(-z if described[i, j] else z)))
    loss = training.sigmoid_loss(logits, bias, described)
    np.testing.assert_allclose(loss, total / 4, rtol=1e-5)


def test_patch_loss_is_the_mean_over_known_patches():
    rng = np.random.default_rng(5)
    logits = rng.normal(0.0, 2.0, (3, 4, 6)).astype(np.float32)
    concepts = rng.integers(-1, 6, (3, 4))
    concepts[0, 0], concepts[2, 3] = -1, 5
    known = [(n, p) for n, p in np.ndindex(3, 4) if concepts[n, p] >= 0]
    expected = -np.mean([log_softmax(logits[n, p])[concepts[n, p]] for n, p in known])
    loss, gradient = jax.value_and_grad(training.patch_loss)(logits, concepts)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.abs(gradient).sum(-1) > 0, concepts >= 0)
    changed = np.where((concepts < 0)[..., None], 1e3, logits)
    np.testing.assert_array_equal(training.patch_loss(changed, concepts), loss)
    nothing, gradient = jax.value_and_grad(training.patch_loss)(logits, np.full((3, 4), -1))
    assert nothing == 0.0 and not np.any(gradient)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_caption_describes_what_has_all_that_it_names(data):
    def subsets(size):
        return st.lists(st.sets(st.integers(0, 6)), min_size=size, max_size=size)

    pictures, sentences = data.draw(subsets(3)), data.draw(subsets(4))

    def multi_hot(groups):
        return np.array([[k in group for k in range(7)] for group in groups], np.uint8)

    described = training.described_by(multi_hot(pictures), multi_hot(sentences))
    assert described.tolist() == [[int(s <= p) for s in sentences] for p in pictures]
    assert described.dtype == np.uint8


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(np.asarray, training.initial_params(tiny_config(), 0))


def embed(params, pixels, ids, kept):
    module = clip.build_module(tiny_config())
    return module.apply({"params": params}, pixels, ids, ids[:2], kept, method=training.embed)


def inputs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    pixels = rng.normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
    ids = np.full((5, 9), END, np.int32)
    for row, length in zip(ids, (1, 2, 4, 6, 7), strict=True):
        row[0], row[1 : 1 + length] = 38, rng.integers(0, 38, length)
    return pixels, ids


def test_initial_parameters_are_those_of_a_clip(params):
    expected = clip.init_params(tiny_config(), jax.random.key(0))
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, expected)
    other = training.initial_params(tiny_config(), 1)
    assert (np.asarray(other["visual_projection"]["kernel"]) != params["visual_projection"]["kernel"]).any()


def test_training_sees_what_the_encoder_will_see(params):
    """With all patches, the embeddings are the encoder's, over their length."""
    pixels, ids = inputs()
    images, texts, prompts, patches = embed(params, pixels, ids, np.arange(NUM_PATCHES))
    model = ClipModel(
        params, tiny_config(), None, Preprocessing(SIDE, SIDE), describe(tiny_config())
    )

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    np.testing.assert_allclose(images, unit(clip.encode_images(model, pixels)), atol=1e-5)
    np.testing.assert_allclose(texts, unit(clip.encode_token_ids(model, ids)), atol=1e-5)
    np.testing.assert_allclose(prompts, texts[:2], atol=1e-6)
    assert patches.shape == (3, NUM_PATCHES, 8)
    np.testing.assert_allclose(np.linalg.norm(patches, axis=-1), 1.0, rtol=1e-5)


def test_dropped_patches_are_not_seen_and_kept_ones_stay_in_place(params):
    pixels, ids = inputs()
    kept = np.array([0, 3, 5, 10, 15])
    images, _, _, patches = embed(params, pixels, ids, kept)
    hidden = pixels.copy()
    for patch in sorted(set(range(NUM_PATCHES)) - set(kept.tolist())):
        row, column = PATCH * (patch // 4), PATCH * (patch % 4)
        hidden[:, :, row : row + PATCH, column : column + PATCH] = 9.0
    blind, _, _, blind_patches = embed(params, hidden, ids, kept)
    np.testing.assert_array_equal(blind, images)
    np.testing.assert_array_equal(blind_patches, patches)
    # A patch carries its own position along, so the order of the kept ones is free.
    turned, _, _, turned_patches = embed(params, pixels, ids, kept[::-1])
    np.testing.assert_allclose(turned, images, atol=1e-5)
    np.testing.assert_allclose(turned_patches[:, ::-1], patches, atol=1e-5)
    shifted, _, _, _ = embed(params, pixels, ids, kept - np.array([0, 1, 1, 1, 1]))
    assert np.abs(shifted - images).max() > 1e-3


def colour_batches(batch_size: int = 4):
    """Four flat colours, each with a caption of its own word; the first two share a true one."""
    colours = np.array([[2, -2, -2], [-2, 2, -2], [-2, -2, 2], [2, 2, 2]], np.float32)
    ids = np.full((4, 4), END, np.int32)
    ids[:, 0], ids[:, 1] = 38, np.arange(4)
    rng = np.random.default_rng(7)
    while True:
        rows = rng.permutation(4)[:batch_size]
        pixels = np.tile(colours[rows][:, :, None, None], (1, 1, SIDE, SIDE))
        patch_concepts = np.repeat(rows[:, None], NUM_PATCHES, 1).astype(np.int32)
        yield ContrastiveBatch(
            pixels + rng.normal(0, 0.1, pixels.shape).astype(np.float32),
            ids[rows],
            (rows[:, None] == rows[None]).astype(np.uint8),
            ids,
            patch_concepts,
        )


def train_on_colours(masked_steps: int, full_steps: int, seed: int = 0):
    config = TrainConfig(masked_steps, full_steps, 4, learning_rate=1e-2, warmup_steps=5)
    losses = []
    params = training.train(
        tiny_config(),
        colour_batches(),
        config,
        seed=seed,
        report=lambda step, parts, _: losses.append((step, jax.tree.map(float, parts))),
    )
    return jax.tree.map(np.asarray, params), losses


@pytest.fixture(scope="module")
def trained():
    return train_on_colours(20, 20)


def test_training_lowers_every_part_of_the_loss(trained):
    _, losses = trained
    assert [step for step, _ in losses] == list(range(40))
    for part in ("contrastive", "sigmoid", "patch"):
        first, last = losses[0][1][part], np.mean([parts[part] for _, parts in losses[-5:]])
        assert last < 0.5 * first, (part, first, last)


def test_a_trained_model_tells_the_pictures_apart(trained):
    batch = next(colour_batches())
    images, texts, prompts, patches = embed(
        trained[0], batch.pixel_values, batch.token_ids, np.arange(NUM_PATCHES)
    )
    np.testing.assert_array_equal((images @ texts.T).argmax(1), np.arange(4))
    assert patches.shape[:2] == (4, NUM_PATCHES)


def test_two_identical_trainings_agree_bit_for_bit(trained):
    again, losses = train_on_colours(20, 20)
    assert losses == trained[1]
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(trained[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rate_warms_up_and_falls_to_zero():
    """Adam's step is the rate, so the change of a bias (no decay) shows the schedule."""
    config = TrainConfig(4, 4, 4, learning_rate=1e-2, warmup_steps=2)
    init, step = training.make_step(clip.build_module(tiny_config()), config)
    state = init(training.initial_params(tiny_config(), 0))
    batch, kept = next(colour_batches()), np.arange(NUM_PATCHES)
    change = []
    for _ in range(9):
        before = float(state.sigmoid_bias)
        state, _ = step(state, jax.tree.map(jnp.asarray, batch), kept)
        change.append(abs(float(state.sigmoid_bias) - before))
    # Rates: 0, 1/2, 1, 1, then 1, 3/4, 1/2, 1/4, 0 of 1e-2.
    rates = 1e-2 * np.array([0, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    assert change[0] == 0.0 and change[-1] == 0.0
    np.testing.assert_allclose(change, rates, rtol=0.25, atol=1e-6)
