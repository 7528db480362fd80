"""How the process of a program ends: by a Ctrl-C, by a bug, or when its work is done.

Only the standard library is imported, so that a Ctrl-C during the imports that take seconds is met
as well.
"""

import _thread
import io
import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from types import FrameType, TracebackType
from typing import Any

from jaxvlm.terminal import Lasting, shown

INTERRUPTED = 130  # what shells say of a program that SIGINT ended


def prepare() -> None:
    """Makes a Ctrl-C end the process with 130 and one line, whatever swallows the exception.

    A library that turns KeyboardInterrupt into an error of its own, or ignores it in a callback,
    hides it from ``except``; so it is noted when the signal comes, raised again where Python would
    ignore it, and `check` asks at the program's end. Also, what Python itself writes to stderr
    (warnings, tracebacks) has its control characters spelled from here on, and a reader of stdout
    or stderr who goes away does not end the work (`terminal.Lasting`).
    """
    ours = (signal.default_int_handler, _end_at_once)
    if signal.getsignal(signal.SIGINT) in ours:  # a shell lets a program behind `&` ignore it
        signal.signal(signal.SIGINT, _interrupt)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, Lasting(stream))
    sys.excepthook = _report
    sys.unraisablehook = _raise_again
    warnings.formatwarning = _warning


def show_logs() -> None:
    """The records of libraries' loggers, too, have their control characters spelled."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_spelled)


def check() -> None:
    """Ends the process if there was a Ctrl-C, whatever became of it, or if stdout was lost, as on
    a full disk: one line and exit code 1."""
    if _interrupted.is_set():
        end()
    lost = getattr(sys.stdout, "lost", None)
    if lost is not None:
        sys.stdout.lost = None
        cause = lost.strerror or lost
        sys.exit(f"error: stdout: cannot be written ({cause}); what was shown is cut short there")


def end() -> None:
    """Ends the process as one that was interrupted: one line and exit code 130."""
    finish()
    _say()
    sys.exit(INTERRUPTED)


def finish() -> None:
    """From here on the work is done or given up: a Ctrl-C ends the process at once."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, _end_at_once)


_interrupted = threading.Event()
_said = threading.Event()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _end_at_once(number: int, frame: FrameType | None) -> None:
    _say()
    os._exit(INTERRUPTED)  # what is written is written: files appear whole or not at all


def _say() -> None:
    if not _said.is_set():
        _said.set()
        os.write(2, b"interrupted\n")  # no lock, for a handler may hold up the one who writes


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> Any:
    """`sys.excepthook`: a bug keeps its traceback; what a Ctrl-C caused has none."""
    if _interrupted.is_set() or issubclass(kind, KeyboardInterrupt):
        end()  # Python takes SystemExit from here
    for text in traceback.format_exception(kind, error, trace):
        for line in text.splitlines():
            print(shown(line), file=sys.stderr)


def _raise_again(ignored: Any) -> None:
    """`sys.unraisablehook`: an interrupt that Python would pass over, as in a destructor."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        _thread.start_new_thread(_interrupt_soon, ())  # a Thread would take locks
    elif not _interrupted.is_set():
        sys.__unraisablehook__(ignored)


def _interrupt_soon() -> None:
    time.sleep(0.05)  # so that the callback is over
    _thread.interrupt_main()


def _warning(message: Any, category: type, filename: str, lineno: int, line: Any = None) -> str:
    return f"{shown(filename)}:{lineno}: {category.__name__}: {shown(message)}\n"


def _spelled(record: logging.LogRecord) -> bool:
    record.msg, record.args = shown(record.getMessage()), None
    return True
