"""The memory of sights: its size, its determinism, and what one occasion cannot make familiar."""

import numpy as np
import pytest

from jaxvlm.atoms.novelty import empty_memory, novelty, remember


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sights(seed, frames=300, kinds=5, dimension=8):
    rng = np.random.default_rng(seed)
    centres = unit(np.random.default_rng(99).normal(size=(kinds, dimension)))
    rows = centres[rng.integers(kinds, size=frames)]
    return unit(rows + 0.05 * rng.normal(size=rows.shape))


def learned(occasions=6, capacity=40, disturbed=None):
    memory = empty_memory(8)
    for occasion in range(occasions):
        rows = sights(occasion)
        if occasion == disturbed:
            rows[:90] = STRANGE  # 5 % of all
        memory = remember(memory, rows, occasion, capacity=capacity)
    return memory


STRANGE = unit(np.array([[1.0, -1, 1, -1, 1, -1, 1, -1]]))


def test_it_is_bounded_and_covers_what_was_seen():
    memory = learned()
    assert len(memory.rows) <= 40
    nearest = np.sqrt(2 - 2 * (sights(3) @ memory.rows.T)).min(axis=1)
    assert (nearest <= 3 * memory.radius).all()  # a row may have gone to one within the radius


def test_how_the_frames_are_cut_changes_nothing():
    whole = remember(empty_memory(8), sights(0), 0, capacity=40)
    parts = empty_memory(8)
    for start, stop in ((0, 1), (1, 100), (100, 300)):
        parts = remember(parts, sights(0)[start:stop], 0, capacity=40)
    for one, two in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_new_is_far_and_the_known_is_near():
    memory = learned()
    assert novelty(STRANGE, memory)[0] > 3 * np.quantile(novelty(sights(77), memory), 0.99)


def test_what_happened_on_one_occasion_stays_new():
    memory = learned(disturbed=3)
    assert np.sqrt(2 - 2 * (STRANGE @ memory.rows.T)).min() <= memory.radius  # it is in there
    assert novelty(STRANGE, memory)[0] == pytest.approx(novelty(STRANGE, learned())[0], abs=0.2)


def test_neighbouring_occasions_are_one():
    memory = remember(empty_memory(8), sights(0), 0)
    for occasion in (1, 2):
        memory = remember(memory, np.concatenate([sights(occasion), STRANGE]), occasion)
    assert novelty(STRANGE, memory)[0] > 0.3
    memory = remember(memory, STRANGE, 3)
    assert novelty(STRANGE, memory)[0] == pytest.approx(0, abs=1e-3)


def test_of_one_occasion_the_nearest_counts():
    memory = remember(empty_memory(8), sights(0)[:30], 0)
    assert novelty(sights(0)[:30], memory).max() < 1e-3


def test_nothing_is_far_from_nothing():
    with pytest.raises(ValueError, match="empty"):
        novelty(STRANGE, empty_memory(8))
