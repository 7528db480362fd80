"""OOD scores of one image from its similarities. Higher means in-distribution, everywhere.

Similarities are z = 100·cosine, 100 being CLIP's logit scale. All functions take one image and
are batched with ``jax.vmap``. They raise ValueError for other shapes than their docstring names.
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_same_shape, check_shapes
from jaxvlm.errors import InputError

# Of the k largest values, the share that an approximate top-k is expected to find.
RECALL = 0.95


def topk_mean(values: ArrayLike, k: int, *, axis: int = -1, approximate: bool = False) -> jax.Array:
    """Mean of the k largest of n values [..., n], or along ``axis``; of all, if n < k.

    k = 1 is the maximum.

    ``approximate`` lets an accelerator that has a faster approximate top-k (a TPU) use it: of the
    k largest, `RECALL` are found on average, others stand in for the rest, so the mean can only
    be too low. Elsewhere the result is exact. For one image of a large bank, not for groups of
    tens.

    Raises InputError if k < 1 or there is no value.

    Source of the approximation: Chern et al. 2022, by `jax.lax.approx_max_k`.
    """
    if k < 1:
        raise InputError(f"top-k mean: k is {k}; give at least 1")
    check_shapes("topk_mean", values=(values, "... n"))
    values = jnp.moveaxis(jnp.asarray(values), axis, -1)
    if not values.shape[-1]:
        raise InputError("top-k mean: of no value; give at least one")
    k = min(k, values.shape[-1])
    if approximate:
        largest = jax.lax.approx_max_k(values, k, recall_target=RECALL)[0]
    else:
        largest = jax.lax.top_k(values, k)[0]
    return largest.mean(axis=-1)


def group_negatives(
    neg_sim: ArrayLike, *, permutation: ArrayLike | None = None, num_groups: int = 100
) -> jax.Array:
    """Drops the last M mod G negatives, permutes the rest and splits them into G groups.

    Args:
      neg_sim: [M]. permutation: [M − M mod G] indices, or None for the order given.

    Returns [G, M // G].

    Raises InputError: M < G, or a permutation of another length.

    Source: Jiang et al. 2024 (NegLabel), section 3.2.
    """
    neg_sim = jnp.asarray(neg_sim)
    count = check_shapes("group_negatives", neg_sim=(neg_sim, "M"))["M"]
    if not 1 <= num_groups <= count:
        raise InputError(
            f"negative labels: {count} cannot fill {num_groups} groups; "
            f"set num_groups to at most {count} or mine more words"
        )
    kept = neg_sim[: count - count % num_groups]
    if permutation is not None:
        if jnp.shape(permutation) != kept.shape:
            raise InputError(
                f"permutation: shape {list(jnp.shape(permutation))}, {kept.shape[0]} of the "
                f"{count} negative labels fill {num_groups} groups; give {kept.shape[0]} indices"
            )
        kept = kept[jnp.asarray(permutation)]
    return kept.reshape(num_groups, -1)


@functools.partial(jax.jit, static_argnames=("num_groups", "topk", "approximate"))
def neglabel_score(
    pos_sim: ArrayLike,
    neg_sim: ArrayLike,
    *,
    permutation: ArrayLike | None = None,
    num_groups: int = 100,
    topk: int | None = None,
    approximate: bool = False,
) -> jax.Array:
    """NegLabel: how much more the image resembles the ID classes than the negative labels.

    S = mean_g σ(LSE(z⁺) − LSE(z⁻_g)), the paper's Σe^{z⁺}/(Σe^{z⁺} + Σe^{z⁻_g}) without overflow.
    With ``topk`` = k > 0 (M1): S = mean_g σ(TopKMean_k(z⁺) − TopKMean_k(z⁻_g)).

    Args:
      pos_sim: [K]. neg_sim: [M]. permutation, num_groups: see `group_negatives`. approximate: see
        `topk_mean`; of no effect without ``topk``.

    Returns a scalar in [0, 1].

    Raises InputError: M < G, a permutation of another length, k < 0.

    Source: Jiang et al. 2024 (NegLabel), equation 8; M1: NegAlign.
    """
    check_shapes("neglabel_score", pos_sim=(pos_sim, "K"), neg_sim=(neg_sim, "M"))
    groups = group_negatives(neg_sim, permutation=permutation, num_groups=num_groups)
    if topk:
        positive = topk_mean(pos_sim, topk, approximate=approximate)
        negative = topk_mean(groups, topk, approximate=approximate)
    else:
        positive, negative = logsumexp(jnp.asarray(pos_sim)), logsumexp(groups, axis=-1)
    return jax.nn.sigmoid(positive - negative).mean()


@jax.jit
def mcm_score(pos_sim: ArrayLike, *, temperature: float = 1.0) -> jax.Array:
    """Maximum concept matching: S = max_k softmax(cos/τ)_k, cos = z/100.

    Args:
      pos_sim: [K]. temperature: τ, of cosines.

    Source: Ming et al. 2022 (MCM), equation 2, with their τ = 1.
    """
    check_shapes("mcm_score", pos_sim=(pos_sim, "K"))
    return jax.nn.softmax(jnp.asarray(pos_sim) / (100.0 * temperature)).max()


@jax.jit
def max_logit_score(pos_sim: ArrayLike) -> jax.Array:
    """S = max_k z_k, of pos_sim [K] (Hendrycks et al. 2022)."""
    check_shapes("max_logit_score", pos_sim=(pos_sim, "K"))
    return jnp.max(jnp.asarray(pos_sim))


@jax.jit
def energy_score(pos_sim: ArrayLike, *, temperature: float = 1.0) -> jax.Array:
    """S = T·LSE(z/T), the negative free energy of pos_sim [K] (Liu et al. 2020, equation 4)."""
    check_shapes("energy_score", pos_sim=(pos_sim, "K"))
    return temperature * logsumexp(jnp.asarray(pos_sim) / temperature)


@jax.jit
def local_mcm_score(local_sim: ArrayLike, *, temperature: float = 1.0) -> jax.Array:
    """S = max_{p,k} softmax_k(cos_pk/τ), of the patches' similarities local_sim [P, K].

    Source: Miyai et al. 2023 (GL-MCM), equation 6, with their τ = 1. Their local features are
    ``value_block`` of `clip.encode_tapped`, through post-layernorm and projection.
    """
    check_shapes("local_mcm_score", local_sim=(local_sim, "P K"))
    return jax.nn.softmax(jnp.asarray(local_sim) / (100.0 * temperature), axis=-1).max()


def glmcm_score(pos_sim: ArrayLike, local_mcm: ArrayLike, *, weight: float = 1.0) -> jax.Array:
    """GL-MCM: S = S_MCM + weight·S_L-MCM.

    Args:
      pos_sim: [K]. local_mcm: a scalar, see `local_mcm_score`.

    Source: Miyai et al. 2023, equation 7, with their weight 1 (0.5 in their ImageNet script).
    """
    check_shapes("glmcm_score", pos_sim=(pos_sim, "K"), local_mcm=(local_mcm, ""))
    return mcm_score(pos_sim) + weight * jnp.asarray(local_mcm)


@jax.jit
def one_group_score(pos_sim: ArrayLike, neg_sim: ArrayLike) -> jax.Array:
    """NegLabel with G = 1: S = Σe^{z⁺} / (Σe^{z⁺} + Σe^{z⁻}) = σ(LSE(z⁺) − LSE(z⁻)).

    Args:
      pos_sim: [K]. neg_sim: [M].

    CSP's paper writes its score so; all published configurations of its code take 100 groups,
    which is `neglabel_score` on CSP's words.

    Source: Jiang et al. 2024 (NegLabel), equation 6; Chen et al. 2024 (CSP), equation 3.
    """
    check_shapes("one_group_score", pos_sim=(pos_sim, "K"), neg_sim=(neg_sim, "M"))
    return jax.nn.sigmoid(logsumexp(jnp.asarray(pos_sim)) - logsumexp(jnp.asarray(neg_sim)))


@jax.jit
def multi_matching_score(pair_sim: ArrayLike, pair_neg_sim: ArrayLike) -> jax.Array:
    """S_MM = max_{i,j} σ(z("p_i and n_j") − z(n_j)) over the best classes and negative labels.

    High if the class adds to what the negative label alone explains.

    Args:
      pair_sim: [I, J] similarities to the texts "p_i and n_j". pair_neg_sim: [J], to n_j alone.

    Source: Ansari et al. 2025 (NegRefine), section 4.2.
    """
    check_shapes(
        "multi_matching_score", pair_sim=(pair_sim, "I J"), pair_neg_sim=(pair_neg_sim, "J")
    )
    return jax.nn.sigmoid(jnp.max(jnp.asarray(pair_sim) - jnp.asarray(pair_neg_sim)))


def negrefine_score(
    neglabel: ArrayLike, multi_matching: ArrayLike, *, weight: float = 2.0
) -> jax.Array:
    """NegRefine: S = S_NegLabel + weight·S_MM.

    Args:
      neglabel, multi_matching: [...], elementwise, of one shape.

    Source: Ansari et al. 2025, section 4.2; their weight 2.
    """
    check_same_shape("negrefine_score", neglabel=neglabel, multi_matching=multi_matching)
    return jnp.asarray(neglabel) + weight * jnp.asarray(multi_matching)
