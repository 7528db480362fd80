"""What an interval is made of: influences, kinds of units, and how often it covers the truth."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.intervals import (
    percentile_interval,
    poisson_interval,
    ranking_interval,
)
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.evaluation.paired import (
    MEAN_OF_SETS,
    bootstrap_intervals,
    bootstrap_methods,
    bootstrap_sets,
)
from jaxvlm.evaluation.ranking import influences, sort_pictures
from tests.evaluation import slow_intervals


def test_the_aurocs_standard_error_is_delongs():
    # DeLong: V = var(placements of ID)/N_id + var(placements of OOD)/N_ood, ties count one half.
    rng = np.random.default_rng(0)
    ids, oods = np.round(rng.normal(1, 1, 14), 1), np.round(rng.normal(0, 1, 9), 1)
    wins = np.array([[(x > y) + 0.5 * (x == y) for y in oods] for x in ids])
    expected = wins.mean(axis=1).var(ddof=1) / 14 + wins.mean(axis=0).var(ddof=1) / 9
    influence = influences(sort_pictures(ids, oods), "id_positive")[0]
    parts = influence[:14], influence[14:]
    assert sum(len(u) * u.var(ddof=1) for u in parts) == pytest.approx(expected, rel=1e-12)


def test_the_mean_of_sets_shares_its_id_images():
    rng = np.random.default_rng(1)
    ids = rng.normal(1, 1, 25)
    sets = {"near": rng.normal(0.3, 1, 18), "far": rng.normal(-1, 1, 12)}
    found = bootstrap_sets(
        {name: {"a": ids} for name in sets},
        {name: {"a": scores} for name, scores in sets.items()},
        num_resamples=40, seed=3,
    )  # fmt: skip
    own = [found[name]["a"].metrics.auroc.value for name in sets]
    mean = found[MEAN_OF_SETS]["a"].metrics
    assert mean.auroc.value == pytest.approx(np.mean(own), abs=1e-15)

    scores, kinds = np.concatenate([ids, *sets.values()]), np.repeat([0, 1, 2], [25, 18, 12])

    def mean_auroc(weights):
        kept = [kinds != other for other in (2, 1)]
        return np.mean(
            [
                slow_intervals.areas(scores[k], kinds[k] == 0, weights[k], trapezoid=False)
                for k in kept
            ],
            axis=0,
        )

    (influence, _) = slow_intervals.influences(mean_auroc, np.arange(55))
    rngs = [np.random.default_rng([3, kind]) for kind in range(3)]
    resampled, rates = [], []
    for _ in range(40):
        drawn, *others = (
            values[rng.integers(len(values), size=len(values))]
            for rng, values in zip(rngs, (ids, *sets.values()), strict=True)
        )
        each = [ood_metrics(drawn, other) for other in others]
        resampled.append(np.mean([metrics["auroc"] for metrics in each]))
        rates.append(np.mean([metrics["fpr95"] for metrics in each]))
    expected = slow_intervals.logit_interval(np.mean(own), influence, resampled, kinds, 0.95)
    assert mean.auroc[1:] == pytest.approx(expected, abs=1e-5)
    expected = slow_intervals.expanded_percentiles(rates, kinds, 0.95)
    assert mean.fpr95[1:] == pytest.approx(expected, abs=1e-12)


def test_one_set_is_the_same_alone_and_among_sets():
    rng = np.random.default_rng(2)
    ids, oods = {"a": rng.normal(1, 1, 20)}, {"a": rng.normal(0, 1, 10)}
    alone = bootstrap_methods(ids, oods, num_resamples=20)
    among = bootstrap_sets({"x": ids, "y": ids}, {"x": oods, "y": oods}, num_resamples=20)
    assert among["x"] == alone and set(among) == {"x", "y", MEAN_OF_SETS}


def test_few_pictures_are_covered_as_often_as_stated():
    # Normal scores 1.5 apart, 12 ID and 36 others; the truth from thousands of times as many.
    rng = np.random.default_rng(0)
    truth = ood_metrics(rng.normal(1.5, 1, 40_000), rng.normal(0, 1, 120_000))
    names = ("auroc", "aupr_in", "aupr_out")
    held = dict.fromkeys(names, 0)
    for _ in range(150):
        found = bootstrap_intervals(
            rng.normal(1.5, 1, 12), rng.normal(0, 1, 36), num_resamples=60
        )._asdict()
        for name in names:
            held[name] += found[name].low <= truth[name] <= found[name].high
    # Percentiles hold it in 0.83 to 0.89; the share of 150 has a standard error of 0.018.
    assert all(number / 150 > 0.91 for number in held.values()), held


def test_nothing_wrong_and_one_unit_have_no_width():
    kinds, flat = np.array([0, 0, 1, 1]), np.zeros(4)
    assert ranking_interval(np.ones(9), flat, kinds, 0.95) == (1.0, 1.0, 1.0)
    assert ranking_interval(np.full(9, 0.5), flat, kinds, 0.95) == (0.5, 0.5, 0.5)
    one = ranking_interval(np.full(9, 0.5), np.array([0.2, -0.2]), np.array([0, 1]), 0.95)
    assert one == (0.5, 0.5, 0.5)
    assert np.isnan(ranking_interval(np.array([0.5]), flat, kinds, 0.95)[1:]).all()


def test_expanded_percentiles_by_hand():
    # 4 units of 2 kinds: t of 1 degree at 0.75 is 1; Φ(−1·√(4/2)) = 0.0786, of 0, 1, …, 100.
    values = np.append(50.0, np.arange(101.0))
    found = percentile_interval(values, np.array([0, 0, 1, 1]), 0.5)
    assert found == pytest.approx((50.0, 7.865, 92.135), abs=1e-3)


def test_sets_that_do_not_fit_are_named():
    a, b = {"a": [1.0, 0.5]}, {"a": [1.0]}
    with pytest.raises(InputError, match="mean of sets: an OOD set of this name"):
        bootstrap_sets({MEAN_OF_SETS: a}, {MEAN_OF_SETS: b})
    with pytest.raises(InputError, match=r"y: 1 ID scores of \['a'\], x has 2"):
        bootstrap_sets({"x": a, "y": b}, {"x": a, "y": a})
    with pytest.raises(InputError, match="sets: .* score the ID images for every set"):
        bootstrap_sets({"x": a}, {"x": a, "y": a})


def test_the_poisson_interval_is_garwoods():
    # Garwood (1936), 95 %.
    for count, low, high in ((0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)):
        assert poisson_interval(count) == pytest.approx((low, high), abs=6e-3)
    with pytest.raises(ValueError, match="count"):
        poisson_interval(-1)
