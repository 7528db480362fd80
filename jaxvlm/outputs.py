"""What a program writes appears whole or not at all, and replaces only what was written by us.

Beside the files that we write, and inside the folders, lies ``.jaxvlm-written.json``: their names
and SHA-256. What stands in an output's place and is not in it, or was changed since, is somebody's
work and is never replaced.
"""

import contextlib
import contextvars
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jaxvlm import bounded_json
from jaxvlm.errors import DiskError, InputError
from jaxvlm.reading import read_bounded, sha256
from jaxvlm.replacing import (
    PARTIAL,
    followed,
    locked,
    recover,
    replace_folder,
    staged_part,
    staging,
    unwritable,
    use_umask,
)

__all__ = ["output_path", "recover", "require_places", "require_replaceable", "write_cache"]

RECORD = ".jaxvlm-written.json"

_WRITTEN: contextvars.ContextVar[list[Path] | None] = contextvars.ContextVar("w", default=None)

_NOBODYS = {RECORD, ".DS_Store", "Thumbs.db", "desktop.ini"}  # of the system: nothing is lost


class _Record(NamedTuple):
    """Of a folder: what kind we wrote, None for one that others own, and the SHA-256 that a file in
    it may have: those that the folder was written with, and those that were added one by one, which
    stay where the folder is replaced. Two for a file whose replacement may have been cut short."""

    kind: str | None
    files: dict[str, list[str]]
    added: dict[str, list[str]]

    def known(self, name: str) -> list[str] | None:
        return self.files.get(name) or self.added.get(name)


@contextlib.contextmanager
def output_path(path: str | os.PathLike, *, kind: str | None = None) -> Iterator[Path]:
    """Yields where to write what is to stand at ``path``; on success it is put there in one step.

    What is yielded has the same name, because encoders choose the format by the suffix. Whoever
    looks at ``path`` sees the old or the new at any moment, also when this process is killed; what
    a killed one left half-written is removed when the next one writes into the folder. Files get
    the permissions of the umask. A link is followed, and stays.

    Args:
      kind: None for a file; for a folder what it holds, in words: one kind of folder does not
        replace another. Files that we put into the folder one by one stay in it.

    Raises:
      InputError: something stands at ``path`` that we did not write or that was changed since; it
        cannot be written there. Before anything is written, and again before it is replaced.
    """
    path = _place(path)
    if PARTIAL in path.parent.parts:  # a part of an output, which appears with all of it
        with staged_part(path):
            yield path
            use_umask(path)
        return
    require_replaceable(path, kind=kind)
    with staging(path) as folder:
        yield folder / path.name
        use_umask(folder / path.name)
        if kind is None:
            _put_file(folder / path.name, path)
        else:
            _put_folder(folder / path.name, path, kind)
    written = _WRITTEN.get()
    if written is not None:
        written.append(path)


@contextlib.contextmanager
def noted() -> Iterator[list[Path]]:
    """Yields a list to which every file and folder is added that is put in its place inside."""
    token = _WRITTEN.set([])
    try:
        yield _WRITTEN.get()
    finally:
        _WRITTEN.reset(token)


def write_cache(path: str | os.PathLike, content: bytes) -> None:
    """Writes a file in a cache of ours, where whatever stands there is replaced.

    A cache that cannot be written (a home folder in a container) is a warning, the same for every
    file, which Python shows once, and goes unused.
    """
    path = Path(path)
    try:
        with staging(path) as folder:
            (folder / path.name).write_bytes(content)
            os.replace(folder / path.name, path)
    except InputError as error:
        cause = str(error).removeprefix(f"{path}: ")
        warnings.warn(f"{path.parent}: nothing is kept in this cache: {cause}", stacklevel=1)


def require_replaceable(path: str | os.PathLike, *, kind: str | None = None) -> None:
    """Checks before the work what `output_path` will check after it.

    Raises InputError: something stands at ``path`` that we did not write as this kind, or that was
    changed since.
    """
    path = _place(path)
    # Locked, so that nobody exchanges the folder while it is looked through.
    with locked(path.parent) if path.parent.is_dir() else contextlib.nullcontext():
        _require_replaceable(path, kind)


def require_places(folder: str | os.PathLike, *names: str) -> None:
    """Checks, before hours of work, that files can be written into a folder under these names.

    Nothing is made. Raises InputError: as `output_path`; DiskError: read-only, or full.
    """
    folder = _place(folder)
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir():
        raise InputError(
            f"{above}: a file, where a folder is needed; move it away, or choose another place"
        )
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{above}: cannot be written; choose a folder that can")
    if os.statvfs(above).f_bavail == 0:
        raise DiskError(f"{above}: its disk is full; make room, or choose another place")
    for name in names:
        require_replaceable(Path(folder) / name)


