"""Watches sources while they run: a line where an event starts and ends, and why.

A frame costs the same time and memory however long the sources run. One source is many cameras of
which there is one.
"""

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from jaxvlm.alarms.outlets import Outlets
from jaxvlm.alarms.rules import LIMITS, Rules, limits_of
from jaxvlm.data import streams, videos
from jaxvlm.data.sources import shown_source
from jaxvlm.data.videos import Frame
from jaxvlm.data.waiting import Arrival, Over, read_together
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.progress import Progress, ignore, stage
from jaxvlm.video import live
from jaxvlm.video.batches import Batches
from jaxvlm.video.ordinary_watching import Learning, on_the_clock
from jaxvlm.video.saved_state import StateFolder
from jaxvlm.video.scoring import Scorer
from jaxvlm.video.watched import Camera, Summary, Watched, seen_frames

DEFAULT_RULES = Rules()


class Settings(NamedTuple):
    """What of a camera can change while it runs."""

    scorer: Scorer
    rules: Rules


class Ended(NamedTuple):
    """How a camera ended: its figures, and the line of the failure that ended it."""

    name: str
    summary: Summary
    failure: str | None


def watch_cameras(
    cameras: Sequence[Camera],
    *,
    emit: Callable[[dict[str, Any]], None],
    outlets: Outlets | None = None,
    notes: deque[tuple[int, str]] | None = None,
    keeper: StateFolder | None = None,
    reread: Callable[[], Sequence[Settings] | None] = lambda: None,
    stop: threading.Event | None = None,
    on_progress: Progress = ignore,
) -> list[Ended]:
    """Watches cameras together until all are over: their lines are those of `watch`, each with
    {camera}.

    Frames of all cameras that are there are scored in one batch, one of each camera, and what each
    has seen before is its own: the numbers are those that it would have alone. A camera that fails
    ends alone. Of one that is tried again there is {state: "lost", why}, and {state: "connected"}
    when it is back.

    Args:
      cameras: read in a thread each.
      outlets: where alarms go beside the lines.
      notes: filled by the threads that read: (camera, why its source is tried again).
      keeper: from where the cameras go on, and where their state is kept: when an event starts or
        ends and every few seconds. Where it is stopped, open events stay open for the next start.
      reread: asked between frames for other scorers and rules of the cameras, in their order; None:
        as they are. {state: "reloaded", kept} says of each what it kept.
      emit, stop, on_progress: as of `watch`.

    Returns:
      How each camera ended.

    Raises:
      InputError: rules or settings that cannot be.
      DiskError: an alarm cannot be written.
    """
    outlets = Outlets() if outlets is None else outlets
    watched = [Watched(camera, emit, outlets) for camera in cameras]
    kept = {} if keeper is None else keeper.resume(watched)
    batches = Batches([camera.scorer for camera in cameras], kept)
    if keeper is not None:
        keeper.save(watched, batches.state)  # a first start is one before its first alarm
    found: list[Ended | None] = [None] * len(cameras)
    outlets.begin(one.shown() for one in watched)
    for one in watched:
        one.begin()
    with stage(on_progress, "compile"):
        batches.warm_up()

    def end(place: int, ended_by: str, failure: str | None = None) -> None:
        one = watched[place]
        if found[place] is None:
            keep = keeper is not None and ended_by == "stopped"
            found[place] = Ended(one.name, one.end(ended_by, keep=keep), failure)
            outlets.over(one.name, failure)

    try:
        with contextlib.closing(
            read_together(
                [seen_frames(one.camera, pictures=outlets.takes_alarms) for one in watched],
                size=max(camera.rules.queue_size for camera in cameras),
                policies=[camera.rules.policy or "wait" for camera in cameras],
                most=live.LARGEST_BATCH,
                stop=stop,
            )
        ) as reader:
            for entries in reader:
                while notes:
                    place, why = notes.popleft()
                    watched[place].lost(why)
                _score(batches, watched, [e for e in entries if isinstance(e, Arrival)])
                for entry in entries:
                    if isinstance(entry, Over):
                        failure = _failure(entry.error, watched[entry.place])
                        ended_by = "source ended" if failure is None else "source lost"
                        end(entry.place, ended_by, failure)
                outlets.tick()
                if (settings := reread()) is not None:
                    batches = _reloaded(watched, batches, settings)
                if keeper is not None:
                    keeper.save(watched, batches.state, only_if_due=True)
    finally:
        stopped = stop is not None and stop.is_set()
        for place in range(len(watched)):
            end(place, "stopped" if stopped else "source ended")
        outlets.close()
        if keeper is not None:
            keeper.save(watched, batches.state)
    return [one for one in found if one is not None]


