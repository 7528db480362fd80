import jax
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxvlm.errors import InputError
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


def bags(seed, count, *, frames=(6, 14)):
    """Videos where one of two atoms per event is up for three frames; labels; frame truth."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 2))
    videos, truth = [], []
    for label in labels:
        t = int(rng.integers(*frames))
        presence, on = 0.1 + 0.05 * rng.random((t, 6)), np.zeros((t, 2), int)
        for e in np.flatnonzero(label):
            start = int(rng.integers(0, t - 3))
            presence[start : start + 3, 2 * e + rng.integers(2)] = 0.8
            on[start : start + 3, e] = 1
        presence[rng.integers(t), 4] = 0.9  # clutter that says nothing
        videos.append(presence)
        truth.append(on)
    return videos, labels, truth


def test_mil_linear_finds_the_frames_from_video_labels():
    videos, labels, _ = bags(0, 40)
    test, _, truth = bags(1, 20)
    scores = baselines.mil_linear(videos, labels, test, seed=0, topk=3, steps=150)
    assert [s.shape for s in scores] == [y.shape for y in truth]
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    for e in range(2):
        assert average_precision_score(truth[:, e], scores[:, e]) > 0.9

    again = baselines.mil_linear(videos, labels, test, seed=0, topk=3, steps=150)
    np.testing.assert_array_equal(np.concatenate(again), scores)


def test_mil_linear_gives_no_weight_to_atoms_that_are_no_candidates():
    videos, labels, _ = bags(0, 12)
    candidates = np.zeros((6, 2))
    candidates[:2, 0] = candidates[2:4, 1] = 1
    model = baselines.fit_mil_linear(videos, labels, seed=0, candidates=candidates, steps=20)
    assert (model.weights[candidates == 0] == 0).all()
    assert (model.weights[candidates == 1] != 0).all()


@pytest.mark.parametrize("pooling", baselines.POOLINGS)
def test_held_out_loss_pools_the_top_frames_of_each_video(pooling):
    videos, labels, _ = bags(2, 6, frames=(4, 9))
    length, k = max(map(len, videos)), 5
    inputs = np.full((6, length, 6), 1e3, np.float32)  # padding must not matter
    mask = np.zeros((6, length), bool)
    for n, video in enumerate(videos):
        inputs[n, : len(video)], mask[n, : len(video)] = video, True
    weights = np.array([1, 1, 1, 1, 0, 0], np.float32)
    padded = baselines._Bags(inputs, mask, labels.astype(np.float32), np.ones((6, 2)))
    (w, b), held_out = baselines._fit(
        jax.random.key(0), padded, weights, 1e-3, pooling=pooling, topk=k, steps=3
    )
    expected = 0.0
    for n in (4, 5):
        for e in range(2):
            logits = np.sort(videos[n] @ np.asarray(w, float)[:, e] + float(b[e]))[::-1][:k]
            p = 1 / (1 + np.exp(-logits))
            pooled = 1 - np.prod(1 - p)
            if pooling == "mean":
                pooled = 1 / (1 + np.exp(-logits.mean()))
            expected -= np.log(pooled if labels[n, e] else 1 - pooled)
    assert float(held_out) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rate", [0.02, 0.25])
def test_training_starts_at_the_base_rate(rate):
    p = 1 / (1 + np.exp(-float(baselines._start_bias(rate, 5, "noisy_or"))))
    assert 1 - (1 - p) ** 5 == pytest.approx(rate, rel=1e-4)
    p = 1 / (1 + np.exp(-float(baselines._start_bias(rate, 5, "mean"))))
    assert p == pytest.approx(rate, rel=1e-4)


def test_bad_training_videos():
    with pytest.raises(InputError, match="training video 1: p̄ has NaN"):
        baselines.mil_linear(
            [np.zeros((2, 3)), np.full((2, 3), np.nan), np.zeros((2, 3))], np.eye(3), [], seed=0
        )
    with pytest.raises(InputError, match="at least 3 videos"):
        baselines.mil_linear([np.zeros((2, 3))] * 2, np.eye(2), [], seed=0)


MODEL = baselines.MilLinear(
    np.ones((4, 2)), np.ones(2), np.ones(4), np.ones(4), inputs="global", pooling="mean", l2=0.0
)


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
        (
            lambda: baselines.mil_probability(MODEL, np.ones((7, 1))),
            r"mil_probability: video has shape \(7, 1\), needs \[T, C\] with C = 4",
        ),
        (
            lambda: baselines.fit_mil_linear(
                [np.ones((2, 4))] * 3, np.eye(3), seed=0, candidates=np.ones((4, 1))
            ),
            r"fit_mil_linear: candidates has shape \(4, 1\), needs \[4, 3\]",
        ),
    ],
)
def test_a_wrong_shape_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
