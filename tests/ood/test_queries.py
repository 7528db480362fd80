"""Texts that are looked for: their odds against slow NumPy, and what they do not depend on."""

import jax
import numpy as np
import pytest
from scipy.special import expit, logsumexp

from jaxvlm.arrays import unit
from jaxvlm.errors import InputError
from jaxvlm.ood import queries
from jaxvlm.ood.queries import NEAR, OFFSET, SHARE, match_queries, near_words, query_bank
from tests.atoms.jaxprs import avals

N, Q, M, D, SCALE = 7, 5, 40, 16, 100.0


def made(seed=0):
    """Unit rows of pictures, queries and words, among these some that say what a query says."""
    rng = np.random.default_rng(seed)
    images, asked, words = (
        unit(rng.normal(size=(count, D)).astype(np.float32)) for count in (N, Q, M)
    )
    words[:Q] = unit(asked + 0.1 * words[:Q])  # a synonym each
    words[Q] = asked[0]
    images[0] = words[1]  # the picture of a synonym of query 1
    return images, asked, words, near_words(asked, words)


def slowly(images, asked, words, out):
    """Log-odds in float64, a query and a picture at a time."""
    images, asked, words = (rows.astype(np.float64) for rows in (images, asked, words))
    odds = np.zeros((len(images), len(asked)))
    for q, text in enumerate(asked):
        kept = words[~out[q]]
        own = SCALE - logsumexp(SCALE * kept @ text)
        for n, image in enumerate(images):
            odds[n, q] = SCALE * image @ text - logsumexp(SCALE * kept @ image)
            odds[n, q] += OFFSET - SHARE * own
    return odds


def test_odds_are_those_of_a_slow_form():
    images, asked, words, out = made()
    assert out[:, :Q].diagonal().all() and out[0, Q] and out.sum() < 2 * Q + 2
    odds, cosine = match_queries(images, query_bank(asked, words, out, scale=SCALE), scale=SCALE)
    np.testing.assert_allclose(odds, slowly(images, asked, words, out), rtol=2e-5, atol=2e-4)
    np.testing.assert_allclose(cosine, images @ asked.T, atol=1e-6)


def test_two_words_at_right_angles():
    """z_q = 1, z_n = 0 twice: S = σ(1 − log 2 + b) and b = β − α(1 − log 2)."""
    rows = np.eye(3, dtype=np.float32)
    bank = query_bank(rows[:1], rows[1:], np.zeros((1, 2), bool), scale=1.0)
    odds, _ = match_queries(rows, bank, scale=1.0)
    own = 1 - np.log(2)
    assert expit(odds[0, 0]) == pytest.approx(expit((1 - SHARE) * own + OFFSET), rel=1e-5)
    # The picture of a word: z_q = 0 against log(e + 1).
    assert odds[1, 0] == pytest.approx(OFFSET - SHARE * own - np.log(np.e + 1), rel=1e-5)


def test_a_word_that_is_left_out_leaves_no_trace_however_large_it_is():
    """A sum over all words from which it is taken would be 0 in float32: e^100 is in it."""
    images, asked, words, out = made()
    assert out[1, 1]
    odds, _ = match_queries(images, query_bank(asked, words, out, scale=SCALE), scale=SCALE)
    assert SCALE * images[0] @ words[1] - SCALE * np.sort(images[0] @ words.T)[-2] > 20
    kept = ~out[1]
    alone = query_bank(asked[1:2], words[kept], out[1:2, kept], scale=SCALE)
    np.testing.assert_allclose(
        odds[:, 1:2], match_queries(images, alone, scale=SCALE)[0], rtol=1e-5, atol=1e-4
    )


def test_where_every_word_is_left_out_by_some_query():
    images, asked, words, _ = made()
    out = np.arange(M)[None] % Q == np.arange(Q)[:, None]
    odds, _ = match_queries(images, query_bank(asked, words, out, scale=SCALE), scale=SCALE)
    np.testing.assert_allclose(odds, slowly(images, asked, words, out), rtol=2e-5, atol=2e-4)


def test_neither_order_nor_another_query_changes_a_number():
    images, asked, words, out = made()

    def odds(chosen):
        bank = query_bank(asked[chosen], words, out[chosen], scale=SCALE)
        return match_queries(images, bank, scale=SCALE)[0]

    every = odds(np.arange(Q))
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(odds(order), every[:, order], rtol=1e-5, atol=1e-4)
    for q in range(Q):
        np.testing.assert_allclose(odds(np.array([q])), every[:, [q]], rtol=1e-5, atol=1e-4)


def test_what_all_texts_have_in_common_with_a_picture_is_no_reason():
    """A direction that every text has alike shifts all cosines of a picture, and no number."""
    images, asked, words, out = made()
    wide = [np.pad(rows, ((0, 0), (0, 1))) for rows in (images, asked, words)]
    for texts in wide[1:]:
        texts[:, -1] = 1.0
    images, asked, words = wide[0], wide[1] / np.sqrt(2), wide[2] / np.sqrt(2)
    lit = images.copy()
    lit[:, -1] = 0.3
    bank = query_bank(asked, words, out, scale=SCALE)
    odds, cosine = match_queries(images, bank, scale=SCALE)
    shifted, higher = match_queries(lit, bank, scale=SCALE)
    np.testing.assert_allclose(higher - cosine, 0.3 / np.sqrt(2), atol=1e-5)
    np.testing.assert_allclose(shifted, odds, rtol=1e-4, atol=1e-3)


def test_blocks_of_pictures_are_joined(monkeypatch):
    images, asked, words, out = made()
    bank = query_bank(asked, words, out, scale=SCALE)
    whole = match_queries(images, bank, scale=SCALE)
    monkeypatch.setattr(queries, "_BLOCK", 2)
    for one, two in zip(whole, match_queries(images, bank, scale=SCALE), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-4)
    assert match_queries(images[:0], bank, scale=SCALE)[0].shape == (0, Q)


def test_no_array_has_a_number_for_every_picture_query_and_word():
    images, asked, words, _ = made()
    out = np.arange(M)[None] % Q == np.arange(Q)[:, None]
    bank = query_bank(asked, words, out, scale=SCALE)
    closed = jax.make_jaxpr(queries._match)(images, bank, SCALE)

    assert N * M <= max(aval.size for aval in avals(closed.jaxpr)) < N * Q * M / 2


def test_near_words_are_left_out_and_at_most_half():
    words = np.array([[1, 0], [0.9, np.sqrt(0.19)], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
    query = np.array([[1, 0]], np.float32)
    assert near_words(query, words).tolist() == [[True, True, False, False, False]]
    assert near_words(query, words, near=0.95).tolist() == [[True, False, False, False, False]]
    assert near_words(query, words[:3]).tolist() == [[True, False, False]]
    assert not near_words(query, words[:1]).any()
    assert NEAR == 0.85


def test_a_query_without_an_alternative_is_refused():
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="none that a query does not say itself"):
        query_bank(rows[:1], rows[1:], np.ones((1, 2), bool), scale=SCALE)
    with pytest.raises(ValueError, match="left_out"):
        query_bank(rows[:1], rows[1:], np.ones((1, 3), bool), scale=SCALE)
