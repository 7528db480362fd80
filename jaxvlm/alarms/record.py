"""An alarm as it is written and sent: plain data."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Alarm(NamedTuple):
    """An event of a camera that has started, or ended.

    id: the same at its start and end, and for the same event seen again after a kill. state:
    "start" or "end". started, ended: this machine's clock, ISO 8601; start_seconds, end_seconds:
    the source's. probability: of the frame that is told of; peak_probability: the largest so far.
    because: see `video.watching.watch`. An alarm that goes on has no end and no ended_by.
    """

    id: str
    camera: str
    source: str
    event: str
    state: str
    started: str
    ended: str | None
    start_seconds: float
    end_seconds: float | None
    probability: float
    peak_probability: float
    because: Sequence[Mapping[str, Any]]
    ended_by: str | None = None

    @property
    def message_id(self) -> str:
        """What a receiver tells repetitions by: a start and its end are two messages."""
        return f"{self.id}-{self.state}"


def alarm_id(run: str, camera: str, event: str, first_frame: int) -> str:
    """Sixteen hexadecimal digits; run: of the first start with this state folder."""
    text = "\0".join((run, camera, event, str(first_frame)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def message_of(alarm: Alarm, folder: str | None, jpeg: bytes | None) -> bytes:
    """An alarm as it is sent: JSON of {type, timestamp, data}, as Standard Webhooks advises.

    data: the fields of `Alarm`; folder: where it lies below the folder of alarms; snapshot_jpeg:
    base64 of the picture. None where there is none.
    """
    picture = None if jpeg is None else base64.b64encode(jpeg).decode()
    data = alarm._asdict() | {"folder": folder, "snapshot_jpeg": picture}
    when = alarm.ended or alarm.started
    value = {"type": f"alarm.{alarm.state}", "timestamp": when, "data": data}
    return json.dumps(value).encode()
