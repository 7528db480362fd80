"""Pictures to scores: one forward pass per picture, whatever else is switched on."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.clip import ClipModel
from jaxvlm.errors import InputError
from jaxvlm.ood import scores
from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.background import alignment_parts
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.encoding import Encoded, check_encoded, encode
from jaxvlm.ood.words.label_banks import LabelBanks, check_banks


class ScaleStatistics(NamedTuple):
    """Mean and standard deviation of S* over a calibration set (M3)."""

    mean: float
    std: float


def score_images(
    model: ClipModel,
    banks: LabelBanks,
    pixel_values: ArrayLike,
    config: NegAlignConfig | None = None,
    *,
    permutation: ArrayLike | None = None,
    permutation_object: ArrayLike | None = None,
    scale: ScaleStatistics | None = None,
    batch_size: int | None = None,
) -> dict[str, jax.Array]:
    """NegAlign scores of preprocessed pictures: S_final = S* + λ·P_align.

    Args:
      pixel_values: [N, 3, S, S] from ``clip.preprocess``; compiles once per N, or per batch_size.
      permutation: of the negatives before they are grouped, [M − M mod G]; permutation_object:
        of the object-leaning ones. None keeps the order given.
      scale: statistics of S*, needed with ``use_scale_stabilization``; see `fit_scale`.
      batch_size: pictures that go through the encoder at a time, for any N in bounded memory; see
        `clip.measured_batch_size`. None: all at once.

    Returns [N] arrays ``s_neglabel_plain``, ``s_neglabel_star``, ``p_align``, ``cam_valid``,
    ``s_final``, ``predicted_class_idx``.

    Raises InputError: banks that do not fit the model or the configuration (see `check_banks`).

    Source: NegAlign; docs/mathematics.md, the map and the background.
    """
    config = with_logit_scale(config or NegAlignConfig(), model)
    check_banks(banks, config)
    encoded = _encode_batches(model, banks.positive, pixel_values, config, batch_size)
    return score_encoded(
        encoded,
        banks,
        config,
        permutation=permutation,
        permutation_object=permutation_object,
        scale=scale,
    )


def _encode_batches(
    model: ClipModel,
    positive: ArrayLike,
    pixel_values: ArrayLike,
    config: NegAlignConfig,
    batch_size: int | None,
) -> Encoded:
    count = len(pixel_values)
    if batch_size is None or count <= batch_size:
        return encode(model, positive, pixel_values, config.cam)
    parts = []
    for start in range(0, count, batch_size):
        part = jnp.asarray(pixel_values[start : start + batch_size])
        fill = batch_size - len(part)
        batch = jnp.pad(part, ((0, fill), (0, 0), (0, 0), (0, 0)))  # one shape for all
        parts.append(encode(model, positive, batch, config.cam))
    return jax.tree.map(lambda *rows: jnp.concatenate(rows)[:count], *parts)


def score_encoded(
    encoded: Encoded,
    banks: LabelBanks,
    config: NegAlignConfig,
    *,
    permutation: ArrayLike | None = None,
    permutation_object: ArrayLike | None = None,
    scale: ScaleStatistics | None = None,
) -> dict[str, jax.Array]:
    """The scores of `score_images` from what `encode` gave; no forward pass.

    Raises as `score_images`; ValueError: what was encoded is not of N pictures of the banks' width.
    """
    check_banks(banks, config)
    check_encoded("score_encoded", encoded, jnp.shape(banks.positive)[1])
    plain = neglabel_scores(encoded.image, banks, config, permutation=permutation, star=False)
    star = neglabel_scores(
        encoded.image,
        banks,
        config,
        permutation=permutation_object if config.use_role_aware_negatives else permutation,
        star=True,
    )
    if config.use_scale_stabilization:
        if scale is None:
            raise InputError(
                "use_scale_stabilization: needs statistics of S* on a calibration set; "
                "fit them with fit_scale and give scale="
            )
        star = (star - scale.mean) / scale.std
    if config.use_p_align:
        parts = alignment_parts(
            encoded,
            banks,
            pos_topk=config.pos_topk,
            neg_topk=config.neg_topk,
            approximate=config.approximate_topk,
        )
        p_align = align_score(
            parts.bg_pos, parts.bg_neg, variant=config.p_align_variant, fg_pos=parts.fg_pos
        )
    else:
        p_align = jnp.zeros_like(plain)
    base = star if config.use_neglabel_star else plain
    return {
        "s_neglabel_plain": plain,
        "s_neglabel_star": star,
        "p_align": p_align,
        "cam_valid": encoded.cam_valid,
        "s_final": base + config.lambda_bg * p_align if config.use_p_align else base,
        "predicted_class_idx": encoded.predicted_class_idx,
    }


def neglabel_scores(
    embeddings: ArrayLike,
    banks: LabelBanks,
    config: NegAlignConfig,
    *,
    permutation: ArrayLike | None = None,
    star: bool = True,
) -> jax.Array:
    """NegLabel (``star=False``) or S* before M3 of unit embeddings [N, D], [N].

    Raises InputError: too few negatives for the groups, or a ``logit_scale`` of 0; ValueError:
    other shapes.

    Source: Jiang et al. 2024 (NegLabel), equation 8; M1, M2: NegAlign.
    """
    if not config.logit_scale:
        raise InputError(
            "logit_scale 0: stands for the model's own; resolve it with with_logit_scale"
        )
    check_shapes(
        "neglabel_scores",
        embeddings=(embeddings, "N D"),
        positive=(banks.positive, "K D"),
        negative=(banks.negative, "M D"),
        negative_object=(banks.negative_object, "O D"),
        object_weights=(banks.object_weights, "O"),
    )
    role_aware = star and config.use_role_aware_negatives
    negatives = _Negatives(banks.negative, None, permutation)
    if role_aware:
        negatives = _Negatives(banks.negative_object, banks.object_weights, permutation)
    return _neglabel(
        embeddings,
        banks.positive,
        negatives,
        config.logit_scale,
        num_groups=config.num_groups,
        topk=(config.topk_aggregation_k or None) if star else None,
        approximate=config.approximate_topk,
    )


def with_logit_scale(config: NegAlignConfig, model: ClipModel) -> NegAlignConfig:
    """The config with the model's own logit scale, exp(logit_scale), where it says 0."""
    if config.logit_scale:
        return config
    return dataclasses.replace(config, logit_scale=model.logit_scale)


