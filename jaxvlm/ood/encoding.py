"""Pictures to all that the scores need: one forward pass, and backwards through its tail."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.clip import (
    Architecture,
    ClipModel,
    encode_tapped,
    hidden_below,
    lowest_block,
    project_tokens,
)
from jaxvlm.errors import InputError
from jaxvlm.ood import cam as maps
from jaxvlm.ood import scores
from jaxvlm.ood.config import CamSettings

_BLOCK = 1024  # embeddings looked at at a time


class Encoded(NamedTuple):
    """All that the scores need of N pictures.

    image, foreground, background [N, D]: unit embeddings of the picture and of the patches that
    the map calls foreground and background. predicted_class_idx [N]: ĉ. local_mcm [N]: see
    `scores.local_mcm_score`, of GL-MCM's local features (``value_block``). cam [N, h, w] in [0, 1];
    cam_valid [N]: it tells the two apart. local_mcm_output [N]: of the output tokens instead.
    foreground_layernorm [N, D]: the foreground whose pooled tokens went through post-layernorm,
    which foreground-star takes. Of pictures that are given as embeddings only ``image`` and
    ``predicted_class_idx`` are known: all that takes patches is None.
    """

    image: ArrayLike
    foreground: jax.Array | None
    background: jax.Array | None
    predicted_class_idx: jax.Array
    local_mcm: jax.Array | None
    cam: jax.Array | None
    cam_valid: jax.Array | None
    local_mcm_output: jax.Array | None
    foreground_layernorm: jax.Array | None

    @property
    def has_patches(self) -> bool:
        """Whether the pictures went through the encoder here."""
        return self.cam_valid is not None


def check_encoded(function: str, encoded: Encoded, width: int) -> None:
    """Raises ValueError, naming the function, if the arrays are not of N pictures, D = width."""
    check_shapes(
        function,
        image=(encoded.image, f"N {width}"),
        foreground=(encoded.foreground, f"N {width}"),
        background=(encoded.background, f"N {width}"),
        predicted_class_idx=(encoded.predicted_class_idx, "N"),
        local_mcm=(encoded.local_mcm, "N"),
        cam=(encoded.cam, "N h w"),
        cam_valid=(encoded.cam_valid, "N"),
        local_mcm_output=(encoded.local_mcm_output, "N"),
        foreground_layernorm=(encoded.foreground_layernorm, f"N {width}"),
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

    Source: NegAlign; the map: Selvaraju et al. 2017; docs/mathematics.md, the map and the
    background.
    """
    _check(model, pixel_values, cam)
    _check_positive(model, positive)
    if model.backend == "openvino":  # which has no gradients
        hidden = encode_hidden(model, pixel_values, cam)
        return encode_from_hidden(model, np.asarray(positive), hidden, cam)
    return _encode(
        model.computed,
        pixel_values,
        None,
        jnp.asarray(positive),
        architecture=model.architecture,
        cam=cam,
        num_blocks=model.config.vision_config.num_hidden_layers,
    )


def of_embeddings(image: ArrayLike, positive: ArrayLike) -> Encoded:
    """What is known of pictures that are given as unit embeddings [N, D]: v and ĉ.

    image: an array, or what is sliced like one and gives rows when it is asked for them, such as
    `embedding_files.UnitRows`; blocks of it are looked at.

    Raises InputError: positive labels [K, D] of another width.
    """
    positive = np.asarray(positive)
    if positive.shape[1] != image.shape[1]:
        raise InputError(
            f"embeddings: {image.shape[1]} dimensions, the class embeddings have "
            f"{positive.shape[1]}; take both from one encoder"
        )
    predicted = [
        (np.asarray(image[start : start + _BLOCK]) @ positive.T).argmax(axis=1)
        for start in range(0, image.shape[0], _BLOCK)
    ]
    index = np.concatenate(predicted).astype(np.int32)
    return Encoded(image, None, None, index, None, None, None, None, None)


