"""Buckets of lengths, and what is computed in them against the video alone."""

import jax
import numpy as np
import pytest

from jaxvlm import atoms
from jaxvlm.atoms.padding import bucket, by_blocks, pad_frames
from jaxvlm.atoms.threshold import center_decision
from tests.atoms.role_fixtures import random_params

C, E = 6, 2
LENGTHS = [1, 3, 17, 40, 63, 64, 65, 66, 90, 127, 129, 200, 600, 601]  # of five buckets


def test_buckets_by_hand():
    lengths = [0, 1, 64, 65, 300, 512, 513, 640, 641, 1024, 1025, 5000, 8192, 8193]
    expected = [64, 64, 64, 128, 320, 512, 640, 640, 768, 1024, 1280, 5120, 8192, 10240]
    assert list(map(bucket, lengths)) == expected


def test_buckets_are_few_and_add_little():
    lengths = range(1, 20_000)
    buckets = [bucket(length) for length in lengths]
    assert all(0 <= b - n <= max(63, n / 4) for n, b in zip(lengths, buckets, strict=True))
    assert buckets == sorted(buckets)
    assert len(set(buckets)) <= 32


@pytest.mark.parametrize("shape", [(0, 3), (5, 3), (64, 2, 2), (130,)])
def test_zeros_are_added_and_nothing_else_changes(shape):
    frames = np.random.default_rng(0).random(shape).astype(np.float32)
    padded = pad_frames(frames)
    assert padded.shape == (bucket(shape[0]), *shape[1:]) and padded.dtype == np.float32
    np.testing.assert_array_equal(padded[: shape[0]], frames)
    assert not padded[shape[0] :].any()


def per_frame(function):
    """A function of one video's frames, called as `jaxvlm` calls it: padded and cut."""

    def call(presence):
        result = function(pad_frames(presence))
        return jax.tree.map(lambda rows: np.asarray(rows)[: len(presence)], result)

    return call


PARAMS = random_params(0, C, E)
PER_FRAME = {
    atoms.event_logits: lambda p: atoms.event_logits(PARAMS, p, temperature=1.25),
    atoms.role_evidence: lambda p: atoms.role_evidence(PARAMS, p),
    atoms.role_contributions: lambda p: atoms.role_contributions(PARAMS, p, temperature=1.25),
    atoms.top_pair: lambda p: atoms.top_pair(PARAMS, p),
    atoms.divergence: atoms.divergence,
    atoms.segment_presence: lambda p: atoms.segment_presence(p, p[:, 0], window=3),
    atoms.segment_index: lambda p: atoms.segment_index(p[:, 0]),
}
OF_A_VIDEO = {
    atoms.pool_video: lambda p: atoms.pool_video(pad_frames(p), k=3),
    atoms.event_logits: lambda p: center_decision(
        PARAMS, [p, p / 2], [[0, 1], [1, 0]], temperature=0.75
    ),
}
CALLS = [(function, per_frame(call)) for function, call in PER_FRAME.items()]
CALLS += OF_A_VIDEO.items()


@pytest.mark.parametrize(("compiled", "call"), CALLS)
def test_14_lengths_are_five_compilations(compiled, call):
    rng = np.random.default_rng(0)
    before = compiled._cache_size()
    for length in LENGTHS:
        call(rng.random((length, C)).astype(np.float32))
    assert compiled._cache_size() - before == 5 == len(set(map(bucket, LENGTHS)))


@pytest.mark.parametrize("function", PER_FRAME)
def test_a_padded_video_cut_is_the_video_alone(function):
    presence = np.random.default_rng(1).random((77, C)).astype(np.float32)
    alone = PER_FRAME[function](presence)
    padded = per_frame(PER_FRAME[function])(presence)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), padded, alone)


def test_pooling_a_padded_video_is_pooling_the_video_alone():
    probability = np.random.default_rng(2).random((7, E)).astype(np.float32)
    alone = 1 - np.prod(1 - probability.astype(np.float64), axis=0)
    np.testing.assert_allclose(atoms.pool_video(pad_frames(probability)), alone, rtol=1e-6)


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (5, [16]), (16, [16]), (37, [16] * 3)])
def test_rows_come_in_blocks_of_one_size(count, sizes):
    seen = []

    def twice(rows):
        seen.append(len(rows))
        return 2 * rows

    rows = np.random.default_rng(3).random((count, C)).astype(np.float32)
    np.testing.assert_array_equal(by_blocks(twice, rows, most=16), 2 * rows)
    assert seen == sizes
