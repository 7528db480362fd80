"""What a terminal shows while a program's imports take a second or two.

Only the standard library is imported: this is what comes before the rest.
"""

import sys
import threading
import time

_over = threading.Event()
_writing = threading.Lock()


def begin(name: str) -> None:
    """Shows that a program starts, and how many seconds it has been at it, until `end`."""
    if sys.stderr.isatty():
        threading.Thread(target=_tell, args=(name, time.monotonic()), daemon=True).start()


def end() -> None:
    """Takes the line away, before anything else is shown."""
    with _writing:
        if _over.is_set():
            return
        _over.set()
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _tell(name: str, began: float) -> None:
    while True:
        with _writing:
            if _over.is_set():
                return
            seconds = int(time.monotonic() - began)
            line = f"\r\033[Kstarting {name} … {seconds} s "
            print(line, end="", file=sys.stderr, flush=True)
        time.sleep(1.0)
