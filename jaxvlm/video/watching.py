"""Watches a source while it runs: a line where an event starts and ends, and why.

A frame costs the same time and memory however long the source runs.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm import bounded_json
from jaxvlm.atoms.segments import StreamState
from jaxvlm.data import streams
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.terminal import json_line, shown
from jaxvlm.video.live import Scores, Step, live_step
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.scoring import Scorer

_LONGEST_LINE = 2**20
_STATES = ("start", "end", "summary")
_LATENCIES = 4_096  # the quantiles are of the latest frames, so that memory stays constant


class Rules(NamedTuple):
    """What starts and ends an event, and what is done with a source that is too fast or lost.

    An event starts at P ≥ threshold and ends at P < release; release ≤ threshold. queue_size frames
    are read ahead. When the source is faster than that, policy "wait" lets it wait and "drop" loses
    the oldest; None: a file waits, a live source drops. reconnect: attempts in a row when a live
    source is lost. allowed_hosts: where redirects and playlists may lead, beside the source's own.
    """

    threshold: float = 0.5
    release: float = 0.4
    policy: str | None = None
    queue_size: int = 16
    reconnect: int = 0
    allowed_hosts: tuple[str, ...] = ()


DEFAULT_RULES = Rules()


class Summary(NamedTuple):
    """A run: counts, latency and frames per second.

    Latency is the work on a frame, from the queue to its probabilities; the wait in the queue,
    which a file always fills, is not in it.
    """

    frames: int
    dropped: int
    latency_ms_median: float | None  # None without a frame
    latency_ms_p99: float | None
    frames_per_second: float | None


def transitions(
    is_open: ArrayLike, probability: ArrayLike, *, threshold: float = 0.5, release: float = 0.4
) -> tuple[np.ndarray, np.ndarray]:
    """Which events are open after a frame: opened at P ≥ threshold, closed at P < release.

    Args:
      is_open: [E] bool, before the frame.
      probability: [E].
      threshold, release: release ≤ threshold.

    Returns:
      [E] bool after the frame, and [E] int: 1 where an event starts, −1 where one ends, else 0.
    """
    was, probability = np.asarray(is_open, bool), np.asarray(probability)
    now = np.where(was, probability >= release, probability >= threshold)
    return now, now.astype(int) - was


def watch(
    scorer: Scorer,
    frames: Iterable[Frame],
    *,
    emit: Callable[[dict[str, Any]], None],
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
) -> Summary:
    """Scores frames as they come and emits a line where an event starts or ends, then a summary.

    However it ends (source over, source lost, ``stop`` set), open events are ended with the last
    frame's probability and the summary is emitted. A dropped frame is as if it had never been
    filmed: the window then reaches further back in time.

    Args:
      frames: from ``streams.source_frames``; read in a thread.
      emit: gets {event, state ("start" or "end"), time_seconds, frame, probability, because} and
        at the end {state: "summary", and the fields of Summary}. because: the atoms that speak
        for or against the event on this frame, {atoms, role, contribution (to the logit)}.
      rules: `reconnect` and `allowed_hosts` have no part in it.
      stop: set it to end early.

    Raises:
      InputError: release > threshold, settings that cannot be live, or a source that fails.
    """
    if not rules.release <= rules.threshold:
        raise InputError(
            f"--release={rules.release}: above --threshold={rules.threshold}; lower it"
        )
    events = scorer.roles.events
    initial, step = live_step(scorer)
    _warm_up(scorer, step, initial)
    state, is_open = initial, np.zeros(len(events), bool)
    latencies: deque[float] = deque(maxlen=_LATENCIES)
    last: tuple[Frame, Scores] | None = None
    count = dropped = 0
    began = ended = 0.0
    try:
        with contextlib.closing(
            streams.read_ahead(
                frames, size=rules.queue_size, policy=rules.policy or "wait", stop=stop
            )
        ) as queue:
            for frame, dropped_so_far in queue:
                taken = time.perf_counter()
                state, scores = step(state, frame.image)
                ended = time.perf_counter()
                began = began or taken
                latencies.append(ended - taken)
                count, dropped, last = count + 1, dropped_so_far, (frame, scores)
                is_open, changes = transitions(
                    is_open,
                    scores.probability,
                    threshold=rules.threshold,
                    release=rules.release,
                )
                _emit_changes(emit, scorer.roles, frame, scores, changes)
    finally:
        if last is not None:
            _emit_changes(emit, scorer.roles, *last, -is_open.astype(int))
        summary = _summary(count, dropped, latencies, ended - began)
        emit({"state": "summary", **summary._asdict()})
    return summary


def watch_source(
    scorer: Scorer,
    source: str,
    emit: Callable[[dict[str, Any]], object],
    *,
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
) -> Summary:
    """`watch` of a file, camera or URL, at the frames per second of the roles.

    Attempts to reconnect are told on stderr. Raises InputError: see ``watch`` and
    ``streams.source_frames``.
    """
    stop = threading.Event() if stop is None else stop
    policy = rules.policy or ("drop" if streams.is_live(source) else "wait")
    frames = streams.source_frames(
        source,
        fps=scorer.roles.config.fps,
        reconnect=rules.reconnect,
        allowed_hosts=rules.allowed_hosts,
        pause=stop.wait,
        say=lambda line: print(shown(line), file=sys.stderr, flush=True),
    )
    return watch(scorer, frames, emit=emit, rules=rules._replace(policy=policy), stop=stop)


def write_changes(
    scorer: Scorer,
    source: str,
    *,
    rules: Rules = DEFAULT_RULES,
    out: str | os.PathLike | None = None,
) -> Summary:
    """`watch_source` that writes a JSON line per change to stdout or, appended, to ``out``.

    Raises:
      InputError: as `watch_source`; or ``out`` cannot be written.
      KeyboardInterrupt: after a Ctrl-C, when all lines are written. A second one does not wait.
    """
    with _interruptible() as stop, _lines_to(out) as emit:
        summary = watch_source(scorer, source, emit, rules=rules, stop=stop)
    if stop.is_set():
        raise KeyboardInterrupt
    return summary


def _warm_up(scorer: Scorer, step: Step, state: StreamState) -> None:
    """Compiles before the first frame, so that no frame waits for it."""
    _, scores = step(state, np.zeros((8, 8, 3), np.uint8))
    _reasons(scorer.roles, scores, scorer.roles.events[0])


def _reasons(roles: RoleModel, scores: Scores, event: str) -> list[dict[str, Any]]:
    contributions = roles.contributions(scores.segment_presence[None])
    found = roles.reasons(contributions, event, 0, 1)
    return [reason._asdict() | {"contribution": round(reason.contribution, 3)} for reason in found]


def _emit_changes(
    emit: Callable[[dict[str, Any]], None],
    roles: RoleModel,
    frame: Frame,
    scores: Scores,
    changes: np.ndarray,
) -> None:
    for e in np.flatnonzero(changes).tolist():
        event = roles.events[e]
        emit(
            {
                "event": event,
                "state": "start" if changes[e] > 0 else "end",
                "time_seconds": round(frame.time_seconds, 3),
                "frame": frame.index,
                "probability": round(float(scores.probability[e]), 6),
                "because": _reasons(roles, scores, event),
            }
        )


def _summary(count: int, dropped: int, latencies: Iterable[float], seconds: float) -> Summary:
    if count == 0:
        return Summary(0, dropped, None, None, None)
    median, high = np.percentile(1000 * np.array(latencies), [50, 99])
    return Summary(
        count, dropped, round(float(median), 3), round(float(high), 3), round(count / seconds, 2)
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that no line is torn; the second interrupts."""
    stop = threading.Event()

    def set_once(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    before = signal.signal(signal.SIGINT, set_once)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _lines_to(path: str | os.PathLike | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes a line of JSON and flushes it."""

    def emitter(file: TextIO) -> Callable[[dict[str, Any]], None]:
        return lambda line: print(json_line(line), file=file, flush=True)

    if path is None:
        try:
            yield emitter(sys.stdout)
        except BrokenPipeError:
            # Python flushes stdout once more at its end, and would report it a second time.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InputError("stdout: its reader has gone; nothing more is written") from None
        return
    regular = os.path.isfile(path) or not os.path.exists(path)
    try:
        file = open(path, "a+" if regular else "a", encoding="utf-8", errors="replace")
    except OSError as error:
        cause = error.strerror or error
        raise InputError(f"{path}: cannot be written ({cause}); choose another") from None
    with file:
        if regular:
            _go_on(path, file)
        yield emitter(file)


def _go_on(path: str | os.PathLike, file: TextIO) -> None:
    """Goes to the end of a file of our lines, behind what a killed run left of one.

    Raises InputError if the file holds others: nothing is appended to those.
    """
    file.seek(0)
    first = file.readline(_LONGEST_LINE)
    try:
        line = bounded_json.parse(first, path) if first else {"state": "start"}
    except InputError:
        line = None
    if not isinstance(line, dict) or line.get("state") not in _STATES:
        raise InputError(f"{path}: holds other than lines of watch; choose another file")
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 4))
    if end and not file.read(4).endswith("\n"):
        file.write("\n")
