"""In or out, on scores whose answer can be counted."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.pictures.deciding import decide, rule
from jaxvlm.pictures.tables import higher_share


@pytest.mark.parametrize(
    ("keep_id", "threshold"), [(1.0, 1.0), (0.95, 1.0), (0.9, 2.0), (0.7, 4.0), (0.01, 10.0)]
)
def test_the_threshold_is_the_highest_that_keeps_the_share(keep_id, threshold):
    known = np.random.default_rng(0).permutation(np.arange(1.0, 11))
    found = decide([threshold, np.nextafter(threshold, -np.inf)], known, keep_id)
    assert found.threshold == threshold and found.is_out.tolist() == [False, True]
    assert np.mean(known >= threshold) >= keep_id > np.mean(known > threshold)


def test_it_is_the_threshold_of_fpr95():
    rng = np.random.default_rng(1)
    known, others = rng.normal(1, 1, 57), rng.normal(0, 1, 80)
    found = decide(others, known)
    assert np.mean(~found.is_out) == ood_metrics(known, others)["fpr95"]
    below = [np.mean(known < score) for score in others]
    np.testing.assert_allclose(found.share_of_id_below, below)
    as_low = [(1 + np.sum(known <= score)) / 58 for score in others]
    np.testing.assert_allclose(found.id_p_value, as_low)
    assert found.record() == {
        "keep_id": 0.95, "expected_kept": 55 / 58, "threshold": found.threshold, "id_pictures": 57,
        "out": int(found.is_out.sum()),
    }  # fmt: skip


def test_the_rule_is_a_sentence_and_so_is_its_absence():
    assert rule(decide([0.5, 3.0], [1.0, 2.0], 1.0)) == (
        "Out below 1, which 100 % of the ID pictures (2) reach, and of others 66.7 %: "
        "1 of 2 pictures"
    )
    assert rule(None).endswith("give them as --id_dir")


def each_left_out(scores):
    """What is decided of every picture by all the others, as one that is drawn as they are: by
    exchangeability each of them is as likely to be the new one."""
    return [decide([s], np.delete(scores, k), 0.9) for k, s in enumerate(scores)]


@pytest.mark.parametrize("count", [1, 2, 10, 19, 20, 41])
def test_no_more_id_pictures_are_told_a_share_than_it_says(count):
    scores = np.random.default_rng(count).normal(size=count + 1)
    for found in (each_left_out(scores), each_left_out(np.round(scores))):
        told = [float(higher_share(own.id_p_value[0])) / 100 for own in found]
        for share in np.arange(101) / 100:
            # At most 1 − share of ID pictures are told that they are lower than the share of them.
            assert np.sum(np.array(told) >= share) <= round((1 - share) * (count + 1), 9)
        kept = [not own.is_out[0] for own in found]
        assert np.mean(kept) >= found[0].expected_kept - 1e-12
    # Where no scores tie the p-value takes each of the N_id + 1 values once.
    p_values = sorted(own.id_p_value[0] for own in each_left_out(scores))
    np.testing.assert_allclose(p_values, (1 + np.arange(count + 1)) / (count + 1))
    assert np.mean([not own.is_out[0] for own in each_left_out(scores)]) == pytest.approx(
        found[0].expected_kept
    )


def test_the_plain_share_says_too_much_of_few_pictures():
    # Of 21 pictures, by the 20 others: one is below all, and so "lower than 100 %"; two of them,
    # 9.5 %, are lower than at least 95 %.
    scores = np.random.default_rng(0).permutation(21)
    lower = np.array([1 - own.share_of_id_below[0] for own in each_left_out(scores)])
    assert np.mean(lower == 1) == 1 / 21 and np.mean(lower >= 0.95) == 2 / 21


@pytest.mark.parametrize(
    ("p_value", "told"),
    [(1, "0"), (0.5, "50"), (0.3, "70"), (0.302, "69"), (0.0101, "98"), (0.01, "99"),
     (1 / 301, "99.6"), (1 / 1001, "99.9"), (1 / 100_001, "99.9")],
)  # fmt: skip
def test_a_share_is_told_rounded_down(p_value, told):
    assert higher_share(p_value) == told


@pytest.mark.parametrize("keep_id", [0.0, -0.1, 1.01, float("nan")])
def test_no_share_is_refused(keep_id):
    with pytest.raises(InputError, match="keep_id"):
        decide([1.0], [1.0], keep_id)
