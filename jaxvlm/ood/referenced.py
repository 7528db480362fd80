"""Scores that need features of ID pictures, beside those of `methods`, which need texts alone.

A new one is a function of [N, D] and the references [R, D], and a line in `REFERENCED`.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit

_BLOCK = 1024  # pictures scored at a time


def knn_score(
    images: ArrayLike, references: ArrayLike, *, neighbours: int | None = None
) -> np.ndarray:
    """S = −‖z − r_(k)‖, the distance to the k-th nearest ID picture, of unit features.

    Args:
      images: [N, D], any length of rows; blocks of them are looked at.
      references: [R, D], of ID pictures that are not among the N.
      neighbours: k; of fewer than k references the farthest one counts. None: one in a hundred
        references, at least 1 and at most 10.

    Returns:
      float32 [N], higher for in-distribution.

    Raises:
      ValueError: other shapes, no reference, k < 1.

    Source: Sun et al. 2022, equation 3.
    """
    check_shapes("knn_score", images=(images, "N D"), references=(references, "R D"))
    if neighbours is None:
        neighbours = min(max(len(references) // 100, 1), 10)
    if neighbours < 1 or not len(references):
        raise ValueError(f"knn_score: k = {neighbours}, {len(references)} references; at least 1")
    references = unit(references)
    k = min(neighbours, len(references))
    parts = [np.empty(0, np.float32)]
    for first in range(0, len(images), _BLOCK):
        block = np.asarray(unit(images[first : first + _BLOCK]))
        padded = np.pad(block, ((0, min(_BLOCK, len(images)) - len(block)), (0, 0)))
        parts.append(np.asarray(_kth_distance(padded, references, k=k))[: len(block)])
    return -np.concatenate(parts)


REFERENCED: Mapping[str, tuple[str, Callable[..., np.ndarray]]] = {
    "knn": ("kNN (k-th nearest ID picture)", knn_score),
}


@functools.partial(jax.jit, static_argnames="k")
def _kth_distance(images: jax.Array, references: jax.Array, *, k: int) -> jax.Array:
    cosine = jnp.matmul(images, references.T, precision="highest")
    kth = jax.lax.top_k(cosine, k)[0][:, -1]
    return jnp.sqrt(jnp.maximum(2 - 2 * kth, 0.0))
