"""Texts that an encoder cannot tell apart."""

import numpy as np
import pytest

from jaxvlm.clip.similar_texts import similar_pairs, text_doubts


def test_pairs_are_found_by_their_cosine():
    rows = np.array([[1, 0], [2, 0.02], [0, 1], [0.6, 0.8]])
    ((i, j, cosine),) = similar_pairs(rows)
    assert (i, j) == (0, 1) and cosine == pytest.approx(1 / np.sqrt(1.0001))
    assert [pair[:2] for pair in similar_pairs(rows, 0.79)] == [(0, 1), (2, 3)]


def test_a_pair_is_named_and_an_encoder_that_knows_no_word_is_told():
    names = ["fire", "flames", "smoke", "siren", "boat"]
    rows = np.eye(5)
    assert text_doubts(rows, names, "atoms") == []
    rows[1] = rows[0] + 0.01
    (line,) = text_doubts(rows, names, "atoms")
    assert line.endswith("(cosine 0.95 or more): 'fire' and 'flames'")
    (line,) = text_doubts(np.ones((5, 5)), names, "atoms")
    assert line.startswith("10 of 10 pairs of atoms have a cosine of 0.95 or more")
    assert "does not know their words" in line
