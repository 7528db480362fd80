"""Processes that draw, because drawing holds the interpreter, and drawing ahead of what is used."""

import contextlib
import contextvars
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

from jaxvlm.progress import Progress, ignore

Made = TypeVar("Made")

_KEPT = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@contextlib.contextmanager
def spread(
    function: Callable[..., Any], *jobs: Sequence[Any], workers: int | None, chunksize: int = 1
) -> Iterator[Iterator[Any]]:
    """``map(function, *jobs)`` over at most ``workers`` processes; None: as many as cores.

    The processes end with this one, also where it is killed. A Ctrl-C goes to the whole group of
    processes: the workers do not hear it (they would each print a traceback), and what has not
    begun is given up.
    """
    # Spawned, because a process that runs JAX must not be forked.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers or os.cpu_count() or 1, mp_context=context, initializer=_begin
    )
    try:
        with _deaf():
            results = pool.map(function, *jobs, chunksize=chunksize)  # starts the processes
        yield results
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def in_another_process() -> Iterator[Callable[..., Any]]:
    """Inside, ``call(function, *arguments, on_progress=…)`` computes the function there, one call
    at a time, and gives what it gives or raises.

    The process keeps what JAX compiles where this one does. function: of a module, with a parameter
    ``on_progress``; once nobody waits any more it ends where it next tells of its progress.
    """
    import jax

    context = multiprocessing.get_context("spawn")
    news, over = context.SimpleQueue(), context.Event()
    kept = {name: getattr(jax.config, name) for name in _KEPT}
    pool = ProcessPoolExecutor(
        1, mp_context=context, initializer=_begin_telling, initargs=(news, over, kept)
    )

    def call(function: Callable[..., Any], *arguments: Any, on_progress: Progress = ignore) -> Any:
        with _deaf():
            job = pool.submit(_told, function, *arguments)  # the first starts the process
        job.add_done_callback(lambda _: news.put(None))
        while (one := news.get()) is not None:
            on_progress(*one)
        return job.result()

    try:
        yield call
    finally:
        over.set()
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ahead(
    jobs: Iterable[Callable[[Progress], Made]], on_progress: Progress = ignore
) -> Iterator[Iterator[Made]]:
    """What the jobs make, in their order; a thread does one after the other, also while the last
    one's is used.

    Each is given what it has to tell of its progress, which ends it once nobody waits any more.
    on_progress: is told of a job's while that job is waited for.
    """
    over, awaited = threading.Event(), None

    def of_job(number: int) -> Progress:
        def told(name: str, done: int, total: int) -> None:
            if over.is_set():
                raise CancelledError
            if awaited == number:
                on_progress(name, done, total)

        return told

    with ThreadPoolExecutor(1) as thread:
        made = [
            thread.submit(contextvars.copy_context().run, job, of_job(number))
            for number, job in enumerate(jobs)
        ]

        def results() -> Iterator[Made]:
            nonlocal awaited
            for number, one in enumerate(made):
                awaited = number
                yield one.result()

        try:
            yield results()
        finally:
            over.set()
            thread.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started inside do not hear a Ctrl-C."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a process of `in_another_process`: who is told of progress, and whether anybody waits.
_listener: tuple[Any, Any] | None = None


def _begin_telling(news: Any, over: Any, kept: dict[str, Any]) -> None:
    global _listener
    import jax

    for name, value in kept.items():
        jax.config.update(name, value)
    _listener = news, over
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _told(function: Callable[..., Any], *arguments: Any) -> Any:
    news, over = _listener

    def tell(name: str, done: int, total: int) -> None:
        if over.is_set():
            raise CancelledError
        news.put((name, done, total))

    return function(*arguments, on_progress=tell)


def _begin() -> None:
    if hasattr(os, "nice"):
        os.nice(10)  # drawing gives way to what uses the pictures
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else a worker would wait for ever for its next task."""
    multiprocessing.parent_process().join()
    os._exit(1)
