"""Stratified parts of videos with several labels."""

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.evaluation import splitting


def rare_labels(num_videos: int) -> np.ndarray:
    """Two events: one video in eight shows the first, every second one the other."""
    n = np.arange(num_videos)
    return np.stack([n % 8 == 0, n % 2 == 1], axis=1).astype(int)


@pytest.mark.parametrize("seed", range(5))
def test_every_part_has_its_share_of_every_event(seed):
    labels = rare_labels(64)  # 8 videos show the first event, 32 the other
    part = splitting.stratified_parts(labels, (0.75, 0.25), seed=seed)
    assert (part == 1).sum() == 16
    assert labels[part == 1].sum(axis=0).tolist() == [2, 8]
    assert labels[part == 0].sum(axis=0).tolist() == [6, 24]
    assert splitting.lacking(labels, part, ("rare", "common")) == {}


def test_a_random_split_would_not_do():
    """The rare event would be lacking in one of a few random quarters, so the dealing matters."""
    labels = rare_labels(64)
    rng = np.random.default_rng(0)
    random = [(rng.permutation(64) < 16).astype(int) for _ in range(20)]
    assert any(splitting.lacking(labels, part, ("rare", "common")) for part in random)


def test_folds_are_of_one_size_and_the_seed_decides():
    labels = rare_labels(40)
    one = splitting.folds(labels, 2, seed=0)
    assert np.bincount(one).tolist() == [20, 20]
    np.testing.assert_array_equal(one, splitting.folds(labels, 2, seed=0))
    assert (one != splitting.folds(labels, 2, seed=1)).any()
    for number in (1, 41):
        with pytest.raises(InputError, match="give 2 to 40"):
            splitting.folds(labels, number, seed=0)


def test_what_is_lacking_is_said():
    labels = np.array([[1], [1], [1], [0], [0], [0]])
    assert splitting.lacking(labels, np.array([0, 0, 1, 0, 0, 1]), ("fire",)) == {
        "fire": "3 of 6 videos show fire, and every part needs 2 that do and 2 that do not"
    }
