"""`watch` as a program: cameras in, lines out, signals, settings that are read again."""

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxvlm.alarms.outlets import Outlets
from jaxvlm.alarms.rules import Rules
from jaxvlm.data.videos import to_stderr
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore
from jaxvlm.video import watching
from jaxvlm.video.change_lines import interruptible, lines_to
from jaxvlm.video.ordinary_watching import Learning
from jaxvlm.video.saved_state import state_folder
from jaxvlm.video.scoring import Scorer
from jaxvlm.video.watching import Ended, Settings


class Asked(NamedTuple):
    """A camera that the user asked for; name None: the one of --source."""

    name: str | None
    source: str
    scorer: Scorer
    rules: Rules
    learning: Learning | None = None


def write_changes(
    asked: Callable[[], Sequence[Asked]],
    *,
    outlets: Outlets | None = None,
    out: str | os.PathLike | None = None,
    state_dir: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
) -> list[Ended]:
    """Watches what is asked for and writes a JSON line per change to stdout or, appended, to
    ``out``.

    Warnings are told on stderr too, each once. A SIGHUP has ``asked`` called again: roles, limits
    and what they are read from may be others; cameras and sources stay until the next start.

    Args:
      asked: reads the cameras.
      outlets: see `watching.watch_cameras`.
      state_dir: where state is kept, see `saved_state`; None: nowhere.

    Raises:
      InputError: what is asked for cannot be, or ``out`` or the state cannot be written; the source
        of --source fails.
      KeyboardInterrupt: after a Ctrl-C, when all lines are written. A second one does not wait.
    """
    outlets = Outlets() if outlets is None else outlets
    told: set[str] = set()
    notes: deque[tuple[int, str]] = deque()
    first = list(asked())

    with (
        interruptible() as stop,
        hang_up() as again,
        lines_to(out) as write,
        state_folder(state_dir) as keeper,
    ):

        def emit(line: dict[str, Any]) -> None:
            write(line)
            warning = line.get("warning")
            if warning is not None and warning not in told:
                told.add(warning)
                to_stderr(f"warning: {warning}")

        def lost(place: int) -> Callable[[str], None]:
            if first[place].name is None:
                return to_stderr
            return lambda why: notes.append((place, why))

        def reread() -> list[Settings] | None:
            if not again.is_set():
                return None
            again.clear()
            try:
                return _settings(first, list(asked()))
            except InputError as error:
                to_stderr(f"warning: {error}; goes on as before")
                return None

        cameras = [
            watching.open_camera(
                one.name,
                one.source,
                one.scorer,
                one.rules,
                pause=stop.wait,
                say=lost(place),
                clip_fps=outlets.clip_fps,
                learning=one.learning,
            )
            for place, one in enumerate(first)
        ]
        ended = watching.watch_cameras(
            cameras,
            emit=emit,
            outlets=outlets,
            notes=notes,
            keeper=keeper,
            reread=reread,
            stop=stop,
            on_progress=on_progress,
        )
    if stop.is_set():
        raise KeyboardInterrupt
    if first[0].name is None and ended[0].failure is not None:
        raise InputError(ended[0].failure)
    return ended


@contextlib.contextmanager
def hang_up() -> Iterator[threading.Event]:
    """An event that every SIGHUP sets."""
    again = threading.Event()
    number = getattr(signal, "SIGHUP", None)  # Windows has none
    if number is None:
        yield again
        return
    before = signal.signal(number, lambda *_: again.set())
    try:
        yield again
    finally:
        signal.signal(number, before)


def _settings(first: Sequence[Asked], now: Sequence[Asked]) -> list[Settings]:
    """What has changed for the cameras that are watched, in their order.

    Raises InputError: other cameras, another source or other frames per second, which need a start.
    """
    by_name = {one.name: one for one in now}
    if list(by_name) != [one.name for one in first]:
        raise InputError("cameras: others than at the start; start watch again for that")
    for one in first:
        new, of = by_name[one.name], "" if one.name is None else f" of {one.name}"
        if new.source != one.source:
            raise InputError(f"source{of}: another than at the start; start watch again for that")
        if new.scorer.roles.config.fps != one.scorer.roles.config.fps:
            raise InputError(f"fps{of}: another than at the start; start watch again for that")
        watching.check_live(new.scorer, new.rules)
    return [Settings(by_name[one.name].scorer, by_name[one.name].rules) for one in first]