def _place(path: str | os.PathLike) -> Path:
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: no path; remove the NUL")
    if not path.name or ".." in path.parts:
        path = Path(os.path.abspath(path))
    try:
        return followed(path)
    except OSError as error:
        raise unwritable(path, error) from None


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
        if os.path.ismount(path) or Path.cwd().is_relative_to(path.resolve()):
            what = "a mount point" if os.path.ismount(path) else "the current folder, or holds it"
            raise InputError(f"{path}: {what}, and cannot be replaced; choose a folder in it")
        _require_own_folder(path, kind, cure)
    elif not path.is_file():
        raise InputError(f"{path}: a device or a pipe; give the path of a file")
    elif kind is not None:
        raise InputError(f"{path}: a file, where a folder is to be written; {cure}")
    else:
        known = _read_record(path.parent).known(path.name)
        if known is None:
            raise InputError(f"{path}: not written by jaxvlm, so it is not replaced; {cure}")
        if sha256(path) not in known:
            raise InputError(f"{path}: was changed since jaxvlm wrote it; {cure}")


def _require_own_folder(folder: Path, kind: str, cure: str) -> None:
    """Raises InputError unless everything in a folder is as we wrote it."""
    record = _read_record(folder)
    for path in _files_below(folder):
        name = path.relative_to(folder).as_posix()
        known = record.known(name) or _read_record(path.parent).known(path.name)
        if path.is_symlink() or known is None:
            raise InputError(
                f"{folder}: holds {name}, which jaxvlm did not write, so it stays; {cure}"
            )
        if sha256(path) not in known:
            raise InputError(f"{path}: was changed since jaxvlm wrote it; {cure}")
    if record.files and record.kind != kind:
        raise InputError(f"{folder}: holds {record.kind} and not {kind}; {cure}")


def _files_below(folder: Path) -> list[Path]:
    """Everything in a folder but sub-folders and what is nobody's; links are not followed.

    Raises InputError where a part of it cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename}: cannot be listed ({error.strerror}), so {folder} is not replaced; "
            "choose another place"
        )

    found = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        if PARTIAL in folders and not (Path(root) / PARTIAL).is_symlink():
            folders.remove(PARTIAL)
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [Path(root) / name for name in (*names, *links) if name not in _NOBODYS]
    return sorted(found)


def _put_file(temporary: Path, path: Path) -> None:
    digest = sha256(temporary)
    with locked(path.parent):
        _require_replaceable(path, None)
        standing = [sha256(path)] if path.exists() else []
        record = _read_record(path.parent)
        # Before the file, and with what the standing one has: a kill between the two leaves a file
        # that is known.
        record.files.pop(path.name, None)
        record.added[path.name] = [digest, *(old for old in standing if old != digest)]
        _write_record(path.parent, record, temporary.parent)
        os.replace(temporary, path)


def _put_folder(temporary: Path, path: Path, kind: str) -> None:
    names = sorted(p for p in temporary.rglob("*") if p.is_file())
    digests = {p.relative_to(temporary).as_posix(): [sha256(p)] for p in names}
    with locked(path.parent):
        _require_replaceable(path, kind)
        record = _Record(kind, digests, _carry_over(path, temporary))
        _write_record(temporary, record, temporary.parent)
        replace_folder(temporary, path)


def _carry_over(old: Path, new: Path) -> dict[str, list[str]]:
    """Copies the files that were added to the old folder into the new one, where it has none of the
    name; what they are known by."""
    added = {}
    record = _read_record(old)
    for path in _files_below(old) if old.is_dir() else ():
        name = path.relative_to(old).as_posix()
        if name not in record.files and not (new / name).exists():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, new / name)
            added[name] = [sha256(new / name)]
    return added


def _read_record(folder: Path) -> _Record:
    """The record in a folder; nothing is known of one that is missing or damaged."""
    nothing = _Record(None, {}, {})
    path = folder / RECORD
    if path.is_dir():
        raise InputError(f"{path}: a folder, where the record of what was written is; remove it")
    try:
        value = bounded_json.parse(read_bounded(path), path)
        kind, tables = value["kind"], (value["files"], value["added"])
    except (OSError, InputError, KeyError, TypeError):
        return nothing
    well_formed = (kind is None or isinstance(kind, str)) and all(
        isinstance(table, dict) and all(isinstance(known, list) for known in table.values())
        for table in tables
    )
    return _Record(kind, *tables) if well_formed else nothing


def _write_record(folder: Path, record: _Record, staging: Path) -> None:
    temporary = staging / RECORD
    value = {"kind": record.kind, "files": record.files, "added": record.added}
    text = json.dumps(value, indent=0, ensure_ascii=True, sort_keys=True)
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, folder / RECORD)
