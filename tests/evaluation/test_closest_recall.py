"""FPR at the recall closest to 95 %, as the code of NegLabel and others computes it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxvlm.evaluation.metrics_ood import ood_metrics


def by_loops(id_scores, ood_scores):
    """Every distinct score as a threshold, from the highest down to the first with all ID images;
    of those whose recall is nearest to 0.95 in float64, the lowest."""
    best = rate = None
    for threshold in sorted({*id_scores, *ood_scores}, reverse=True):
        called = sum(score >= threshold for score in id_scores)
        gap = abs(called / len(id_scores) - 0.95)
        if best is None or gap <= best:
            best, rate = gap, sum(score >= threshold for score in ood_scores) / len(ood_scores)
        if called == len(id_scores):
            return rate


def closest(id_scores, ood_scores):
    return ood_metrics(id_scores, ood_scores, convention="closest_recall")["fpr95"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(-2, 40), min_size=1, max_size=60),
    st.lists(st.integers(-5, 30), min_size=1, max_size=40),
)
def test_equals_a_loop_over_all_thresholds(id_scores, ood_scores):
    assert closest(id_scores, ood_scores) == by_loops(id_scores, ood_scores)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 19, 20, 21, 30, 39, 50, 70, 110, 400])
def test_equals_the_loop_for_every_kind_of_count(count):
    rng = np.random.default_rng(count)
    ids, oods = rng.normal(1, 1, count).tolist(), rng.normal(0, 1, 35).tolist()
    assert closest(ids, oods) == by_loops(ids, oods)


def test_by_hand():
    # 20 ID images at 1..20: 19 of them, 0.95, are at or above 2. That recall lasts down to 1,
    # and 1.5, 2 and 30 lie above it; at or above 2 are only 2 and 30.
    ids, oods = np.arange(1, 21), [0, 1, 1.5, 2, 30]
    assert closest(ids, oods) == 3 / 5
    assert ood_metrics(ids, oods)["fpr95"] == 2 / 5
    # 10: 0.9 and 1 are as far from 0.95, but for float64 0.9 is nearer: above 1, not at it.
    assert closest(np.arange(1, 11), [1, 2]) == 1 / 2
    assert ood_metrics(np.arange(1, 11), [1, 2])["fpr95"] == 1.0
    # 50: 0.94 and 0.96 are as far in float64, too: 0.96, from 3 down to above 2.
    assert closest(np.arange(1, 51), [2, 2.5, 3, 3.5]) == 3 / 4
    # All ID images in one place: nothing but a recall of 1.
    assert closest([1.0] * 5, [0.0, 1.0]) == 1 / 2


def test_only_the_rate_differs():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 20), rng.normal(0, 1, 20)
    first, other = (
        ood_metrics(ids, oods, convention=name) for name in ("id_positive", "closest_recall")
    )
    assert {name for name in first if first[name] != other[name]} == {"fpr95"}


@pytest.mark.parametrize(("count", "draws"), [(20, 600), (400, 100)])
def test_few_id_images_make_the_conventions_differ(count, draws):
    # The thresholds are the k-th and the (k − 1)-th lowest ID score, k = N/20 + 1, whose
    # place among uniform numbers is Beta(k, N + 1 − k); normal scores 1.5 apart.
    def mean_rate(rank):
        place = stats.beta(rank, count + 1 - rank).ppf((np.arange(4000) + 0.5) / 4000)
        return stats.norm.sf(stats.norm.ppf(place) + 1.5).mean()

    rank = count // 20 + 1
    expected = mean_rate(rank - 1) - mean_rate(rank)
    assert expected == pytest.approx({20: 0.153, 400: 0.0099}[count], rel=0.1)
    rng = np.random.default_rng(count)
    gains = []
    for _ in range(draws):
        ids, oods = rng.normal(1.5, 1, count), rng.normal(0, 1, count)
        gains.append(closest(ids, oods) - ood_metrics(ids, oods)["fpr95"])
    assert min(gains) >= 0
    spread = np.std(gains, ddof=1) / np.sqrt(draws)
    assert np.mean(gains) == pytest.approx(expected, abs=4 * spread)
