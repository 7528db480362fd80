"""All that cameras' alarms and figures go to, beside the lines."""

from collections.abc import Iterable

from jaxvlm.alarms.folder import AlarmFolder
from jaxvlm.alarms.pictures import Picture, Ring
from jaxvlm.alarms.record import Alarm


class Outlets:
    """Where alarms go. Without any of its parts it does nothing.

    folder: where they are written. seconds: of pictures that are kept of each camera. clip_fps: how
    many pictures a second.
    """

    def __init__(
        self, folder: AlarmFolder | None = None, *, seconds: float = 0.0, clip_fps: float = 0.0
    ):
        self.folder, self.seconds, self.clip_fps = folder, seconds, clip_fps
        self.rings: dict[str, Ring] = {}

    @property
    def takes_alarms(self) -> bool:
        """Whether anybody wants alarms, and pictures for them."""
        return self.folder is not None

    def seen(self, camera: str, pictures: Iterable[Picture], now: float) -> None:
        """The pictures of a camera up to now, before it is told what they show."""
        ring = self._ring(camera)
        for picture in pictures:
            ring.add(picture)
        if self.folder is not None:
            self.folder.cut(camera, ring, now)

    def alarm(self, alarm: Alarm) -> None:
        """An alarm that starts or ends."""
        if self.folder is not None:
            self.folder.alarm(alarm, self._ring(alarm.camera))

    def close(self) -> None:
        """Ends with what is there."""
        if self.folder is not None:
            for camera, ring in self.rings.items():
                self.folder.cut(camera, ring, float("inf"))
            self.folder.close()

    def _ring(self, camera: str) -> Ring:
        return self.rings.setdefault(camera, Ring(self.seconds))
