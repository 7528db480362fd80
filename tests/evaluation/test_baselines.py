import numpy as np
import pytest

from jaxvlm.evaluation import baselines


def test_mean_pixel_change_by_hand():
    frames = np.zeros((4, 2, 2, 3), np.uint8)
    frames[1] = 10
    frames[2, 0, 0, 0] = 250  # the rest falls back by 10: |240| + 11 · 10
    change = baselines.mean_pixel_change(frames)
    np.testing.assert_allclose(change, [0, 10, (240 + 110) / 12, 250 / 12], rtol=1e-6)
    assert baselines.mean_pixel_change(frames[:0]).shape == (0,)


@pytest.mark.parametrize("neutral", [0, 3])
def test_zero_shot_is_a_softmax_over_all_prompts(neutral):
    rng = np.random.default_rng(0)
    images, events = rng.standard_normal((4, 8)), 5 * rng.standard_normal((2, 8))
    others = rng.standard_normal((neutral, 8))
    prompts = np.concatenate([events, others])
    expected = np.zeros((4, 2))
    for t, v in enumerate(images):
        cosines = [v @ p / np.linalg.norm(v) / np.linalg.norm(p) for p in prompts]
        expected[t] = (np.exp(np.multiply(7, cosines)) / np.exp(np.multiply(7, cosines)).sum())[:2]
    actual = baselines.zero_shot(images, events, others, 7.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_zero_shot_of_an_image_without_direction_is_undecided():
    """An embedding of zeros has cosine 0 with every prompt."""
    rng = np.random.default_rng(0)
    actual = baselines.zero_shot(np.zeros((1, 8)), rng.random((2, 8)), rng.random((3, 8)), 7.0)
    np.testing.assert_allclose(actual, [[0.2, 0.2]], rtol=1e-6)


def test_14_lengths_are_compiled_in_their_buckets():
    rng = np.random.default_rng(0)
    events, neutral = rng.random((2, 9)), rng.random((3, 9))
    compiled = baselines._softmax_over_texts
    before = compiled._cache_size()
    for length in range(30, 310, 20):
        images = rng.random((length, 9))
        assert baselines.zero_shot(images, events, neutral, 7.0).shape == (length, 2)
    assert compiled._cache_size() - before == 5  # 64, 128, 192, 256 and 320 frames


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: baselines.mean_pixel_change(np.zeros((3, 8, 8))),
            r"mean_pixel_change: frames has shape \(3, 8, 8\), needs \[T, H, W, 3\]",
        ),
        (
            lambda: baselines.zero_shot(np.ones(5), np.ones((2, 5)), np.ones((1, 5)), 1.0),
            r"zero_shot: image_embeddings has shape \(5,\), needs \[T, D\]",
        ),
        (
            lambda: baselines.zero_shot(np.ones((3, 5)), np.ones((2, 4)), np.ones((1, 5)), 1.0),
            r"event_text_embeddings has shape \(2, 4\), needs \[E, D\] with D = 5",
        ),
        (
            lambda: baselines.zero_shot(np.ones((3, 5)), np.ones((2, 5)), np.ones(5), 1.0),
            r"neutral_text_embeddings has shape \(5,\), needs \[L, D\] with D = 5",
        ),
        (
            lambda: baselines.zero_shot(*[np.ones((3, 5))] * 3, np.ones(3)),
            r"zero_shot: scale has shape \(3,\), needs a scalar",
        ),
    ],
)
def test_a_wrong_shape_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
