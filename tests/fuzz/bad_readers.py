"""Readers with faults that end a process, to see that the campaign notices."""

import faulthandler
from pathlib import Path

from tests.fuzz.case import Reader


def _make(folder: Path) -> None:
    (folder / "a.txt").write_text("x")


def _if_mutated(action):
    def read(folder: Path) -> None:
        if (folder / "a.txt").read_bytes() != b"x":
            action()

    return read


def _crash():
    faulthandler._sigsegv()


def _memory():
    bytes(2**36)


def _hang():
    while True:
        pass


READERS = {
    name: Reader(_make, _if_mutated(action), lambda result: None)
    for name, action in (
        *(("good", lambda: None), ("crash", _crash), ("memory", _memory), ("hang", _hang)),
    )
}
