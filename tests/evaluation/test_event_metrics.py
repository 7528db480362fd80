"""Events found, delays and false alarms on a few detections, counted by hand."""

import numpy as np
import pytest
from scipy import stats

from jaxvlm.errors import InputError
from jaxvlm.evaluation.detection_rules import DetectionRules, check_rules
from jaxvlm.evaluation.evaluated import Evaluated, Video
from jaxvlm.evaluation.event_metrics import (
    ALWAYS,
    ANY,
    WHOLE,
    event_figures,
    events_found,
    overlaps,
    rate_interval,
)


def test_overlaps_counted_by_hand():
    found = overlaps([(0, 10), (5, 6)], [(5, 15), (20, 30)])
    np.testing.assert_allclose(found, [[5 / 15, 0], [1 / 10, 0]])
    assert overlaps(np.zeros((0, 2)), [(0, 1)]).shape == (0, 1)


FOUND = [[(0, 4), (12, 20), (50, 60)], [(5, 9)], []]
EVENTS = [[(10, 20), (40, 80)], [], [(0, 10)]]


def test_recall_precision_delay_and_false_alarms():
    figures = event_figures(FOUND, EVENTS, 7200.0, overlap=0.1)
    # 12–20 is 10–20's at 8/10, 50–60 is 40–80's at 10/40; 0–4 and 5–9 are nobody's; one is missed
    assert (figures["events"], figures["found"], figures["detections"]) == (3, 2, 4)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["precision"] == pytest.approx(2 / 4)
    assert figures["delay_seconds"] == {"median": 10.0, "median_of_found": 6.0}  # of 2, 10, ∞
    assert figures["false_alarms"] == 2
    assert figures["false_alarms_per_hour"]["value"] == pytest.approx(1.0)


def test_a_stricter_overlap_makes_a_short_alarm_a_false_one():
    figures = event_figures(FOUND, EVENTS, 7200.0, overlap=0.5)
    assert figures["found"] == 1 and figures["false_alarms"] == 3
    assert figures["delay_seconds"]["median"] is None  # two of three are missed
    touching = event_figures([[(9, 11)]], [[(10, 500)]], 3600.0, overlap=0.0)
    assert touching["found"] == 1 and touching["delay_seconds"]["median"] == 0.0  # began before
    assert event_figures([[(9, 10)]], [[(10, 20)]], 3600.0, overlap=0.0)["found"] == 0


def test_half_missed_is_no_median():
    figures = event_figures([[(0, 1)], []], [[(0, 1)], [(0, 1)]], 3600.0, overlap=0.1)
    assert figures["delay_seconds"] == {"median": None, "median_of_found": 0.0}
    nothing = event_figures([[]], [[]], 3600.0, overlap=0.1)
    assert np.isnan(nothing["recall"]) and np.isnan(nothing["precision"])
    assert nothing["delay_seconds"] == {"median": None, "median_of_found": None}


@pytest.mark.parametrize("count", [0, 1, 7])
def test_at_the_ends_of_the_interval_the_count_is_an_unlikely_one(count):
    """Garwood: at the upper rate so few events have probability 2.5 %, at the lower so many."""
    hours = 5.0
    interval = rate_interval(count, hours)
    assert interval["value"] == count / hours
    assert stats.poisson.cdf(count, interval["high"] * hours) == pytest.approx(0.025)
    if count:
        assert stats.poisson.sf(count - 1, interval["low"] * hours) == pytest.approx(0.025)
    else:
        assert interval["low"] == 0.0
    assert np.isnan(rate_interval(count, 0.0)["high"])


def data(timed=True):
    scores = np.array([[0.1, 0.2], [0.7, 0.1], [0.45, 0.1], [0.2, 0.1], [0.1, 0.8], [0.1, 0.1]])
    events = np.zeros((6, 2), bool)
    events[1:3, 0] = True
    own = Video(scores, events.any(axis=1), events, True, np.arange(7.0) * 10)
    return Evaluated((own,), ("Riots", "cat"), ("riot", "abuse"), timed)


def test_events_of_a_column_and_any_event():
    record = events_found(data(), DetectionRules(release=0.4))
    assert set(record["rows"]) == {ANY, "riot"}  # abuse has no column, cat no event
    assert record["rows"]["riot"]["precision"] == 1.0 and record["rows"]["riot"]["recall"] == 1.0
    assert record["rows"][ANY]["false_alarms"] == 1  # the cat
    assert record["hours"] == pytest.approx(60 / 3600)
    assert record["rows"][ANY]["false_alarms_per_hour"]["value"] == pytest.approx(60.0)
    whole = record["no_eyes"][ALWAYS]  # 20 of 60 seconds
    assert whole["found"] == 1 and whole["precision"] == 1.0
    assert events_found(data(), DetectionRules(overlap=0.4))["no_eyes"][WHOLE]["recall"] == 0.0
    # without hysteresis the detection ends a frame earlier: 10 of 20 seconds
    strict = events_found(data(), DetectionRules(overlap=0.6))
    assert strict["rows"]["riot"]["found"] == 0


def test_without_a_frame_rate_there_are_no_seconds():
    record = events_found(data(timed=False), DetectionRules())
    assert record["hours"] is None and record["rows"]["riot"]["delay_seconds"] is None
    assert record["rows"]["riot"]["recall"] == 1.0


@pytest.mark.parametrize(
    ("rules", "cause"),
    [
        (DetectionRules(release=0.6), "--release=0.6: above --threshold=0.5"),
        (DetectionRules(overlap=1.5), "--overlap=1.5"),
        (DetectionRules(merge_seconds=-1.0), "--merge_seconds=-1.0: below 0"),
    ],
)
def test_rules_out_of_range(rules, cause):
    with pytest.raises(InputError, match=cause):
        check_rules(rules)
