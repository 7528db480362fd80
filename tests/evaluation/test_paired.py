"""CCR, groups of OOD sets and ID images of several sets, against loops over the drawn images."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jaxvlm.errors import InputError
from jaxvlm.evaluation.intervals import share_interval
from jaxvlm.evaluation.metrics_ood import CCR, correct_classification_rates, ood_metrics
from jaxvlm.evaluation.paired import (
    MEAN_OF_SETS,
    Known,
    bootstrap_sets,
    compare_sets,
    sample_sets,
)
from tests.evaluation import slow_intervals

DRAWS, SEED = 30, 4


def slow_rate(ids, oods, right, power):
    """The lowest OOD score above which fewer than a share 10^−power of the OOD images lie; the ID
    images above it whose class is right."""
    share = Fraction(1, 10**power)
    if len(oods) * share < 1:
        return np.nan
    allowed = [t for t in oods if Fraction(sum(s > t for s in oods), len(oods)) < share]
    kept = [r for s, r in zip(ids, right, strict=True) if s > min(allowed)]
    return sum(kept) / len(ids)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2, 9), st.booleans()), min_size=1, max_size=25),
    st.lists(st.integers(-5, 9), min_size=1, max_size=40),
    st.sampled_from([1, 3, 10]),
)
def test_ccr_equals_its_definition_under_ties(ids, oods, repeats):
    scores, right = zip(*ids, strict=True)
    found = correct_classification_rates(scores, oods * repeats, right)
    expected = [slow_rate(scores, oods * repeats, right, power) for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(list(found.values()), expected, rtol=0, atol=1e-15)
    assert tuple(found) == CCR


def test_ccr_by_hand():
    # 20 OOD images at 1..20. At 10 % the 2nd highest is the threshold, 19, and its tie is rejected.
    ids, right = [18, 19, 19.5, 20, 21, 22], [1, 1, 1, 0, 1, 1]
    found = correct_classification_rates(ids, range(1, 21), right)
    assert found["ccr_1"] == 3 / 6
    # A twentieth is the least share of OOD images that there is.
    assert all(np.isnan(found[name]) for name in CCR[1:])
    # 100: at 1 % the highest of them is the threshold. 101: the 2nd, for 1 of 101 is below 1 %.
    assert correct_classification_rates(ids, np.linspace(0, 20, 100), right)["ccr_2"] == 2 / 6
    assert correct_classification_rates(ids, np.linspace(0, 20, 101), right)["ccr_2"] == 2 / 6
    assert correct_classification_rates(ids, np.linspace(0, 20.1, 101), right)["ccr_2"] == 2 / 6
    assert correct_classification_rates(ids, [*range(100), 50], right)["ccr_2"] == 0


def test_where_all_classes_are_right_ccr_is_the_true_positive_rate():
    rng = np.random.default_rng(0)
    ids, oods = rng.normal(1, 1, 50), rng.normal(0, 1, 1000)
    found = correct_classification_rates(ids, oods, np.ones(50))
    for name, k in zip(CCR, (100, 10, 1), strict=False):
        assert found[name] == np.mean(ids > np.sort(oods)[-k])
    assert np.isnan(found["ccr_4"])


@pytest.mark.parametrize("right", [[1, 0], [1, 0, 2], [[1, 0, 1]], [1, 0, np.nan]])
def test_what_is_right_is_one_per_id_image(right):
    with pytest.raises(InputError, match="right: no 0 or 1 for each of 3 ID images"):
        correct_classification_rates([1.0, 2.0, 3.0], [0.0], right)


@pytest.fixture(scope="module")
def drawn():
    """ID images of two sets, three OOD sets, and DRAWS drawings of each of the five by itself."""
    rng = np.random.default_rng(1)
    parts = np.repeat([0, 1], [18, 12])
    ids = {m: np.round(rng.normal(1, 1, 30) - 0.5 * parts, 1) for m in "ab"}
    sets = {
        name: {m: np.round(rng.normal(shift, 1, count), 1) for m in "ab"}
        for name, shift, count in (("x", 0.5, 14), ("y", 0.0, 11), ("z", -1.0, 17))
    }
    right = rng.integers(0, 2, 30)
    # The first part of the ID images is kind 0, the OOD sets 1 to 3, the other part 4.
    members = [np.arange(18), *(np.arange(len(own["a"])) for own in sets.values())]
    members.append(18 + np.arange(12))
    rngs = [np.random.default_rng([SEED, kind]) for kind in range(5)]
    draws = []
    for _ in range(DRAWS):
        taken = [own[r.integers(len(own), size=len(own))]
                 for own, r in zip(members, rngs, strict=True)]  # fmt: skip
        draws.append((np.append(taken[0], taken[4]), taken[1:4]))
    return parts, ids, sets, right, draws


@pytest.fixture(scope="module")
def found(drawn):
    parts, ids, sets, right, _ = drawn
    sampled = sample_sets(
        {name: ids for name in sets}, sets, known=Known(right, parts), num_resamples=DRAWS,
        seed=SEED,
    )  # fmt: skip
    return compare_sets(sampled, baseline="a", groups={"near": ["x", "z"], "far": ["y"]})


def all_metrics(ids, oods, right):
    return np.append(
        list(ood_metrics(ids, oods).values()),
        list(correct_classification_rates(ids, oods, right).values()),
    )


def means(drawn, members, method):
    """[8] of the images and [DRAWS, 8] of the drawn ones, the mean over some OOD sets."""
    _, ids, sets, right, draws = drawn
    names = list(sets)

    def mean(i, js):
        return np.mean(
            [all_metrics(ids[method][i], sets[n][method][js[names.index(n)]], right[i])
             for n in members], axis=0,
        )  # fmt: skip

    everything = slice(None), [slice(None)] * 3
    return mean(*everything), np.array([mean(*draw) for draw in draws])


@pytest.mark.parametrize(
    ("name", "members"),
    [("mean of near", "xz"), ("mean of far", "y"), ("x", "x"), (MEAN_OF_SETS, "xyz")],
)
def test_means_of_groups_equal_a_loop_over_the_drawn_images(drawn, found, name, members):
    parts, ids, sets, _, _ = drawn
    kinds = np.concatenate([4 * parts, *(
        np.full(len(sets[n]["a"]), 1 + list(sets).index(n)) for n in members)])  # fmt: skip
    values = {m: means(drawn, members, m) for m in "ab"}
    value, resampled = (values["b"][part] for part in (0, 1))
    own = found[name]["b"]
    np.testing.assert_allclose([i.value for i in own.metrics], value[:4], rtol=1e-12)
    np.testing.assert_allclose([i.value for i in own.correct], value[4:], rtol=1e-12)
    for got, column in ((own.metrics.fpr95, 3), (own.correct.ccr_1, 4)):
        expected = slow_intervals.expanded_percentiles(resampled[:, column], kinds, 0.95)
        assert got[1:] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(own.correct.ccr_2[1:]).all()
    difference = resampled[:, 3] - values["a"][1][:, 3]
    expected = slow_intervals.expanded_percentiles(difference, kinds, 0.95)
    assert own.difference.fpr95[1:] == pytest.approx(expected, abs=1e-12)

    def mean_auroc(method, weights):
        return np.mean(
            [
                slow_intervals.areas(
                    np.append(ids[method], sets[n][method]),
                    np.repeat([1, 0], [30, len(sets[n][method])]),
                    np.append(weights[:30], weights[kinds == 1 + list(sets).index(n)]),
                    trapezoid=False,
                )
                for n in members
            ],
            axis=0,
        )

    influence = [
        slow_intervals.influences(lambda w, m=m: mean_auroc(m, w), np.arange(len(kinds)))[0]
        for m in "ab"
    ]
    expected = slow_intervals.logit_interval(value[0], influence[1], resampled[:, 0], kinds, 0.95)
    assert own.metrics.auroc[1:] == pytest.approx(expected, abs=1e-5)
    expected = slow_intervals.plain_interval(
        value[0] - values["a"][0][0], influence[1] - influence[0],
        resampled[:, 0] - values["a"][1][:, 0], kinds, 0.95,
    )  # fmt: skip
    assert own.difference.auroc[1:] == pytest.approx(expected, abs=1e-5)


def test_a_groups_mean_stands_behind_its_last_set(found):
    assert list(found) == ["x", "y", "mean of far", "z", "mean of near", MEAN_OF_SETS]


def test_neither_groups_nor_a_known_truth_change_the_rest(drawn):
    _, ids, sets, right, _ = drawn
    ids = {name: ids for name in sets}
    plain = bootstrap_sets(ids, sets, num_resamples=9, seed=2)
    sampled = sample_sets(ids, sets, known=Known(right), num_resamples=9, seed=2)
    grouped = compare_sets(sampled, groups={"near": ["x", "y"]})
    for name, methods in plain.items():
        for method, own in methods.items():
            assert own.correct is None
            assert grouped[name][method]._replace(correct=None) == own


def test_names_that_a_mean_has_are_refused(drawn):
    _, ids, sets, right, _ = drawn
    one = {"mean of near": sets["x"]}
    sampled = sample_sets({name: ids for name in one}, one, num_resamples=2)
    with pytest.raises(InputError, match="mean of near: an OOD set of this name"):
        compare_sets(sampled, groups={"near": ["mean of near"]})
    with pytest.raises(InputError, match="sets: a group of this name"):
        compare_sets(sampled, groups={"sets": ["mean of near"]})
    with pytest.raises(InputError, match="parts: 29 numbers for 30 ID images"):
        sample_sets({"x": ids}, {"x": sets["x"]}, known=Known(right, np.zeros(29, int)))


@pytest.mark.parametrize(("count", "total"), [(0, 10), (1, 1), (3, 17), (10, 10), (480, 500)])
def test_a_share_has_the_interval_of_clopper_and_pearson(count, total):
    # By its definition: at each end the count, or one further out, has a chance of 2.5 %.
    value, low, high = share_interval(count, total)
    assert value == count / total
    assert low == 0 if count == 0 else stats.binom.sf(count - 1, total, low) == pytest.approx(0.025)
    assert (
        high == 1 if count == total else stats.binom.cdf(count, total, high) == pytest.approx(0.025)
    )


def test_a_share_of_nothing_is_none():
    assert np.isnan(share_interval(0, 0)).all()
    with pytest.raises(ValueError, match="share_interval: 3 of 2"):
        share_interval(3, 2)
