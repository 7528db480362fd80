"""What the study of ordinary footage counts, on logits and labels whose figures are known."""

import numpy as np
import pytest

from benchmarks import ordinary_study
from benchmarks.camera_day import Footage
from jaxvlm.atoms.alarm_budget import alarm_peaks


def spikes(seconds: int, *at: tuple[int, int, float]) -> np.ndarray:
    """Logits [T, 2] of −9 but for (second, signal, height)."""
    logits = np.full((seconds, 2), -9.0)
    for second, signal, height in at:
        logits[second, signal] = height
    return logits


def test_alarms_of_all_signals_are_counted():
    """Signal 0: 100 and 150 are one alarm, 300 another; signal 1: 120 reaches its own threshold."""
    logits = spikes(600, (100, 0, 2.0), (150, 0, 2.0), (300, 0, 1.0), (120, 1, 5.0), (400, 1, 3.0))
    assert ordinary_study.count(logits, np.array([1.0, 4.0])) == 3
    assert ordinary_study.count(logits, np.array([1.5, 3.0])) == 3
    assert ordinary_study.count(logits, np.array([9.0, 9.0])) == 0


def test_an_event_is_found_by_any_signal_within_it_alone():
    spans = [("a", 10, 20), ("b", 30, 40), ("c", 50, 60), ("d", 70, 80)]
    logits = spikes(90, (19, 0, 2.0), (30, 1, 2.0), (40, 0, 2.0), (55, 0, 0.5))
    assert ordinary_study.recall(logits, np.array([1.0, 1.0]), spans) == 0.5
    assert ordinary_study.recall(logits, np.array([0.5, 1.0]), spans) == 0.75
    assert ordinary_study.recall(logits, np.array([1.0, 3.0]), spans) == 0.25


def test_levels_are_those_at_which_the_footage_has_so_many_alarms():
    """Isolated peaks in two hours: 48 a day are 4 alarms, whichever way the levels are shared."""
    rng = np.random.default_rng(0)
    at = np.arange(100, 7200, 200)
    logits = np.full((7200, 2), -9.0)
    logits[at, 0] = rng.exponential(size=len(at))
    logits[at, 1] = 5 * rng.exponential(size=len(at))
    one = ordinary_study.levels_at(logits, 48.0, 2.0, None)
    assert one[0] == one[1] == np.sort(logits[at].ravel())[-4]
    assert ordinary_study.count(logits, one) == 4
    times = np.arange(7200.0)
    held = [alarm_peaks(column, times) for column in logits.T]
    own = ordinary_study.levels_at(logits, 48.0, 2.0, held)
    # A float's rounding may put the one peak that gave the level on either side of it.
    assert 3 <= ordinary_study.count(logits, own) <= 4
    assert own[1] > own[0]  # the signal that varies more


def test_achieved_adds_cameras_and_has_garwoods_interval():
    """Exact limits of a count of 5: 1.6235 and 11.6683 (Garwood 1936); two cameras, a quarter of a
    day in all."""
    days = 2 * ordinary_study.HOURS / 24
    found = ordinary_study._achieved([(2, 1.5), (3, 2.5)])
    assert found["alarms"] == 5 and found["expected"] == 4.0
    assert found["alarms of each camera"] == [2, 3]
    assert found["a day"] == round(5 / days, 1)
    expected = [1.6235 / days, 11.6683 / days]
    assert found["95 % interval"] == pytest.approx(expected, abs=0.06)


def test_the_difference_is_of_the_same_cameras_with_its_standard_error():
    """Differences 0.1, 0.2, 0.3: mean 0.2, standard deviation 0.1, 0.1/√3 of the mean."""
    recalls = {
        "contrast, one threshold": {16.0: [0.1, 0.2, 0.3]},
        "ordinary, own thresholds": {16.0: [0.2, 0.4, 0.6]},
    }
    assert ordinary_study._difference(recalls, 16.0) == [0.2, 0.058]


def test_the_disturbance_is_a_twentieth_of_the_footage_and_of_frames_of_events():
    events = np.arange(200.0)[:, None]
    arrays = {"learn": np.zeros((4000, 1)), "events": events}
    place, frames = ordinary_study._disturbance(arrays, [("a", 10, 20), ("b", 30, 40)])
    assert place == 3600 and frames.shape == (200, 1)
    assert set(frames[:, 0]) == {*range(10, 20), *range(30, 40)}


def test_kept_embeddings_are_cut_to_the_footage_and_made_unit(tmp_path):
    """Of two hours kept the first is taken, of events a minute each; nothing is rendered."""
    rows = np.zeros((7200, 2), np.float16)
    rows[:, 0] = 3.0
    rows[3600:, 1] = 4.0
    for kind in ("ordinary", "events"):
        np.save(tmp_path / f"cam_7_{kind}.npy", rows)
    hour = ordinary_study.camera_rows(tmp_path, None, Footage(7, "ordinary", 1.0))
    np.testing.assert_allclose(hour, np.tile([1.0, 0.0], (3600, 1)))
    events = ordinary_study.camera_rows(tmp_path, None, Footage(7, "events", 61))
    np.testing.assert_allclose(events[[0, -1]], [[1.0, 0.0], [0.6, 0.8]], atol=1e-6)
    assert len(events) == 3660
