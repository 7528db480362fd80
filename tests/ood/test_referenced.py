"""Scores that look at ID pictures, against a loop over every pair."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.referenced import (
    REFERENCED,
    References,
    interneg_score,
    interneg_words,
    knn_score,
    mahalanobis_score,
    prototypes,
    relative_mahalanobis_score,
)


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
    center, second, other, off = np.eye(16)[:4]  # RMD tells nothing of one class
    known = np.repeat([center, second], 40, axis=0) + 0.1 * rng.normal(size=(80, 16))
    near, far = center + 0.1 * rng.normal(size=(20, 16)), other + 0.1 * rng.normal(size=(20, 16))
    texts = (np.array([center, second]) + off) / np.sqrt(2)  # somewhat off their pictures
    classes = np.repeat([0, 1], 40)
    references = References(known, classes, texts, far, scale=10.0, num_groups=4)
    assert score(near, references).min() > score(far, references).max()
    assert score(near[:0], references).shape == (0,)


def test_no_reference_and_another_width_are_refused():
    with pytest.raises(ValueError, match="references"):
        knn_score(np.eye(3), np.eye(3)[:0])
    for score in (mahalanobis_score, relative_mahalanobis_score):
        with pytest.raises(ValueError, match="references"):
            score(np.eye(3), np.eye(4), np.arange(4))


@pytest.mark.parametrize(("known", "k"), [(7, 1), (199, 1), (250, 2), (1200, 10), (3000, 10)])
def test_k_follows_the_number_of_references(known, k):
    rng = np.random.default_rng(3)
    images, references = rng.normal(size=(4, 8)), rng.normal(size=(known, 8))
    own = knn_score(images, references)
    np.testing.assert_array_equal(own, knn_score(images, references, neighbours=k))


def known(seed=0, classes=3, each=12, width=6):
    """Unit rows around a centre per class, and the classes."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(classes, width))
    of = np.repeat(np.arange(classes), each)
    rows = centres[of] + rng.normal(size=(len(of), width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), of


def test_mahalanobis_is_the_nearest_class_under_the_common_covariance():
    rows, of = known()
    images, _ = known(seed=5)
    means = [rows[of == k].mean(axis=0) for k in range(3)]
    spread = sum(np.outer(r - means[k], r - means[k]) for r, k in zip(rows, of, strict=True))
    inverse = np.linalg.inv(spread / len(rows))
    expected = [-min((z - m) @ inverse @ (z - m) for m in means) for z in images]
    np.testing.assert_allclose(mahalanobis_score(7 * images, rows, of), expected, rtol=1e-4)
    whole = rows - rows.mean(axis=0)
    inverse = np.linalg.inv(whole.T @ whole / len(rows))
    near = [(z - rows.mean(axis=0)) @ inverse @ (z - rows.mean(axis=0)) for z in images]
    np.testing.assert_allclose(
        relative_mahalanobis_score(images, rows, of), np.add(expected, near), rtol=1e-3, atol=1e-3
    )


def test_mahalanobis_without_spread_is_refused():
    with pytest.raises(InputError, match="do not differ"):
        mahalanobis_score(np.eye(3), np.ones((4, 3)), np.zeros(4, int))


def test_fewer_pictures_than_dimensions_give_finite_scores():
    rows, of = known(each=2, width=20)
    assert np.isfinite(mahalanobis_score(rows, rows, of)).all()


def test_interneg_takes_words_farther_from_every_class_than_its_text():
    rng = np.random.default_rng(2)
    rows, of = known()
    texts, words = (rng.normal(size=(n, 6)) for n in (3, 200))
    centres = prototypes(rows, of, 3)
    margin = [[t @ c - w @ c for t, c in zip(texts, centres, strict=True)] for w in words]
    valid = [i for i in range(200) if min(margin[i]) > 0]
    expected = sorted(valid, key=lambda i: -np.mean(margin[i]))
    assert 5 < len(expected) < 150
    assert list(interneg_words(words, texts, centres)) == expected
    assert list(interneg_words(words, texts, centres, count=4)) == expected[:4]


def test_a_class_without_pictures_has_no_say():
    rows, of = known()
    texts, words = np.random.default_rng(3).normal(size=(2, 30, 6))
    three, four = prototypes(rows, of, 3), prototypes(rows, of, 4)
    assert not four[3].any()
    np.testing.assert_array_equal(
        interneg_words(words, texts[:3], three), interneg_words(words, texts[:4], four)
    )


def test_interneg_without_valid_words_is_refused():
    rows, of = known()
    centres = prototypes(rows, of, 3)
    with pytest.raises(InputError, match="0 words are farther"):
        interneg_score(rows, References(rows, of, -centres, centres))
