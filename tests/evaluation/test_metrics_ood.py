import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import CONVENTIONS, ood_metrics
from jaxvlm.evaluation.paired import bootstrap_intervals, bootstrap_methods
from tests.evaluation import slow_intervals

NAMES = ("auroc", "aupr_in", "aupr_out", "fpr95")
# Few levels, so most images tie; -5 to -3 and 9 come on one side only, which leaves gaps.
ID = st.lists(st.integers(-2, 9), min_size=1, max_size=30)
OOD = st.lists(st.integers(-5, 4), min_size=1, max_size=30)


def by_sklearn(id_scores, ood_scores, *, openood=False):
    scores = np.concatenate([id_scores, ood_scores]).astype(float)
    is_id = np.repeat([1, 0], [len(id_scores), len(ood_scores)])
    # Every threshold kept: scikit-learn drops collinear points unless told otherwise.
    labels, called = (1 - is_id, -scores) if openood else (is_id, scores)
    fpr, tpr, _ = sk.roc_curve(labels, called, drop_intermediate=False)

    def aupr(labels, scores):
        if not openood:
            return sk.average_precision_score(labels, scores)
        precision, recall, _ = sk.precision_recall_curve(labels, scores)
        return sk.auc(recall, precision)

    return {
        "auroc": sk.roc_auc_score(is_id, scores),
        "aupr_in": aupr(is_id, scores),
        "aupr_out": aupr(1 - is_id, -scores),
        "fpr95": fpr[np.argmax(tpr >= 0.95)],
    }


@settings(max_examples=80, deadline=None)
@given(ID, OOD, st.booleans())
def test_equals_scikit_learn_under_ties(id_scores, ood_scores, openood):
    convention = "openood" if openood else "id_positive"
    result = ood_metrics(id_scores, ood_scores, convention=convention)
    assert tuple(result) == NAMES
    assert result == pytest.approx(by_sklearn(id_scores, ood_scores, openood=openood), abs=1e-12)


@pytest.mark.parametrize("openood", [False, True])
@pytest.mark.parametrize(
    "id_scores, ood_scores",
    [
        ([1.0], [0.0]),
        ([0.0], [1.0]),
        ([0.5], [0.5]),
        ([0.5] * 7, [0.5] * 3),
        ([2, 3, 4], [0, 1]),
        ([0, 1], [2, 3, 4]),
        (np.linspace(0, 1, 400), np.linspace(-1, 0.7, 101)),
    ],
)
def test_constant_one_sided_and_tiny_sets(id_scores, ood_scores, openood):
    result = ood_metrics(id_scores, ood_scores, convention="openood" if openood else "id_positive")
    assert result == pytest.approx(by_sklearn(id_scores, ood_scores, openood=openood), abs=1e-12)


def test_fpr_by_hand_in_both_conventions():
    # 20 ID images at 1..20: 19 of them are at or above 2, where 3 of 4 OOD images are.
    # OOD positive: 95 % of 4 are all 4, called at or below 30, and so are all the ID images.
    ids, oods = np.arange(1, 21), [0, 2, 2.5, 30]
    assert ood_metrics(ids, oods)["fpr95"] == 3 / 4
    assert ood_metrics(ids, oods, convention="openood")["fpr95"] == 1.0
    # 20 OOD images at 1..20: 19 are at or below 19, and so are 2 of the 5 ID images, one by a tie.
    ids, oods = [5, 19, 19.5, 20, 21], np.arange(1, 21)
    assert ood_metrics(ids, oods, convention="openood")["fpr95"] == 2 / 5


