"""How much memory all decoders of a process may hold at once: one number, one lock."""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator

from jaxvlm import bounds

_LARGE = 2**28  # bytes; below it, a call of the allocator (up to 0.1 s) costs more than it saves


class Budget:
    """Bytes that threads share: who asks for more than is left waits until others gave back.

    Small requests pass large ones that wait; a large one gets its turn, because the streams that
    ask work ahead only so far. A request beyond the whole budget is the caller's to refuse: here it
    runs alone.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def share(self, need: int) -> Iterator[None]:
        """Holds ``need`` bytes within the block. Not to be nested: two threads could wait for each
        other."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + need <= self.size)
            self._held += need
        try:
            yield
        finally:
            if need >= _LARGE:
                _give_back()
            with self._changed:
                self._held -= need
                self._changed.notify_all()


# The one object of the process that is not a constant: decoders run in threads of several
# libraries, which have nothing else in common that could count. A constant and no share of the
# machine, so that a picture is read or refused alike everywhere.
DECODING = Budget(bounds.DECODING_BYTES)


def _give_back() -> None:
    """Returns what was freed to the system. glibc keeps it for the thread that had it: twelve
    threads that decode a picture of 117 million pixels each in turn would keep 5.5 GB."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
