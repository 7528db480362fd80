"""When an event starts and ends, by hand."""

import numpy as np

from jaxvlm.video import watching


def test_hysteresis_of_a_series_written_by_hand():
    series = [
        [0.10, 0.60],  # the second starts on the first frame
        [0.50, 0.45],  # the first starts at the threshold itself; the second holds
        [0.40, 0.39],  # the first holds at the release itself; the second ends
        [0.49, 0.49],  # not from below
        [0.39, 0.50],
        [0.50, 0.00],
    ]
    is_open, found = np.zeros(2, bool), []
    for frame, probability in enumerate(series):
        is_open, changes = watching.transitions(is_open, probability, threshold=0.5, release=0.4)
        found += [(frame, e, int(changes[e])) for e in np.flatnonzero(changes).tolist()]
    assert found == [
        (0, 1, 1),
        (1, 0, 1),
        (2, 1, -1),
        (4, 0, -1),
        (4, 1, 1),
        (5, 0, 1),
        (5, 1, -1),
    ]
    assert is_open.tolist() == [True, False]
