"""When an event starts and ends, by hand and against a loop over one event."""

import math

import numpy as np
import pytest

from jaxvlm.alarms.rules import Rules, advance, close, init_events, limits_of
from jaxvlm.errors import InputError


def changes(series, rules, step=1.0):
    """(frame, event, +1 or −1) of a series [T, E], a frame every ``step`` seconds."""
    series = np.asarray(series, float)
    limits = limits_of(rules, [f"e{n}" for n in range(series.shape[1])])
    state, found = init_events(series.shape[1]), []
    for frame, probability in enumerate(series):
        state, changed = advance(state, probability, frame * step, frame, limits)
        found += [(frame, e, int(changed[e])) for e in np.flatnonzero(changed).tolist()]
    return found


def test_hysteresis_of_a_series_written_by_hand():
    series = [
        [0.10, 0.60],  # the second starts on the first frame
        [0.50, 0.45],  # the first starts at the threshold itself; the second holds
        [0.40, 0.39],  # the first holds at the release itself; the second ends
        [0.49, 0.49],  # not from below
        [0.39, 0.50],
        [0.50, 0.00],
    ]
    assert changes(series, Rules()) == [
        (0, 1, 1),
        (1, 0, 1),
        (2, 1, -1),
        (4, 0, -1),
        (4, 1, 1),
        (5, 0, 1),
        (5, 1, -1),
    ]


def column(*values):
    return [[value] for value in values]


@pytest.mark.parametrize(
    "rules, series, expected",
    [
        # It has to last two seconds: once it does not, then it does, held up by hysteresis.
        (Rules(min_seconds=2), column(0.6, 0.6, 0, 0.6, 0.45, 0.45, 0), [(5, 1), (6, -1)]),
        # Below for two seconds without a break; at the release it is not below.
        (
            Rules(release_seconds=2),
            column(0.6, 0.3, 0.3, 0.4, 0.3, 0.3, 0.3, 0.0),
            [(0, 1), (6, -1)],
        ),
        # Three seconds after its end it may start again, though P never fell in between.
        (
            Rules(cooldown_seconds=3),
            column(0.6, 0.1, 0.9, 0.9, 0.9, 0.9),
            [(0, 1), (1, -1), (4, 1)],
        ),
        # What waits when the cool-down is over has to last from there.
        (
            Rules(min_seconds=1, cooldown_seconds=2),
            column(0.9, 0.9, 0.0, 0.9, 0.9, 0.9, 0.9),
            [(1, 1), (2, -1), (5, 1)],
        ),
    ],
)  # fmt: skip
def test_durations_by_hand(rules, series, expected):
    assert [(frame, change) for frame, _, change in changes(series, rules)] == expected


def slow(series, threshold, release, least, calm, cool, step):
    """One event by a list of rules read off the docstring, frame by frame."""
    found, mode, since, below, ready = [], "off", 0.0, None, -math.inf
    for frame, p in enumerate(series):
        now = frame * step
        if mode == "waits" and p < release:
            mode = "off"
        if mode == "off" and p >= threshold and now >= ready:
            mode, since = "waits", now
        if mode == "waits" and now - since >= least:
            mode, below = "on", None
            found.append((frame, 1))
        elif mode == "on":
            below = None if p >= release else now if below is None else below
            if below is not None and now - below >= calm:
                mode, ready = "off", now + cool
                found.append((frame, -1))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_against_a_loop_over_one_event(seed):
    rng = np.random.default_rng(seed)
    series = np.clip(np.cumsum(rng.normal(0, 0.15, (200, 3)), 0) % 1.0, 0, 1)
    least, calm, cool = rng.choice([0.0, 0.5, 1.0, 2.0], (3, 3))
    names = ["e0", "e1", "e2"]

    def table(values):
        return dict(zip(names, values.tolist(), strict=True))

    rules = Rules(
        {"e0": 0.6, "other": 0.7}, 0.45, min_seconds=table(least), release_seconds=table(calm),
        cooldown_seconds=table(cool),
    )  # fmt: skip
    found = changes(series, rules, step=0.5)
    for e, threshold in enumerate([0.6, 0.7, 0.7]):
        expected = slow(series[:, e], threshold, 0.45, least[e], calm[e], cool[e], 0.5)
        assert [(frame, c) for frame, event, c in found if event == e] == expected
    assert found


def test_what_a_start_and_an_end_are_told_with():
    limits = limits_of(Rules(min_seconds=1, release_seconds=1), ["e"])
    state = init_events(1)
    for frame, p in enumerate([0.0, 0.6, 0.9, 0.1, 0.2]):
        state, changed = advance(state, [p], 2.0 * frame, frame, limits)
        if changed[0] > 0:
            assert (frame, state.since[0], state.first[0], state.peak[0]) == (2, 2.0, 1, 0.9)
    assert changed[0] == -1
    assert (state.since[0], state.below[0], state.peak[0]) == (2.0, 6.0, 0.9)
    state, changed = advance(state, [0.0], 10.0, 5, limits)
    assert changed[0] == 0 and np.isnan(state.since[0]) and state.first[0] == -1


def test_a_source_that_ends_closes_what_is_open():
    state, _ = advance(init_events(2), [0.9, 0.1], 0.0, 0, limits_of(Rules(), ["a", "b"]))
    state, changed = close(state)
    assert changed.tolist() == [-1, 0] and not state.is_open.any() and state.since[0] == 0.0


@pytest.mark.parametrize(
    "rules, cause",
    [
        (Rules(0.5, 0.6), "^--release=0.6: above --threshold=0.5; lower it$"),
        (Rules({"fire": 0.5, "fight": 0.7}, {"fire": 0.6, "fight": 0.6}), "--release=0.6 of fire"),
        (Rules(cooldown_seconds=-1.0), "--cooldown_seconds=-1: below 0"),
        (Rules({"fire": 0.5}), "threshold: no number for 'fight'; add it, or other: NUMBER"),
        (Rules({"fires": 0.5, "other": 1.0}), r"no event 'fires' \(did you mean 'fire'\?\)"),
    ],
)
def test_rules_that_cannot_be(rules, cause):
    with pytest.raises(InputError, match=cause):
        limits_of(rules, ["fire", "fight"])
