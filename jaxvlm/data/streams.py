"""Frames of a file, a camera or a URL as they come, connected again where they are lost."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from jaxvlm.data import connections, videos
from jaxvlm.data.connections import Timed
from jaxvlm.data.sources import file_of
from jaxvlm.data.videos import CLOCK, Frame
from jaxvlm.errors import InputError

_LONGEST_PAUSE = 10.0  # seconds; a longer step of a live stream's clock is a jump of the clock
_LONGEST_DELAY = 30.0  # seconds between two attempts to reconnect


def is_live(source: str) -> bool:
    """Whether a source is a camera (0, /dev/video0) or a URL, and not a file.

    Raises:
      InputError: it looks like a file, and there is none.
    """
    return file_of(source) is None


def source_frames(
    source: str,
    *,
    fps: float = 1.0,
    reconnect: int | None = 0,
    allowed_hosts: Sequence[str] = (),
    follow: bool = False,
    pause: Callable[[float], object] = time.sleep,
    say: Callable[[str], None] = lambda line: None,
    spread: Callable[[], float] = lambda: 1.0,
) -> Iterator[Frame]:
    """Frames at 0, 1/fps, 2/fps … seconds of a file (see ``videos.frames``), a camera or a URL.

    A file simply ends, and so does a URL that announces how long it is; every other live source is
    lost when it stops (see ``live_frames``). A URL's frames are sampled by its own presentation
    times, a camera's by the time at which they arrive; 0 is the first frame. follow: a file is
    read on while it is written, and is over when it has not grown for `bounds.SILENCE_SECONDS`.

    Redirects and playlists of a URL stay with its host and ``allowed_hosts``. Messages show a
    source as `sources.shown_source` does.

    Raises:
      InputError: no such file, fps ≤ 0; while iterating, a source that cannot be read.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"--fps: must be a positive number, got {fps}; 1 is the usual choice")
    file = file_of(source)
    if file is not None and not follow:
        return videos.frames(file, fps=fps, say=say)
    if follow and file is None:
        raise InputError("--follow: is for a file that is written; a camera or URL goes on anyway")
    return live_frames(
        lambda: (
            connections.pictures(source, allowed_hosts)
            if file is None
            else connections.growing_pictures(file, pause)
        ),
        fps=fps,
        reconnect=reconnect,
        pause=pause,
        say=say,
        spread=spread,
    )


def live_frames(
    connect: Callable[[], Iterable[Timed]],
    *,
    fps: float = 1.0,
    reconnect: int | None = 0,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = lambda line: None,
    spread: Callable[[], float] = lambda: 1.0,
) -> Iterator[Frame]:
    """Samples a live stream at k/fps seconds, and connects again when it is lost.

    A frame stays on the screen until the next one comes, as in ``videos.sample_times``; the delay
    is at most one frame of the stream. After a loss, k goes on where the clock is: nothing is
    made up for the time between.

    Args:
      connect: opens the stream; its iterator raises InputError where the stream is lost, and
        ends where the stream is over.
      fps: sampling instants per second.
      reconnect: attempts in a row, after 1, 2, 4 … 30 seconds, before a loss is final; None: no
        loss is, not even where the first connection fails.
      pause: waits that long; a true result means: stop trying.
      clock: seconds, never decreasing.
      say: told of every attempt.
      spread: asked before each attempt for the part of its delay that is waited, in [0.5, 1], so
        that many cameras behind one switch do not all come back at once.

    Raises:
      InputError: no first connection, or a loss that is final.
    """
    index = failures = 0  # the next sampling instant; attempts in a row that gave no frame
    began = clock()
    while True:
        try:
            for frame in _sampled(connect(), fps, index):
                if index == 0:
                    began = clock()
                index, failures = frame.index + 1, 0
                yield frame
            return
        except InputError as error:
            if index == 0 and reconnect is not None:
                raise
            if failures == reconnect:
                tried = f" ({reconnect} attempts to reconnect)" if reconnect else ""
                raise InputError(f"{error}{tried}") from None
            # Of a number that grows for days the power would be beyond a float.
            delay = min(2.0 ** min(failures, 10), _LONGEST_DELAY) * spread()
            failures += 1
            of = "" if reconnect is None else f" of {reconnect}"
            say(f"{error}; attempt {failures}{of} in {delay:.3g} s")
        if pause(delay):
            return
        if index > 0:
            index = max(index, math.ceil((clock() - began) * fps))


def _sampled(timed: Iterable[Timed], fps: float, first: int) -> Iterator[Frame]:
    """What is on the screen at k/fps, k = first, first + 1 …; the first frame is at `first`."""
    k = first
    origin = previous = 0.0
    shown: np.ndarray | None = None
    for seconds, image in timed:
        if shown is None or not 0 <= seconds - previous <= _LONGEST_PAUSE:
            origin = seconds - k / fps
        previous, now = seconds, seconds - origin
        while shown is not None and k / fps + CLOCK < now:
            yield Frame(k, k / fps, shown)
            k += 1
        if k / fps <= now + CLOCK:
            yield Frame(k, k / fps, image)
            k += 1
        shown = image