def fit_scale(star: ArrayLike) -> ScaleStatistics:
    """Mean and standard deviation of S* [N] over a calibration set, for M3.

    The prototype took them over the batch, which is NaN for one picture.

    Raises InputError: fewer than two pictures, or scores that do not vary; ValueError: another
    shape.
    """
    check_shapes("fit_scale", star=(star, "N"))
    star = np.asarray(star, np.float64)
    if star.size < 2 or not star.std() > 0:
        raise InputError(
            f"calibration set: {star.size} pictures whose scores do not vary; give more pictures"
        )
    return ScaleStatistics(float(star.mean()), float(star.std(ddof=1)))


class _Negatives(NamedTuple):
    """The negative labels of a score: [M, D], their weights [M] or None, and their order."""

    bank: ArrayLike
    weights: ArrayLike | None
    permutation: ArrayLike | None


@functools.partial(jax.jit, static_argnames=("num_groups", "topk", "approximate"))
@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def _neglabel(
    embeddings: ArrayLike,
    positive: ArrayLike,
    negatives: _Negatives,
    logit_scale: ArrayLike,
    *,
    num_groups: int,
    topk: int | None,
    approximate: bool,
) -> jax.Array:
    positive, negative = jnp.asarray(positive), jnp.asarray(negatives.bank)
    weights = negatives.weights
    factor = logit_scale if weights is None else logit_scale * jnp.asarray(weights)

    def one(embedding):
        return scores.neglabel_score(
            logit_scale * (positive @ embedding),
            factor * (negative @ embedding),
            permutation=negatives.permutation,
            num_groups=num_groups,
            topk=topk,
            approximate=approximate,
        )

    return jax.vmap(one)(jnp.asarray(embeddings))
