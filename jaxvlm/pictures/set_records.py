"""Which pictures and words a run was made of, for its JSON: hashes of what no flag names."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxvlm.data.embedding_files import BLOCK
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.pictures.embedded import EmbeddedSet
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.tables import picture_name


def set_records(
    sides: Mapping[str, Sequence[tuple[ScoredSet, ImageSet | EmbeddedSet]]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Of each side's sets, as they were scored and as they were given, by name: group, number of
    pictures, whether they have labels, and ``list_sha256``, over ``path below the folder, tab,
    label`` of each picture, a line each, in order. Of embeddings also ``rows_sha256``, over the
    array as it is stored, before a sample is drawn.
    """
    return {
        side: {own.name: _set_record(own, given) for own, given in sets}
        for side, sets in sides.items()
        if sets
    }


def _set_record(own: ScoredSet, given: ImageSet | EmbeddedSet) -> dict[str, Any]:
    labels = own.labels or [""] * len(own.paths)
    record = {
        "group": own.group,
        "pictures": len(own.paths),
        "labels": own.labels is not None,
        "list_sha256": _of_texts(
            f"{picture_name(own, n)}\t{label}\n" for n, label in enumerate(labels)
        ),
    }
    if isinstance(given, EmbeddedSet):
        record["rows_sha256"] = _of_rows(given.file.rows)
    return record


def word_records(labels: Labels) -> dict[str, dict[str, Any]]:
    """Of the classes and the negatives ``words_sha256``, over a word a line, and ``rows_sha256``,
    over their embeddings in float32."""
    banks, names = labels.banks, labels.names
    pairs = {
        "positive": (names.positive, banks.positive),
        "negative": (names.negative, banks.negative),
    }
    return {
        name: {
            "words_sha256": _of_texts(f"{word}\n" for word in words),
            "rows_sha256": _of_rows(np.asarray(rows, np.float32)),
        }
        for name, (words, rows) in pairs.items()
    }


def _of_texts(lines: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _of_rows(rows: np.ndarray) -> str:
    """Over the bytes of the rows, a block at a time: memory need not hold all."""
    digest = hashlib.sha256()
    for start in range(0, len(rows), BLOCK):
        digest.update(np.ascontiguousarray(rows[start : start + BLOCK]).tobytes())
    return digest.hexdigest()
