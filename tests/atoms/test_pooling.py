from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.atoms import pooling

GOLDEN = Path(__file__).parents[1] / "golden" / "atoms.safetensors"


@pytest.mark.parametrize("mask", ["mask", "nomask"])
@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_reproduces_the_prototype(kind: str, mask: str) -> None:
    arrays = files.read_arrays(GOLDEN)
    name = f"role.{kind}.{mask}"
    probability = arrays[f"{name}.P"]
    plain = pooling.pool_video(probability)
    cooled = pooling.pool_video(probability, cooled=True)
    np.testing.assert_allclose(plain, arrays[f"{name}.S_plain"], rtol=1e-4)
    np.testing.assert_allclose(cooled, arrays[f"{name}.S_cooled"], rtol=1e-4)


def test_only_the_k_largest_count() -> None:
    probability = np.array([[0.5], [0.1], [0.2], [0.4]])
    np.testing.assert_allclose(pooling.pool_video(probability, k=2), [1 - 0.5 * 0.6], rtol=1e-6)
    everything = 1 - 0.5 * 0.9 * 0.8 * 0.6
    np.testing.assert_allclose(pooling.pool_video(probability, k=10), [everything], rtol=1e-6)


def test_cooled_takes_one_frame_in_fifty_and_caps() -> None:
    # 120 frames: round(2.4) = 2 of them; σ(logit(0.8)/2) = 2/3, and 0.9999 is capped at 0.9.
    probability = np.full((120, 1), 0.2)
    probability[[7, 80], 0] = 0.8, 0.9999
    got = pooling.pool_video(probability, cooled=True)
    np.testing.assert_allclose(got, [1 - 0.1 / 3], rtol=1e-5)


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [(0, 1), (1, 1), (24, 1), (74, 1), (75, 2), (124, 2), (125, 3), (174, 3), (175, 4), (225, 5),
     (325, 7), (425, 9), (474, 9), (475, 10), (10_000, 10)],
)  # fmt: skip
def test_cooled_count_rounds_halves_up(num_frames: int, expected: int) -> None:
    assert int(pooling.cooled_count(num_frames, 10)) == expected
    assert expected == max(1, min(10, int(0.02 * num_frames + 0.5)))  # as the prototype has it


def test_cooled_counts_three_of_125_frames() -> None:
    # σ(logit(½)/2) = ½ each: S = 1 − ½³; two frames would give 1 − ½². With padding as without.
    probability = np.full((125, 1), 0.2)
    probability[[3, 50, 124], 0] = 0.5
    np.testing.assert_allclose(pooling.pool_video(probability, cooled=True), [0.875], rtol=1e-6)
    padded, mask = np.pad(probability, ((0, 75), (0, 0))), np.arange(200) < 125
    got = pooling.pool_video(padded, mask=mask, cooled=True)
    np.testing.assert_allclose(got, [0.875], rtol=1e-6)
    logits = np.log(probability) - np.log1p(-probability)
    got = pooling.pool_log_complement(logits, cooled=True)
    np.testing.assert_allclose(got, [np.log(0.125)], rtol=1e-5)


@pytest.mark.parametrize("cooled", [False, True])
@pytest.mark.parametrize("num_frames", [1, 4, 60, 130])
def test_padding_equals_the_video_alone(num_frames: int, cooled: bool) -> None:
    rng = np.random.default_rng(num_frames)
    probability = rng.uniform(size=(130, 3)).astype(np.float32)
    mask = (np.arange(130) < num_frames).astype(np.float32)
    padded = pooling.pool_video(probability, mask=mask, cooled=cooled)
    alone = pooling.pool_video(probability[:num_frames], cooled=cooled)
    np.testing.assert_allclose(padded, alone, rtol=1e-6)


