"""Buckets of lengths, and what is computed in them against the video alone."""

import numpy as np
import pytest

from jaxvlm.atoms.padding import bucket, pad_frames


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
