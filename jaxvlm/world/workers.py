"""Processes that draw: drawing holds the interpreter, so threads would not help."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor


def worker_pool(count: int) -> ProcessPoolExecutor:
    """Processes that end with this one, also when it is killed, and leave a Ctrl-C to it.

    Spawned and not forked, because JAX must not be forked.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else it would wait for ever for its next task."""
    multiprocessing.parent_process().join()
    os._exit(1)
