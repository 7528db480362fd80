"""Compiled programs, kept between runs in the user's cache folder."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxvlm import runs

MAX_BYTES = 2**29  # of all that is kept; a program is some kB on a CPU, some MB on a GPU


@contextlib.contextmanager
def kept(warn: Callable[[str], object], max_bytes: int = MAX_BYTES) -> Iterator[None]:
    """Inside, JAX keeps what it compiles and finds it again in the next run, however short it took:
    the many small programs of a start take longer together than the few large ones.

    JAX_COMPILATION_CACHE_DIR, JAX's own variable, moves it; that folder is the user's, and nothing
    is removed from it. Where the cache folder cannot be written a line says so, and nothing is
    kept. After a run that added to it, what was not used for longest is removed (`bound`).
    """
    import jax

    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    folder = runs.cache_folder("xla")
    if folder is None:
        warn(
            "the cache folder cannot be written, so that nothing is kept of compiling and of "
            "texts; XDG_CACHE_HOME moves it"
        )
        yield
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    before = _changed(folder)
    try:
        yield
    finally:
        if _changed(folder) != before:
            bound(folder, max_bytes)


def bound(folder: Path, max_bytes: int) -> None:
    """Removes files of a cache, those first that were not used for longest, until the others have
    no more bytes than that. What others remove meanwhile is passed over.

    JAX's own bound (jax_compilation_cache_max_size) is off: a process that is killed between a file
    and its time stamp leaves a folder in which JAX keeps nothing more, and every program that is
    found is locked and stamped.
    """
    found, total = [], 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                told = entry.stat()
                # The time of reading is kept by the day at least, where it is kept at all.
                found.append((max(told.st_atime, told.st_mtime), told.st_size, entry.path))
                total += told.st_size
    for _, size, path in sorted(found):
        if total <= max_bytes:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size


def _changed(folder: Path) -> int | None:
    """When something was last added to a folder; None where it is not there."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return None
