"""Texts that an encoder cannot tell apart, from their embeddings."""

from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit

SIMILAR = 0.95  # cosine from which two texts are nearly one

_NAMED = 3  # pairs that a line names


def similar_pairs(embeddings: ArrayLike, similar: float = SIMILAR) -> list[tuple[int, int, float]]:
    """Pairs i < j of rows [C, D] whose cosine is ``similar`` or more, with it, in order.

    Raises ValueError for another shape.
    """
    check_shapes("similar_pairs", embeddings=(embeddings, "C D"))
    rows = np.asarray(embeddings, np.float32)
    rows = unit(rows)
    cosine = rows @ rows.T
    first, second = np.nonzero(np.triu(cosine >= similar, 1))
    return [(int(i), int(j), float(cosine[i, j])) for i, j in zip(first, second, strict=True)]


def unknown_words(
    pairs: Sequence[tuple[int, int, float]], count: int, what: str, similar: float = SIMILAR
) -> str | None:
    """A line where more pairs of ``count`` texts are nearly one than there are texts, else None.

    Then it is not the texts that are at fault. what: "atoms", "classes".
    """
    if len(pairs) <= count:
        return None
    return (
        f"{len(pairs)} of {count * (count - 1) // 2} pairs of {what} have a cosine of {similar} or "
        "more: this encoder does not know their words"
    )


def text_doubts(
    embeddings: ArrayLike, names: Sequence[str], what: str, similar: float = SIMILAR
) -> list[str]:
    """At most one line: the encoder does not know the words, or some of them are nearly one."""
    pairs = similar_pairs(embeddings, similar)
    if not pairs:
        return []
    if unknown := unknown_words(pairs, len(names), what, similar):
        return [f"{unknown}, and its scores say nothing about them; take another --clip"]
    named = "; ".join(f"{names[i]!r} and {names[j]!r}" for i, j, _ in pairs[:_NAMED])
    more = f"; and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    return [
        f"{what} that this encoder can hardly tell apart (cosine {similar} or more): {named}{more}"
    ]
