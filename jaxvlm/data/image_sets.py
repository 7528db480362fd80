"""Sets of pictures to evaluate on: folders, lists and tars; samples; what occurs twice."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from jaxvlm.data import tar_shards
from jaxvlm.data.folders import files_below
from jaxvlm.data.image_lists import read_list
from jaxvlm.data.images import SUFFIXES, entries, file_size, is_picture, natural_key
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.reading import sha256

_NAMED = 5  # files that a line names
_TEXTS = tuple(".csv .htm .html .json .jsonl .log .md .tsv .txt .xml .yaml .yml".split())
_OF_SYSTEMS = ("thumbs.db", "desktop.ini", "license", "licence", "readme", "makefile")
_HASH_THREADS = 8  # reading waits for the disk, and hashlib lets go of the interpreter


class ImageSet(NamedTuple):
    """N pictures and, where they have classes, the class of each.

    ``root`` is the folder below which the pictures lie; ``labels`` has one entry per path;
    ``left_out`` is a line on the files that lie among the pictures and are none. ``group`` is that
    of an OOD set, if it has one. Names and labels are `printable`, paths are as on the disk.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    labels: tuple[str, ...] | None
    left_out: tuple[str, ...] = ()
    group: str = ""


class Duplicate(NamedTuple):
    """A picture of the in-distribution set that another set also holds, byte for byte."""

    sha256: str
    id_path: Path
    ood_path: Path
    ood_name: str


def read_image_set(
    source: str | os.PathLike,
    *,
    root: str | os.PathLike | None = None,
    name: str | None = None,
) -> ImageSet:
    """Finds the pictures of a set; opens none of them.

    source, one of
      a folder of pictures, or one picture: no labels;
      a folder of class folders (torchvision's ImageFolder): the label is the top folder's name,
        pictures may lie deeper;
      a text file with a line ``path label`` or ``path`` per picture (as the lists of OpenOOD, MCM
        and ViM), see `image_lists.read_list`. The paths are relative to ``root``, or to what is
        written behind an @, ``LIST@ROOT``;
      a tar, or a folder of tars (WebDataset's shards), whose pictures have the path
        ``SHARD.tar/MEMBER``; see `tar_shards.read_shards` for labels.
    Folders are in natural order, hidden files left out; files that are no pictures are named in
    ``left_out``, except for texts, which describe them. A listed picture that is missing, and a
    tar that is damaged, stay in the set, so that reading them reports them. name: default, the
    source's own name.

    Raises:
      InputError: no such source; no picture; a folder with both pictures and class folders or
        tars; a list whose pictures are all missing, with a picture twice; labels on some only.
    """
    left_out: tuple[str, ...] = ()
    list_file, at, written_root = os.fspath(source).rpartition("@")
    if at and not os.path.exists(source) and os.path.isfile(list_file):
        source, root = list_file, written_root
    source = Path(source)
    if os.path.isdir(source) and (shards := _shards(source)):
        paths, labels = _read_shards(source, shards)
        root = source
    elif os.path.isdir(source):
        paths, labels, left_out = _read_folder(source)
        root = source
    elif os.path.isfile(source) and is_picture(source.name):
        root, paths, labels = source.parent, [source], []
    elif os.path.isfile(source) and source.suffix == tar_shards.SUFFIX:
        paths, labels = _read_shards(source, [source])
        root = source.parent
    elif os.path.isfile(source):
        root, paths, labels = read_list(source, None if root is None else Path(root))
    else:
        raise InputError(f"{source}: no such folder, list or tar; check the path")
    name = printable(name or (source.stem if os.path.isfile(source) else source.resolve().name))
    classes = tuple(map(printable, labels)) if labels else None
    return ImageSet(name, root, tuple(paths), classes, left_out)


