"""What a run says of itself, how long its stages took, and where its caches lie."""

import contextlib
import dataclasses
import os
import platform
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxvlm.version import __version__


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the wall time of a stage to a table of seconds."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def run_record(config: Any, *, seed: int | None, seconds: Mapping[str, float]) -> dict[str, Any]:
    """What a run folder says of itself: config, seed, versions, device and timings."""
    packages = ("jax", "flax", "optax", "transformers", "numpy", "opencv-python-headless", "av")
    return {
        "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config,
        "seed": seed,
        "versions": {
            "jaxvlm": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "device": jax.devices()[0].device_kind,
        "seconds": dict(seconds),
    }


def cache_folder(name: str) -> Path:
    """A folder of this project in the user's cache, ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxvlm" / name