@pytest.mark.parametrize("count", [20, 60, 1000, 4980, 99980])
def test_95_percent_is_decided_in_whole_numbers(count):
    # 19/20 of the ID images at 1, the rest at 0; the OOD images are at 0: exactly 95 % suffice.
    ids = np.repeat([1.0, 0.0], [count * 19 // 20, count // 20])
    assert ood_metrics(ids, [0.0])["fpr95"] == 0.0
    # One less does not.
    ids[0] = 0.0
    assert ood_metrics(ids, [0.0])["fpr95"] == 1.0


def test_the_first_of_several_sufficient_thresholds_is_taken():
    # All ID images are at or above 2; 1 and 0 would suffice too and let more OOD images through.
    assert ood_metrics([2, 3, 4], [0, 1, 2, 1])["fpr95"] == 1 / 4


def test_openood_precision_recall_area_by_hand():
    # From above: ID at 3, OOD at 2, ID at 1. The curve (R, P): (0, 1) (½, 1) (½, ½) (1, ⅔);
    # area ½·1 + ½·(½ + ⅔)/2 = 19/24. The step form has ½·1 + ½·⅔ = 5/6.
    assert ood_metrics([3, 1], [2], convention="openood")["aupr_in"] == pytest.approx(19 / 24)
    assert ood_metrics([3, 1], [2])["aupr_in"] == pytest.approx(5 / 6)
    # OOD positive, from below: ID at 1 first, so (0, 1) (0, 0) (1, ½): area ¼, step ½.
    assert ood_metrics([3, 1], [2], convention="openood")["aupr_out"] == pytest.approx(1 / 4)
    assert ood_metrics([3, 1], [2])["aupr_out"] == pytest.approx(1 / 2)


def test_neighbouring_floats_are_not_merged():
    for kind in (np.float32, np.float64):
        one = kind(1)
        assert ood_metrics([np.nextafter(one, kind(2))], [one])["auroc"] == 1.0
        assert ood_metrics([one], [one])["auroc"] == 0.5
    assert ood_metrics([-0.0], [0.0])["auroc"] == 0.5


def test_infinite_scores_are_ordered():
    # Pairs: inf beats 0 and ties inf; 1 beats 0 and loses: (1 + ½ + 1 + 0) / 4.
    assert ood_metrics([np.inf, 1], [0, np.inf])["auroc"] == 2.5 / 4
    assert ood_metrics([np.inf, 1], [-np.inf, 0])["fpr95"] == 0.0


@settings(max_examples=40, deadline=None)
@given(ID, OOD, st.sampled_from(CONVENTIONS))
def test_monotone_transforms_change_nothing(id_scores, ood_scores, convention):
    expected = ood_metrics(id_scores, ood_scores, convention=convention)
    for transform in (np.exp, lambda s: s**3 / 7, lambda s: np.float32(1 / (1 + np.exp(-s)))):
        ids, oods = (transform(np.asarray(s, float)) for s in (id_scores, ood_scores))
        assert ood_metrics(ids, oods, convention=convention) == expected


@settings(max_examples=40, deadline=None)
@given(ID, OOD)
def test_swapping_the_sides_swaps_the_conventions(id_scores, ood_scores):
    ours = ood_metrics(id_scores, ood_scores)
    theirs = ood_metrics(-np.array(ood_scores), -np.array(id_scores), convention="openood")
    assert ours["auroc"] == theirs["auroc"] and ours["fpr95"] == theirs["fpr95"]


@pytest.mark.parametrize(
    "ids, oods, options, message",
    [
        ([], [1], {}, "ID scores: none"),
        ([1], [], {}, "OOD scores: none"),
        ([1], [0, np.nan], {}, "OOD scores: NaN at image 1"),
        ([[1]], [0], {}, r"ID scores: shape \[1, 1\]"),
        (1.0, [0], {}, r"ID scores: shape \[\]"),
        (["high"], [0], {}, "ID scores: not all numbers"),
        ([1], [0], {"convention": "ood_positive"}, "convention 'ood_positive': unknown"),
    ],
)
def test_bad_input_is_named(ids, oods, options, message):
    with pytest.raises(InputError, match=message):
        ood_metrics(ids, oods, **options)
    with pytest.raises(InputError, match=message.split(":")[0]):
        bootstrap_intervals(ids, oods, num_resamples=2, **options)


@pytest.fixture(scope="module")
def methods():
    """Three methods on 40 ID and 30 OOD images; the scores of "b" are rounded and tie a lot."""
    rng = np.random.default_rng(3)
    ids, oods = rng.normal(1, 1, 40), rng.normal(0, 1, 30)
    noise = rng.normal(0, 0.3, 70)
    return (
        {"a": ids, "b": np.round(2 * (ids + noise[:40])), "c": np.exp(ids)},
        {"a": oods, "b": np.round(2 * (oods + noise[40:])), "c": np.exp(oods)},
    )


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bootstrap_equals_an_explicit_loop_over_the_drawn_images(methods, convention):
    ids, oods = methods
    options = {"num_resamples": 60, "level": 0.9, "seed": 5, "convention": convention}
    result = bootstrap_methods(ids, oods, baseline="a", **options)
    rngs = [np.random.default_rng([5, side]) for side in (0, 1)]
    draws = [(rngs[0].integers(40, size=40), rngs[1].integers(30, size=30)) for _ in range(60)]

    def metrics(name, i, j):
        return list(ood_metrics(ids[name][i], oods[name][j], convention=convention).values())

    kinds = np.repeat([0, 1], [40, 30])
    value, drawn, influence = {}, {}, {}
    for name in ids:
        value[name] = np.array(metrics(name, slice(None), slice(None)))
        drawn[name] = np.array([metrics(name, i, j) for i, j in draws]).T
        scores = np.append(ids[name], oods[name])
        influence[name] = slow_intervals.influences(
            lambda w, s=scores: weighed_metrics(s, kinds, w, convention == "openood"),
            np.arange(70),
        )
    for name in ids:
        for k in range(3):
            expected = slow_intervals.logit_interval(
                value[name][k], influence[name][k], drawn[name][k], kinds, 0.9
            )
            assert result[name].metrics[k].value == pytest.approx(value[name][k], abs=1e-12)
            assert result[name].metrics[k][1:] == pytest.approx(expected, abs=1e-5)
            if name == "b":
                own = (v["b"][k] - v["a"][k] for v in (value, influence, drawn))
                expected = slow_intervals.plain_interval(*own, kinds, 0.9)
                assert result[name].difference[k][1:] == pytest.approx(expected, abs=1e-5)
        for got, resampled in (
            (result[name].metrics.fpr95, drawn[name][3]),
            (result[name].difference.fpr95, drawn[name][3] - drawn["a"][3]),
        ):
            expected = slow_intervals.expanded_percentiles(resampled, kinds, 0.9)
            assert got[1:] == pytest.approx(expected, abs=1e-12)


def weighed_metrics(scores, kinds, weights, trapezoid):
    """AUROC, AUPR-in, AUPR-out of weighed images."""
    from_id = slow_intervals.areas(scores, kinds == 0, weights, trapezoid=trapezoid)
    from_ood = slow_intervals.areas(-scores, kinds == 1, weights, trapezoid=trapezoid)
    return np.array([*from_id, from_ood[1]])


def test_a_method_in_other_units_differs_by_exactly_nothing(methods):
    result = bootstrap_methods(*methods, baseline="a", num_resamples=50)
    assert all(interval == (0.0, 0.0, 0.0) for interval in result["c"].difference)
    assert any(interval.low < interval.high for interval in result["b"].difference)


def test_chunks_other_methods_and_the_single_form_change_nothing(methods, monkeypatch):
    ids, oods = methods
    whole = bootstrap_methods(ids, oods, num_resamples=30, seed=2)
    assert whole["a"].difference is None
    assert bootstrap_intervals(ids["b"], oods["b"], num_resamples=30, seed=2) == whole["b"].metrics
    assert bootstrap_intervals(ids["b"], oods["b"], num_resamples=30, seed=3) != whole["b"].metrics
    # The package may export the function under the module's name.
    module = importlib.import_module("jaxvlm.evaluation.paired")
    monkeypatch.setattr(module, "CHUNK", 7 * 70)
    assert bootstrap_methods(ids, oods, num_resamples=30, seed=2) == whole


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Normal scores one standard deviation apart: AUROC = Φ(1/√2) = 0.76025.
    rng = np.random.default_rng(0)
    found = [
        bootstrap_intervals(
            rng.normal(1, 1, 100), rng.normal(0, 1, 100), num_resamples=120, level=0.8
        ).auroc
        for _ in range(100)
    ]
    covered = np.mean([i.low <= 0.7602499 <= i.high for i in found])
    assert abs(covered - 0.8) < 0.12  # three standard errors of 100 draws
    # The textbook standard error (Hanley and McNeil 1982) is 0.034 here.
    width = np.mean([i.high - i.low for i in found])
    assert width == pytest.approx(2 * 1.2816 * 0.034, rel=0.15)


def test_intervals_of_one_image_per_side_have_no_width():
    intervals = bootstrap_intervals([1.0], [0.0], num_resamples=5)
    assert all(i.low == i.value == i.high for i in intervals)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"oods": {"a": [0, 0]}}, r"methods: \['a', 'b'\] have ID scores, \['a'\] OOD"),
        ({"oods": {"a": [0, 0], "c": [0, 0]}}, r"\['a', 'c'\] OOD scores"),
        ({"ids": {}, "oods": {}}, r"methods: \[\] have"),
        ({"oods": {"a": [0, 0], "b": [0]}}, r"b: \[1, 1\] ID and OOD scores, a has \[1, 2\]"),
        ({"oods": {"a": [0, 0], "b": [0, np.nan]}}, "OOD scores of b: NaN at image 1"),
        ({"baseline": "mcm"}, "baseline 'mcm': not scored; use one of a, b"),
        ({"level": 1.0}, "at level 1.0"),
        ({"num_resamples": 0}, "0 resamples"),
        ({"convention": ""}, "convention ''"),
    ],
)
def test_bad_methods_are_named(change, message):
    given = {"ids": {"a": [1], "b": [1]}, "oods": {"a": [0, 0], "b": [0, 0]}} | change
    with pytest.raises(InputError, match=message):
        bootstrap_methods(given.pop("ids"), given.pop("oods"), **given)
