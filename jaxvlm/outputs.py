"""What a program writes appears whole or not at all, and replaces only what was written by us.

Beside the files that we write, and inside the folders, lies ``.jaxvlm-written.json``: their names
and SHA-256. What stands in an output's place and is not in it, or was changed since, is somebody's
work and is never replaced.
"""

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxvlm import bounded_json
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded
from jaxvlm.replacing import (
    PARTIAL,
    followed,
    locked,
    recover,
    replace_folder,
    staging,
    use_umask,
)

__all__ = ["output_path", "recover", "require_places", "require_replaceable", "write_cache"]

RECORD = ".jaxvlm-written.json"

_NOBODYS = {RECORD, ".DS_Store", "Thumbs.db", "desktop.ini"}  # of the system: nothing is lost


class _Record(NamedTuple):
    """Of a folder: what kind of folder we wrote, None for one that others own, and the SHA-256 that
    each file in it may have. Two for a file whose replacement may have been cut short."""

    kind: str | None
    files: dict[str, list[str]]


@contextlib.contextmanager
def output_path(path: str | os.PathLike, *, kind: str | None = None) -> Iterator[Path]:
    """Yields where to write what is to stand at ``path``; on success it is put there in one step.

    What is yielded has the same name, because encoders choose the format by the suffix. Whoever
    looks at ``path`` sees the old or the new at any moment, also when this process is killed; what
    a killed one left half-written is removed when the next one writes into the folder. Files get
    the permissions of the umask. A link is followed, and stays.

    Args:
      kind: None for a file; for a folder what it holds, in words: one kind of folder does not
        replace another.

    Raises:
      InputError: something stands at ``path`` that we did not write or that was changed since; it
        cannot be written there. Before anything is written, and again before it is replaced.
    """
    path = followed(Path(path))
    if PARTIAL in path.parent.parts:  # a part of an output
        with staging(path) as folder:
            yield folder / path.name
            use_umask(folder / path.name)
            os.replace(folder / path.name, path)
        return
    require_replaceable(path, kind=kind)
    with staging(path) as folder:
        yield folder / path.name
        use_umask(folder / path.name)
        if kind is None:
            _put_file(folder / path.name, path)
        else:
            _put_folder(folder / path.name, path, kind)


def write_cache(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file in a cache of ours, where whatever stands there is replaced.

    A cache that cannot be written (a home folder in a container) is a warning, and goes unused.
    """
    path = Path(path)
    try:
        with staging(path) as folder:
            (folder / path.name).write_bytes(content)
            os.replace(folder / path.name, path)
    except InputError as error:
        warnings.warn(f"nothing is kept in the cache: {error}", stacklevel=2)


def require_replaceable(path: str | os.PathLike, *, kind: str | None = None) -> None:
    """Checks before the work what `output_path` will check after it.

    Raises InputError: something stands at ``path`` that we did not write as this kind, or that was
    changed since.
    """
    path = followed(Path(path))
    # Locked, so that nobody exchanges the folder while it is looked through.
    with locked(path.parent) if path.parent.is_dir() else contextlib.nullcontext():
        _require_replaceable(path, kind)


def require_places(folder: str | os.PathLike, *names: str) -> None:
    """Checks, before hours of work, that files can be written into a folder under these names.

    Nothing is made. Raises InputError: as `output_path`.
    """
    folder = Path(folder)
    above = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{above}: cannot be written; choose a folder that can")
    for name in names:
        require_replaceable(Path(folder) / name)


def _require_replaceable(path: Path, kind: str | None) -> None:
    cure = "move it away, or choose another place"
    if not path.exists():
        for parent in path.parents:
            if parent.exists():
                if not parent.is_dir():
                    raise InputError(f"{parent}: a file, where a folder is needed; {cure}")
                break
    elif path.is_dir():
        if kind is None:
            raise InputError(f"{path}: a folder, where a file is to be written; {cure}")
        _require_own_folder(path, kind, cure)
    elif not path.is_file():
        raise InputError(f"{path}: a device or a pipe; give the path of a file")
    elif kind is not None:
        raise InputError(f"{path}: a file, where a folder is to be written; {cure}")
    else:
        known = _read_record(path.parent).files.get(path.name)
        if known is None:
            raise InputError(f"{path}: not written by jaxvlm, so it is not replaced; {cure}")
        if _sha256(path) not in known:
            raise InputError(f"{path}: was changed since jaxvlm wrote it; {cure}")


def _require_own_folder(folder: Path, kind: str, cure: str) -> None:
    """Raises InputError unless everything in a folder is as we wrote it."""
    record = _read_record(folder)
    present = sorted(
        p
        for p in folder.rglob("*")
        if (p.is_symlink() or not p.is_dir())
        and p.name not in _NOBODYS
        and PARTIAL not in p.relative_to(folder).parts
    )
    for path in present:
        name = path.relative_to(folder).as_posix()
        known = record.files.get(name) or _read_record(path.parent).files.get(path.name)
        if path.is_symlink() or known is None:
            raise InputError(
                f"{folder}: holds {name}, which jaxvlm did not write, so it stays; {cure}"
            )
        if _sha256(path) not in known:
            raise InputError(f"{path}: was changed since jaxvlm wrote it; {cure}")
    if present and record.kind != kind:
        raise InputError(f"{folder}: holds {record.kind or 'other files'} and not {kind}; {cure}")


def _put_file(temporary: Path, path: Path) -> None:
    digest = _sha256(temporary)
    with locked(path.parent):
        _require_replaceable(path, None)
        standing = [_sha256(path)] if path.exists() else []
        record = _read_record(path.parent)
        # Before the file, and with what the standing one has: a kill between the two leaves a file
        # that is known.
        record.files[path.name] = [digest, *(old for old in standing if old != digest)]
        _write_record(path.parent, record, temporary.parent)
        os.replace(temporary, path)


def _put_folder(temporary: Path, path: Path, kind: str) -> None:
    names = sorted(p for p in temporary.rglob("*") if p.is_file())
    digests = {p.relative_to(temporary).as_posix(): [_sha256(p)] for p in names}
    _write_record(temporary, _Record(kind, digests), temporary.parent)
    with locked(path.parent):
        _require_replaceable(path, kind)
        replace_folder(temporary, path)


def _read_record(folder: Path) -> _Record:
    """The record in a folder; nothing is known of one that is missing or damaged."""
    nothing = _Record(None, {})
    path = folder / RECORD
    try:
        value = bounded_json.parse(read_bounded(path), path)
        kind, digests = value["kind"], value["files"]
    except (OSError, InputError, KeyError, TypeError):
        return nothing
    well_formed = isinstance(digests, dict) and (kind is None or isinstance(kind, str))
    if not well_formed or not all(isinstance(known, list) for known in digests.values()):
        return nothing
    return _Record(kind, digests)


def _write_record(folder: Path, record: _Record, staging: Path) -> None:
    temporary = staging / RECORD
    files = {name: record.files[name] for name in sorted(record.files)}
    text = json.dumps({"kind": record.kind, "files": files}, indent=0, ensure_ascii=True)
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, folder / RECORD)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
