"""Alarms on the disk: a folder for each, with its record, a picture and a clip."""

import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxvlm import files, outputs
from jaxvlm.alarms.clips import write_clip
from jaxvlm.alarms.pictures import Picture, Ring
from jaxvlm.alarms.record import Alarm
from jaxvlm.data.videos import to_stderr
from jaxvlm.errors import ITEM_ERRORS

RECORD, SNAPSHOT, CLIP = "alarm.json", "snapshot.jpg", "clip.mp4"
_WAITING = 64  # clips that may wait for the encoder; each holds its JPEGs


class _Due(NamedTuple):
    """A clip to be cut from a camera's pictures when these reach ``end``."""

    camera: str
    place: Path
    start: float
    end: float


def place_of(alarm: Alarm) -> str:
    """The alarm's folder below the folder of alarms."""
    return f"{alarm.camera}/{alarm.started[:10]}/{alarm.id}"


class AlarmFolder:
    """Writes alarms below a folder: ``CAMERA/DATE/ID/{alarm.json,snapshot.jpg,clip.mp4}``.

    Each file appears whole. The record is written at the start and again at the end; the picture at
    the start; the clip, from ``before`` to ``after`` seconds around the start, when these are over
    or the source is. Clips are encoded in a thread.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        before: float,
        after: float,
        say: Callable[[str], object] = to_stderr,
    ):
        self.folder, self.before, self.after, self.say = Path(folder), before, after, say
        self.due: list[_Due] = []
        self.jobs: queue.Queue[tuple[Path, list[Picture]] | None] = queue.Queue(_WAITING)
        self.worker = threading.Thread(target=self._encode, name="alarm clips", daemon=True)
        self.worker.start()

    def alarm(self, alarm: Alarm, ring: Ring) -> None:
        """Writes an alarm's record; at its start its picture too, and its clip is due.

        Raises InputError: something else stands there; DiskError: the disk is full.
        """
        place = self.folder / place_of(alarm)
        record = alarm._asdict() | {"snapshot": SNAPSHOT, "clip": CLIP}
        if alarm.state == "start":
            if (newest := ring.newest()) is not None:
                with outputs.output_path(place / SNAPSHOT) as temporary:
                    temporary.write_bytes(newest.jpeg)
            start = alarm.start_seconds
            self.due.append(_Due(alarm.camera, place, start - self.before, start + self.after))
        files.write_json(place / RECORD, record)

    def cut(self, camera: str, ring: Ring, now: float) -> None:
        """Hands over what is due of a camera whose pictures have reached ``now``; infinity: all."""
        for due in [due for due in self.due if due.camera == camera and due.end <= now]:
            self.due.remove(due)
            pictures = ring.between(due.start, due.end)
            if not pictures:
                continue
            try:
                self.jobs.put_nowait((due.place, pictures))
            except queue.Full:
                self.say(f"{due.place / CLIP}: not written, {_WAITING} clips wait; use less fps")

    def close(self) -> None:
        """Waits until all clips are written."""
        self.jobs.put(None)
        self.worker.join()

    def _encode(self) -> None:
        while (job := self.jobs.get()) is not None:
            place, pictures = job
            try:
                with outputs.output_path(place / CLIP) as temporary:
                    write_clip(temporary, pictures)
            except ITEM_ERRORS as error:
                self.say(f"{place / CLIP}: not written ({error})")
