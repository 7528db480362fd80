"""Long videos are shortened by means over runs of frames."""

import numpy as np
import pytest

from jaxvlm.atoms import training
from jaxvlm.atoms.padding import LONGEST, shorten
from jaxvlm.atoms.role_config import RoleConfig


@pytest.mark.parametrize(("frames", "most"), [(11, 4), (12, 4), (9, 8), (100, 7)])
def test_runs_of_frames_are_averaged(frames, most):
    rows = np.random.default_rng(0).random((frames, 3)).astype(np.float32)
    by_hand = [
        np.mean([rows[t] for t in range(i * frames // most, (i + 1) * frames // most)], axis=0)
        for i in range(most)
    ]
    found = shorten(rows, most)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_short_videos_stay_as_they_are():
    rows = np.random.default_rng(0).random((4, 3))
    assert shorten(rows, 4) is rows


def test_learning_pads_to_no_more_and_the_reference_is_the_prototypes():
    long, short = np.full((LONGEST + 9, 2), 0.5, np.float32), np.full((5, 2), 0.5, np.float32)
    labels = np.array([[1], [0]])
    data = training.prepare([long, short], labels, config=RoleConfig(form="product"))
    assert data.presence.shape == (2, LONGEST, 2)
    np.testing.assert_array_equal(data.mask.sum(axis=1), [LONGEST, 5])
    whole = training.prepare([long, short], labels, config=RoleConfig(reference=True))
    assert whole.presence.shape == (2, LONGEST + 9, 2)
