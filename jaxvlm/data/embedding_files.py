"""Embeddings as others save them: rows, their labels and their names, whatever the file's format.

Where they lie on disk they stay there, and a block of rows is made when it is asked for.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.arrays import unit
from jaxvlm.data import array_files
from jaxvlm.data.class_lists import read_class_list
from jaxvlm.data.saved_arrays import open_arrays
from jaxvlm.errors import InputError

BLOCK = 8192  # rows looked at or made at a time
_LONGEST = 1e15  # of a row, and 1 / it of the shortest: squares stay finite in float32

# What an array of embeddings is called in the files of others.
FEATURES = ("features", "embeddings", "image_features", "image_embeddings", "feats")
_LABELS = ("labels", "label", "targets", "y")
_NAMES = ("names", "paths", "name", "path", "text")


class UnitRows:
    """Rows [N, D] of unit length, float32, made when they are asked for from rows that may lie on
    disk: ``rows[0:1024]``, ``rows[mask]``, ``np.asarray(rows)`` for all."""

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows
        self.shape = rows.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        return unit(np.asarray(self._rows[index], np.float32))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.float32, copy=False)


class Embeddings(NamedTuple):
    """A file's embeddings: rows [N, D] as they are stored, and what is known of each, or None.

    path: None where they are no file's. key: which of the file's arrays. labels: of the rows, as
    text. names: of the rows (pictures, classes, words). norms: the least and the largest length of
    a row.
    """

    path: Path | None
    key: str
    rows: np.ndarray
    labels: tuple[str, ...] | None
    names: tuple[str, ...] | None
    norms: tuple[float, float]

    @property
    def unit(self) -> UnitRows:
        """The rows of unit length, in float32, made a block at a time."""
        return UnitRows(self.rows)

    @property
    def is_unit(self) -> bool:
        """Whether the rows have unit length as they are, up to float16's rounding."""
        return is_unit(self.norms)


def read_embeddings(source: str | os.PathLike) -> Embeddings:
    """Embeddings from ``FILE[#KEY][@LABELS]``.

    KEY: which array of a file that has several: ``KEY`` itself, or ``KEY.features`` with its labels
    ``KEY.labels``. Without it the one that is called features or embeddings, or the only array with
    two axes. Labels and names are the file's own arrays of these names, or stand beside it in
    ``FILE_labels`` and ``FILE_names`` (.txt, .json, .npy; ``train_labels`` beside
    ``train_features``); LABELS is such a file by its name.

    Raises InputError: a file that cannot be read, no or several arrays that it may be, another
    number of axes, rows that are not finite or zero, labels or names of another number.
    """
    path, key, given = _parts(os.fspath(source))
    arrays = open_arrays(path)
    key, rows = _find(path, arrays, key)
    norms = check_rows(_named(path, key), rows)
    before = key.rpartition(".")[0] if key.rpartition(".")[2] in FEATURES else key
    labels = _own(arrays, before, _LABELS) if given is None else _lines(given)
    labels = _beside(path, _LABELS) if labels is None else labels
    names = _own(arrays, before, _NAMES)
    names = _beside(path, ("names",)) if names is None else names
    for what, found in (("labels", labels), ("names", names)):
        if found is not None and len(found) != len(rows):
            raise InputError(
                f"{_named(path, key)}: {len(rows)} rows, {len(found)} {what}; give one for each row"
            )
    return Embeddings(path, key, rows, labels, names, norms)


def is_unit(norms: tuple[float, float]) -> bool:
    """Whether the least and the largest length of rows are 1, up to float16's rounding."""
    return all(abs(norm - 1) < 5e-3 for norm in norms)


def of_array(rows: ArrayLike, name: str) -> Embeddings:
    """Embeddings [N, D] that are no file's. Raises InputError as `read_embeddings`."""
    rows = np.asarray(rows)
    return Embeddings(None, name, rows, None, None, check_rows(name, rows))


