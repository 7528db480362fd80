import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation.macro import macro_samples, mean_difference, mean_interval


def videos(seed, count=30, sharp=1.0):
    rng = np.random.default_rng(seed)
    truth = [(rng.random((rng.integers(5, 12), 2)) < 0.2).astype(int) for _ in range(count)]
    truth[::3] = [0 * one for one in truth[::3]]
    scores = [sharp * one + rng.normal(size=one.shape) for one in truth]
    return scores, truth


def test_values_are_those_of_scikit_learn_on_every_resample():
    scores, truth = videos(0)
    found = macro_samples(scores, truth, num_resamples=6, seed=3)
    assert found.values.shape == (2, 7)
    kinds = np.array([0 if one.any() else 1 for one in truth])
    members = [np.flatnonzero(kinds == k) for k in (0, 1)]
    drawn = [np.random.default_rng([3, k]) for k in (0, 1)]
    for column in range(7):
        index = np.concatenate(
            [
                own if column == 0 else own[rng.integers(len(own), size=len(own))]
                for own, rng in zip(members, drawn, strict=True)
            ]
        )
        s, y = (np.concatenate([part[n] for n in index]) for part in (scores, truth))
        auc = np.mean([roc_auc_score(y[:, e], s[:, e]) for e in range(2)])
        ap = np.mean([average_precision_score(y[:, e], s[:, e]) for e in range(2)])
        np.testing.assert_allclose(found.values[:, column], [auc, ap], rtol=1e-9)


def test_an_event_of_one_kind_is_left_out():
    scores, truth = videos(1)
    three = [np.column_stack([one, 0 * one[:, 0]]) for one in truth]
    more = [np.column_stack([one, one[:, 0]]) for one in scores]
    two = macro_samples(scores, truth, num_resamples=3)
    np.testing.assert_array_equal(macro_samples(more, three, num_resamples=3).values, two.values)
    with pytest.raises(InputError, match="no event has frames of both kinds"):
        macro_samples(scores, [0 * one for one in truth])
    with pytest.raises(InputError, match="other videos"):
        macro_samples(scores[:-1], truth)


def test_a_method_does_not_differ_from_itself_and_a_better_one_does():
    worlds = [videos(seed, sharp=3.0) for seed in range(3)]
    good = [macro_samples(*world, num_resamples=200) for world in worlds]
    bad = [macro_samples([0.2 * s - t for s, t in zip(*world, strict=True)], world[1],
                         num_resamples=200) for world in worlds]  # fmt: skip
    for interval in mean_difference(good, good).values():
        assert interval.value == interval.low == interval.high == 0
    for interval in mean_difference(good, bad).values():
        assert 0 < interval.low < interval.value < interval.high
    values = [g.values[1, 0] - b.values[1, 0] for g, b in zip(good, bad, strict=True)]
    assert mean_difference(good, bad)["videos"].value == pytest.approx(np.mean(values))


def test_interval_of_a_mean_is_students():
    values = [0.1, 0.3, 0.2, 0.6]
    found = mean_interval(values, 0.9)
    low, high = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    np.testing.assert_allclose(found, [np.mean(values), low, high])
    assert np.isnan(mean_interval([0.5]).low)
