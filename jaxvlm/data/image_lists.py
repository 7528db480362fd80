"""Lists of pictures with their labels, as OpenOOD, MCM and ViM publish them."""

import os
from pathlib import Path

from jaxvlm.data.images import is_picture
from jaxvlm.data.text_files import read_lines
from jaxvlm.errors import InputError

_OPENOOD_ROOTS = ("images_largescale", "images_classic")  # beside benchmark_imglist/


def read_list(source: Path, root: Path | None) -> tuple[Path, list[Path], list[str]]:
    """The root, the paths in the file's order, and the labels, of a list of pictures.

    A line is ``path label`` or ``path``; separators are / or, as Windows writes them, \\. The paths
    are relative to ``root``; without it to the file's folder, or to OpenOOD's ``images_largescale``
    or ``images_classic`` beside or above it.

    Raises:
      InputError: no text; no picture in it, none that is there, or one twice; labels on some only.
    """
    lines = read_lines(source, cure="give a list of pictures, one in a line")
    line_of: dict[str, int] = {}
    labels: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        path, label = _split_line(line.strip())
        if path in line_of:
            raise InputError(
                f"{source}: line {number}: {path} stands already in line {line_of[path]}; "
                f"remove one"
            )
        line_of[path] = number
        if label is not None:
            labels.append(label)
        if len(labels) not in (0, len(line_of)):
            raise InputError(
                f"{source}: line {number}: some lines have a label and some have none; "
                f"give every picture one, or none"
            )
    if not line_of:
        raise InputError(f"{source}: no picture in this list; write a line `path label` for each")
    roots = [root] if root is not None else [source.parent, *_openood_roots(source)]
    for root in roots:
        paths = [_listed(root, path) for path in line_of]
        if any(os.path.isfile(path) for path in paths):
            return root, paths, labels
    raise InputError(
        f"{source}: none of the {len(line_of)} pictures is below {roots[0]} (line "
        f"{next(iter(line_of.values()))}: {next(iter(line_of))}); give the list's root folder, "
        f"as in {source.name}@ROOT"
    )


def _listed(root: Path, path: str) -> Path:
    """A path of a list, whose backslashes are separators unless a file has them in its name."""
    if "\\" in path and not os.path.isfile(root / path):
        path = path.replace("\\", "/")
    return root / path


def _openood_roots(source: Path) -> list[Path]:
    """Where OpenOOD keeps the pictures of data/benchmark_imglist/imagenet/test_sun.txt."""
    above = source.resolve().parents[:3]
    roots = [folder / name for folder in above for name in _OPENOOD_ROOTS]
    return [root for root in roots if os.path.isdir(root)]


def _split_line(line: str) -> tuple[str, str | None]:
    # A path may contain blanks, so a line that ends like a picture has no label.
    if is_picture(line) or len(line.split(maxsplit=1)) == 1:
        return line, None
    path, label = line.rsplit(maxsplit=1)
    return path, label
