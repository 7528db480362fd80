"""What a run says of itself, how long its stages took, and where its caches lie."""

import contextlib
import contextvars
import dataclasses
import hashlib
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jaxvlm import names, reading, resources
from jaxvlm.version import __version__


class Program(NamedTuple):
    """A command line: the program, its flags as given (no secrets in them), and the paths of what
    each of these reads."""

    name: str
    flags: Mapping[str, Any]
    inputs: Mapping[str, Sequence[Path]]


# The program that runs, for `run_record`: what a library function writes tells it, too.
_PROGRAM: contextvars.ContextVar[Program | None] = contextvars.ContextVar("program", default=None)


@contextlib.contextmanager
def program(running: Program) -> Iterator[None]:
    """Inside, `run_record` tells of this program."""
    token = _PROGRAM.set(running)
    try:
        yield
    finally:
        _PROGRAM.reset(token)


@contextlib.contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Adds the wall time of a stage to a table of seconds."""
    start = time.perf_counter()
    yield
    seconds[stage] = round(seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


def run_record(
    config: Any,
    *,
    seed: int | None,
    seconds: Mapping[str, float],
    made_with: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a folder says of the run that wrote it, as JSON.

    program and flags as they were given (None and empty for a call from Python), config, seed, what
    ``made_with`` tells (clip, roles, ontology, warnings …), inputs, versions, device and timings.
    Every input that a flag names is told with its SHA-256, see `input_record`; ``inputs`` of
    ``made_with`` adds to these and stands in their place.
    """
    import jax

    packages = ("jax", "flax", "optax", "transformers", "numpy", "opencv-python-headless", "av")
    running, told = _PROGRAM.get() or Program(None, {}, {}), dict(made_with or {})
    inputs = told.pop("inputs", {})
    for flag, paths in running.inputs.items():
        if flag not in inputs:
            records = [input_record(path) for path in paths]
            inputs = inputs | {flag: records[0] if len(records) == 1 else records}
    return {
        "program": running.name,
        "flags": dict(running.flags),
        "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config,
        "seed": seed,
        **told,
        "inputs": dict(sorted(inputs.items())),
        "versions": {
            "jaxvlm": __version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "device": jax.devices()[0].device_kind,
        "seconds": dict(seconds),
    }


def write_record(
    out_dir: str | os.PathLike,
    config: Any = None,
    *,
    seed: int | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> None:
    """Writes ``run.json``, a `run_record` without timings, into a folder."""
    from jaxvlm import files  # NumPy's import; who asks for a cache folder should not wait for it

    record = run_record(config, seed=seed, seconds={}, made_with=made_with)
    files.write_json(Path(out_dir) / "run.json", record)


def input_record(path: str | os.PathLike) -> dict[str, str | None]:
    """The path as given, and the SHA-256 of the file, or `folder_sha256`; None if it has gone."""
    shown = names.printable(resources.shown(path))
    try:
        digest = folder_sha256(path) if os.path.isdir(path) else reading.sha256(path)
    except OSError:
        digest = None
    return {"path": shown, "sha256": digest}


def folder_sha256(folder: str | os.PathLike) -> str:
    """Of all that is in a folder but hidden files: over ``SHA-256  relative/name`` of each file, a
    line each, sorted by name, as sha256sum prints them. Raises OSError."""
    folder = Path(folder)
    found: dict[str, Path] = {}
    for root, folders, own in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in own:
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                found[path.relative_to(folder).as_posix()] = path
    ordered = sorted(found)
    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda name: reading.sha256(found[name]), ordered)
        return hash_of(dict(zip(ordered, digests, strict=True)))


def hash_of(digests: Mapping[str, str]) -> str:
    """`folder_sha256` of files by name, whose SHA-256 are known."""
    lines = (f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def cache_folder(name: str) -> Path | None:
    """A folder of this project in the user's cache, ``$XDG_CACHE_HOME`` or ``~/.cache``; it need
    not exist yet. None where it could not be made or written, as in a container without a home."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user whom the system does not know
        return None
    folder = Path(base).absolute() / "jaxvlm" / name
    above = next(place for place in (folder, *folder.parents) if place.exists())
    return folder if above.is_dir() and os.access(above, os.W_OK | os.X_OK) else None
