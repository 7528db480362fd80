"""Scores against label banks that are split over the ``label`` axis of a mesh.

Log-sum-exp and top-k are exact across shards: the one combines maxima and sums, the other takes the
k largest of every shard's k largest. A bank is padded to a multiple of the shards; what is padded
counts as −∞.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from jaxvlm import parallel
from jaxvlm.ood.scores import group_negatives


def is_split(mesh: Mesh | None) -> bool:
    """Whether label banks are split on this mesh."""
    return mesh is not None and mesh.shape[parallel.LABEL] > 1


def neglabel_scores(
    embeddings: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    mesh: Mesh,
    weights: ArrayLike | None = None,
    permutation: ArrayLike | None = None,
    logit_scale: float = 100.0,
    num_groups: int = 100,
    topk: int | None = None,
) -> np.ndarray:
    """`scores.neglabel_score` of N unit embeddings: mean_g σ(LSE z⁺ − LSE z⁻_g), or with TopKMean.

    Every shard holds a part of every group, so ``num_groups`` = 1 is CSP.

    Args:
      embeddings: [N, D], the same in every process. positive: [K, D]. negative: [M, D].
      weights: [M], multiply the similarities; None: 1.
      permutation, num_groups, topk: as of `scores.neglabel_score`.

    Returns [N] float32.

    Raises InputError as `scores.group_negatives`.
    """
    order = np.asarray(
        group_negatives(np.arange(len(negative)), permutation=permutation, num_groups=num_groups)
    )
    factors = np.ones(len(negative)) if weights is None else np.asarray(weights)
    classes, class_mask = _split(np.asarray(positive), mesh, axis=0)
    groups, group_mask = _split(np.asarray(negative)[order], mesh, axis=1)
    factors, _ = _split(logit_scale * factors[order], mesh, axis=1)
    return _by_rows(
        lambda rows: _neglabel(
            rows,
            (classes, class_mask, logit_scale),
            (groups, group_mask, factors),
            mesh=mesh,
            positive_k=topk and min(topk, len(positive)),
            negative_k=topk and min(topk, order.shape[1]),
        ),
        embeddings,
        mesh,
    )


def topk_mean_scores(
    embeddings: ArrayLike,
    bank: ArrayLike,
    k: int,
    *,
    mesh: Mesh,
    weights: ArrayLike | None = None,
) -> np.ndarray:
    """`scores.topk_mean` of the weighted cosines of N embeddings [N, D] to a bank [M, D], [N]."""
    factors = np.ones(len(bank)) if weights is None else np.asarray(weights)
    rows, mask = _split(np.asarray(bank), mesh, axis=0)
    factors, _ = _split(factors, mesh, axis=0)
    k = min(k, len(bank))
    return _by_rows(
        lambda part: _topk_mean(part, (rows, mask, factors), mesh=mesh, k=k), embeddings, mesh
    )


def logsumexp_across(values: jax.Array, axis_name: str) -> jax.Array:
    """log Σ exp over the last axis of all shards; a shard may hold only −∞.

    LSE = m + log Σ_shards Σ exp(z − m), m the largest of all.
    """
    largest = jax.lax.pmax(jax.lax.stop_gradient(values.max(axis=-1)), axis_name)
    return largest + jnp.log(
        jax.lax.psum(jnp.exp(values - largest[..., None]).sum(axis=-1), axis_name)
    )


def topk_mean_across(values: jax.Array, k: int, axis_name: str) -> jax.Array:
    """Mean of the k largest over the last axis of all shards, which hold at least k together."""
    here = jax.lax.top_k(values, min(k, values.shape[-1]))[0]
    every = jax.lax.all_gather(here, axis_name, axis=here.ndim - 1, tiled=True)
    return jax.lax.top_k(every, k)[0].mean(axis=-1)


@functools.partial(jax.jit, static_argnames=("mesh", "positive_k", "negative_k"))
def _neglabel(embeddings, positive, negative, *, mesh, positive_k, negative_k):
    def score(embeddings, positive, negative):
        classes, class_mask, scale = positive
        groups, group_mask, factors = negative
        cosines = jnp.matmul(embeddings, classes.T, precision="highest")
        z_positive = jnp.where(class_mask, scale * cosines, -jnp.inf)
        similar = factors * jnp.einsum("nd,gsd->ngs", embeddings, groups, precision="highest")
        z_negative = jnp.where(group_mask, similar, -jnp.inf)
        if positive_k:
            pos = topk_mean_across(z_positive, positive_k, parallel.LABEL)
            neg = topk_mean_across(z_negative, negative_k, parallel.LABEL)
        else:
            pos = logsumexp_across(z_positive, parallel.LABEL)
            neg = logsumexp_across(z_negative, parallel.LABEL)
        return jax.nn.sigmoid(pos[:, None] - neg).mean(axis=1)

    split, inner = P(parallel.LABEL), P(None, parallel.LABEL)
    specs = P(parallel.DATA), (split, split, P()), (inner, split, inner)
    return _shard_map(score, mesh, specs)(embeddings, positive, negative)


@functools.partial(jax.jit, static_argnames=("mesh", "k"))
def _topk_mean(embeddings, bank, *, mesh, k):
    def score(embeddings, bank):
        rows, mask, factors = bank
        cosines = jnp.matmul(embeddings, rows.T, precision="highest")  # no TF32, no bfloat16
        similar = jnp.where(mask, factors * cosines, -jnp.inf)
        return topk_mean_across(similar, k, parallel.LABEL)

    split = P(parallel.LABEL)
    return _shard_map(score, mesh, (P(parallel.DATA), (split, split, split)))(embeddings, bank)


def _shard_map(score: Callable, mesh: Mesh, specs: tuple) -> Callable:
    # What an all_gather gives is the same in every shard, but JAX's check cannot see that.
    return jax.shard_map(
        score, mesh=mesh, in_specs=specs, out_specs=P(parallel.DATA), check_vma=False
    )


def _split(rows: np.ndarray, mesh: Mesh, *, axis: int) -> tuple[jax.Array, jax.Array]:
    """Rows on the label axis, padded with zeros to a multiple of the shards, and which are real."""
    count, shards = rows.shape[axis], mesh.shape[parallel.LABEL]
    padding = [(0, 0)] * rows.ndim
    padding[axis] = 0, -count % shards
    spec = P(*[None] * axis, parallel.LABEL)
    padded = np.pad(rows.astype(np.float32), padding)
    real = np.arange(padded.shape[axis]) < count
    return (
        jax.device_put(padded, NamedSharding(mesh, spec)),
        jax.device_put(real, NamedSharding(mesh, P(parallel.LABEL))),
    )


def _by_rows(
    score: Callable[[jax.Array], jax.Array], embeddings: ArrayLike, mesh: Mesh
) -> np.ndarray:
    """Scores [N] of embeddings [N, D] that every process has, split over ``data``."""
    embeddings = np.asarray(embeddings, np.float32)
    padding = -len(embeddings) % mesh.shape[parallel.DATA]
    padded = np.pad(embeddings, ((0, padding), (0, 0)))
    scores = score(jax.device_put(padded, NamedSharding(mesh, P(parallel.DATA))))
    whole = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(scores)
    return np.asarray(whole)[: len(embeddings)]
