"""One camera while it is watched: what it has seen, which events are open, what it tells."""

import contextlib
import datetime
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.alarms import rules as event_rules
from jaxvlm.alarms.outlets import Outlets, Shown
from jaxvlm.alarms.pictures import Picture, picture_of
from jaxvlm.alarms.record import Alarm, alarm_id
from jaxvlm.alarms.rules import Rules, limits_of
from jaxvlm.clip import preprocessing
from jaxvlm.clip.similar_texts import text_doubts
from jaxvlm.data.videos import Frame
from jaxvlm.data.waiting import Arrival
from jaxvlm.video.doubts import unlike
from jaxvlm.video.live import Scores
from jaxvlm.video.ordinary_watching import Learning, Look, beside
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.scoring import Scorer

JUDGED = 30  # frames, a second or more apart, by which the pictures are judged
ONLY = "camera"  # what the camera of --source is called where a name is needed

_LATENCIES = 4_096  # the quantiles are of the latest frames, so that memory stays constant


class Camera(NamedTuple):
    """What is watched, and how.

    name: None for the only one, whose lines do not name it. source: as lines show it. frames: at
    `every` times the rate at which they are scored; the others are for clips alone. is_live: its
    frames are lost where nobody takes them. learning: where what is ordinary here is learned to.
    """

    name: str | None
    source: str
    scorer: Scorer
    frames: Iterable[Frame]
    rules: Rules
    every: int = 1
    is_live: bool = False
    learning: Learning | None = None


class Seen(NamedTuple):
    """A frame that is scored: what the encoder sees of it, and the pictures since the last one."""

    index: int
    time_seconds: float
    crop: np.ndarray
    pictures: tuple[Picture, ...] = ()


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


