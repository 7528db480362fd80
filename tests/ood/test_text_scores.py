"""EOE, CMA, CoVer and size-free groups, by their papers and by their public code.

``golden/text_scores.safetensors`` has what released code gave on a CPU for the rows, classes and
words of ``golden/streams.safetensors``: CMA of yuxiaoLeeMarks/CMA with its own agents, CoVer of
tmlr-group/CoVer, size-free groups of zxk1212/tins, and for ID pictures of its own InterNeg's words
and scores, of ZhikangXu0112/InterNeg.
"""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxvlm.errors import InputError
from jaxvlm.ood.referenced import References, interneg_score, interneg_words, prototypes
from jaxvlm.ood.scores import neglabel_score
from jaxvlm.ood.text_scores import (
    AGENT_TEXTS,
    agent_texts,
    cma_score,
    cover_score,
    eoe_score,
    size_free_score,
)
from jaxvlm.ood.versions import cover_scores

FOLDER = Path(__file__).parents[1] / "golden"
GIVEN = load_file(FOLDER / "streams.safetensors")
PUBLIC = load_file(FOLDER / "text_scores.safetensors")
RNG = np.random.default_rng(0)
POSITIVE, NEGATIVE = RNG.normal(25, 5, 7), RNG.normal(20, 5, 24)


def test_cma_with_its_own_agents_is_that_of_the_public_code():
    """Its five texts, for which five words stand here, in turn for six classes."""
    rows = 100 * GIVEN["rows"]
    agents = GIVEN["corpus"][[20 + AGENT_TEXTS.index(text) for text in agent_texts(6)]]
    found = jax.vmap(cma_score)(rows @ GIVEN["positive"].T, rows @ agents.T)
    np.testing.assert_allclose(found, PUBLIC["cma_default"], atol=1e-6)


def test_cover_and_size_free_groups_are_those_of_the_public_code():
    versions = GIVEN["rows"][:312].reshape(24, 13, -1)
    found = cover_scores(versions, GIVEN["positive"])
    np.testing.assert_allclose(found, PUBLIC["cover"], atol=1e-6)
    rows = 100 * GIVEN["rows"]
    score = functools.partial(size_free_score, num_groups=3)
    found = jax.vmap(score)(rows @ GIVEN["positive"].T, rows @ GIVEN["negative"].T)
    np.testing.assert_allclose(found, PUBLIC["size_free_3_groups"], atol=1e-4)


def test_internegs_words_and_scores_are_those_of_the_public_code():
    """In its order; it scores them in this order, so that with one group the numbers agree."""
    classes, positive, words = PUBLIC["id_classes"], GIVEN["positive"], GIVEN["corpus"]
    centres = prototypes(PUBLIC["id_rows"], classes, len(positive))
    np.testing.assert_array_equal(
        interneg_words(words, positive, centres), PUBLIC["interneg_words"]
    )
    known = References(PUBLIC["id_rows"], classes, positive, words, num_groups=1)
    found = interneg_score(GIVEN["rows"], known)
    np.testing.assert_allclose(found, PUBLIC["interneg"], atol=1e-4)


def test_size_free_groups_by_the_paper():
    known = np.exp(POSITIVE).sum()
    groups = np.exp(NEGATIVE).reshape(4, 6)
    expected = np.mean([known / (known + 7 * group.mean()) for group in groups])
    assert float(size_free_score(POSITIVE, NEGATIVE, num_groups=4)) == pytest.approx(expected, 1e-5)


def test_size_free_does_not_depend_on_the_number_of_negatives_and_neglabel_does():
    twice = np.repeat(NEGATIVE, 2)
    for score, same in ((size_free_score, True), (neglabel_score, False)):
        one, two = (float(score(POSITIVE, n, num_groups=4)) for n in (NEGATIVE, twice))
        assert (one == pytest.approx(two, abs=1e-6)) == same


def test_eoe_by_the_paper():
    p = np.exp(np.concatenate([POSITIVE, NEGATIVE]) / 10)
    p /= p.sum()
    expected = p[:7].max() - 0.5 * p[7:].max()
    found = eoe_score(POSITIVE, NEGATIVE, beta=0.5, temperature=0.1)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_an_agent_that_fits_takes_from_the_classes():
    plain, taken = (float(cma_score(POSITIVE, np.full(7, z))) for z in (0.0, 40.0))
    assert taken < plain


def test_agents_are_as_many_as_classes():
    found = agent_texts(7)
    assert len(found) == 7 and found[5] == found[0] != found[1]


def test_cover_is_the_mean_and_needs_a_version():
    assert float(cover_score([0.2, 0.4, 0.9])) == pytest.approx(0.5)
    with pytest.raises(InputError, match="no version"):
        cover_score(np.empty(0))