def encode_hidden(model: ClipModel, pixel_values: ArrayLike, cam: CamSettings) -> jax.Array:
    """The hidden state below the blocks that the map looks at, [N, 1 + P, H].

    No label has a part in it, and of the map's settings only the lowest block: `encode_from_hidden`
    gives for any classes what `encode` gives. 0.6 MB a picture at ViT-B/16 in float32.

    Raises InputError: another shape, or a block that the tower lacks.
    """
    _check(model, pixel_values, cam)
    block = lowest_block(cam.taps(model.config.vision_config.num_hidden_layers))
    return hidden_below(model, pixel_values, block)


def encode_from_hidden(
    model: ClipModel, positive: ArrayLike, hidden: ArrayLike, cam: CamSettings
) -> Encoded:
    """`encode` from what `encode_hidden` gave: the last blocks instead of a forward pass.

    Raises InputError: positive labels of another width; ValueError: hidden of another shape.
    """
    _check_positive(model, positive)
    vision = model.config.vision_config
    tokens = 1 + (vision.image_size // vision.patch_size) ** 2
    check_shapes("encode_from_hidden", hidden=(hidden, f"N {tokens} {vision.hidden_size}"))
    return _encode(
        model.computed,
        None,
        hidden,
        jnp.asarray(positive),
        architecture=model.architecture,
        cam=cam,
        num_blocks=model.config.vision_config.num_hidden_layers,
    )


def _check(model: ClipModel, pixel_values: ArrayLike, cam: CamSettings) -> None:
    vision = model.config.vision_config
    shape, side = jnp.shape(pixel_values), vision.image_size
    if len(shape) != 4 or shape[0] < 1 or shape[1:] != (3, side, side):
        raise InputError(
            f"pixel values: shape {shape}, the vision tower takes (N, 3, {side}, {side}) with N "
            "at least 1; use jaxvlm.clip.preprocess"
        )
    cam.taps(vision.num_hidden_layers)


def _check_positive(model: ClipModel, positive: ArrayLike) -> None:
    if jnp.shape(positive)[1:] != (model.config.projection_dim,):
        raise InputError(
            f"positive labels: shape {jnp.shape(positive)}, the model embeds in "
            f"{model.config.projection_dim} dimensions; embed the labels with this model"
        )


@functools.partial(jax.jit, static_argnames=("architecture", "cam", "num_blocks"))
@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def _encode(
    params: Any,
    pixel_values: jax.Array | None,
    hidden: jax.Array | None,
    positive: jax.Array,
    *,
    architecture: Architecture,
    cam: CamSettings,
    num_blocks: int,
) -> Encoded:
    def cosine_to_predicted(embeddings):
        units = unit(embeddings)
        similarity = units @ positive.T
        return jnp.take_along_axis(similarity, similarity.argmax(1, keepdims=True), axis=1)[:, 0]

    tapped = encode_tapped(
        params,
        pixel_values,
        cosine_to_predicted,
        architecture=architecture,
        taps=cam.taps(num_blocks),
        patch_features=(cam.patch_features, "value_block", "output"),
        hidden=hidden,
    )
    image = unit(tapped.image)
    pooled_from, *local_features = tapped.patches
    side = round(pooled_from.shape[1] ** 0.5)
    project = functools.partial(project_tokens, params, architecture=architecture)

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
        tapped.activations, tapped.gradients, pooled_from
    )
    pooled = project(jnp.stack([foreground, background]), layernorm=cam.pooled_layernorm)
    local_mcm, local_mcm_output = (
        jax.vmap(scores.local_mcm_score)(100.0 * unit(project(patches)) @ positive.T)
        for patches in local_features
    )
    return Encoded(
        image,
        unit(pooled[0]),
        unit(pooled[1]),
        jnp.argmax(image @ positive.T, axis=1).astype(jnp.int32),
        local_mcm,
        cams,
        valid,
        local_mcm_output,
        unit(project(foreground)),
    )
