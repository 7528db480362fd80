"""Pictures to scores: one forward pass per picture, whatever else is switched on."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.clip.architecture import Architecture
from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.tap import encode_tapped, project_tokens
from jaxvlm.errors import InputError
from jaxvlm.ood import cam as maps
from jaxvlm.ood import scores
from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.config import CamSettings, NegAlignConfig


class LabelBanks(NamedTuple):
    """Unit text embeddings that images are compared with.

    positive [K, D]; negative [M, D], all negative labels; negative_object [M_obj, D] and
    negative_background [M_bg, D], the object-leaning and the background-leaning ones.
    positive_prompts [K, R, D]: the class's single prompts, or None, when ``positive`` stands for
    them. object_weights [M_obj], background_weights [M_bg]: soft weights, or None for 1.
    """

    positive: ArrayLike
    negative: ArrayLike
    negative_object: ArrayLike
    negative_background: ArrayLike
    positive_prompts: ArrayLike | None = None
    object_weights: ArrayLike | None = None
    background_weights: ArrayLike | None = None


class Encoded(NamedTuple):
    """All that the scores need of N pictures.

    image, foreground, background [N, D]: unit embeddings of the picture and of the patches that
    the map calls foreground and background. predicted_class_idx [N]: ĉ. local_mcm [N]: see
    `scores.local_mcm_score`. cam [N, h, w] in [0, 1]; cam_valid [N]: it tells the two apart.
    """

    image: jax.Array
    foreground: jax.Array
    background: jax.Array
    predicted_class_idx: jax.Array
    local_mcm: jax.Array
    cam: jax.Array
    cam_valid: jax.Array


class ScaleStatistics(NamedTuple):
    """Mean and standard deviation of S* over a calibration set (M3)."""

    mean: float
    std: float


class AlignmentParts(NamedTuple):
    """S⁺, S⁻ of the background and S⁺ of the foreground, cosines [N]."""

    bg_pos: jax.Array
    bg_neg: jax.Array
    fg_pos: jax.Array


def score_images(
    model: ClipModel,
    banks: LabelBanks,
    pixel_values: ArrayLike,
    config: NegAlignConfig | None = None,
    *,
    permutation: ArrayLike | None = None,
    permutation_object: ArrayLike | None = None,
    scale: ScaleStatistics | None = None,
) -> dict[str, jax.Array]:
    """NegAlign scores of preprocessed pictures: S_final = S* + λ·P_align.

    Args:
      pixel_values: [N, 3, S, S] from ``clip.preprocess``; compiles once per N.
      permutation: of the negatives before they are grouped, [M − M mod G]; permutation_object:
        of the object-leaning ones. None keeps the order given.
      scale: statistics of S*, needed with ``use_scale_stabilization``; see `fit_scale`.

    Returns [N] arrays ``s_neglabel_plain``, ``s_neglabel_star``, ``p_align``, ``cam_valid``,
    ``s_final``, ``predicted_class_idx``.

    Raises InputError: banks that do not fit the model or the configuration (see `check_banks`).
    """
    config = with_logit_scale(config or NegAlignConfig(), model)
    encoded = encode(model, banks.positive, pixel_values, config.cam)
    return score_encoded(
        encoded,
        banks,
        config,
        permutation=permutation,
        permutation_object=permutation_object,
        scale=scale,
    )


def encode(
    model: ClipModel, positive: ArrayLike, pixel_values: ArrayLike, cam: CamSettings
) -> Encoded:
    """Embeds pictures, predicts their class and pools fore- and background under its map.

    ĉ = argmax_k ⟨v, t_k⟩; the map is Grad-CAM of cos(v, t_ĉ) at the taps of ``cam``. One forward
    pass; backwards through the blocks above the tap only.

    Args:
      positive: [K, D]. pixel_values: [N, 3, S, S].

    Raises InputError: another shape, or a block that the tower lacks.
    """
    vision = model.config.vision_config
    shape, side = jnp.shape(pixel_values), vision.image_size
    if len(shape) != 4 or shape[1:] != (3, side, side):
        raise InputError(
            f"pixel values: shape {shape}, the vision tower takes (N, 3, {side}, {side}); "
            "use jaxvlm.clip.preprocess"
        )
    if jnp.shape(positive)[1:] != (model.config.projection_dim,):
        raise InputError(
            f"positive labels: shape {jnp.shape(positive)}, the model embeds in "
            f"{model.config.projection_dim} dimensions; embed the labels with this model"
        )
    cam.taps(vision.num_hidden_layers)
    return _encode(
        model.params,
        pixel_values,
        jnp.asarray(positive),
        architecture=model.architecture,
        cam=cam,
        num_blocks=vision.num_hidden_layers,
    )


def score_encoded(
    encoded: Encoded,
    banks: LabelBanks,
    config: NegAlignConfig,
    *,
    permutation: ArrayLike | None = None,
    permutation_object: ArrayLike | None = None,
    scale: ScaleStatistics | None = None,
) -> dict[str, jax.Array]:
    """The scores of `score_images` from what `encode` gave; no forward pass."""
    check_banks(banks, config)
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
        parts = alignment_parts(encoded, banks, pos_topk=config.pos_topk, neg_topk=config.neg_topk)
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
    """NegLabel (``star=False``) or S* before M3 of unit embeddings [N, D], [N]."""
    role_aware = star and config.use_role_aware_negatives
    return _neglabel(
        embeddings,
        jnp.asarray(banks.positive),
        jnp.asarray(banks.negative_object if role_aware else banks.negative),
        banks.object_weights if role_aware else None,
        permutation,
        logit_scale=config.logit_scale,
        num_groups=config.num_groups,
        topk=(config.topk_aggregation_k or None) if star else None,
    )


@functools.partial(jax.jit, static_argnames=("pos_topk", "neg_topk"))
def alignment_parts(
    encoded: Encoded, banks: LabelBanks, *, pos_topk: int, neg_topk: int
) -> AlignmentParts:
    """S_bg⁺ = TopKMean over ĉ's prompts, S_bg⁻ = TopKMean over N_bg, S_fg⁺ likewise; cosines."""
    positive = jnp.asarray(banks.positive)
    prompts = positive[:, None] if banks.positive_prompts is None else banks.positive_prompts
    negative = jnp.asarray(banks.negative_background)
    weights = 1.0 if banks.background_weights is None else jnp.asarray(banks.background_weights)

    def one(foreground, background, predicted):
        own = jnp.asarray(prompts)[predicted]
        return AlignmentParts(
            scores.topk_mean(own @ background, pos_topk),
            scores.topk_mean(weights * (negative @ background), neg_topk),
            scores.topk_mean(own @ foreground, pos_topk),
        )

    return jax.vmap(one)(encoded.foreground, encoded.background, encoded.predicted_class_idx)


