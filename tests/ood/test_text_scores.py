"""EOE, CMA, CoVer and size-free groups, beside `tests/ood/streams/test_public.py`."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.scores import neglabel_score
from jaxvlm.ood.text_scores import (
    agent_texts,
    cma_score,
    cover_score,
    eoe_score,
    size_free_score,
)

RNG = np.random.default_rng(0)
POSITIVE, NEGATIVE = RNG.normal(25, 5, 7), RNG.normal(20, 5, 24)


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
