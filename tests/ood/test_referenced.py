"""Scores that look at ID pictures, against a loop over every pair."""

import numpy as np
import pytest

from jaxvlm.ood.referenced import REFERENCED, knn_score


def slow_knn(images, references, k):
    scores = []
    for z in images / np.linalg.norm(images, axis=1, keepdims=True):
        distances = sorted(np.sqrt(((z - r / np.linalg.norm(r)) ** 2).sum()) for r in references)
        scores.append(-distances[min(k, len(references)) - 1])
    return np.array(scores)


@pytest.mark.parametrize(
    ("count", "known", "k"), [(5, 20, 1), (5, 20, 10), (3, 4, 10), (1030, 7, 3)]
)
def test_knn_is_the_distance_to_the_kth_nearest(count, known, k):
    rng = np.random.default_rng(0)
    images, references = rng.normal(size=(count, 8)), rng.normal(size=(known, 8)) + 0.5
    found = knn_score(images.astype(np.float32), references.astype(np.float32), neighbours=k)
    np.testing.assert_allclose(found, slow_knn(images, references, k), atol=2e-6)


def test_the_length_of_features_does_not_count():
    rng = np.random.default_rng(1)
    images, references = rng.normal(size=(6, 8)), rng.normal(size=(9, 8))
    np.testing.assert_allclose(
        knn_score(images, references), knn_score(7 * images, 0.1 * references), atol=1e-6
    )


def test_a_picture_among_the_references_is_at_no_distance():
    rows = np.eye(4, dtype=np.float32)
    assert knn_score(rows, rows, neighbours=1) == pytest.approx(np.zeros(4), abs=1e-3)
    assert knn_score(rows, rows, neighbours=2) == pytest.approx(np.full(4, -np.sqrt(2)), abs=1e-6)


@pytest.mark.parametrize("score", [score for _, score in REFERENCED.values()])
def test_every_score_is_higher_for_what_is_like_the_references(score):
    rng = np.random.default_rng(2)
    center, other = np.eye(16)[0], np.eye(16)[1]
    known = center + 0.1 * rng.normal(size=(50, 16))
    near, far = center + 0.1 * rng.normal(size=(20, 16)), other + 0.1 * rng.normal(size=(20, 16))
    assert score(near, known).min() > score(far, known).max()
    assert score(near[:0], known).shape == (0,)
    with pytest.raises(ValueError, match="references"):
        score(near, known[:0])
    with pytest.raises(ValueError):
        score(near, known[:, :3])


@pytest.mark.parametrize(("known", "k"), [(7, 1), (199, 1), (250, 2), (1200, 10), (3000, 10)])
def test_k_follows_the_number_of_references(known, k):
    rng = np.random.default_rng(3)
    images, references = rng.normal(size=(4, 8)), rng.normal(size=(known, 8))
    own = knn_score(images, references)
    np.testing.assert_array_equal(own, knn_score(images, references, neighbours=k))
