"""Processes that work together: how they are joined, and how they end when one of them is gone.

A process that dies takes the others with it: JAX's service asks each for signs of life, and ends
the others when one gives none. How that looks is made here: one line on stderr (`last_words`) and
no core. A process that fails by itself does not wait for the others at its end, who may wait for it
in a computation of all; they are told by its silence.
"""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from jaxvlm import last_words

# Without a sign of life a process counts as gone. Signs are sent by a thread of the runtime, which
# no computation holds up.
SILENCE_SECONDS = 10
_PATIENCE = 15.0  # until which JAX has told of a process that a computation missed
# Who has done its share waits for the others, however long they take: one that is gone is noticed.
_DONE_SECONDS = 7 * 86_400
_OF_OTHERS = re.compile(r"gloo|nccl|rccl|coordination service|connection (closed|re)", re.I)

_reader: list[subprocess.Popen] = []
_given_up: list[int] = []  # the exit code


def join(address: str | None, count: int | None, number: int | None) -> None:
    """`jax.distributed.initialize` with the ends above. Raises what that raises."""
    import jax  # only by who joins: what the command line needs of this module is light

    # JAX would catch SIGTERM, to save at the next step of all: nothing here asks for that, and a
    # process that was told to end would go on.
    jax.config.update("jax_enable_preemption_service", False)
    with _stderr_passed_on():
        jax.distributed.initialize(
            address,
            count,
            number,
            heartbeat_timeout_seconds=SILENCE_SECONDS,
            shutdown_timeout_seconds=_DONE_SECONDS,
        )
    if _reader:
        os.write(2, last_words.COUNT + b"%d\n" % (count or jax.process_count()))
    atexit.register(_leave)  # runs before what JAX registered, which waits for the others


def give_up(code: int = 1) -> None:
    """At its end this process does not wait for the others, and its exit code is this one."""
    _given_up.append(code)


def hold(error: BaseException) -> None:
    """Waits where an error may come of another process that is gone: then JAX ends this one.

    A computation of all fails at once, on some devices, and says nothing of who was missed. Returns
    when nobody was.
    """
    if _reader and _OF_OTHERS.search(str(error)):
        time.sleep(_PATIENCE)


@contextlib.contextmanager
def _stderr_passed_on() -> Iterator[None]:
    """From here on stderr is what `last_words` reads; where an exception is raised, no more."""
    if os.name != "posix":
        yield
        return
    reading, writing = os.pipe()
    command = [sys.executable, "-I", "-S", last_words.__file__]
    reader = subprocess.Popen(command, stdin=reading, start_new_session=True)
    before = os.dup(2)
    os.dup2(writing, 2)
    # Instead of a core and a shell's words about it. What was said before is passed on.
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    default = libc.signal(int(signal.SIGABRT), ctypes.cast(libc._exit, ctypes.c_void_p))
    os.close(reading)
    os.close(writing)
    try:
        yield
        _reader.append(reader)
    except BaseException:
        libc.signal(int(signal.SIGABRT), ctypes.c_void_p(default))
        os.dup2(before, 2)
        reader.wait()
        raise
    finally:
        os.close(before)


def _leave() -> None:
    failed = getattr(sys, "last_value", None)  # an exception that nobody caught
    if not _given_up and failed is None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # JAX waits outside of Python
        return
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if _reader:
        os.close(2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            _reader[0].wait(2)
    interrupted = 130 if isinstance(failed, KeyboardInterrupt) else 1
    os._exit(_given_up[0] if _given_up else interrupted)