def with_logit_scale(config: NegAlignConfig, model: ClipModel) -> NegAlignConfig:
    """The config with the model's own logit scale, exp(logit_scale), where it says 0."""
    if config.logit_scale:
        return config
    return dataclasses.replace(config, logit_scale=float(np.exp(model.params["logit_scale"])))


def fit_scale(star: ArrayLike) -> ScaleStatistics:
    """Mean and standard deviation of S* [N] over a calibration set, for M3.

    The prototype took them over the batch, which is NaN for one picture.

    Raises InputError: fewer than two pictures, or scores that do not vary.
    """
    star = np.asarray(star, np.float64)
    if star.size < 2 or not star.std() > 0:
        raise InputError(
            f"calibration set: {star.size} pictures whose scores do not vary; give more pictures"
        )
    return ScaleStatistics(float(star.mean()), float(star.std(ddof=1)))


def check_banks(banks: LabelBanks, config: NegAlignConfig) -> None:
    """Raises InputError for banks that are not unit rows of one width, or lack what is asked."""
    width = jnp.shape(banks.positive)[-1]
    for name in ("positive", "negative", "negative_object", "negative_background"):
        bank = getattr(banks, name)
        if jnp.ndim(bank) != 2 or jnp.shape(bank)[1] != width:
            raise InputError(
                f"label bank {name}: shape {jnp.shape(bank)}, expected (labels, {width}); "
                "embed all labels with one model"
            )
        if not isinstance(bank, jax.core.Tracer):
            norms = np.linalg.norm(np.asarray(bank, np.float32), axis=1)
            if norms.size and not np.all(np.abs(norms - 1) < 1e-2):
                raise InputError(
                    f"label bank {name}: a row is NaN or of no unit length; "
                    "check the weights and normalise the embeddings"
                )
    if not len(banks.positive):
        raise InputError("label bank positive: empty; give at least one class name")
    if config.use_p_align and not len(banks.negative_background):
        raise InputError(
            "label bank negative_background: empty; lower the split's threshold or set "
            "use_p_align=False"
        )


