"""Scores that need features of ID pictures, beside those of `methods`, which need texts alone.

A new one is a function of [N, D] and `References`, and a line in `REFERENCED`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.errors import InputError
from jaxvlm.ood import scores

_BLOCK = 1024  # pictures scored at a time


class References(NamedTuple):
    """ID pictures with their classes, and the texts of both sides, unit rows.

    rows [R, D]; classes [R], integers below K; positive [K, D], negative [M, D]; scale: of the
    similarities; num_groups: of the negatives.
    """

    rows: ArrayLike
    classes: ArrayLike
    positive: ArrayLike
    negative: ArrayLike
    scale: float = 100.0
    num_groups: int = 10


class Gaussians(NamedTuple):
    """Class means [K', D] and one covariance, as what whitens it: rows times ``whiten`` [D, D]
    have the identity. Of all pictures as one class: one mean."""

    means: np.ndarray
    whiten: np.ndarray


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


def mahalanobis_score(images: ArrayLike, references: ArrayLike, classes: ArrayLike) -> np.ndarray:
    """Mahalanobis++: S = −min_k (z − μ_k)ᵀ Σ⁻¹ (z − μ_k) of unit features z, float32 [N].

    μ_k: mean of class k's unit features; Σ = 1/R Σ_r (z_r − μ)(z_r − μ)ᵀ, μ of the own class.
    Directions that R pictures do not span have no variance and are left out (pseudo-inverse).

    Args:
      images: [N, D]. references: [R, D], ID pictures; classes: [R], integers.

    Raises ValueError: other shapes. InputError: fewer than two references, or no spread.

    Source: Mueller and Hein 2025 (Mahalanobis++, ICML, arXiv 2505.18032): Lee et al. 2018 on
    features of unit length.
    """
    _check_classes("mahalanobis_score", images, references, classes)
    return -_least_distance(images, fit_gaussians(references, classes))


def relative_mahalanobis_score(
    images: ArrayLike, references: ArrayLike, classes: ArrayLike
) -> np.ndarray:
    """RMD: S = −min_k (d_k − d_0), d_k as in `mahalanobis_score`, float32 [N].

    d_0: distance from the mean of all references under their covariance, classes apart. Of unit
    features, as there; the paper's are not normalised.

    Raises as `mahalanobis_score`.

    Source: Ren et al. 2021 (arXiv 2106.09022), equation 2.
    """
    _check_classes("relative_mahalanobis_score", images, references, classes)
    near = _least_distance(images, fit_gaussians(references, classes))
    whole = _least_distance(images, fit_gaussians(references, np.zeros(len(references), int)))
    return whole - near


def fit_gaussians(references: ArrayLike, classes: ArrayLike) -> Gaussians:
    """Means of the classes that occur and the whitening of their common covariance, in float64.

    Raises InputError: fewer than two references, or references that do not differ in a class.
    """
    rows = np.asarray(unit(np.asarray(references, np.float64)))
    _, of = np.unique(np.asarray(classes), return_inverse=True)
    sums = np.zeros((of.max(initial=-1) + 1, rows.shape[1]))
    np.add.at(sums, of, rows)
    means = sums / np.bincount(of)[:, None]
    variances, axes = np.linalg.eigh((rows - means[of]).T @ (rows - means[of]) / max(len(rows), 1))
    spread = variances > variances.max(initial=0) * 1e-9
    if len(rows) < 2 or not variances.max(initial=0) > 0:
        raise InputError("Mahalanobis: ID pictures that do not differ; give several per class")
    return Gaussians(means, axes[:, spread] / np.sqrt(variances[spread]))


def prototypes(references: ArrayLike, classes: ArrayLike, num_classes: int) -> np.ndarray:
    """Unit mean of each class's unit features, [K, D]; zeros for a class without a picture."""
    rows = np.asarray(unit(np.asarray(references, np.float32)))
    sums = np.zeros((num_classes, rows.shape[1]), np.float32)
    np.add.at(sums, np.asarray(classes), rows)
    return np.asarray(unit(sums))


def interneg_words(
    words: ArrayLike, positive: ArrayLike, class_prototypes: ArrayLike, *, count: int = 2000
) -> np.ndarray:
    """InterNeg's negatives: rows of ``words`` [W, D], best first, at most ``count``.

    With d_k = ⟨t_k, c_k⟩, c_k the unit mean of class k's pictures: word w is a negative only if
    ⟨w, c_k⟩ < d_k for all k; the largest mean margin mean_k (d_k − ⟨w, c_k⟩) first. A class
    without a picture, c_k = 0, has no say.

    Published: M = 2,000 (split over adjectives and nouns by how many are valid; here the one list
    is ranked), scored by NegLabel with G = 5. The texts that its release learns for low-scored
    pictures are not part of this.

    Raises ValueError: other shapes.

    Source: Xu et al. 2026 (InterNeg, CVPR, arXiv 2603.02618); ZhikangXu0112/InterNeg,
    ``openood/networks/clip_fixed_ood_prompt.py``.
    """
    check_shapes(
        "interneg_words",
        words=(words, "W D"),
        positive=(positive, "K D"),
        class_prototypes=(class_prototypes, "K D"),
    )
    centres = np.asarray(class_prototypes, np.float32)
    seen = np.abs(centres).max(axis=1) > 0
    near = (np.asarray(positive, np.float32)[seen] * centres[seen]).sum(axis=1)
    margin = near - np.asarray(words, np.float32) @ centres[seen].T
    order = np.argsort(-margin.mean(axis=1), kind="stable")
    return order[(margin > 0).all(axis=1)[order]][:count]


def interneg_score(images: ArrayLike, references: References) -> np.ndarray:
    """NegLabel with those negatives that `interneg_words` keeps, float32 [N].

    Raises InputError if it keeps fewer than fill the groups.
    """
    centres = prototypes(references.rows, references.classes, len(references.positive))
    kept = interneg_words(references.negative, references.positive, centres)
    if len(kept) < references.num_groups:
        raise InputError(
            f"InterNeg: {len(kept)} words are farther from every class's pictures than its text; "
            f"{references.num_groups} groups need as many; give more negatives or pictures"
        )
    kept = np.sort(kept)  # as they fill the groups
    texts = Texts(references.positive, np.asarray(references.negative)[kept], references.scale)
    parts = [np.empty(0, np.float32)]
    for first in range(0, len(images), _BLOCK):
        block = np.asarray(unit(images[first : first + _BLOCK]))
        padded = np.pad(block, ((0, min(_BLOCK, len(images)) - len(block)), (0, 0)))
        found = _neglabel(padded, *texts, num_groups=references.num_groups)
        parts.append(np.asarray(found)[: len(block)])
    return np.concatenate(parts)


class Texts(NamedTuple):
    """Of `interneg_score`."""

    positive: ArrayLike
    negative: ArrayLike
    scale: float


REFERENCED: Mapping[str, tuple[str, Callable[[ArrayLike, References], np.ndarray]]] = {
    "knn": (
        "kNN (k-th nearest ID picture)",
        lambda images, known: knn_score(images, known.rows),
    ),
    "mahalanobis": (
        "Mahalanobis++ (unit features)",
        lambda images, known: mahalanobis_score(images, known.rows, known.classes),
    ),
    "relative_mahalanobis": (
        "Relative Mahalanobis (RMD)",
        lambda images, known: relative_mahalanobis_score(images, known.rows, known.classes),
    ),
    "interneg": ("NegLabel on InterNeg's words", interneg_score),
}


def _check_classes(function: str, images, references, classes) -> None:
    check_shapes(
        function,
        images=(images, "N D"),
        references=(references, "R D"),
        classes=(classes, "R"),
    )


def _least_distance(images: ArrayLike, fitted: Gaussians) -> np.ndarray:
    """min_k ‖(z − μ_k) W‖², a block of rows at a time."""
    means = fitted.means @ fitted.whiten
    square = (means**2).sum(axis=1)
    found = [np.empty(0, np.float32)]
    for first in range(0, len(images), _BLOCK):
        rows = np.asarray(unit(np.asarray(images[first : first + _BLOCK], np.float64)))
        rows = rows @ fitted.whiten
        distance = (rows**2).sum(axis=1)[:, None] - 2 * rows @ means.T + square
        found.append(distance.min(axis=1).astype(np.float32))
    return np.concatenate(found)


@functools.partial(jax.jit, static_argnames="num_groups")
def _neglabel(images, positive, negative, scale, *, num_groups: int) -> jax.Array:
    known = scale * jnp.matmul(images, jnp.asarray(positive).T, precision="highest")
    other = scale * jnp.matmul(images, jnp.asarray(negative).T, precision="highest")
    score = functools.partial(scores.neglabel_score, num_groups=num_groups)
    return jax.vmap(score)(known, other)


@functools.partial(jax.jit, static_argnames="k")
def _kth_distance(images: jax.Array, references: jax.Array, *, k: int) -> jax.Array:
    cosine = jnp.matmul(images, references.T, precision="highest")
    kth = jax.lax.top_k(cosine, k)[0].min(axis=1)  # of a slice XLA would make a sort of all
    return jnp.sqrt(jnp.maximum(2 - 2 * kth, 0.0))
