"""In or out, on scores whose answer can be counted."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.pictures.deciding import decide, rule


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
    assert found.record() == {
        "keep_id": 0.95, "threshold": found.threshold, "id_pictures": 57,
        "out": int(found.is_out.sum()),
    }  # fmt: skip


def test_the_rule_is_a_sentence_and_so_is_its_absence():
    assert rule(decide([0.5, 3.0], [1.0, 2.0], 1.0)) == (
        "Out below 1, which 100 % of the ID pictures (2) reach: 1 of 2 pictures"
    )
    assert rule(None).endswith("give them as --id_dir")


@pytest.mark.parametrize("keep_id", [0.0, -0.1, 1.01, float("nan")])
def test_no_share_is_refused(keep_id):
    with pytest.raises(InputError, match="keep_id"):
        decide([1.0], [1.0], keep_id)
