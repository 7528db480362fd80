"""Sets of pictures that come as embeddings, and label banks that do."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm import clip, names
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.data.embedding_files import (
    BLOCK,
    Embeddings,
    UnitRows,
    of_array,
    read_embeddings,
)
from jaxvlm.data.image_sets import sampled
from jaxvlm.errors import InputError
from jaxvlm.pictures.config import NEGALIGN, OodConfig, check
from jaxvlm.pictures.labels import Labels, Words, stored_split
from jaxvlm.pictures.set_names import split_group, split_name

NEED_PATCHES = (NEGALIGN, "gl_mcm", "gl_mcm_output", "foreground_star")
LEFT_OUT = "GL-MCM, foreground-star and P_align (NegAlign) are left out: embeddings have no patches"


class EmbeddedSet(NamedTuple):
    """N pictures as embeddings: what `image_sets.ImageSet` is for files.

    paths: a name per row; where the file names pictures that exist, their paths. rows: [N, D], of
    unit length when they are asked for. file: where they are from. left_out: always empty. group:
    of an OOD set, if it has one.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    labels: tuple[str, ...] | None
    rows: UnitRows
    file: Embeddings
    left_out: tuple[str, ...] = ()
    group: str = ""


def read_embedded_set(
    source: str,
    *,
    samples_per_class: int | None = None,
    max_images: int | None = None,
    seed: int = 0,
) -> EmbeddedSet:
    """A set from ``[[GROUP/]NAME=]FILE[#KEY][@LABELS]``, see `read_embeddings`, sampled.

    The name is NAME, or the KEY, or the file's. Raises InputError as `read_embeddings`, and for a
    name that leads elsewhere.
    """
    group, name, path = split_name(source)
    file = read_embeddings(path)
    whole = file.key.rpartition(".")[0] or file.path.stem
    found = _of_file(name or whole.replace("/", "_"), file.path.absolute().parent, file, group)
    kept = sampled(
        found,
        samples_per_class=samples_per_class if file.labels else None,
        max_images=max_images,
        seed=seed,
    )
    if len(kept) == len(found.paths):
        return found
    return found._replace(
        paths=tuple(found.paths[i] for i in kept),
        labels=None if found.labels is None else tuple(found.labels[i] for i in kept),
        rows=UnitRows(found.file.rows[np.asarray(kept)]),
    )


def embedded_set(rows: ArrayLike, name: str) -> EmbeddedSet:
    """A set ``[GROUP/]NAME`` from an array [N, D], any length of rows.

    Raises InputError as `read_embedded_set`.
    """
    group, own = split_group(name, "a set of embeddings")
    names.part_of_path(own, "a set of embeddings")
    return _of_file(own, Path(), of_array(rows, own), group)


def _of_file(name: str, root: Path, file: Embeddings, group: str) -> EmbeddedSet:
    own = file.names or [f"{row:06d}" for row in range(len(file.rows))]
    paths = tuple(root / text for text in own)
    return EmbeddedSet(name, root, paths, file.labels, file.unit, file, group=group)


def check_method(method: str) -> None:
    """Raises InputError for a method that looks at patches."""
    if method in NEED_PATCHES:
        raise InputError(
            f"method {method!r}: looks at patches, which embeddings have not; give the pictures, "
            "or take another such as neglabel"
        )


def without_patches(config: OodConfig, *, split: bool) -> OodConfig:
    """The config of pictures that are given as embeddings: no P_align, and without a ``split`` of
    the negatives no object-leaning ones (M2).

    Raises InputError as `check_method`.
    """
    check_method(config.method)
    role_aware = config.negalign.use_role_aware_negatives and split
    negalign = dataclasses.replace(
        config.negalign, use_p_align=False, use_role_aware_negatives=role_aware
    )
    return dataclasses.replace(config, negalign=negalign)


def config_for(
    values: Any, encoder: clip.Encoder | None, words: Words, *, embedded: bool
) -> OodConfig:
    """`config.check` of open settings; of pictures that are ``embedded``, `without_patches`."""
    config = check(values, None if encoder is None else encoder.model)
    if not embedded:
        return config
    return without_patches(
        config, split=encoder is not None or stored_split(words.negatives) is not None
    )


def shown_as(encoder: clip.Encoder | None) -> Preprocessing:
    """How pictures are shown on a page: as the encoder sees them, or as CLIPs do."""
    return Preprocessing(224, 224) if encoder is None else encoder.model.preprocessing


def check_dimensions(encoder: clip.Encoder | None, sets: Sequence[Any]) -> None:
    """Raises InputError for embeddings of another dimension than each other's or the encoder's."""
    found = {own.name: own.rows.shape[1] for own in sets if isinstance(own, EmbeddedSet)}
    if encoder is not None and found:
        found["the encoder --clip"] = encoder.model.config.projection_dim
    (first, size), *rest = found.items() if found else [("", 0)]
    for name, other in rest:
        if other != size:
            raise InputError(
                f"embeddings: {first} has {size} dimensions, {name} has {other}; take all from one "
                "encoder, or give --class_embeddings and --negative_embeddings"
            )


def with_notes(labels: Labels, sets: Sequence[EmbeddedSet]) -> Labels:
    """The labels with a line on what is left out, and on rows that were not of unit length."""
    lengths = [
        f"{own.name}: rows of length {own.file.norms[0]:.3g} to {own.file.norms[1]:.3g}, "
        "taken at unit length"
        for own in sets
        if not own.file.is_unit
    ]
    return labels._replace(read=(*labels.read, *lengths, LEFT_OUT))


def shared_rows(id_sets: Sequence[EmbeddedSet], ood_sets: Sequence[EmbeddedSet]) -> list[str]:
    """A line per ID and OOD set that have rows in common, bit for bit."""
    hashes = {own.name: _row_hashes(own.file.rows) for own in (*id_sets, *ood_sets)}
    lines = []
    for known, other in itertools.product(id_sets, ood_sets):
        count = len(hashes[known.name] & hashes[other.name])
        if count:
            lines.append(f"{other.name}: {count} of its rows are in the ID set {known.name} too")
    return lines


def _row_hashes(rows: np.ndarray) -> set[int]:
    found: set[int] = set()
    for start in range(0, len(rows), BLOCK):
        block = np.ascontiguousarray(rows[start : start + BLOCK])
        found |= {hash(row.tobytes()) for row in block}
    return found