def watch(
    scorer: Scorer,
    frames: Iterable[Frame],
    *,
    emit: Callable[[dict[str, Any]], None],
    source: str = "",
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
    on_progress: Progress = ignore,
    learning: Learning | None = None,
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
        atoms that speak for the event on this frame, then those against, {atoms, role,
        contribution (to the logit)}. time_seconds is the source's own time, wall_clock this
        machine's, with its offset from UTC. With `Rules.min_seconds` a start has start_seconds;
        with `Rules.release_seconds` an event's duration ends when P fell below release.
      source: what to call the source in the lines.
      rules: `reconnect`, `allowed_hosts` and `follow` have no part in it.
      stop: set it to end early.
      on_progress: is told of what it waits for before the first frame.
      learning: from the frames what is ordinary; None: nothing is learned.

    Raises:
      InputError: release > threshold, settings that cannot be live, or a source that fails.
    """
    camera = Camera(None, source, scorer, frames, rules, learning=learning)
    (ended,) = watch_cameras([camera], emit=emit, stop=stop, on_progress=on_progress)
    return _summary_of(ended)


def watch_source(
    scorer: Scorer,
    source: str,
    emit: Callable[[dict[str, Any]], object],
    *,
    rules: Rules = DEFAULT_RULES,
    stop: threading.Event | None = None,
    on_progress: Progress = ignore,
    learning: Learning | None = None,
) -> Summary:
    """`watch` of a file, camera or URL, at the frames per second of the roles.

    Attempts to reconnect are told on stderr. Raises InputError: see ``watch`` and
    ``streams.source_frames``.
    """
    stop = threading.Event() if stop is None else stop
    options = {"pause": stop.wait, "say": videos.to_stderr, "learning": learning}
    camera = open_camera(None, source, scorer, rules, **options)
    (ended,) = watch_cameras([camera], emit=emit, stop=stop, on_progress=on_progress)
    return _summary_of(ended)


def open_camera(
    name: str | None,
    source: str,
    scorer: Scorer,
    rules: Rules,
    *,
    pause: Callable[[float], object],
    say: Callable[[str], None],
    clip_fps: float = 0.0,
    learning: Learning | None = None,
) -> Camera:
    """A camera of a file, a device or a URL, to be watched at the frames per second of the roles.

    Args:
      pause, say: as of `streams.source_frames`; the pauses of a name are its own, so that cameras
        that were lost together do not come back together.
      clip_fps: pictures a second for clips, as near as a multiple of the frames per second is.

    Raises InputError as `streams.source_frames`.
    """
    fps, is_live = scorer.roles.config.fps, streams.is_live(source)
    every = max(1, round(clip_fps / fps))
    chance = random.Random(name)
    frames = streams.source_frames(
        source,
        fps=fps * every,
        reconnect=rules.reconnect,
        allowed_hosts=rules.allowed_hosts,
        follow=rules.follow,
        pause=pause,
        say=say,
        spread=lambda: 1.0 if name is None else chance.uniform(0.5, 1.0),
    )
    policy = rules.policy or ("drop" if is_live else "wait")
    rules = rules._replace(policy=policy)
    if is_live:  # it is now; of a file the time of day is not known
        scorer, learning = on_the_clock(scorer, learning)
    return Camera(name, shown_source(source), scorer, frames, rules, every, is_live, learning)


def check_live(scorer: Scorer, rules: Rules) -> None:
    """Raises InputError for rules and settings with which nothing can be watched."""
    limits_of(rules, scorer.signals)
    live.live_batch(scorer, 1)


def _summary_of(ended: Ended) -> Summary:
    if ended.failure is not None:
        raise InputError(ended.failure)
    return ended.summary


def _reloaded(
    watched: Sequence[Watched], batches: Batches, settings: Sequence[Settings]
) -> Batches:
    """Goes on with other scorers and rules. A window is kept where the atoms and its length are the
    same, else it begins anew: of an atom that is new there is no past."""
    kept, told = {}, []
    for place, (one, new) in enumerate(zip(watched, settings, strict=True)):
        old = one.camera.scorer.roles
        same = old.atoms == new.scorer.roles.atoms
        same &= old.config.segments.window == new.scorer.roles.config.segments.window
        if same:
            kept[place] = batches.state(place)
        scorer = on_the_clock(new.scorer, None)[0] if one.camera.is_live else new.scorer
        one.reloaded(scorer, one.camera.rules._replace(**_limits(new.rules)))
        told.append("window, events, cool-downs" if same else "events and cool-downs by name")
    changed = Batches([one.camera.scorer for one in watched], kept)
    changed.warm_up()
    for one, what in zip(watched, told, strict=True):
        if not one.is_over:
            one.tell({"state": "reloaded", "kept": what})
    return changed


def _limits(rules: Rules) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in LIMITS}


def _score(batches: Batches, watched: Sequence[Watched], arrivals: Sequence[Arrival]) -> None:
    if not arrivals:
        return
    taken = time.perf_counter()
    found = batches.step({arrival.place: arrival.item for arrival in arrivals})
    done = time.perf_counter()
    for arrival in arrivals:
        watched[arrival.place].see(arrival, found[arrival.place], taken=taken, done=done)


def _failure(error: Exception | None, one: Watched) -> str | None:
    """The line about what ended a source; None where it just ended. A bug is raised."""
    if error is None:
        return None
    if not isinstance(error, ITEM_ERRORS):
        raise error
    return item_failure(error, one.camera.source)