def seen_frames(camera: Camera, *, pictures: bool) -> Iterator[Seen]:
    """What is scored of a camera's frames, made smaller in the thread that reads them."""
    model, since = camera.scorer.encoder.model, []
    for frame in camera.frames:
        if pictures:
            since.append(picture_of(frame.image, frame.time_seconds))
        if frame.index % camera.every == 0:
            crop = preprocessing.crop(model, frame.image)
            yield Seen(frame.index // camera.every, frame.time_seconds, crop, tuple(since))
            since = []


class Watched:
    """A camera's state between two frames; the presence of its window is in `batches`."""

    def __init__(
        self,
        camera: Camera,
        emit: Callable[[dict[str, Any]], None],
        outlets: Outlets,
        run: str = "",
    ):
        self.camera, self.emit, self.outlets, self.run = camera, emit, outlets, run
        self.limits = limits_of(camera.rules, camera.scorer.signals)
        self.beside = contextlib.ExitStack()
        self.look: Look = lambda *_: []
        self.events = event_rules.init_events(len(self.limits.threshold))
        self.started: dict[str, str] = {}  # this machine's clock, of open events
        self.last: tuple[Seen, Scores] | None = None
        self.count = self.dropped = self.reconnects = 0
        self.latencies: deque[float] = deque(maxlen=_LATENCIES)
        self.began = self.ended = 0.0
        self.embeddings: list[np.ndarray] = []  # of the first frames
        self.judged_next = -np.inf
        self.latest: tuple[int, float] | None = None  # index and seconds of the last frame
        self.is_lost = self.is_over = self.changed = False

    @property
    def name(self) -> str:
        """As alarms, metrics and folders call it."""
        return self.camera.name or ONLY

    def tell(self, line: dict[str, Any]) -> None:
        """Emits a line with what stands in all of them."""
        named = {} if self.camera.name is None else {"camera": self.camera.name}
        self.emit({**line, **named, "source": self.camera.source, "wall_clock": _clock()})

    def shown(self) -> Shown:
        """As outlets are told of it."""
        scorer = self.camera.scorer
        opened = [e for e, on in zip(scorer.signals, self.events.is_open, strict=True) if on]
        return Shown(self.name, scorer.roles.config.fps, scorer.signals, opened)

    def begin(self) -> None:
        """The first lines."""
        scorer = self.camera.scorer
        self.look = self.beside.enter_context(beside(scorer, self.camera.learning))
        self.tell({"state": "watching", "events": list(scorer.signals)})
        atoms = text_doubts(scorer.bank.atoms, scorer.roles.atoms, "atoms")
        self.warn((*scorer.warnings, *atoms))

    def warn(self, lines: Iterable[str]) -> None:
        """A line for each reason for doubt."""
        for line in lines:
            self.tell({"state": "warning", "warning": line})

    def see(self, arrival: Arrival, scores: Scores, *, taken: float, done: float) -> None:
        """A frame that has come and its scores. taken, done: when work on it began and ended."""
        _, seen, dropped, came = arrival
        if self.is_lost:
            self.is_lost = False
            self.reconnects += 1
            self.tell({"state": "connected"})
        self.began = self.began or taken
        self.ended = done
        self.latencies.append(done - taken)
        self.count, self.dropped, self.last = self.count + 1, dropped, (seen, scores)
        self.latest = seen.index, seen.time_seconds
        self.outlets.seen(
            self.name, seen.pictures, seen.time_seconds, latency=done - came, dropped=dropped
        )
        self.warn(self.look(seen.time_seconds, scores.presence, scores.image_embedding))
        self.events, changes = event_rules.advance(
            self.events, scores.probability, seen.time_seconds, seen.index, self.limits
        )
        self._change(changes, "probability")
        if len(self.embeddings) < JUDGED and seen.time_seconds >= self.judged_next:
            self.judged_next = seen.time_seconds + 1.0  # nearer ones are nearly the same
            self.embeddings.append(scores.image_embedding)
            if len(self.embeddings) == JUDGED:
                self.warn(self._unlike())

    def lost(self, why: str) -> None:
        """The source is tried again."""
        self.is_lost = True
        self.outlets.lost(self.name, why)
        self.tell({"state": "lost", "why": why})

    def end(self, ended_by: str, *, keep: bool = False) -> Summary:
        """The last lines. keep: open events stay open, for a later run."""
        self.is_over = True
        self.beside.close()
        if self.last is not None and not keep:
            self.events, changes = event_rules.close(self.events)
            self._change(changes, ended_by)
        if 0 < len(self.embeddings) < JUDGED:
            self.warn(self._unlike())
        summary = _summary(self.count, self.dropped, self.latencies, self.ended - self.began)
        reconnects = {} if self.camera.name is None else {"reconnects": self.reconnects}
        self.tell({"state": "summary", **summary._asdict(), **reconnects})
        return summary

    def reloaded(self, scorer: Scorer, rules: Rules) -> None:
        """Goes on with other atoms, events or limits; events of the same name stay as they are, and
        open ones that there are no more end."""
        limits = limits_of(rules, scorer.signals)
        had = self.camera.scorer.roles.atoms
        old, new = self.camera.scorer.signals, scorer.signals
        learning = self.camera.learning
        if learning is not None and had != scorer.roles.atoms:
            learning = None
            self.warn(["the atoms are others: what is ordinary is not learned on"])
        gone = np.array([event not in new for event in old], bool)
        if self.last is not None:
            self._change(-(self.events.is_open & gone).astype(int), "reloaded")
        self.events = event_rules.carried(self.events, old, new)
        self.started = {event: at for event, at in self.started.items() if event in new}
        self.camera = self.camera._replace(scorer=scorer, rules=rules, learning=learning)
        self.limits = limits
        self.beside.close()
        self.look = self.beside.enter_context(beside(scorer, learning))
        if self.last is not None:
            seen, scores = self.last
            atoms = self.camera.scorer.roles.atoms
            self.last = (
                seen,
                scores._replace(
                    probability=_by_name(scores.probability, old, new),
                    segment_presence=_by_name(scores.segment_presence, had, atoms),
                ),
            )

    def _change(self, changes: np.ndarray, ended_by: str) -> None:
        for line in change_lines(self.camera.scorer, *self.last, changes, self.events):
            self.changed = True
            e = self.camera.scorer.signals.index(line["event"])
            if line["state"] == "end":
                line["ended_by"] = ended_by
            elif self.limits.min_seconds[e] > 0:
                line["start_seconds"] = round(float(self.events.since[e]), 3)
            named = alarm_id(self.run, self.name, line["event"], int(self.events.first[e]))
            if self.outlets.takes_alarms:
                self.outlets.alarm(self._alarm(named, line, e))
            if self.outlets.takes_alarms or self.camera.name is not None:
                line["alarm"] = named
            self.tell(line)

    def _alarm(self, named: str, line: dict[str, Any], e: int) -> Alarm:
        event, ends = line["event"], line["state"] == "end"
        now, since = line["time_seconds"], float(self.events.since[e])
        started = self.started.pop(event, None) if ends else None
        if started is None:
            started = _clock(before=now - since)
        if not ends:
            self.started[event] = started
        end = round(since + line["duration_seconds"], 3) if ends else None
        return Alarm(
            id=named,
            camera=self.name,
            source=self.camera.source,
            event=event,
            state=line["state"],
            started=started,
            ended=_clock(before=now - end) if ends else None,
            start_seconds=round(since, 3),
            end_seconds=end,
            probability=line["probability"],
            peak_probability=round(float(self.events.peak[e]), 6),
            because=line["because"],
            ended_by=line.get("ended_by"),
        )

    def _unlike(self) -> list[str]:
        scorer, frames = self.camera.scorer, {"frames": np.stack(self.embeddings)}
        return unlike(scorer.encoder.model, scorer.roles, frames, "frames")


def change_lines(
    scorer: Scorer,
    seen: Seen,
    scores: Scores,
    changes: np.ndarray,
    events: event_rules.EventState,
) -> Iterator[dict[str, Any]]:
    """A line per event that starts (1) or ends (−1) with a frame."""
    for e in np.flatnonzero(changes).tolist():
        event, begins = scorer.signals[e], changes[e] > 0
        line = {
            "event": event,
            "state": "start" if begins else "end",
            "time_seconds": round(seen.time_seconds, 3),
            "frame": seen.index,
            "probability": round(float(scores.probability[e]), 6),
            "because": reasons(scorer.roles, scores, event),
        }
        if not begins:
            over = events.below[e] if np.isfinite(events.below[e]) else seen.time_seconds
            line["start_seconds"] = round(float(events.since[e]), 3)
            line["duration_seconds"] = round(float(over - events.since[e]), 3)
        yield line


def reasons(roles: RoleModel, scores: Scores, event: str) -> list[dict[str, Any]]:
    """The atoms that speak for an event on a frame, then those against it; none for the novelty, in
    which no atom has a part."""
    if event not in roles.events:
        return []
    found = roles.reasons(scores.segment_presence[None], event)
    found.sort(key=lambda reason: reason.contribution < 0)  # those for it first, stable otherwise
    return [reason._asdict() | {"contribution": round(reason.contribution, 3)} for reason in found]


def _by_name(values: np.ndarray, had: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """One value for each name: what it had, 0 for one that is new."""
    known = dict(zip(had, values, strict=True))
    return np.array([known.get(name, 0.0) for name in names], np.float32)


def _clock(before: float = 0.0) -> str:
    now = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=before)
    return now.isoformat(timespec="milliseconds")


def _summary(count: int, dropped: int, latencies: Iterable[float], seconds: float) -> Summary:
    if count == 0:
        return Summary(0, dropped, None, None, None)
    median, high = np.percentile(1000 * np.array(latencies), [50, 99])
    return Summary(
        count, dropped, round(float(median), 3), round(float(high), 3), round(count / seconds, 2)
    )
