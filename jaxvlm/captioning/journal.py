"""The answers so far, a JSON line each, on the disk before the next question is asked.

    {"request": "5f0c…", "settings": {"model": …, "prompt": …}}
    {"request": "5f0c…", "frame": "video/000001.jpg", "sha256": "…", "text": "ATOMS: …"}

A frame is known by folder, name and content, and a request by the hash of its settings: frames
that were extracted anew, another prompt and another model are asked about again.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from jaxvlm import bounded_json
from jaxvlm.captioning.request import Request
from jaxvlm.errors import InputError
from jaxvlm.reading import sha256
from jaxvlm.replacing import unwritable

_BEGIN = b'{"request": "'  # of every line


class FrameId(NamedTuple):
    """``video/file`` and the SHA-256 of the file."""

    name: str
    sha256: str


class Journal(NamedTuple):
    """Answers of earlier runs to this request, and a function that adds some for good."""

    answers: dict[FrameId, str]
    append: Callable[[Iterable[tuple[FrameId, str]]], None]


def frame_name(path: Path) -> str:
    """``video/file``, which stays when the folder of all frames moves."""
    return "/".join(path.parts[-2:])


def frame_id(path: Path) -> FrameId:
    """Reads the file. Raises OSError if it cannot be read."""
    return FrameId(frame_name(path), sha256(path))


@contextlib.contextmanager
def open_journal(path: str | os.PathLike, request: Request) -> Iterator[Journal]:
    """Opens a journal, or begins one, for this process alone.

    A last line that a stopped run left unfinished is cut off. ``append`` returns once the lines
    are on the disk. Without a line there is no file.

    Raises:
      InputError: it cannot be written, another process has it open, or a line is not of the form
        above.
    """
    path = Path(path)
    key = hashlib.sha256(json.dumps(request).encode()).hexdigest()[:16]
    is_new = not os.path.exists(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "ab+")  # noqa: SIM115 (closed below)
    except OSError as error:  # a name that is too long, too
        raise unwritable(path, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{path}: another run is writing it; wait or stop that one") from None
        answers, is_known = _read(path, file, key)

        def append(items: Iterable[tuple[FrameId, str]]) -> None:
            nonlocal is_known
            lines: list[dict] = [
                {"request": key, "frame": frame.name, "sha256": frame.sha256, "text": text}
                for frame, text in items
            ]
            if lines and not is_known:
                lines.insert(0, {"request": key, "settings": request._asdict()})
                is_known = True
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            try:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:  # what came before it stays, and the next run goes on there
                file.raw.close()  # else closing the file would write once more
                raise unwritable(path, error) from None

        try:
            yield Journal(answers, append)
        finally:
            if is_new and path.exists() and not path.stat().st_size:
                path.unlink(missing_ok=True)


def _read(path: Path, file: IO[bytes], key: str) -> tuple[dict[FrameId, str], bool]:
    """The answers to the request ``key``, and whether its settings are written down."""
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    tail, lines = content[whole:], content[:whole].splitlines()
    if _is_whole(tail):  # a line that lost its end in an editor
        file.write(b"\n")
        lines.append(tail)
        tail = b""
    answers, is_known = {}, False
    for number, line in enumerate(lines, 1):
        try:
            entry = bounded_json.parse(line, path)
            if entry["request"] != key:
                continue
            if "settings" in entry:
                is_known = True
            else:
                answers[FrameId(entry["frame"], entry["sha256"])] = str(entry["text"])
        except (ValueError, KeyError, TypeError):  # not JSON or not UTF-8; a field is missing
            raise InputError(
                f"{path}: line {number} is no answer; remove the line, or the file to ask again"
            ) from None
    if tail and not (lines or _BEGIN.startswith(tail) or tail.startswith(_BEGIN)):
        raise InputError(f"{path}: holds other than answers; move it, or choose another --out")
    if tail:  # of a run that was stopped
        file.truncate(whole)
    return answers, is_known


def _is_whole(line: bytes) -> bool:
    try:
        return line.startswith(_BEGIN) and isinstance(bounded_json.parse(line, ""), dict)
    except InputError:
        return False
