"""Log-sum-exp, top-k and scores over a bank of labels that several devices share: exact.

The one combines maxima and sums, the other takes the k largest of every device's k largest. A bank
is padded to a multiple of the devices; what is padded counts as −∞.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxvlm import parallel
from jaxvlm.ood.scores import topk_mean
from jaxvlm.ood.text_scores import EOE_BETA


def logsumexp_across(values: jax.Array, axis_name: str | None) -> jax.Array:
    """log Σ exp over the last axis of all shards; a shard may hold only −∞.

    LSE = m + log Σ_shards Σ exp(z − m), m the largest of all. axis_name None: one shard.
    """
    if axis_name is None:
        return logsumexp(values, axis=-1)
    largest = jax.lax.pmax(jax.lax.stop_gradient(values.max(axis=-1)), axis_name)
    return largest + jnp.log(
        jax.lax.psum(jnp.exp(values - largest[..., None]).sum(axis=-1), axis_name)
    )


def topk_mean_across(
    values: jax.Array, k: int, axis_name: str | None, *, approximate: bool = False
) -> jax.Array:
    """Mean of the k largest over the last axis of all shards; of all that are not −∞, if fewer.

    axis_name None: one shard, which holds no −∞. approximate: there only, see `scores.topk_mean`.
    """
    if axis_name is None:
        return topk_mean(values, k, approximate=approximate)
    here = jax.lax.top_k(values, min(k, values.shape[-1]))[0]
    every = jax.lax.all_gather(here, axis_name, axis=here.ndim - 1, tiled=True)
    largest = jax.lax.top_k(every, min(k, every.shape[-1]))[0]
    real = largest > -jnp.inf
    return jnp.where(real, largest, 0.0).sum(axis=-1) / real.sum(axis=-1)


def eoe_across(known: jax.Array, outliers: jax.Array, axis_name: str | None) -> jax.Array:
    """`text_scores.eoe_score` [n] as published, of cosines [n, K] to the classes and [n, m] to the
    outlier labels of this shard, −∞ where there is none."""
    whole = jnp.logaddexp(logsumexp(known, axis=-1), logsumexp_across(outliers, axis_name))
    largest = outliers.max(axis=-1)
    if axis_name is not None:
        largest = jax.lax.pmax(largest, axis_name)
    return jnp.exp(known.max(axis=-1) - whole) - EOE_BETA * jnp.exp(largest - whole)


def size_free_across(
    known: jax.Array, groups: jax.Array, is_real: jax.Array, axis_name: str | None
) -> jax.Array:
    """`text_scores.size_free_score` [n] of z⁺ [n, K] and this shard's part of the groups z⁻
    [n, G, w], −∞ where ``is_real`` [G, w] says that there is none."""
    log_size = logsumexp_across(jnp.where(is_real, 0.0, -jnp.inf), axis_name)
    other = logsumexp_across(groups, axis_name) + jnp.log(known.shape[1]) - log_size
    return jax.nn.sigmoid(logsumexp(known, axis=-1)[:, None] - other).mean(axis=1)


def over(mesh: Mesh | None, on_shard: Callable, specs: tuple[P, ...]) -> Callable:
    """A function of arrays that are split by ``specs``, run on every device of the mesh.

    Its result, rows split over ``data``, is whole in every process. mesh None: as it is.
    """
    if mesh is None:
        return on_shard
    # What an all_gather gives is the same in every shard, but JAX's check cannot see that.
    mapped = jax.shard_map(
        on_shard, mesh=mesh, in_specs=specs, out_specs=P(parallel.DATA), check_vma=False
    )
    whole = NamedSharding(mesh, P())
    return lambda *arrays: jax.lax.with_sharding_constraint(mapped(*arrays), whole)


def put_rows(rows: Any, mesh: Mesh | None) -> Any:
    """Arrays of rows that every process has, split over ``data``, whose size divides them."""
    return rows if mesh is None else parallel.place(rows, mesh, P(parallel.DATA))
