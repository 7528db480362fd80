"""Corrupted versions of pictures through the encoder, and CoVer's mean over them.

13 forward passes a picture instead of one, so this is computed where it is asked for by name.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.clip import ClipModel, encode_images
from jaxvlm.ood import scores
from jaxvlm.ood.corruptions import KINDS, SEVERITIES, corrupted
from jaxvlm.ood.text_scores import cover_score

COVER = "cover"
# Methods that encode a picture more than once; the others are `methods.METHODS`.
ON_REQUEST: Mapping[str, str] = {COVER: "CoVer (MCM, mean of 13 versions)"}


def computed(seed: int) -> dict[str, Any]:
    """What `encode_versions` computes besides the weights, as `clip.encode_items` stores it."""
    return {"name": "versions", "kinds": list(KINDS), "severities": list(SEVERITIES), "seed": seed}


def encode_versions(model: ClipModel, pixel_values: ArrayLike, *, seed: int) -> jax.Array:
    """Unit embeddings [N, V, D] of pictures and of their V − 1 = 12 mild corruptions.

    The picture is corrupted as the encoder sees it, resized and cut out, as the release does at 224
    pixels. Fog and the angle of motion blur are drawn by the seed and the picture's own pixels: a
    picture has the same versions in every batch, another has others.

    Args:
      pixel_values: [N, 3, S, S], from `clip.preprocess`.

    Raises InputError: as `clip.encode_images`.
    """
    settings = model.preprocessing
    affine = jnp.asarray(settings.mean), jnp.asarray(settings.std)
    versions = _versions(jnp.asarray(pixel_values), *affine, jax.random.key(seed))
    rows = [unit(encode_images(model, version)) for version in versions]
    return jnp.stack(rows, axis=1)


def cover_scores(versions: ArrayLike, positive: ArrayLike) -> jax.Array:
    """`text_scores.cover_score` [N] of the versions' unit embeddings [N, V, D], classes [K, D].

    Raises ValueError: other shapes.
    """
    check_shapes("cover_scores", versions=(versions, "N V D"), positive=(positive, "K D"))
    cosine = jnp.einsum("nvd,kd->nvk", versions, positive, precision="highest")
    return jax.vmap(cover_score)(jax.vmap(jax.vmap(scores.mcm_score))(100.0 * cosine))


@jax.jit
def _versions(
    pixels: jax.Array, mean: jax.Array, std: jax.Array, key: jax.Array
) -> tuple[jax.Array, ...]:
    """V pixel values like those given, [N, 3, S, S], which come first."""
    own = jax.lax.bitcast_convert_type(pixels, jnp.uint32).sum(axis=(1, 2, 3), dtype=jnp.uint32)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(own)
    # Bytes again, as they were before they became pixel values: of a black pixel with a rounding
    # error in one channel, HSV would make a saturated colour, and "brighter" would show it.
    images = jnp.round(255.0 * (jnp.moveaxis(pixels, 1, -1) * std + mean))
    images = jnp.clip(images, 0.0, 255.0) / 255.0
    found = jnp.moveaxis((jax.vmap(corrupted)(images, keys) - mean) / std, -1, 2)
    return pixels, *(found[:, v] for v in range(1, found.shape[1]))
