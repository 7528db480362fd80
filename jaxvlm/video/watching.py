"""Watches a source while it runs: a line where an event starts and ends, and why.

A frame costs the same time and memory however long the source runs.
"""

import contextlib
import datetime
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.atoms.segments import StreamState
from jaxvlm.clip.similar_texts import text_doubts
from jaxvlm.data import streams
from jaxvlm.data.sources import shown_source
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore, stage
from jaxvlm.terminal import shown
from jaxvlm.video import ordinary_watching
from jaxvlm.video.change_lines import interruptible, lines_to
from jaxvlm.video.doubts import unlike
from jaxvlm.video.live import Scores, Step, live_step
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.scoring import Scorer

JUDGED = 30  # frames, a second or more apart, by which the pictures are judged

_LATENCIES = 4_096  # the quantiles are of the latest frames, so that memory stays constant


class Rules(NamedTuple):
    """What starts and ends an event, and what is done with a source that is too fast or lost.

    An event starts at P ≥ threshold and ends at P < release; release ≤ threshold. queue_size frames
    are read ahead. When the source is faster than that, policy "wait" lets it wait and "drop" loses
    the oldest; None: a file waits, a live source drops. reconnect: attempts in a row when a live
    source is lost. allowed_hosts: where redirects and playlists may lead, beside the source's own.
    follow: a file is read on while it is written.
    """

    threshold: ArrayLike = 0.5  # or one of each of the scorer's signals, as release
    release: ArrayLike = 0.4
    policy: str | None = None
    queue_size: int = 16
    reconnect: int = 0
    allowed_hosts: tuple[str, ...] = ()
    follow: bool = False


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
    source: str = "",
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
    on_progress: Progress = ignore,
    learning: ordinary_watching.Learning | None = None,
) -> Summary:
    """Scores frames as they come and emits a line where an event starts or ends, then a summary.

    However it ends (source over, source lost, ``stop`` set), open events are ended with the last
    frame's probability and the summary is emitted. A dropped frame is as if it had never been
    filmed: the window then reaches further back in time.

    Args:
      frames: from ``streams.source_frames``; read in a thread.
      emit: gets {state: "watching"} at once, then {event, state ("start" or "end"), time_seconds,
        frame, probability, because}, at an end also {start_seconds, duration_seconds, ended_by
        ("probability", "source ended", "source lost" or "stopped")}, {state: "warning", warning}
        for each reason not to trust the scores (see `video_doubts`): of the texts at once, of the
        pictures once, after JUDGED frames a second or more apart, or at an earlier end; at last
        {state: "summary", and the fields of Summary}; all with {source, wall_clock}. because: the
        atoms that speak
        for the event on this frame, then those against, {atoms, role, contribution (to the
        logit)}. time_seconds is the source's own time, wall_clock this machine's, with its offset
        from UTC.
      source: what to call the source in the lines.
      rules: `reconnect`, `allowed_hosts` and `follow` have no part in it.
      stop: set it to end early.
      on_progress: is told of what it waits for before the first frame.
      learning: from the frames what is ordinary; None: nothing is learned.

    Raises:
      InputError: release > threshold, settings that cannot be live, or a source that fails.
    """
    if not np.all(np.asarray(rules.release) <= np.asarray(rules.threshold)):
        raise InputError(
            f"--release={rules.release}: above --threshold={rules.threshold}; lower it"
        )
    events = scorer.signals
    initial, step = live_step(scorer)

    def tell(line: dict[str, Any]) -> None:
        clock = datetime.datetime.now().astimezone().isoformat(timespec="milliseconds")
        emit(line | {"source": source, "wall_clock": clock})

    def warn(lines: Iterable[str]) -> None:
        for line in lines:
            tell({"state": "warning", "warning": line})

    tell({"state": "watching", "events": list(events)})
    warn((*scorer.warnings, *text_doubts(scorer.bank.atoms, scorer.roles.atoms, "atoms")))
    with stage(on_progress, "compile"):
        _warm_up(scorer, step, initial)
    state, is_open = initial, np.zeros(len(events), bool)
    started = np.zeros(len(events))
    latencies: deque[float] = deque(maxlen=_LATENCIES)
    embeddings: list[np.ndarray] = []  # of the first frames
    last: tuple[Frame, Scores] | None = None
    count = dropped = 0
    began, ended, judged_next = 0.0, 0.0, -np.inf
    ended_by = "source ended"
    try:
        ahead = {"size": rules.queue_size, "policy": rules.policy or "wait", "stop": stop}
        with (
            ordinary_watching.beside(scorer, learning) as look,
            contextlib.closing(streams.read_ahead(frames, **ahead)) as queue,
        ):
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
                started[changes > 0] = frame.time_seconds
                warn(look(frame.time_seconds, scores.presence, scores.image_embedding))
                for line in _changes(scorer, frame, scores, changes, started):
                    tell(line | ({"ended_by": "probability"} if line["state"] == "end" else {}))
                if len(embeddings) < JUDGED and frame.time_seconds >= judged_next:
                    judged_next = frame.time_seconds + 1.0  # nearer ones are nearly the same
                    embeddings.append(scores.image_embedding)
                    if len(embeddings) == JUDGED:
                        warn(_unlike(scorer, embeddings))
    except InputError:
        ended_by = "source lost"
        raise
    finally:
        if stop is not None and stop.is_set():
            ended_by = "stopped"
        if last is not None:
            for line in _changes(scorer, *last, -is_open.astype(int), started):
                tell(line | {"ended_by": ended_by})
        if 0 < len(embeddings) < JUDGED:
            warn(_unlike(scorer, embeddings))
        summary = _summary(count, dropped, latencies, ended - began)
        tell({"state": "summary", **summary._asdict()})
    return summary


