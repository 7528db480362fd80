"""Class activation maps, the masks that follow from them, and the tokens pooled under a mask."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError
from jaxvlm.ood.choices import THRESHOLDS

_FALLBACK = 20.0  # percentile of the prototype's background where its mask comes out empty


class Masks(NamedTuple):
    """Foreground and background of one image [h, w] bool, and whether the map told them apart."""

    foreground: jax.Array
    background: jax.Array
    valid: jax.Array


def grad_cam(activations: ArrayLike, gradients: ArrayLike) -> jax.Array:
    """Grad-CAM of one image over its patches.

    L_p = ReLU(Σ_h w_h A_ph), w_h = mean_p ∂y/∂A_ph, divided by its maximum.

    Args:
      activations: [P, H] of the tapped layer, patches only. gradients: [P, H].

    Returns [P] in [0, 1]; all zeros where no patch has positive evidence.

    Raises ValueError: other shapes.

    Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    check_shapes("grad_cam", activations=(activations, "P H"), gradients=(gradients, "P H"))
    weights = jnp.mean(gradients, axis=0)
    return _to_unit_maximum(jax.nn.relu(jnp.asarray(activations) @ weights))


def average_cams(cams: ArrayLike, weights: tuple[float, ...]) -> jax.Array:
    """Weighted mean of the maps [B, P] of several blocks, divided by its maximum, [P].

    Raises ValueError: other shapes.
    """
    check_shapes("average_cams", cams=(cams, "B P"), weights=(weights, "B"))
    return _to_unit_maximum(jnp.asarray(weights) @ jnp.asarray(cams))


@functools.partial(jax.jit, static_argnames=("fg_percentile", "dilate_px", "threshold"))
def cam_masks(
    cam: ArrayLike,
    *,
    fg_percentile: float = 80.0,
    dilate_px: int = 1,
    threshold: str = "positive_percentile",
) -> Masks:
    """Splits a map [h, w] into foreground and background.

    foreground = dilate(cam ≥ t), dilated ``dilate_px`` times by the 4-neighbourhood; background =
    the rest. t by ``threshold``: ``percentile`` is the ``fg_percentile``-th percentile of the map;
    ``positive_percentile`` the same, but no less than the smallest positive value, because the
    percentile of a map with few positive patches is 0 and all would be foreground; ``otsu``.

    A map that is zero everywhere, or whose foreground covers the picture, tells nothing of where
    the background is: ``valid`` is False. The background is then the whole picture; with
    ``percentile``, the prototype's form, the patches at or below the map's 20th percentile, which
    of a map of zeros are all.

    Raises InputError: an unknown threshold; ValueError: another shape.

    Source: the prototype (``percentile``); Otsu 1979; docs/mathematics.md, the map.
    """
    check_shapes("cam_masks", cam=(cam, "h w"))
    if threshold not in THRESHOLDS:
        raise InputError(
            f"cam_threshold {threshold!r}: unknown; use one of {', '.join(THRESHOLDS)}"
        )
    cam = jnp.asarray(cam)
    if threshold == "otsu":
        limit = otsu_threshold(cam.ravel())
    else:
        limit = jnp.percentile(cam, fg_percentile)
    if threshold == "positive_percentile":
        least = jnp.where(cam > 0, cam, jnp.inf).min()
        limit = jnp.where(cam.max() > 0, jnp.maximum(limit, least), limit)
    foreground = cam >= limit
    for _ in range(dilate_px):
        foreground = _dilate(foreground)
    background = ~foreground
    covers = foreground.all()
    instead = cam <= jnp.percentile(cam, _FALLBACK) if threshold == "percentile" else True
    valid = (cam.max() > 0) & ~covers
    return Masks(foreground, jnp.where(covers, instead, background), valid)


def otsu_threshold(values: ArrayLike) -> jax.Array:
    """The value [P] -> t for which {v ≥ t} and {v < t} differ most.

    t maximises the variance between the two, ω₀ω₁(μ₀ − μ₁)², over all distinct values; for a
    constant input t is that constant.

    Raises ValueError: another shape.

    Source: Otsu 1979.
    """
    check_shapes("otsu_threshold", values=(values, "P"))
    ordered = jnp.sort(jnp.asarray(values))
    count = ordered.shape[0]
    below = jnp.arange(count)  # how many lie below, if t = ordered[i]
    sums = jnp.concatenate([jnp.zeros(1, ordered.dtype), jnp.cumsum(ordered)])
    low = sums[:-1] / jnp.maximum(below, 1)
    high = (sums[-1] - sums[:-1]) / (count - below)
    between = below * (count - below) * (high - low) ** 2
    # Equal values must fall on the same side, so only a first occurrence can be a threshold.
    first = jnp.concatenate([jnp.ones(1, bool), ordered[1:] > ordered[:-1]])
    return ordered[jnp.argmax(jnp.where(first, between, -1.0))]


def masked_mean(tokens: ArrayLike, mask: ArrayLike) -> jax.Array:
    """Mean of the tokens [P, H] whose mask [P] is True, [H]; of no token: 0.

    Raises ValueError: other shapes.
    """
    check_shapes("masked_mean", tokens=(tokens, "P H"), mask=(mask, "P"))
    mask = jnp.asarray(mask, jnp.float32)
    return mask @ jnp.asarray(tokens) / jnp.maximum(mask.sum(), 1.0)


def _to_unit_maximum(cam: jax.Array) -> jax.Array:
    peak = cam.max()
    return jnp.where(peak > 0, cam / jnp.where(peak > 0, peak, 1.0), 0.0)


def _dilate(mask: jax.Array) -> jax.Array:
    padded = jnp.pad(mask, 1)
    height, width = mask.shape
    moved = [
        padded[dy : dy + height, dx : dx + width]
        for dy, dx in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    ]
    return functools.reduce(jnp.logical_or, moved)
