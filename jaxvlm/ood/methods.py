"""Every method that a user compares with, from arrays that were encoded once."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jax.typing import ArrayLike

from jaxvlm import parallel
from jaxvlm.arrays import check_shapes
from jaxvlm.ood import scores
from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.background import AlignmentParts, AlignmentSettings, alignment_of
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.encoding import Encoded, check_encoded
from jaxvlm.ood.placing import Background, Negatives, PlacedBanks
from jaxvlm.ood.sharded import (
    eoe_across,
    logsumexp_across,
    over,
    put_rows,
    size_free_across,
    topk_mean_across,
)
from jaxvlm.ood.text_scores import cma_score

_BLOCK = 1024  # pictures scored at a time

# What `method_scores` computes, in the order of a table; NegAlign itself is a base and a P_align.
# G is ``num_groups``, 100 in the published configurations of NegLabel, CSP and NegRefine.
METHODS: Mapping[str, str] = {
    "mcm": "MCM",
    "max_logit": "MaxLogit",
    "energy": "Energy",
    "eoe": "EOE (outlier labels: the negatives)",
    "cma": "CMA (neutral agents)",
    "gl_mcm": "GL-MCM",
    "gl_mcm_output": "GL-MCM on output tokens",
    "neglabel": "NegLabel (G groups)",
    "neglabel_one_group": "NegLabel (G = 1)",
    "size_free": "NegLabel, size-invariant (G groups)",
    "neglabel_m1": "NegLabel + M1 (top-k mean)",
    "neglabel_star": "NegLabel* (M2: object negatives)",
    "neglabel_star_m1": "NegLabel* (M1 + M2)",
    "neglabel_star_soft": "NegLabel* (soft weights)",
    "foreground_star": "foreground-star",
    "csp": "CSP (its words, G groups)",
    "negrefine": "NegRefine",
}


def base_method(config: NegAlignConfig) -> str:
    """The key of `METHODS` that P_align is added to: S* with the parts that are on (M1, M2)."""
    if not config.use_neglabel_star:
        return "neglabel"
    name = "neglabel_star" if config.use_role_aware_negatives else "neglabel"
    return f"{name}_m1" if config.topk_aggregation_k else name


def method_scores(
    encoded: Encoded,
    banks: PlacedBanks,
    config: NegAlignConfig,
    *,
    multi_matching: ArrayLike | None = None,
    methods: Collection[str] | None = None,
) -> dict[str, np.ndarray]:
    """Scores [N] of `METHODS`, without P_align; higher means in-distribution.

    The similarities of a block of pictures to the classes, z⁺ [n, K], and to the negatives,
    z⁻ [n, M], are computed once; every method is arithmetic on them.

    M1 uses k = ``config.topk_aggregation_k``, 10 where that is off. ``negrefine`` is there only
    with ``multi_matching`` [N] (see `pairs.multi_matching_scores`), ``neglabel_star_soft`` only
    where the banks were placed with soft weights, the methods of M2 only where the object-leaning
    negatives fill the groups, ``csp`` only where there are CSP's words, `LabelBanks.conjugated`,
    ``cma`` only where there are agents, `LabelBanks.agents`.

    Args:
      encoded: of N pictures. banks: from `placing.place_banks`.
      methods: those that are wanted, and no more is computed; None: all that there are.

    Raises ValueError: other shapes, or banks placed for another number of groups.
    """
    check_encoded("method_scores", encoded, banks.positive.shape[1])
    matching = multi_matching, str(len(encoded.image))
    check_shapes("method_scores", multi_matching=matching)
    if banks.num_groups != config.num_groups:
        raise ValueError(
            f"method_scores: banks placed for {banks.num_groups} groups, num_groups is "
            f"{config.num_groups}; place them with this config"
        )
    settings = _Settings(
        config.num_groups,
        banks.group_size,
        config.topk_aggregation_k or 10,
        config.approximate_topk,
        config.glmcm_weight,
        None if methods is None else _needed(methods),
    )

    def score(part: Encoded) -> dict[str, jax.Array]:
        local = None
        if part.has_patches:
            local = np.stack([part.local_mcm, part.local_mcm_output], axis=1)
        return _method_scores(
            put_rows((part.image, part.foreground_layernorm, local), banks.mesh),
            (banks.positive, banks.agents),
            banks.negatives,
            np.float32(config.logit_scale),
            settings=settings,
            mesh=banks.mesh,
        )

    found = _in_blocks(score, encoded, banks.mesh)
    if multi_matching is not None and "neglabel" in found:
        found["negrefine"] = scores.negrefine_score(found["neglabel"], multi_matching)
    asked = METHODS if methods is None else methods
    return {name: np.asarray(found[name]) for name in METHODS if name in found and name in asked}


def alignment_scores(
    encoded: Encoded, banks: PlacedBanks, config: NegAlignConfig
) -> dict[str, np.ndarray]:
    """P_align [N] of every variant, and the parts ``bg_pos``, ``bg_neg``, ``fg_pos`` (cosines).

    Args:
      encoded: of N pictures. banks: from `placing.place_banks`.

    Raises ValueError: other shapes.
    """
    check_encoded("alignment_scores", encoded, banks.positive.shape[1])
    settings = AlignmentSettings(config.pos_topk, config.neg_topk, config.approximate_topk)

    def score(part: Encoded) -> dict[str, jax.Array]:
        parts = _alignment_parts(
            put_rows((part.foreground, part.background, part.predicted_class_idx), banks.mesh),
            banks.prompts,
            banks.background,
            settings=settings,
            mesh=banks.mesh,
        )
        variants = {
            name: align_score(parts.bg_pos, parts.bg_neg, variant=name, fg_pos=parts.fg_pos)
            for name in VARIANTS
        }
        return {**variants, **parts._asdict()}

    return _in_blocks(score, encoded, banks.mesh)


def _needed(methods: Collection[str]) -> frozenset[str]:
    """NegRefine adds to NegLabel. Something is always computed."""
    return frozenset(methods) | {"neglabel" if "negrefine" in methods else "mcm"}


class _Settings(NamedTuple):
    """What the compiled scores depend on."""

    num_groups: int
    group_size: int
    topk: int
    approximate: bool
    glmcm_weight: float
    methods: frozenset[str] | None


@functools.partial(jax.jit, static_argnames=("settings", "mesh"))
def _method_scores(
    pictures: tuple[ArrayLike, ArrayLike | None, ArrayLike | None],
    texts: tuple[jax.Array, jax.Array | None],
    negatives: Negatives,
    scale: ArrayLike,
    *,
    settings: _Settings,
    mesh: Mesh | None,
) -> dict[str, jax.Array]:
    """Of n pictures' images and foregrounds [n, D] and L-MCMs [n, 2], the latter two or None.

    texts: the classes and CMA's agents [K, D], or None.
    """
    score = functools.partial(_scores_on_shard, settings=settings, axis=_axis(mesh))
    specs = P(parallel.DATA), P(), P(parallel.LABEL), P()
    return over(mesh, score, specs)(pictures, texts, negatives, scale)


def _scores_on_shard(
    pictures: tuple[jax.Array, jax.Array | None, jax.Array | None],
    texts: tuple[jax.Array, jax.Array | None],
    negatives: Negatives,
    scale: jax.Array,
    *,
    settings: _Settings,
    axis: str | None,
) -> dict[str, jax.Array]:
    """`_method_scores` on one device of the axis, which has one share of the negatives."""
    (image, foreground, local_mcms), (positive, agents) = pictures, texts
    own = jax.tree.map(lambda share: share[0], negatives)
    cosine, other = _cosines(image, positive), _cosines(image, own.rows)
    z, similar = scale * cosine, scale * other
    width = settings.num_groups * settings.group_size

    def in_groups(values: jax.Array) -> jax.Array:
        return values[..., :width].reshape(*values.shape[:-1], settings.num_groups, -1)

    def neglabel(z: jax.Array, groups: jax.Array, topk: int = 0) -> jax.Array:
        """σ(LSE(z⁺) − LSE(z⁻_g)) or with TopKMean, mean over g, of z⁻_g [n, G, w]."""
        if topk:
            known = scores.topk_mean(z, topk, approximate=settings.approximate)
            other = topk_mean_across(groups, topk, axis, approximate=settings.approximate)
        else:
            known, other = logsumexp(z, axis=-1), logsumexp_across(groups, axis)
        return jax.nn.sigmoid(known[:, None] - other).mean(axis=1)

    def glmcm(local_mcm: jax.Array) -> jax.Array:
        score = functools.partial(scores.glmcm_score, weight=settings.glmcm_weight)
        return jax.vmap(score)(100.0 * cosine, local_mcm)

    groups = jnp.where(in_groups(own.is_real), in_groups(similar), -jnp.inf)
    found = {
        "mcm": jax.vmap(scores.mcm_score)(100.0 * cosine),
        "max_logit": jax.vmap(scores.max_logit_score)(z),
        "energy": jax.vmap(scores.energy_score)(z),
        "eoe": eoe_across(cosine, jnp.where(own.is_negative, other, -jnp.inf), axis),
        "neglabel": neglabel(z, groups),
        "neglabel_one_group": neglabel(z, jnp.where(own.is_negative, similar, -jnp.inf)[:, None]),
        "size_free": size_free_across(z, groups, in_groups(own.is_real), axis),
        "neglabel_m1": neglabel(z, groups, settings.topk),
    }
    if agents is not None:
        found["cma"] = jax.vmap(cma_score)(100.0 * cosine, 100.0 * _cosines(image, agents))
    if local_mcms is not None:
        found["gl_mcm"] = glmcm(local_mcms[:, 0])
        found["gl_mcm_output"] = glmcm(local_mcms[:, 1])
    if own.star is not None:
        # Without the barrier XLA picks the columns anew in every pass over them, one by one.
        picked = jax.lax.optimization_barrier(similar[:, own.star])
        star = jnp.where(own.star >= 0, own.star_factors * picked, -jnp.inf)
        found["neglabel_star"] = neglabel(z, star)
        found["neglabel_star_m1"] = neglabel(z, star, settings.topk)
    if own.star is not None and foreground is not None:
        seen = scale * jnp.einsum(
            "nd,gsd->ngs", foreground, own.rows[own.star], precision="highest"
        )
        seen = jnp.where(own.star >= 0, own.star_factors * seen, -jnp.inf)
        found["foreground_star"] = neglabel(scale * _cosines(foreground, positive), seen)
    if own.conjugated is not None:  # CSP is NegLabel on its own words
        picked = jax.lax.optimization_barrier(similar[:, own.conjugated])
        found["csp"] = neglabel(z, jnp.where(own.conjugated >= 0, picked, -jnp.inf))
    if own.soft is not None:
        soft = jnp.where(in_groups(own.is_real), in_groups(own.soft * similar), -jnp.inf)
        found["neglabel_star_soft"] = neglabel(z, soft)
    if settings.methods is None:
        return found
    # What no output depends on, XLA leaves out.
    return {name: values for name, values in found.items() if name in settings.methods}


@functools.partial(jax.jit, static_argnames=("settings", "mesh"))
def _alignment_parts(
    pictures: tuple[ArrayLike, ArrayLike, ArrayLike],
    prompts: jax.Array,
    background: Background,
    *,
    settings: AlignmentSettings,
    mesh: Mesh | None,
) -> AlignmentParts:
    """Of n pictures' foregrounds and backgrounds [n, D] and classes [n]."""

    def on_shard(pictures, prompts, background):
        own = jax.tree.map(lambda share: share[0], background)
        return alignment_of(*pictures, prompts, own, settings=settings, axis=_axis(mesh))

    specs = P(parallel.DATA), P(), P(parallel.LABEL)
    return over(mesh, on_shard, specs)(pictures, prompts, background)


