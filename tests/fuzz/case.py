"""One case: a good input of a reader with one file mutated, read, and the outcome judged."""

import contextlib
import os
import random
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.errors import InputError
from jaxvlm.terminal import shown
from tests.fuzz.mutations import mutate

LONGEST = 2_000  # characters of a message
CLEAN, ACCEPTED, FAILED = "clean line", "accepted", "failed"


class Reader(NamedTuple):
    """A reader of what others wrote.

    make: writes a good input into a folder, from nothing, always the same.
    read: reads it; given the folder.
    check: asserts what must hold of a result, whatever the input was.
    names: whether a message must have the name of the input.
    intact: of `make`'s files those that are not mutated.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    check: Callable[[Any], None]
    names: bool = True
    intact: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How a case ended: `CLEAN`, `ACCEPTED` or `FAILED`, and what was said."""

    kind: str
    text: str


def input_files(reader: Reader, folder: Path) -> list[Path]:
    """The files of an input that are mutated, in order."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if path.name not in reader.intact]


def write_case(reader: Reader, name: str, seed: int, good: Path, others: Path, folder: Path):
    """Copies the good input into ``folder`` with one file mutated; the file.

    others: a folder of good inputs of all kinds, for what is spliced in or swapped.
    """
    rng = random.Random(f"{name}:{seed}")
    shutil.copytree(good, folder)
    path = rng.choice(input_files(reader, folder))
    other = rng.choice(sorted(path for path in others.rglob("*") if path.is_file()))
    suffix = path.suffix.lower()
    path.write_bytes(mutate(rng, suffix, path.read_bytes(), other.read_bytes()))
    return path


def judge(reader: Reader, folder: Path, mutated: Path | None) -> Outcome:
    """Reads an input and says how it went. What goes to stderr is looked at, too."""
    error_file = folder.with_name(f"{folder.name}.stderr")
    with warnings.catch_warnings(record=True) as warned, _stderr_to(error_file):
        warnings.simplefilter("always")
        outcome = _read(reader, folder, mutated)
    said = error_file.read_text(encoding="utf-8", errors="replace")
    error_file.unlink()
    if outcome.kind == FAILED:
        return outcome
    for each in warned:
        # Ours are one line for the user; those of libraries are not for users.
        if each.category is not UserWarning or (fault := _fault(str(each.message))):
            fault = each.category.__name__ if each.category is not UserWarning else fault
            place = f"{each.filename}:{each.lineno}"
            return Outcome(FAILED, f"a warning, {fault}: {each.message} ({place})")
    # Remarks of libjpeg and libtiff, which OpenCV and Pillow let through, are no faults of ours.
    if "Traceback" in said or any(shown(line) != line for line in said.splitlines()):
        return Outcome(FAILED, f"on stderr: {said[:1_000]!r}")
    return outcome


def _read(reader: Reader, folder: Path, mutated: Path | None) -> Outcome:
    try:
        result = reader.read(folder)
    except InputError as error:
        text = str(error)
        fault = _fault(text)
        alone = sum(path.is_file() for path in folder.rglob("*")) == 1
        wanted = mutated.name if alone and mutated else folder.name
        if reader.names and wanted not in text:
            fault = fault or "the file is not named"
        return Outcome(FAILED, f"{fault}: {text!r}") if fault else Outcome(CLEAN, text)
    except BaseException:  # an interpreter's exit or a MemoryError is a fault like any other
        return Outcome(FAILED, traceback.format_exc())
    try:
        reader.check(result)
    except Exception:
        trace = traceback.format_exc()
        return Outcome(FAILED, f"a wrong result: {trace:.3000}\n{_told(result):.1000}")
    return Outcome(ACCEPTED, f"{_told(result):.200}")


def _told(result: Any) -> str:
    with np.printoptions(threshold=20, edgeitems=2):
        return repr(result)


def _fault(text: str) -> str | None:
    """What is wrong with a line for the user."""
    if not text.strip():
        return "an empty message"
    if len(text) > LONGEST + 10:
        return f"a message of {len(text)} characters"
    return None if shown(text) == text else "a message with control characters"


@contextlib.contextmanager
def _stderr_to(path: Path) -> Iterator[None]:
    """Sends what libraries write to the file descriptor, and Python to sys.stderr, into a file."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(path, "w", encoding="utf-8", errors="backslashreplace", buffering=1) as file:
        os.dup2(file.fileno(), 2)
        try:
            with contextlib.redirect_stderr(file):
                yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
