"""All that cameras' alarms and figures go to, beside the lines."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxvlm.alarms.figures import Figures
from jaxvlm.alarms.folder import AlarmFolder, place_of
from jaxvlm.alarms.mqtt import Broker
from jaxvlm.alarms.pictures import Picture, Ring
from jaxvlm.alarms.record import Alarm, message_of
from jaxvlm.alarms.sender import Sender


class Shown(NamedTuple):
    """A camera as the outlets are told of it: its events, and which of them go on from before."""

    name: str
    fps: float
    events: Sequence[str]
    is_open: Sequence[str]


class Outlets:
    """Where alarms and figures go. Without any of its parts it does nothing.

    folder: where alarms are written. senders: who is sent them. broker: what is to be connected
    for one of these. figures: what is counted. seconds: of pictures that are kept of each camera.
    clip_fps: how many pictures a second.
    """

    def __init__(
        self,
        folder: AlarmFolder | None = None,
        senders: Sequence[Sender] = (),
        *,
        broker: Broker | None = None,
        figures: Figures | None = None,
        seconds: float = 0.0,
        clip_fps: float = 0.0,
    ):
        self.folder, self.senders, self.broker, self.figures = folder, senders, broker, figures
        self.seconds, self.clip_fps = seconds, clip_fps
        self.rings: dict[str, Ring] = {}

    @property
    def takes_alarms(self) -> bool:
        """Whether anybody wants alarms, and pictures for them."""
        return self.folder is not None or bool(self.senders)

    def begin(self, cameras: Iterable[Shown]) -> None:
        """The cameras, before their first frames."""
        cameras = list(cameras)
        self.rings = {camera.name: Ring(self.seconds) for camera in cameras}
        for camera in cameras if self.figures is not None else ():
            self.figures.camera(camera.name, camera.fps)
        if self.broker is not None:
            self.broker.start({one.name: (one.events, one.is_open) for one in cameras})
        self._count()

    def seen(
        self, camera: str, pictures: Iterable[Picture], now: float, *, latency: float, dropped: int
    ) -> None:
        """A frame at ``now``, before it is told what it shows: the pictures since the last one, the
        seconds since it came, the frames that were dropped so far."""
        ring = self.rings[camera]
        for picture in pictures:
            ring.add(picture)
        if self.folder is not None:
            self.folder.cut(camera, ring, now)
        if self.figures is not None:
            self.figures.seen(camera, latency, dropped)

    def lost(self, camera: str, why: str) -> None:
        """A camera's source is tried again."""
        if self.figures is not None:
            self.figures.is_lost(camera, why)

    def over(self, camera: str, why: str | None) -> None:
        """A camera has ended; why: the failure, if it was one."""
        if self.figures is not None:
            self.figures.is_over(camera, why)

    def alarm(self, alarm: Alarm) -> None:
        """An alarm that starts or ends: when this returns it is on the disk for every receiver.

        Raises InputError, DiskError: it cannot be written.
        """
        ring = self.rings[alarm.camera]
        newest = ring.newest()
        if self.folder is not None:
            self.folder.alarm(alarm, ring)
        if self.senders:
            place = None if self.folder is None else place_of(alarm)
            message = message_of(alarm, place, None if newest is None else newest.jpeg)
            for sender in self.senders:
                sender.put(alarm.message_id, message)
        if self.figures is not None and alarm.state == "start":
            self.figures.alarms.labels(alarm.camera, alarm.event).inc()
        self._count()

    def tick(self) -> None:
        """Asked for now and then, with or without frames."""
        self._count()

    def close(self) -> None:
        """Ends with what is there: clips are written, what waits is sent or stays."""
        if self.folder is not None:
            for camera, ring in self.rings.items():
                self.folder.cut(camera, ring, float("inf"))
            self.folder.close()
        for sender in self.senders:
            sender.close()
        if self.broker is not None:
            self.broker.close()

    def _count(self) -> None:
        for sender in self.senders if self.figures is not None else ():
            self.figures.spool.labels(sender.name).set(len(sender.spool))
            self.figures.spool_bytes.labels(sender.name).set(sender.spool.size)
            if (new := sender.spool.lost - sender.counted) > 0:
                self.figures.lost.labels(sender.name).inc(new)
                sender.counted = sender.spool.lost
