"""Progress as a person sees it: bars in a terminal, a line now and then in a log."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from jaxvlm.command import starting
from jaxvlm.progress import Progress
from jaxvlm.terminal import shown

_EVERY = 30.0  # seconds between two lines of a log


@contextlib.contextmanager
def progress(*, every: float = _EVERY) -> Iterator[Progress]:
    """Shows the stages that it is told of on stderr; of several processes the first one does.

    A terminal has a bar per stage, with the time, which stands still for no longer than a second
    and is gone when the stage is over. Elsewhere a line is written every ``every`` seconds as long
    as a stage goes on.
    """
    starting.end()
    kind = _bars() if sys.stderr.isatty() else _lines(every)
    with kind as tell:
        yield tell


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich import console, progress  # not for those whose stderr is a file

    class Count(progress.ProgressColumn):
        """How many of how many, where that says something."""

        def render(self, task: progress.Task) -> str:
            if task.total == 1:
                return ""
            total = f" of {int(task.total):,}" if task.total else ""
            return f"{int(task.completed):,}{total}"

    display = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        Count(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(compact=True),
        console=console.Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # rich would send it to stderr
    )
    bars: dict[str, progress.TaskID] = {}

    def tell(name: str, done: int, total: int) -> None:
        if not _is_writer():
            return
        if total and done >= total:
            if name in bars:
                display.remove_task(bars.pop(name))
            if not bars:
                display.stop()  # what is printed now would stand in the bars' place
            return
        if name not in bars:
            bars[name] = display.add_task(shown(name), total=total or None)
            display.start()
        display.update(bars[name], completed=done, total=total or None)

    try:
        yield tell
    finally:
        display.stop()


@contextlib.contextmanager
def _lines(every: float) -> Iterator[Progress]:
    stages: dict[str, tuple[int, int, float]] = {}
    lock, over = threading.Lock(), threading.Event()

    def tell(name: str, done: int, total: int) -> None:
        with lock:
            if total and done >= total:
                stages.pop(name, None)
            else:
                _, _, start = stages.get(name, (0, 0, time.monotonic()))
                stages[name] = done, total, start

    def write() -> None:
        while not over.wait(every):
            with lock:
                texts = [_text(name, *state) for name, state in stages.items()]
            if texts and _is_writer():
                print("; ".join(texts), file=sys.stderr, flush=True)

    threading.Thread(target=write, daemon=True).start()
    try:
        yield tell
    finally:
        over.set()


def _is_writer() -> bool:
    from jaxvlm import parallel  # JAX, which comes after the flags

    return parallel.is_writer()


def _text(name: str, done: int, total: int, start: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    count = "" if total == 1 else f"{done:,} of {total:,} " if total else f"{done:,} "
    return f"{shown(name)}: {count}({minutes}:{seconds:02d})"
