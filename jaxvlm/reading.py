"""The bytes of others' files, no more of them than is good."""

import hashlib
import os
import zipfile
from pathlib import Path

from jaxvlm import bounds
from jaxvlm.errors import InputError

# What zipfile raises on bytes that are cut, changed, encrypted or packed in another way.
BROKEN_ZIP = (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError)


def read_bounded(
    path: str | os.PathLike, max_bytes: int | None = None, *, cure: str = "correct the file"
) -> bytes:
    """The bytes of a file.

    max_bytes: None for `bounds.TEXT_BYTES`.

    Raises InputError: no such file, unreadable, or longer.
    """
    limit = bounds.TEXT_BYTES if max_bytes is None else max_bytes
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    try:
        size = path.stat().st_size
        if size > limit:
            raise InputError(f"{path}: {too_large(size, limit)}; {cure}")
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise unreadable(path, error) from None
    if len(content) > limit:  # it grew
        raise InputError(f"{path}: {too_large(len(content), limit)}; {cure}")
    return content


def unreadable(path: str | os.PathLike, error: OSError) -> InputError:
    """What a reader raises where the system refuses to read a file."""
    return InputError(f"{path}: cannot be read ({error.strerror or error}); check the disk")


def sha256(path: str | os.PathLike) -> str:
    """Of a file's content, read a piece at a time, hexadecimal. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def too_large(size: int, limit: int) -> str:
    """The cause in a message about what is too long."""
    return f"{size:,} bytes, more than the {limit:,} that are read"