def watch_source(
    scorer: Scorer,
    source: str,
    emit: Callable[[dict[str, Any]], object],
    *,
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
    on_progress: Progress = ignore,
    learning: ordinary_watching.Learning | None = None,
) -> Summary:
    """`watch` of a file, camera or URL, at the frames per second of the roles.

    Attempts to reconnect are told on stderr. Raises InputError: see ``watch`` and
    ``streams.source_frames``.
    """
    stop = threading.Event() if stop is None else stop
    policy = rules.policy or ("drop" if streams.is_live(source) else "wait")
    if streams.is_live(source):  # it is now; of a file the time of day is not known
        scorer, learning = ordinary_watching.on_the_clock(scorer, learning)
    frames = streams.source_frames(
        source,
        fps=scorer.roles.config.fps,
        reconnect=rules.reconnect,
        allowed_hosts=rules.allowed_hosts,
        follow=rules.follow,
        pause=stop.wait,
        say=lambda line: print(shown(line), file=sys.stderr, flush=True),
    )
    return watch(
        scorer,
        frames,
        emit=emit,
        source=shown_source(source),
        rules=rules._replace(policy=policy),
        stop=stop,
        on_progress=on_progress,
        learning=learning,
    )


def write_changes(
    scorer: Scorer,
    source: str,
    *,
    rules: Rules = DEFAULT_RULES,
    out: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
    learning: ordinary_watching.Learning | None = None,
) -> Summary:
    """`watch_source` that writes a JSON line per change to stdout or, appended, to ``out``.

    Warnings are told on stderr too.

    Raises:
      InputError: as `watch_source`; or ``out`` cannot be written.
      KeyboardInterrupt: after a Ctrl-C, when all lines are written. A second one does not wait.
    """
    with interruptible() as stop, lines_to(out) as write:

        def emit(line: dict[str, Any]) -> None:
            write(line)
            if line["state"] == "warning":
                print(f"warning: {shown(line['warning'])}", file=sys.stderr, flush=True)

        options = {"rules": rules, "stop": stop, "learning": learning}
        summary = watch_source(scorer, source, emit, on_progress=on_progress, **options)
    if stop.is_set():
        raise KeyboardInterrupt
    return summary


def _unlike(scorer: Scorer, embeddings: list[np.ndarray]) -> list[str]:
    frames = {"frames": np.stack(embeddings)}
    return unlike(scorer.encoder.model, scorer.roles, frames, "frames")


def _warm_up(scorer: Scorer, step: Step, state: StreamState) -> None:
    """Compiles before the first frame, so that no frame waits for it."""
    _, scores = step(state, np.zeros((8, 8, 3), np.uint8))
    _reasons(scorer.roles, scores, scorer.roles.events[0])


def _reasons(roles: RoleModel, scores: Scores, event: str) -> list[dict[str, Any]]:
    if event not in roles.events:  # the novelty, in which no atom has a part
        return []
    found = roles.reasons(scores.segment_presence[None], event)
    found.sort(key=lambda reason: reason.contribution < 0)  # those for it first, stable otherwise
    return [reason._asdict() | {"contribution": round(reason.contribution, 3)} for reason in found]


def _changes(
    scorer: Scorer, frame: Frame, scores: Scores, changes: np.ndarray, started: np.ndarray
) -> Iterator[dict[str, Any]]:
    """A line per event that starts (1) or ends (−1) with a frame; started: [E] seconds."""
    for e in np.flatnonzero(changes).tolist():
        event, begins = scorer.signals[e], changes[e] > 0
        line = {
            "event": event,
            "state": "start" if begins else "end",
            "time_seconds": round(frame.time_seconds, 3),
            "frame": frame.index,
            "probability": round(float(scores.probability[e]), 6),
            "because": _reasons(scorer.roles, scores, event),
        }
        if not begins:
            duration = frame.time_seconds - started[e]
            line["start_seconds"] = round(float(started[e]), 3)
            line["duration_seconds"] = round(float(duration), 3)
        yield line


def _summary(count: int, dropped: int, latencies: Iterable[float], seconds: float) -> Summary:
    if count == 0:
        return Summary(0, dropped, None, None, None)
    median, high = np.percentile(1000 * np.array(latencies), [50, 99])
    return Summary(
        count, dropped, round(float(median), 3), round(float(high), 3), round(count / seconds, 2)
    )