@pytest.mark.parametrize("cooled", [False, True])
@pytest.mark.parametrize("num_frames", [3, 100])
def test_log_complement_is_that_of_the_pooled_probability(num_frames: int, cooled: bool) -> None:
    logits = np.random.default_rng(0).normal(-3.0, 1.0, (100, 2)).astype(np.float32)
    mask = (np.arange(100) < num_frames).astype(np.float32)
    pooled = pooling.pool_video(1 / (1 + np.exp(-logits)), mask=mask, cooled=cooled)
    got = pooling.pool_log_complement(logits, mask=mask, cooled=cooled)
    np.testing.assert_allclose(got, np.log1p(-np.asarray(pooled)), rtol=1e-4)


def test_the_strongest_frames_come_first_and_padding_last() -> None:
    logits = np.array([[1.0, -4.0], [3.0, -1.0], [2.0, -2.0], [9.0, 9.0]])
    mask = np.array([1, 1, 1, 0])
    found = pooling.strongest_frames(logits, k=2, mask=mask)
    np.testing.assert_array_equal(found, [[1, 2], [1, 2]])
    everything = pooling.strongest_frames(logits, k=10, mask=mask)
    np.testing.assert_array_equal(everything, [[1, 2, 0, 3], [1, 2, 0, 3]])


@pytest.mark.parametrize("cooled", [False, True])
@pytest.mark.parametrize("num_frames", [3, 130])
def test_the_strongest_frames_pool_to_what_the_whole_video_does(
    num_frames: int, cooled: bool
) -> None:
    logits = np.random.default_rng(4).normal(-3.0, 1.0, (130, 2)).astype(np.float32)
    whole = pooling.pool_log_complement(logits[:num_frames], k=5, cooled=cooled)
    mask = np.arange(130) < num_frames
    frames = np.asarray(pooling.strongest_frames(logits, k=5, mask=mask))
    some = np.take_along_axis(logits, frames.T, axis=0)
    options = {"mask": np.arange(5) < num_frames, "num_frames": num_frames}
    got = pooling.pool_log_complement(some, k=5, cooled=cooled, **options)
    np.testing.assert_allclose(got, whole, rtol=1e-6)


def test_log_complement_stays_exact_and_differentiable_where_s_rounds_to_one() -> None:
    logits = jnp.array([[60.0], [50.0], [-60.0]])
    mask = jnp.array([1.0, 1.0, 0.0])
    total = lambda z: jnp.sum(pooling.pool_log_complement(z, mask=mask))  # noqa: E731
    value, gradient = jax.value_and_grad(total)(logits)
    np.testing.assert_allclose(value, -110.0, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[-1.0], [-1.0], [0.0]], rtol=1e-6)


def test_a_video_without_frames_shows_nothing() -> None:
    np.testing.assert_array_equal(pooling.pool_video(np.zeros((0, 2))), [0.0, 0.0])
    empty = pooling.pool_video(np.full((4, 2), 0.5), mask=np.zeros(4), cooled=True)
    np.testing.assert_array_equal(empty, [0.0, 0.0])


@pytest.mark.parametrize("cooled", [False, True])
def test_cross_entropy_is_that_of_the_pooled_probability(cooled: bool) -> None:
    logits = np.random.default_rng(1).normal(-3.0, 1.0, (100, 2)).astype(np.float32)
    mask = np.arange(100) < 70
    pooled = pooling.pool_video(1 / (1 + np.exp(-logits)), mask=mask, cooled=cooled)
    pooled = np.asarray(pooled, np.float64)
    got = pooling.video_cross_entropy(logits, np.array([1, 0]), mask=mask, cooled=cooled)
    np.testing.assert_allclose(got, [-np.log(pooled[0]), -np.log1p(-pooled[1])], rtol=1e-5)


def test_cross_entropy_of_a_video_without_any_evidence_is_finite() -> None:
    logits = np.full((5, 2), -60.0, np.float32)  # S = 4e-26, which counts as 1e-6
    cost = pooling.video_cross_entropy(logits, np.array([1.0, 0.0]))
    np.testing.assert_allclose(cost, [-np.log(1e-6), 1e-6], rtol=1e-5)
    slope = jax.grad(lambda z: pooling.video_cross_entropy(z, np.ones(2)).sum())(logits)
    assert np.isfinite(slope).all()
