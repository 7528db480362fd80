"""The losses of the embedded CLIP's training, against slow forms and numbers by hand."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvlm.world import clip_training

SIDE, PATCH, END = 32, 8, 39
NUM_PATCHES = (SIDE // PATCH) ** 2


def random_logits(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 3.0, (rows, columns)).astype(np.float32)


def log_softmax(row: np.ndarray) -> np.ndarray:
    row = row.astype(np.float64)
    return row - np.log(sum(np.exp(value) for value in row))


def test_one_positive_per_row_is_the_loss_of_clip():
    logits = random_logits(0, 6, 6)
    images = -sum(log_softmax(logits[i])[i] for i in range(6)) / 6
    texts = -sum(log_softmax(logits[:, j])[j] for j in range(6)) / 6
    loss = clip_training.multi_positive_loss(logits, np.eye(6))
    np.testing.assert_allclose(loss, (images + texts) / 2, rtol=1e-6)
    # The same pairs in another order.
    order = np.random.default_rng(1).permutation(6)
    shuffled = clip_training.multi_positive_loss(logits[:, order], np.eye(6)[:, order])
    np.testing.assert_allclose(shuffled, loss, rtol=1e-6)


def test_two_positives_by_hand():
    """Row 1 has softmax (1/4, 3/4), both true; row 2 (1/2, 1/2), the second true.

    Row 1: (ln 4 + ln 4/3)/2 = 2 ln 2 − (ln 3)/2. Row 2: ln 2. Columns 2 and 1 are the same.
    """
    logits = np.array([[0.0, np.log(3.0)], [0.0, 0.0]], np.float32)
    described = np.array([[1, 1], [0, 1]], np.uint8)
    expected = (3 * np.log(2.0) - np.log(3.0) / 2) / 2
    np.testing.assert_allclose(
        clip_training.multi_positive_loss(logits, described), expected, rtol=1e-6
    )


def test_rows_without_a_positive_add_nothing():
    logits = random_logits(2, 3, 4)
    described = np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]])
    rows = -(
        (log_softmax(logits[1])[0] + log_softmax(logits[1])[2]) / 2 + log_softmax(logits[2])[2]
    )
    columns = -(
        log_softmax(logits[:, 0])[1]
        + (log_softmax(logits[:, 2])[1] + log_softmax(logits[:, 2])[2]) / 2
    )
    gradient_of = jax.jit(jax.value_and_grad(clip_training.multi_positive_loss))
    loss, gradient = gradient_of(logits, described)
    np.testing.assert_allclose(loss, (rows / 3 + columns / 4) / 2, rtol=1e-6)
    assert np.isfinite(gradient).all()
    nothing, gradient = gradient_of(logits, np.zeros((3, 4), int))
    assert nothing == 0.0 and not np.any(gradient)


patch_gradient = jax.jit(jax.value_and_grad(clip_training.patch_loss), static_argnums=2)


def test_patch_loss_is_the_mean_over_things_and_a_quarter_of_that_over_places():
    rng = np.random.default_rng(5)
    things, logits = 4, rng.normal(0.0, 2.0, (3, 5, 6)).astype(np.float32)
    concepts = rng.integers(-1, 6, (3, 5))
    concepts[0, :3] = -1, 3, 4  # nothing, the last thing, the first place
    losses = {"thing": [], "place": []}
    for n, p in np.ndindex(3, 5):
        if concepts[n, p] >= 0:
            kind = "thing" if concepts[n, p] < things else "place"
            losses[kind].append(-log_softmax(logits[n, p])[concepts[n, p]])
    expected = np.mean(losses["thing"]) + np.mean(losses["place"]) / 4
    loss, gradient = patch_gradient(logits, concepts, things)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.abs(gradient).sum(-1) > 0, concepts >= 0)
    changed = np.where((concepts < 0)[..., None], 1e3, logits)
    np.testing.assert_array_equal(patch_gradient(changed, concepts, things)[0], loss)


@pytest.mark.parametrize(("concept", "weight"), [(0, 1.0), (5, 0.25), (-1, 0.0)])
def test_patch_loss_where_one_kind_is_missing(concept, weight):
    logits = random_logits(6, 4, 6)[None]
    concepts = np.full((1, 4), concept)
    loss, gradient = patch_gradient(logits, concepts, 4)
    expected = weight * np.mean([-log_softmax(row)[concept] for row in logits[0]])
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert np.isfinite(gradient).all() and np.any(gradient) == (concept >= 0)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_caption_describes_what_has_all_that_it_names(data):
    def subsets(size):
        return st.lists(st.sets(st.integers(0, 6)), min_size=size, max_size=size)

    pictures, sentences = data.draw(subsets(3)), data.draw(subsets(4))

    def multi_hot(groups):
        return np.array([[k in group for k in range(7)] for group in groups], np.uint8)

    described = clip_training.described_by(multi_hot(pictures), multi_hot(sentences))
    assert described.tolist() == [[int(s <= p) for s in sentences] for p in pictures]
    assert described.dtype == np.uint8