def check_rows(name: str, rows: np.ndarray) -> tuple[float, float]:
    """The least and the largest length of rows [N, D], a block at a time.

    Raises InputError: another shape, integers, a row that is not finite, one of zeros, or one so
    long or short that it has no unit row in float32.
    """
    if rows.ndim != 2 or not all(rows.shape):
        raise InputError(f"{name}: shape {list(rows.shape)}; embeddings are [N, D], a row each")
    if rows.dtype.kind not in "f" and rows.dtype.name != "bfloat16":
        raise InputError(f"{name}: {rows.dtype}; embeddings are floating-point numbers")
    least, largest = math.inf, 0.0
    for start in range(0, len(rows), BLOCK):
        with np.errstate(invalid="ignore"):  # NaN, which is told of below
            block = np.asarray(rows[start : start + BLOCK], np.float64)
        norms = np.sqrt(np.einsum("nd,nd->n", block, block))
        bad = ~((norms > 1 / _LONGEST) & (norms < _LONGEST))
        if bad.any():
            row = int(bad.argmax())
            what = "zeros" if norms[row] == 0 else f"of length {norms[row]:g}"
            what = what if np.isfinite(norms[row]) else "NaN or infinity"
            raise InputError(f"{name}: row {start + row} is {what}; leave it out or make it again")
        least, largest = min(least, float(norms.min())), max(largest, float(norms.max()))
    return least, largest


def _parts(source: str) -> tuple[Path, str | None, Path | None]:
    """File, key and file of labels of ``FILE[#KEY][@LABELS]``; a file's own name may hold both."""
    if os.path.exists(source):
        return Path(source), None, None
    match = re.fullmatch(r"(?P<file>.*?)(#(?P<key>[^#@]*))?(@(?P<labels>.*))?", source, re.S)
    # The longest beginning that is a file: "a#b.npy#key" names a#b.npy.
    ends = [m.start() for m in re.finditer("[#@]", source)]
    for end in reversed(ends):
        if os.path.isfile(source[:end]):
            rest = re.fullmatch(r"(#(?P<key>[^@]*))?(@(?P<labels>.*))?", source[end:], re.S)
            if rest:
                match = rest
                break
    else:
        end = match.end("file")
    labels = match["labels"]
    return Path(source[:end]), match["key"] or None, Path(labels) if labels else None


def _named(path: Path, key: str) -> str:
    return f"{path}#{key}" if path.suffix.lower() != ".npy" else str(path)


def _find(path: Path, arrays: Mapping[str, np.ndarray], key: str | None) -> tuple[str, np.ndarray]:
    wanted = [key, *(f"{key}.{name}" for name in FEATURES)] if key else list(FEATURES)
    found = [name for name in wanted if name in arrays]
    if not found and not key:
        tables = [name for name, array in arrays.items() if array.ndim == 2]
        found = tables if len(tables) == 1 else []
    if found:
        return found[0], arrays[found[0]]
    known = sorted(
        name.removesuffix(".features")
        for name, array in arrays.items()
        if array.ndim == 2 and array.dtype.kind != "U"
    )
    some = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    which = f"no array {key}" if key else "several arrays"
    if not known:
        raise InputError(f"{path}: no array with two axes in it; embeddings are [N, D]")
    raise InputError(f"{path}: {which}; name one as {path.name}#KEY, of: {some}")


def _own(
    arrays: Mapping[str, np.ndarray], prefix: str, names: tuple[str, ...]
) -> tuple[str, ...] | None:
    for name in [*(f"{prefix}.{name}" for name in names), *names]:
        if name in arrays and arrays[name].ndim == 1:
            return _texts(arrays[name])
    return None


def _texts(array: np.ndarray) -> tuple[str, ...]:
    if array.dtype.kind == "f" and (array == np.round(array)).all():
        array = array.astype(np.int64)
    return tuple(str(value) for value in array.tolist())


def _beside(path: Path, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """What ``FILE_names.json`` says of the rows of ``FILE.npy``; None where there is no such."""
    stems = [path.stem]
    for word in FEATURES:
        if path.stem.endswith(word):
            stems.append(path.stem.removesuffix(word).rstrip("_.-"))
    for stem in stems:
        for name in names:
            for suffix in (".txt", ".json", ".npy"):
                joined = "_".join(part for part in (stem, name) if part)
                found = path.with_name(f"{joined}{suffix}")
                if found.is_file() and found != path:
                    return _lines(found)
    return None


def _lines(path: Path) -> tuple[str, ...]:
    if path.suffix.lower() == ".npy":
        array = array_files.read_array(path)
        if array.ndim != 1:
            raise InputError(f"{path}: shape {list(array.shape)}; give one label per row")
        return _texts(array)
    return tuple(read_class_list(path))
