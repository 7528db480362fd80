"""Drift: ordinary stretches stay below the bound, a camera that was moved does not."""

import numpy as np
import pytest

from jaxvlm.atoms import drift
from jaxvlm.atoms.quantile_sketch import sketch

ATOMS = 12


def stretch(seed, frames=120, shift=0.0):
    rng = np.random.default_rng(seed)
    level = 0.4 * rng.normal(size=ATOMS)  # of this stretch: frames of a minute are alike
    return rng.normal(size=(frames, ATOMS)) + level + shift - 5


def test_instability_is_the_index_written_out():
    edges = np.tile(np.arange(1.0, 10), (1, 1))
    margins = np.array([[0.5], [0.5], [9.5], [5.5]])
    counts = np.array([2, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    share = (counts + 0.5) / (4 + 5)
    expected = ((share - 0.1) * np.log(share / 0.1)).sum()
    assert drift.instability(margins, edges) == pytest.approx(expected)


def test_ordinary_stretches_fit_and_a_moved_camera_does_not():
    edges = drift.occupancy_edges(sketch(np.concatenate([stretch(k) for k in range(60)])))
    held = [drift.instability(stretch(1000 + k), edges) for k in range(60)]
    bound = drift.instability_bound(held)
    later = [drift.instability(stretch(2000 + k), edges) for k in range(200)]
    assert np.mean(np.array(later) > bound) <= 0.01
    # All atoms of a covered lens fall, some of a moved camera rise and others fall.
    turn = np.where(np.arange(ATOMS) % 2, 3.0, -3.0)
    for shift in (-4.0, turn):
        assert drift.instability(stretch(3000, shift=shift), edges) > bound
    # A few atoms that rise are an event, and no drift.
    event = stretch(4000)
    event[:, :3] += 9
    assert drift.instability(event, edges) < bound


def test_of_few_stretches_there_is_no_bound():
    assert drift.instability_bound([0.1] * 7) is None
