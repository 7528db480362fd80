"""What is kept of watched cameras for a later start: their windows, open events, cool-downs.

``state.safetensors``, written whole: arrays by camera, and what else is known in its header.
"""

import contextlib
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxvlm import files, outputs
from jaxvlm.alarms.rules import EventState, carried
from jaxvlm.atoms.segments import StreamState
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.replacing import locked
from jaxvlm.video.live import Scores
from jaxvlm.video.watched import Camera, Seen, Watched

FILE = "state.safetensors"
EVERY = 5.0  # seconds between two writes where nothing starts or ends

_KIND = "watched cameras"
_LAST = ("probability", "segment_presence")  # of the last frame's scores


class StateFolder:
    """Where the state of cameras is kept. ``run`` is one for all starts with this folder."""

    def __init__(self, folder: str | os.PathLike):
        """Raises InputError: the file is another's or damaged."""
        self.path = Path(folder) / FILE
        self.arrays: dict[str, np.ndarray] = {}
        self.cameras: dict[str, dict[str, Any]] = {}
        self.run = secrets.token_hex(8)
        self.written = -math.inf
        if self.path.exists():
            about = files.read_about(self.path)
            if not isinstance(about, dict) or about.get("kind") != _KIND:
                raise InputError(f"{self.path}: not a state of watch; choose another --state_dir")
            self.arrays, self.run = files.read_arrays(self.path), about["run"]
            self.cameras = about["cameras"]
        outputs.require_replaceable(self.path)

    def resume(self, watched: Sequence[Watched]) -> dict[int, StreamState]:
        """Gives each camera what is kept under its name, if its source is the same; the windows of
        those whose atoms are the same, by place.

        Raises InputError where the file lacks what it should have.
        """
        streams = {}
        for place, one in enumerate(watched):
            one.run = self.run
            kept = self.cameras.get(one.name)
            if kept is None or kept["source"] != one.camera.source:
                continue
            try:
                stream = self._resume(one, kept)
            except (KeyError, TypeError, ValueError, IndexError):
                raise InputError(
                    f"{self.path}: damaged; choose another --state_dir, or remove it"
                ) from None
            if stream is not None:
                streams[place] = stream
        return streams

    def _resume(self, one: Watched, kept: Mapping[str, Any]) -> StreamState | None:
        roles, key = one.camera.scorer.roles, kept["key"]
        signals = one.camera.scorer.signals
        one.events = carried(
            EventState(*(self.arrays[f"{key}.{name}"] for name in EventState._fields)),
            kept["events"],
            signals,
        )
        one.started = {k: v for k, v in kept["started"].items() if k in signals}
        frames = _resumed(one.camera, kept["index"], kept["seconds"], time.time() - kept["wall"])
        one.camera = one.camera._replace(frames=frames)
        if kept["atoms"] != list(roles.atoms) or kept["events"] != list(signals):
            return None
        # What a source is ended with that has no frame left.
        probability, pbar = (self.arrays[f"{key}.{name}"] for name in _LAST)
        nothing = np.zeros(0, np.float32)
        one.latest = kept["index"], kept["seconds"]
        one.last = Seen(*one.latest, nothing), Scores(probability, 0.0, pbar, nothing, nothing)
        stream = StreamState(*(self.arrays[f"{key}.{name}"] for name in StreamState._fields))
        window = roles.config.segments.window
        return stream if stream.presence.shape == (window, len(roles.atoms)) else None

    def save(
        self,
        watched: Sequence[Watched],
        state: Callable[[int], StreamState],
        *,
        only_if_due: bool = False,
    ) -> None:
        """Writes the state of all cameras, where one has changed or `EVERY` seconds are over.

        state: of a camera's window, by place. A camera of which no frame has come keeps what it
        had. Raises InputError, DiskError: it cannot be written.
        """
        now = time.monotonic()
        if only_if_due and now - self.written < EVERY and not any(o.changed for o in watched):
            return
        arrays: dict[str, np.ndarray] = {}
        cameras: dict[str, dict[str, Any]] = {}
        for place, one in enumerate(watched):
            one.changed = False
            key = f"{place:04d}"
            if one.latest is None:
                arrays |= self._renamed(one.name, key)
                if one.name in self.cameras:
                    cameras[one.name] = self.cameras[one.name] | {"key": key}
                continue
            roles = one.camera.scorer.roles
            last = {name: getattr(one.last[1], name) for name in _LAST}
            for table in (one.events._asdict(), state(place)._asdict(), last):
                for name, value in table.items():
                    arrays[f"{key}.{name}"] = np.asarray(value)
            cameras[one.name] = {
                "key": key,
                "source": one.camera.source,
                "events": list(one.camera.scorer.signals),
                "atoms": list(roles.atoms),
                "started": one.started,
                "index": one.latest[0],
                "seconds": one.latest[1],
                "wall": time.time(),
            }
        about = {"kind": _KIND, "run": self.run, "cameras": cameras}
        files.write_arrays(self.path, arrays, about=about)
        self.arrays, self.cameras, self.written = arrays, cameras, now

    def _renamed(self, name: str, key: str) -> dict[str, np.ndarray]:
        if name not in self.cameras:
            return {}
        old = self.cameras[name]["key"]
        return {
            f"{key}{full[len(old) :]}": rows
            for full, rows in self.arrays.items()
            if full.startswith(f"{old}.")
        }


@contextlib.contextmanager
def state_folder(folder: str | os.PathLike | None) -> Iterator[StateFolder | None]:
    """A `StateFolder` that this process alone has; None for None.

    Raises InputError: another process has it, or as `StateFolder`.
    """
    if folder is None:
        yield None
        return
    outputs.require_places(folder)
    Path(folder).mkdir(parents=True, exist_ok=True)
    own = Path(folder) / ".in-use"  # not the folder itself, which writers of files lock
    own.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(own, wait=False))
        except BlockingIOError:
            raise InputError(
                f"{folder}: another watch is using it; give each a --state_dir of its own"
            ) from None
        yield StateFolder(folder)


def _resumed(camera: Camera, index: int, seconds: float, passed: float) -> Iterator[Frame]:
    """A camera's frames after the one that was last: of a file those behind it; of what is live
    with its clock going on, so that durations hold over the time between."""
    fps = camera.scorer.roles.config.fps * camera.every
    if not camera.is_live:
        for frame in camera.frames:
            if frame.index > index * camera.every:
                yield frame
        return
    ahead = index + 1 + max(0, math.floor(passed * camera.scorer.roles.config.fps))
    shift = ahead * camera.every
    for frame in camera.frames:
        place = frame.index + shift
        yield Frame(place, place / fps, frame.image)
