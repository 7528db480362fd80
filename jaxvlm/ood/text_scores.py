"""Scores of one picture against classes and other texts: EOE, CMA, CoVer, size-invariant groups.

As in `scores`: one picture, higher means in-distribution, similarities z = 100·cosine, batched with
``jax.vmap``, ValueError for other shapes.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError
from jaxvlm.ood.scores import group_negatives

EOE_BETA = 0.25  # published
# CMA's neutral texts, as its code has them by default.
AGENT_TEXTS = (
    "a photo of a thing.",
    "a photo of an everyday object.",
    "a photo of a scene we live in.",
    "a photo highlighting different textures.",
    "a photo of a thing that we can see in nature.",
)


@jax.jit
def eoe_score(
    pos_sim: ArrayLike, outlier_sim: ArrayLike, *, beta: float = EOE_BETA, temperature: float = 1.0
) -> jax.Array:
    """EOE: S = max_k p_k − β·max_j p_j, p = softmax(cos/τ) over classes and outlier labels.

    Args:
      pos_sim: [K]. outlier_sim: [M], of labels that a language model names as possible outliers,
        or of any negative labels. beta: β; temperature: τ, of cosines.

    Published: β 0.25, τ 1, 500 outlier labels for far and fine-grained OOD, 3 a class for near.
    Known difference: the code drops labels that share a word with a class, near OOD only; here
    that is the word list's part.

    Source: Cao et al. 2024 (EOE, ICML, arXiv 2406.00806), equation 3; tmlr-group/EOE,
    ``utils/detection_util.py``.
    """
    check_shapes("eoe_score", pos_sim=(pos_sim, "K"), outlier_sim=(outlier_sim, "M"))
    pos_sim = jnp.asarray(pos_sim)
    z = jnp.concatenate([pos_sim, jnp.asarray(outlier_sim)]) / (100.0 * temperature)
    p = jax.nn.softmax(z)
    known = pos_sim.shape[0]
    return p[:known].max() - beta * p[known:].max()


@jax.jit
def cma_score(pos_sim: ArrayLike, agent_sim: ArrayLike, *, temperature: float = 1.0) -> jax.Array:
    """CMA: S = max_k softmax(cos/τ)_k over classes and neutral texts, the agents.

    Args:
      pos_sim: [K]. agent_sim: [A], see `agent_texts`. temperature: τ, of cosines.

    Published: τ 1, one agent a class.

    Source: Lee et al. 2025 (CMA, AAAI); yuxiaoLeeMarks/CMA, ``utils/detection_util.py``, whose
    numbers these are.
    """
    check_shapes("cma_score", pos_sim=(pos_sim, "K"), agent_sim=(agent_sim, "A"))
    pos_sim = jnp.asarray(pos_sim)
    z = jnp.concatenate([pos_sim, jnp.asarray(agent_sim)]) / (100.0 * temperature)
    return jax.nn.softmax(z)[: pos_sim.shape[0]].max()


def agent_texts(num_classes: int, texts: Sequence[str] = AGENT_TEXTS) -> list[str]:
    """One agent a class, the texts in turn, as CMA's code has them."""
    return [texts[k % len(texts)] for k in range(num_classes)]


def size_free_score(
    pos_sim: ArrayLike,
    neg_sim: ArrayLike,
    *,
    permutation: ArrayLike | None = None,
    num_groups: int = 5,
) -> jax.Array:
    """NegLabel that does not depend on how many negatives there are.

    S = mean_g Σe^{z⁺} / (Σe^{z⁺} + K·mean_{j∈g} e^{z⁻_j})
      = mean_g σ(LSE z⁺ − LSE z⁻_g + log(n_g/K)).

    Args:
      pos_sim: [K]. neg_sim: [M]. permutation, num_groups: see `scores.group_negatives`.

    Published: G 5.

    Raises InputError as `scores.group_negatives`.

    Source: the size-invariant score of TINS (arXiv 2605.10756); zxk1212/tins,
    ``eval_tins_w_init.py``, whose numbers these are.
    """
    check_shapes("size_free_score", pos_sim=(pos_sim, "K"), neg_sim=(neg_sim, "M"))
    groups = group_negatives(neg_sim, permutation=permutation, num_groups=num_groups)
    pos_sim = jnp.asarray(pos_sim)
    shift = jnp.log(groups.shape[1] / pos_sim.shape[0])
    return jax.nn.sigmoid(logsumexp(pos_sim) - logsumexp(groups, axis=-1) + shift).mean()


def cover_score(mcm: ArrayLike) -> jax.Array:
    """CoVer: the mean of MCM over a picture and its corrupted versions, mcm [V].

    `corruptions.corrupted` makes the versions; each goes through the encoder, 13 forward passes in
    the published setting.

    Raises InputError for no version.

    Source: Zhang et al. 2024 (CoVer, NeurIPS, arXiv 2410.18472), equation 3; tmlr-group/CoVer,
    ``utils/detection_util.py``, whose mean this is.
    """
    count = check_shapes("cover_score", mcm=(mcm, "V"))["V"]
    if not count:
        raise InputError("cover_score: no version of the picture; give at least the picture itself")
    return jnp.asarray(mcm).mean()