def sample(
    image_set: ImageSet,
    *,
    samples_per_class: int | None = None,
    max_images: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """Takes at most so many pictures per class, and in all, as evenly from the classes as it goes.

    A class's pictures are taken in the order of sha256(seed, path below the root): the choice
    depends on their names and the seed alone, never on the disk, the root or other classes, and a
    larger sample contains the smaller. What is taken keeps its order. A set without labels is one
    class.

    Raises:
      InputError: a number below 1, or ``samples_per_class`` for a set without classes.
    """
    chosen = sampled(
        image_set, samples_per_class=samples_per_class, max_images=max_images, seed=seed
    )
    labels = image_set.labels
    return image_set._replace(
        paths=tuple(image_set.paths[i] for i in chosen),
        labels=None if labels is None else tuple(labels[i] for i in chosen),
    )


def sampled(
    image_set: Any,
    *,
    samples_per_class: int | None = None,
    max_images: int | None = None,
    seed: int = 0,
) -> Sequence[int]:
    """Which of a set's pictures `sample` takes, in order.

    image_set: anything with name, root, paths and labels. Raises InputError as `sample`.
    """
    for option, value in (("samples_per_class", samples_per_class), ("max_images", max_images)):
        if value is not None and value < 1:
            raise InputError(f"{option}: {value} pictures; ask for 1 or more")
    if samples_per_class is not None and image_set.labels is None:
        raise InputError(
            f"{image_set.name}: samples_per_class needs classes; use max_images, or class folders"
        )
    if samples_per_class is None and max_images is None:
        return range(len(image_set.paths))
    labels = image_set.labels or ("",) * len(image_set.paths)
    draws = [_draw(seed, image_set.root, path) for path in image_set.paths]
    taken_of: Counter[str] = Counter()
    ranked = []  # (how many of its class came before, draw, index)
    for index in sorted(range(len(draws)), key=draws.__getitem__):
        ranked.append((taken_of[labels[index]], draws[index], index))
        taken_of[labels[index]] += 1
    if samples_per_class is not None:
        ranked = [entry for entry in ranked if entry[0] < samples_per_class]
    return sorted(index for *_, index in sorted(ranked)[:max_images])


def content_hashes(paths: Iterable[str | os.PathLike]) -> list[str | None]:
    """SHA-256 of each picture's bytes, hexadecimal; None if it cannot be read."""
    with ThreadPoolExecutor(_HASH_THREADS) as pool:
        return list(pool.map(_hash, paths))


def duplicates(sets: Sequence[ImageSet]) -> list[Duplicate]:
    """The pictures of the first set, the in-distribution one, that are also in one of the others.

    Equal means equal bytes, whatever the names. One entry per copy in the others, in the order of
    the first set. Only files of a size that occurs on both sides are read.
    """
    if len(sets) < 2:
        return []
    sizes = [[file_size(path) for path in image_set.paths] for image_set in sets]
    shared = ({*sizes[0]} & {size for of_set in sizes[1:] for size in of_set}) - {None}
    hashed: list[dict[str, list[Path]]] = []
    for image_set, of_set in zip(sets, sizes, strict=True):
        candidates = [p for p, size in zip(image_set.paths, of_set, strict=True) if size in shared]
        by_hash: dict[str, list[Path]] = {}
        for path, digest in zip(candidates, content_hashes(candidates), strict=True):
            if digest is not None:
                by_hash.setdefault(digest, []).append(path)
        hashed.append(by_hash)
    return [
        Duplicate(digest, id_path, ood_path, image_set.name)
        for digest, id_paths in hashed[0].items()
        for id_path in id_paths
        for image_set, by_hash in zip(sets[1:], hashed[1:], strict=True)
        for ood_path in by_hash.get(digest, ())
    ]


def _read_folder(folder: Path) -> tuple[list[Path], list[str], tuple[str, ...]]:
    flat, classes, others = [], [], []
    for entry in sorted(entries(folder), key=natural_key):
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry):
            classes.append((entry.name, _pictures_below(entry, others)))
        elif is_picture(entry.name):
            flat.append(entry)
        else:
            others.append(entry)
    in_classes = [(path, label) for label, paths in classes for path in paths]
    if flat and in_classes:
        raise InputError(
            f"{folder}: holds pictures and folders with pictures ({flat[0].name}, "
            f"{in_classes[0][1]}/); name one of the folders, or move the loose pictures into one"
        )
    if not flat and not in_classes:
        raise InputError(
            f"{folder}: no picture in this folder or below it ({' '.join(SUFFIXES)}); fill it"
        )
    paths = flat or [path for path, _ in in_classes]
    return paths, [label for _, label in in_classes], _left_out(folder, others)


def _left_out(folder: Path, others: Sequence[Path]) -> tuple[str, ...]:
    """One line that counts and names the files that might have been meant to be read."""
    strange = [
        path.relative_to(folder).as_posix()
        for path in sorted(others, key=natural_key)
        if path.suffix.lower() not in _TEXTS and path.name.lower() not in _OF_SYSTEMS
    ]
    if not strange:
        return ()
    names = ", ".join(strange[:_NAMED]) + (", …" if len(strange) > _NAMED else "")
    return (
        printable(
            f"{folder}: {len(strange)} file{'s' * (len(strange) > 1)} left out, no pictures of a "
            f"kind that is read ({names}); convert to JPEG or PNG, or remove"
        ),
    )


def _shards(folder: Path) -> list[Path]:
    """The tars of a folder of tars; none where pictures or class folders lie beside them."""
    found = [e for e in entries(folder) if not e.name.startswith(".")]
    shards = [e for e in found if e.suffix == tar_shards.SUFFIX and os.path.isfile(e)]
    if shards and any(is_picture(entry.name) for entry in found):
        raise InputError(
            f"{folder}: holds pictures and tars ({shards[0].name}); "
            f"name one of the tars, or move the pictures into a folder of their own"
        )
    return sorted(shards, key=natural_key)


def _read_shards(source: Path, shards: Sequence[Path]) -> tuple[list[Path], list[str]]:
    paths, labels = tar_shards.read_shards(shards, SUFFIXES)
    if all(path.suffix == tar_shards.SUFFIX for path in paths):
        raise InputError(
            tar_shards.complaint(paths[0])
            if paths
            else f"{source}: no picture in it ({' '.join(SUFFIXES)}); check the path"
        )
    if not any(labels):
        return paths, []
    if None in labels:
        raise InputError(
            f"{paths[labels.index(None)]}: has no label ({' or '.join(tar_shards.LABEL_SUFFIXES)}) "
            f"and others have one; give every picture one, or none"
        )
    return paths, labels


def _pictures_below(folder: Path, others: list[Path]) -> list[Path]:
    """The pictures at any depth, in order; what else is there goes to ``others``."""
    found = []
    for path in files_below(folder):
        (found if is_picture(path.name) else others).append(path)
    return sorted(found, key=natural_key)


def _draw(seed: int, root: Path, path: Path) -> bytes:
    name = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def _hash(path: str | os.PathLike) -> str | None:
    path = Path(path)
    try:
        if os.path.isfile(path):
            if path.suffix == tar_shards.SUFFIX:  # stands for what it lacks
                return None
            return sha256(path)
        return hashlib.sha256(tar_shards.read_member(path)).hexdigest()
    except (InputError, OSError):
        return None
