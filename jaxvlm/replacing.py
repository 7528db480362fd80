"""Putting a file or a folder in another's place in one step, also where writers are killed.

What is being written lies in ``.jaxvlm-partial`` beside its place, in a folder for each writer.
"""

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxvlm.errors import DiskError, InputError

try:
    import fcntl
except ImportError:  # not POSIX: writers do not wait for each other
    fcntl = None

PARTIAL = ".jaxvlm-partial"

_VERSIONS = ".jaxvlm-versions"  # where folders cannot be exchanged
_MOVED = ".jaxvlm-moved"  # in a writer's folder: what it moves out of the way
_OWN = re.compile("[0-9a-f]{16}")  # secrets.token_hex(8)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_REFUSED = {*_FULL, errno.EFBIG, errno.ENAMETOOLONG}


@contextlib.contextmanager
def staging(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` to write in, on the same disk.

    It is locked as long as its writer lives, so that others know what to clean up.
    """
    parent = path.parent
    with contextlib.ExitStack() as stack:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            if (parent / PARTIAL).is_symlink():
                raise InputError(f"{parent / PARTIAL}: a link; remove it")
            with locked(parent):
                _remove_left(parent)
                folder = parent / PARTIAL / secrets.token_hex(8)
                folder.mkdir(parents=True)
                stack.enter_context(locked(folder))
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            yield folder
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            raise unwritable(path, error) from None
        finally:
            _discard(folder)
            with contextlib.suppress(OSError), locked(parent):
                (parent / PARTIAL).rmdir()  # fails where another writer is in it


@contextlib.contextmanager
def staged_part(path: Path) -> Iterator[None]:
    """Inside, ``path`` is written, which lies in a folder of `staging`: nobody sees it before the
    whole is there. What a writer that fails leaves is removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield
    except BaseException as error:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _REFUSED:
            raise unwritable(path, error) from None
        raise


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a folder's lock; raises BlockingIOError instead of waiting for it.

    A disk without locks (NFS without its lock service) is used without.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            if not wait:  # nobody knows whether its writer lives
                raise BlockingIOError from None
        yield
    finally:
        os.close(descriptor)


def replace_folder(temporary: Path, path: Path) -> None:
    """Puts a staged folder in another's place: by exchanging the two, where the system can.

    Elsewhere (NFS, for one) ``path`` becomes a link to a folder in ``.jaxvlm-versions``, and it is
    the link that is replaced. Only a real folder that stands there has to be moved away first;
    `recover` brings it back after a kill. The caller holds the lock of ``path.parent``.
    """
    if not path.is_symlink() and not path.exists():
        os.rename(temporary, path)
    elif path.is_symlink() or not _exchange(temporary, path):
        _repoint(temporary, path)


def recover(path: str | os.PathLike) -> Path:
    """``path``; where a writer was killed between its two renames, what stood there stands again.

    That can only have happened on a disk that cannot exchange two folders: see `replace_folder`.
    Nothing is removed.
    """
    path = Path(path)
    for folder in () if os.path.lexists(path) else _left(path.parent):
        with contextlib.suppress(OSError), locked(path.parent), locked(folder, wait=False):
            _put_back(folder, path.name)
    return path


def followed(path: Path) -> Path:
    """A link's target, but for a link that stands for a folder of ours (`replace_folder`)."""
    if path.is_symlink() and _VERSIONS not in Path(os.readlink(path)).parts:
        return Path(os.path.realpath(path))
    return path


def use_umask(path: Path) -> None:
    """Gives a file the permissions that any new file gets: some writers make private ones."""
    if path.is_dir():
        return
    # A name of its own: several processes may write parts of one folder.
    probe = path.parent / f".jaxvlm-umask-{secrets.token_hex(8)}"
    probe.touch(mode=0o666)
    path.chmod(stat.S_IMODE(probe.stat().st_mode))
    probe.unlink()


def _remove_left(parent: Path) -> None:
    """Removes what killed writers left in ``parent``, and puts back what they had moved away."""
    for folder in _left(parent):
        # A writer is alive, or gone by itself.
        with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder, wait=False):
            _discard(folder)
    with contextlib.suppress(OSError):
        (parent / PARTIAL).rmdir()


def _left(parent: Path) -> list[Path]:
    """The folders of writers in ``parent``: those that can be ours. A link never is: who made a
    folder for others to read could have it lead to theirs."""
    partial = parent / PARTIAL
    if partial.is_symlink() or not partial.is_dir():
        return []
    return [p for p in sorted(partial.iterdir()) if _is_own(p)]


def _is_own(folder: Path) -> bool:
    return bool(_OWN.fullmatch(folder.name)) and not folder.is_symlink() and folder.is_dir()


def _put_back(folder: Path, name: str) -> None:
    moved, place = folder / _MOVED, folder.parent.parent / name
    if not moved.is_symlink() and os.path.lexists(moved / name) and not os.path.lexists(place):
        os.rename(moved / name, place)


def _discard(folder: Path) -> None:
    """Removes a writer's folder, but puts back what it moved away and did not replace."""
    for path in sorted((folder / _MOVED).glob("*")):
        _put_back(folder, path.name)
    shutil.rmtree(folder, ignore_errors=True)


def _repoint(temporary: Path, path: Path) -> None:
    versions = path.parent / _VERSIONS / path.name
    versions.mkdir(parents=True, exist_ok=True)
    if versions.is_symlink() or versions.parent.is_symlink():
        raise InputError(f"{versions}: a link, where versions are kept; remove it")
    version = versions / secrets.token_hex(8)
    os.rename(temporary, version)
    os.symlink(version.relative_to(path.parent), temporary)
    kept = [version]
    if path.is_symlink():
        kept.append(path.parent / os.readlink(path))  # whoever follows the link now is still in it
    else:
        (temporary.parent / _MOVED).mkdir()
        os.rename(path, temporary.parent / _MOVED / path.name)
    os.replace(temporary, path)
    for other in versions.iterdir():
        if other not in kept and _is_own(other):
            shutil.rmtree(other)


def _exchange_function() -> Callable[[bytes, bytes], int] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        swap = getattr(libc, "renamex_np", None)
        return swap and (lambda a, b: swap(a, b, 2))  # RENAME_SWAP
    swap = getattr(libc, "renameat2", None)
    here = -100  # AT_FDCWD
    return swap and (lambda a, b: swap(here, a, here, b, 2))  # RENAME_EXCHANGE


def _exchange(a: Path, b: Path) -> bool:
    """Exchanges what two names mean, in one step; False where the system or the disk cannot."""
    swap = _exchange_function() if os.name == "posix" else None
    if swap is None:
        return False
    if swap(os.fsencode(a), os.fsencode(b)) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(b))


def write_durably(path: Path, content: bytes) -> None:
    """The file is there whole or not at all; on return a power cut does not lose it, where the
    system can promise that. Raises OSError; a killed writer leaves a ``.part`` beside the file."""
    temporary = path.with_name(f".{secrets.token_hex(16)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(folder)  # the new name
    finally:
        os.close(folder)


def unwritable(path: Path, error: OSError) -> InputError:
    """What a program says where the disk is full, read-only or closed to us."""
    kind = DiskError if error.errno in _FULL else InputError
    parts = path.parts
    if PARTIAL in parts:  # a part of an output: what it will be called
        place = parts.index(PARTIAL)
        path = Path(*parts[:place], *parts[place + 2 :])
    return kind(
        f"{path}: cannot be written ({error.strerror or error}); make room, or choose a folder "
        "that can be written"
    )
