"""Where the lines of `watching` go: stdout or a file that grows, each whole, also at a Ctrl-C."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from jaxvlm import bounded_json
from jaxvlm.errors import InputError
from jaxvlm.terminal import Lasting, json_line, leave_reader

STATES = ("watching", "warning", "start", "end", "summary")
_LONGEST = 2**20


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
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
def lines_to(path: str | os.PathLike | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes a line of JSON and flushes it."""

    def emitter(file: TextIO) -> Callable[[dict[str, Any]], None]:
        return lambda line: print(json_line(line), file=file, flush=True)

    if path is None:
        out = sys.stdout.stream if isinstance(sys.stdout, Lasting) else sys.stdout
        try:
            yield emitter(out)
        except BrokenPipeError:
            # Python flushes stdout once more at its end, and would report it a second time.
            leave_reader(out)
            raise InputError("stdout: its reader has gone; nothing more is written") from None
        return
    regular = os.path.isfile(path) or not os.path.exists(path)
    try:
        # No line end but ours: what ends with CR alone would be taken for a whole line.
        options = {"encoding": "utf-8", "errors": "replace", "newline": "\n"}
        file = open(path, "a+" if regular else "a", **options)
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
    first = file.readline(_LONGEST)
    try:
        line = bounded_json.parse(first, path) if first else {"state": STATES[0]}
    except InputError:
        line = None
    if not isinstance(line, dict) or line.get("state") not in STATES:
        raise InputError(f"{path}: holds other than lines of watch; choose another file")
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 4))
    if end and not file.read(4).endswith("\n"):
        file.write("\n")
