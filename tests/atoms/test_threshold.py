"""The decision point against hand-made scores and a brute-force F_½."""

import numpy as np
import pytest
from sklearn.metrics import fbeta_score

from jaxvlm.atoms import event_logits
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.threshold import best_threshold, center_decision


def test_threshold_separates_what_can_be_separated():
    scores, labels = np.array([-3.0, -2.0, 1.0, 2.0]), np.array([0, 0, 1, 1])
    assert best_threshold(scores, labels) == -0.5


@pytest.mark.parametrize("seed", range(5))
def test_threshold_has_the_highest_f_half_of_all(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.standard_normal(30), rng.integers(0, 2, 30)
    reached = fbeta_score(labels, scores > best_threshold(scores, labels), beta=0.5)
    best = max(fbeta_score(labels, scores >= cut, beta=0.5) for cut in scores)
    assert reached == pytest.approx(best)


def test_one_sided_labels_move_nothing():
    assert best_threshold(np.array([1.0, 2.0]), np.array([1, 1])) == 0.0
    assert best_threshold(np.array([1.0, 2.0]), np.array([0, 0])) == 0.0


def test_positive_videos_cross_one_half_and_the_order_of_frames_stays():
    rng = np.random.default_rng(0)
    params = RoleParams(
        theta_direct=np.float32([[3.0], [-6.0]]),
        theta_indirect=np.full((2, 1), -6, np.float32),
        theta_counter=np.full((2, 1), -6, np.float32),
        gamma_direct=np.float32([1.0]),
        gamma_indirect=np.float32([0.0]),
        gamma_counter=np.float32([0.0]),
        bias=np.float32([-5.0]),
    )
    videos = [np.float32(0.1 * rng.random((6, 2))) for _ in range(6)]
    labels = np.array([[n % 2] for n in range(6)])
    for video, label in zip(videos, labels, strict=True):
        if label:
            video[3, 0] = 0.8
    moved = center_decision(params, videos, labels)
    for video, label in zip(videos, labels, strict=True):
        before, after = (np.asarray(event_logits(p, video)) for p in (params, moved))
        assert before.max() < 0
        assert (after.max() > 0) == bool(label)
        np.testing.assert_allclose(np.ptp(after - before), 0, atol=1e-4)
