"""What every launcher shares: flags in, one clear line out when the input is wrong."""

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from absl import app, flags

from jaxvlm import files
from jaxvlm.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Parses the flags, switches the compilation cache on and calls ``main``.

    An InputError becomes one line on stderr and exit code 1; so does an interrupt (130). Every
    other exception keeps its traceback.
    """

    def checked(arguments: Sequence[str]) -> None:
        if len(arguments) > 1:
            words = " ".join(arguments[1:])
            sys.exit(f"error: {words}: not a flag; write --name=value, see --helpshort")
        try:
            enable_compilation_cache()
            main()
        except InputError as error:
            sys.exit(f"error: {error}")
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            sys.exit(130)

    app.run(checked)


def enable_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, so that a second run starts fast.

    JAX_COMPILATION_CACHE_DIR, JAX's own variable, moves it.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(base) / "jaxvlm" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def is_interactive() -> bool:
    """Whether to show progress bars: only where somebody watches."""
    return sys.stderr.isatty()


def given_flags() -> dict[str, Any]:
    """The values of the flags that the launcher itself defines, by name."""
    own = flags.FLAGS.flags_by_module_dict().get(sys.argv[0], [])
    return {flag.name: flag.value for flag in own}


class RunRecord:
    """Timings of a run's stages, written with config, versions and seed to ``run.json``."""

    def __init__(self, config: Any, seed: int | None = None):
        self._config, self._seed = config, seed
        self._start = self._last = time.perf_counter()
        self._stages: dict[str, float] = {}

    def stage(self, name: str) -> None:
        """Names the time since the last call."""
        now = time.perf_counter()
        self._stages[name] = round(now - self._last, 3)
        self._last = now

    def write(self, folder: str | os.PathLike) -> None:
        """Writes ``run.json`` into a run folder."""
        packages = ("jax", "flax", "optax", "transformers", "numpy", "opencv-python-headless")
        files.write_json(
            Path(folder) / "run.json",
            {
                "config": self._config,
                "seed": self._seed,
                "versions": {
                    "jaxvlm": metadata.version("jaxvlm"),
                    "python": platform.python_version(),
                    **{name: metadata.version(name) for name in packages},
                },
                "device": str(jax.devices()[0].device_kind),
                "seconds": {**self._stages, "total": round(time.perf_counter() - self._start, 3)},
            },
        )
