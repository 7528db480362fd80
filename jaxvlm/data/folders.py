"""The files of a folder, as videos, pictures and features are looked for in it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxvlm.errors import InputError


def files_below(
    folder: str | os.PathLike, tell: Callable[[OSError], object] | None = None
) -> Iterator[Path]:
    """The files at any depth but hidden ones and those in hidden folders, each folder's by name.

    Linked folders are followed; one that was there before is left out, so that loops end. A link
    that leads nowhere is given, so that its reader tells of it. tell: gets the error of a folder
    that cannot be listed, and it is left out.

    Raises InputError for a folder that cannot be listed, unless there is ``tell``.
    """
    visited = set()
    for root, folders, names in os.walk(folder, onerror=tell or _refuse, followlinks=True):
        state = os.stat(root)
        if (state.st_dev, state.st_ino) in visited:
            folders.clear()
            continue
        visited.add((state.st_dev, state.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(root) / name
            if not name.startswith(".") and (os.path.isfile(file) or os.path.islink(file)):
                yield file


def _refuse(error: OSError) -> None:
    raise InputError(
        f"{error.filename}: cannot be listed ({error.strerror}); check its permissions"
    )
