"""What starts and ends an event: hysteresis, durations, a cool-down."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.names import nearest

Limit = float | Mapping[str, float]  # one number, or one by event with "other" for the rest

_OTHER = "other"


class Rules(NamedTuple):
    """What starts and ends an event, and what is done with a source that is too fast or lost.

    An event starts at P ≥ threshold and ends at P < release; release ≤ threshold. queue_size frames
    are read ahead. When the source is faster than that, policy "wait" lets it wait and "drop" loses
    the oldest; None: a file waits, a live source drops. reconnect: attempts in a row when a live
    source is lost, None for no end of them. allowed_hosts: where redirects and playlists may lead,
    beside the source's own. follow: a file is read on while it is written.

    min_seconds: an event that is over sooner is not told. release_seconds: P has to stay below
    release that long. cooldown_seconds: after its end the same event does not start again that
    long. threshold to cooldown_seconds may be tables by event, with "other" for the rest.
    """

    threshold: Limit = 0.5
    release: Limit = 0.4
    policy: str | None = None
    queue_size: int = 16
    reconnect: int | None = 0
    allowed_hosts: tuple[str, ...] = ()
    follow: bool = False
    min_seconds: Limit = 0.0
    release_seconds: Limit = 0.0
    cooldown_seconds: Limit = 0.0


LIMITS = ("threshold", "release", "min_seconds", "release_seconds", "cooldown_seconds")


class Limits(NamedTuple):
    """The `LIMITS` of a camera's events, [E] each."""

    threshold: np.ndarray
    release: np.ndarray
    min_seconds: np.ndarray
    release_seconds: np.ndarray
    cooldown_seconds: np.ndarray


class EventState(NamedTuple):
    """What is known of each event of a camera before its next frame, [E] each; NaN: not so.

    is_open: it has started. since: seconds at which P reached the threshold. below: seconds at
    which P fell below release, of an open one. ready: seconds from which it may start again. peak:
    the largest P since ``since``. first: the frame that reached the threshold, −1 for none.
    """

    is_open: np.ndarray
    since: np.ndarray
    below: np.ndarray
    ready: np.ndarray
    peak: np.ndarray
    first: np.ndarray


def limits_of(rules: Rules, events: Sequence[str]) -> Limits:
    """The limits of each event.

    Raises InputError: release above threshold, a negative number of seconds, an event that there is
    not, or one without a number in a table that lacks "other".
    """
    found = Limits(*(_by_event(name, getattr(rules, name), events) for name in LIMITS))
    if (wrong := np.flatnonzero(found.release > found.threshold)).size:
        low, high = found.release[wrong[0]], found.threshold[wrong[0]]
        of = f" of {events[wrong[0]]}" if isinstance(rules.release, Mapping) else ""
        raise InputError(f"--release={low:g}{of}: above --threshold={high:g}; lower it")
    for name in LIMITS[2:]:
        if (getattr(found, name) < 0).any():
            raise InputError(f"--{name}={getattr(found, name).min():g}: below 0; give seconds")
    return found


def _by_event(name: str, value: Limit, events: Sequence[str]) -> np.ndarray:
    if not isinstance(value, Mapping):
        return np.full(len(events), value, np.float64)
    for event in value:
        if event != _OTHER and event not in events:
            raise InputError(f"{name}: no event {event!r}{nearest(event, events)}; correct it")
    missing = [event for event in events if event not in value and _OTHER not in value]
    if missing:
        raise InputError(f"{name}: no number for {missing[0]!r}; add it, or {_OTHER}: NUMBER")
    return np.array([value.get(event, value.get(_OTHER)) for event in events], np.float64)


def init_events(num_events: int) -> EventState:
    """Nothing has happened yet."""
    nan = np.full(num_events, np.nan)
    return EventState(
        np.zeros(num_events, bool), nan, nan, np.full(num_events, -np.inf), nan,
        np.full(num_events, -1),
    )  # fmt: skip


def advance(
    state: EventState, probability: ArrayLike, seconds: float, frame: int, limits: Limits
) -> tuple[EventState, np.ndarray]:
    """One frame: which events start and end with it.

    An event that is not open begins to wait at P ≥ threshold, once its cool-down is over, and stops
    waiting at P < release; it starts when it has waited ``min_seconds``. An open one ends when P
    has been below release for ``release_seconds`` without a break, and cools down from then on.

    Args:
      state: after the frame before, `init_events` at first.
      probability: [E].
      seconds, frame: of this frame.

    Returns:
      The next state, and [E] int: 1 where an event starts, −1 where one ends, else 0. An event that
      ends keeps its ``since``, ``below``, ``peak`` and ``first`` until the next frame.
    """
    p = np.asarray(probability, np.float64)
    was = state.is_open
    waits = ~was & ~np.isnan(state.since) & np.isnan(state.below)  # with `below` it has just ended
    waits &= p >= limits.release
    begins = ~was & ~waits & (p >= limits.threshold) & (seconds >= state.ready)
    since = np.where(begins, seconds, np.where(was | waits, state.since, np.nan))
    first = np.where(begins, frame, np.where(was | waits, state.first, -1))
    peak = np.where(begins, p, np.where(was | waits, np.fmax(state.peak, p), np.nan))
    starts = (begins | waits) & (seconds - since >= limits.min_seconds)
    low = was & (p < limits.release)
    below = np.where(low, np.where(np.isnan(state.below), seconds, state.below), np.nan)
    ends = low & (seconds - below >= limits.release_seconds)
    ready = np.where(ends, seconds + limits.cooldown_seconds, state.ready)
    is_open = (was | starts) & ~ends
    return EventState(is_open, since, below, ready, peak, first), starts.astype(int) - ends


def carried(state: EventState, had: Sequence[str], events: Sequence[str]) -> EventState:
    """A state of the events ``had`` as one of others: those of the same name go on as they are."""
    places = [had.index(event) if event in had else None for event in events]
    return EventState(
        *(
            np.array([b[n] if o is None else a[o] for n, o in enumerate(places)], b.dtype)
            for a, b in zip(state, init_events(len(events)), strict=True)
        )
    )


def close(state: EventState) -> tuple[EventState, np.ndarray]:
    """Ends all open events, as where a source is over; nothing cools down."""
    changes = -state.is_open.astype(int)
    return state._replace(is_open=np.zeros_like(state.is_open)), changes