@functools.partial(jax.jit, static_argnames=("architecture", "cam", "num_blocks"))
def _encode(
    params: Any,
    pixel_values: jax.Array,
    positive: jax.Array,
    *,
    architecture: Architecture,
    cam: CamSettings,
    num_blocks: int,
) -> Encoded:
    def cosine_to_predicted(embeddings):
        units = _unit(embeddings)
        similarity = units @ positive.T
        return jnp.take_along_axis(similarity, similarity.argmax(1, keepdims=True), axis=1)[:, 0]

    tapped = encode_tapped(
        params,
        pixel_values,
        cosine_to_predicted,
        architecture=architecture,
        taps=cam.taps(num_blocks),
        patch_features=cam.patch_features,
    )
    image = _unit(tapped.image)
    side = round(tapped.patches.shape[1] ** 0.5)

    def pool(activations, gradients, patches):
        layers = jnp.stack(
            [maps.grad_cam(a, g) for a, g in zip(activations, gradients, strict=True)]
        )
        if len(cam.block_weights) > 1:
            flat = maps.average_cams(layers, cam.block_weights)
        else:
            flat = layers[0]
        grid = flat.reshape(side, side)
        masks = maps.cam_masks(
            grid,
            fg_percentile=cam.fg_percentile,
            dilate_px=cam.dilate_px,
            threshold=cam.threshold,
        )
        return (
            maps.masked_mean(patches, masks.foreground.ravel()),
            maps.masked_mean(patches, masks.background.ravel()),
            grid,
            masks.valid,
        )

    foreground, background, cams, valid = jax.vmap(pool)(
        tapped.activations, tapped.gradients, tapped.patches
    )
    pooled = project_tokens(
        params,
        jnp.stack([foreground, background]),
        architecture=architecture,
        layernorm=cam.pooled_layernorm,
    )
    local = _unit(project_tokens(params, tapped.patches, architecture=architecture))
    return Encoded(
        image,
        _unit(pooled[0]),
        _unit(pooled[1]),
        jnp.argmax(image @ positive.T, axis=1).astype(jnp.int32),
        jax.vmap(scores.local_mcm_score)(100.0 * local @ positive.T),
        cams,
        valid,
    )


@functools.partial(jax.jit, static_argnames=("num_groups", "topk"))
def _neglabel(
    embeddings, positive, negative, weights, permutation, *, logit_scale, num_groups, topk
):
    factor = logit_scale if weights is None else logit_scale * jnp.asarray(weights)

    def one(embedding):
        return scores.neglabel_score(
            logit_scale * (positive @ embedding),
            factor * (negative @ embedding),
            permutation=permutation,
            num_groups=num_groups,
            topk=topk,
        )

    return jax.vmap(one)(jnp.asarray(embeddings))


def _unit(vectors: jax.Array) -> jax.Array:
    norm = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / jnp.maximum(norm, 1e-12)