def _cosines(rows: jax.Array, bank: jax.Array) -> jax.Array:
    return jnp.matmul(rows, bank.T, precision="highest")  # no TF32, no bfloat16


def _axis(mesh: Mesh | None) -> str | None:
    return None if mesh is None else parallel.LABEL


def _in_blocks(
    score: Callable[[Encoded], dict[str, jax.Array]], encoded: Encoded, mesh: Mesh | None
) -> dict[str, np.ndarray]:
    """Scores [N], a block of pictures at a time: [N, M] similarities need not fit into memory, and
    few shapes are compiled."""
    count = len(encoded.image)
    size = min(_BLOCK, 1 << max(count - 1, 0).bit_length())
    if mesh is not None:  # a block is split over the data axis
        size += -size % mesh.shape[parallel.DATA]
    parts = []
    for start in range(0, count, size):
        stop = min(start + size, count)
        fill = size - (stop - start)
        block = jax.tree.map(
            lambda rows: np.pad(
                np.asarray(rows[start:stop]),  # noqa: B023 (used in this turn)
                [(0, fill), *[(0, 0)] * (np.ndim(rows) - 1)],  # noqa: B023
            ),
            encoded,
        )
        parts.append(
            {name: np.asarray(values)[: stop - start] for name, values in score(block).items()}
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
