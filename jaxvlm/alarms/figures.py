"""Figures of watched cameras for Prometheus, and which of them are alive."""

import threading
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from jaxvlm import bounds
from jaxvlm.version import __version__

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """Counts what cameras do; may be asked from any thread.

    A camera is alive while its frames come, with no more than `bounds.SILENCE_SECONDS` and two
    frames between them; one whose file has ended is over, and neither.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock, self.lock = clock, threading.Lock()
        self.registry = CollectorRegistry()
        self.known: dict[str, dict[str, Any]] = {}

        def of(kind: type, name: str, text: str, labels: tuple[str, ...], **options: Any) -> Any:
            return kind(f"jaxvlm_{name}", text, labels, registry=self.registry, **options)

        camera = ("camera",)
        self.frames = of(Counter, "frames", "Frames scored.", camera)
        self.dropped = of(Counter, "frames_dropped", "Frames lost because others waited.", camera)
        self.reconnects = of(Counter, "reconnects", "Times that a lost source came back.", camera)
        self.failures = of(Counter, "losses", "Attempts that found a source lost.", camera)
        self.latency = of(
            Histogram,
            "frame_latency_seconds",
            "From a frame's arrival to its probabilities.",
            camera,
            buckets=_SECONDS,
        )
        self.alive = of(Gauge, "camera_alive", "1 while frames come.", camera)
        self.alarms = of(Counter, "alarms", "Alarms that have started.", ("camera", "event"))
        self.spool = of(Gauge, "spool_messages", "Messages that wait.", ("receiver",))
        self.spool_bytes = of(Gauge, "spool_bytes", "Their bytes.", ("receiver",))
        self.lost = of(Counter, "spool_lost", "Messages lost, the spool was full.", ("receiver",))
        of(Gauge, "build_info", "1.", ("version",)).labels(__version__).set(1)

    def camera(self, name: str, fps: float) -> None:
        """A camera that is watched from now on."""
        with self.lock:
            self.known[name] = {
                "last": None,
                "dropped": 0,
                "allowed": bounds.SILENCE_SECONDS + 2.0 / fps,
                "why": None,
                "over": False,
            }
        for counter in (self.frames, self.dropped, self.reconnects, self.failures, self.latency):
            counter.labels(name)

    def seen(self, name: str, latency: float, dropped: int) -> None:
        """A frame was scored ``latency`` seconds after it came. dropped: how many before it."""
        with self.lock:
            known = self.known[name]
            new, known["dropped"] = dropped - known["dropped"], dropped
            known["last"] = self.clock()
            back, known["why"] = known["why"] is not None, None
        self.frames.labels(name).inc()
        self.latency.labels(name).observe(latency)
        if new > 0:
            self.dropped.labels(name).inc(new)
        if back:
            self.reconnects.labels(name).inc()

    def is_lost(self, name: str, why: str) -> None:
        """A source is tried again."""
        with self.lock:
            self.known[name]["why"] = why
        self.failures.labels(name).inc()

    def is_over(self, name: str, why: str | None) -> None:
        """A camera has ended: by itself, or by a failure."""
        with self.lock:
            self.known[name].update(over=True, why=why)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether a camera is alive that is not over, or all are over well; what is known of each.

        No camera that runs is alive: false.
        """
        now, cameras = self.clock(), {}
        with self.lock:
            for name, known in self.known.items():
                ago = None if known["last"] is None else now - known["last"]
                alive = not known["over"] and known["why"] is None
                alive = alive and ago is not None and ago <= known["allowed"]
                cameras[name] = {
                    "alive": alive,
                    "over": known["over"],
                    "last_frame_seconds_ago": None if ago is None else round(ago, 3),
                    "why": known["why"],
                }
        running = [one for one in cameras.values() if not one["over"]]
        good = any(one["alive"] for one in running) or not running
        return good, {"status": "ok" if good else "no camera is alive", "cameras": cameras}

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        for name, one in self.health()[1]["cameras"].items():
            self.alive.labels(name).set(one["alive"])
        return generate_latest(self.registry)
