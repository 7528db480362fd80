"""Messages that wait on the disk until their receiver has them, in order, over kills too."""

import contextlib
import os
import re
import threading
from collections import deque
from pathlib import Path

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded
from jaxvlm.replacing import unwritable, write_durably

_NAME = re.compile(r"(\d{16})-([0-9A-Za-z_-]{1,100})\.json")
_REFUSED = "refused"  # the folder of what the receiver will not have


class Spool:
    """A folder with a file for each message; one process writes and takes.

    A message is on the disk, whole, when `put` returns, and stays until `done`: whoever is killed
    between delivering and `done` delivers it again, under the same id.
    """

    def __init__(self, folder: str | os.PathLike):
        """Raises InputError: the folder cannot be written."""
        self.folder = Path(folder)
        self.lost = 0  # messages that were dropped because the spool was full
        self.changed = threading.Condition()
        try:
            (self.folder / _REFUSED).mkdir(parents=True, exist_ok=True)
            for path in self.folder.glob("*.part"):  # what a killed process was writing
                path.unlink()
            names = sorted(path.name for path in self.folder.iterdir() if _NAME.match(path.name))
            self.waiting = deque((name, (self.folder / name).stat().st_size) for name in names)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        self.size = sum(size for _, size in self.waiting)
        self.next = 1 + (int(names[-1][:16]) if names else 0)

    def __len__(self) -> int:
        return len(self.waiting)

    def put(self, message_id: str, content: bytes) -> None:
        """Adds a message behind the others. Where the spool is full the oldest are dropped.

        Raises InputError, DiskError: it cannot be written. ValueError: an id that is no name.
        """
        with self.changed:
            name = f"{self.next:016d}-{message_id}.json"
            if not _NAME.fullmatch(name):
                raise ValueError(f"spool: the id {message_id!r}")
            self.next += 1
            while self.waiting and self.size + len(content) > bounds.SPOOL_BYTES:
                self._remove(self.waiting[0][0])
                self.lost += 1
            path = self.folder / name
            try:
                write_durably(path, content)
            except OSError as error:
                raise unwritable(path, error) from None
            self.waiting.append((name, len(content)))
            self.size += len(content)
            self.changed.notify_all()

    def oldest(self) -> tuple[str, str, bytes] | None:
        """The name, the id and the content of the message that has waited longest.

        One that cannot be read is passed over, and stays for a person to look at.
        """
        with self.changed:
            while self.waiting:
                name, size = self.waiting[0]
                try:
                    content = read_bounded(self.folder / name, bounds.SPOOL_BYTES)
                except InputError:
                    self.waiting.popleft()
                    self.size -= size
                    continue
                return name, _NAME.fullmatch(name)[2], content
        return None

    def wait(self, seconds: float) -> None:
        """Until a message is put, or the time is over."""
        with self.changed:
            if not self.waiting:
                self.changed.wait(seconds)

    def wake(self) -> None:
        """Ends every `wait`."""
        with self.changed:
            self.changed.notify_all()

    def done(self, name: str) -> None:
        """The receiver has the message."""
        with self.changed:
            self._remove(name)

    def refuse(self, name: str) -> Path:
        """The receiver will never take the message: it is put aside. Its new path."""
        aside = self.folder / _REFUSED / name
        with self.changed:
            with contextlib.suppress(OSError):
                os.replace(self.folder / name, aside)
            self._remove(name)
        return aside

    def _remove(self, name: str) -> None:
        for entry in self.waiting:
            if entry[0] == name:
                self.waiting.remove(entry)
                self.size -= entry[1]
                break
        with contextlib.suppress(FileNotFoundError):
            (self.folder / name).unlink()
