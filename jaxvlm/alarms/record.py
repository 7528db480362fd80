"""An alarm as it is written and sent: plain data."""

import hashlib
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
