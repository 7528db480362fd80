"""P_align: does the background speak for the predicted class, or for background words?"""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_same_shape
from jaxvlm.errors import InputError
from jaxvlm.ood.choices import check_variant


@functools.partial(jax.jit, static_argnames=("variant", "epsilon"))
def align_score(
    bg_pos: ArrayLike,
    bg_neg: ArrayLike,
    *,
    variant: str = "v1_original",
    fg_pos: ArrayLike | None = None,
    epsilon: float = 1e-8,
) -> jax.Array:
    """P_align of S⁺, S⁻: similarity of the background to the class and to background words.

    | variant | P_align |
    | --- | --- |
    | v1_original | S⁺ − S⁻ |
    | v2_sign_flip | −(S⁺ − S⁻) |
    | v3_ratio | S⁺/S⁻ |
    | v4_log_ratio | log(S⁺/S⁻) |
    | v5_neg_only | −S⁻ |
    | v6_pos_only | S⁺ |
    | v7_normalized | (S⁺ − S⁻)/(\\|S⁺\\| + \\|S⁻\\| + ε) |
    | v8_squared_diff | sign(S⁺ − S⁻)(S⁺ − S⁻)² |
    | v9_fg_bg_contrast | S_fg⁺ − S⁺ |

    v3 and v4 floor both at ε, because a cosine may be negative.

    Args:
      bg_pos, bg_neg, fg_pos: cosines [...], elementwise, of one shape; fg_pos only for v9.

    Raises InputError: an unknown variant, or v9 without ``fg_pos``; ValueError: other shapes.

    Source: NegAlign; v9 is the contrast that its notes propose.
    """
    variant = check_variant(variant)
    check_same_shape("align_score", bg_pos=bg_pos, bg_neg=bg_neg, fg_pos=fg_pos)
    bg_pos, bg_neg = jnp.asarray(bg_pos), jnp.asarray(bg_neg)
    difference = bg_pos - bg_neg
    if variant == "v1_original":
        return difference
    if variant == "v2_sign_flip":
        return -difference
    if variant == "v3_ratio":
        return jnp.maximum(bg_pos, epsilon) / jnp.maximum(bg_neg, epsilon)
    if variant == "v4_log_ratio":
        return jnp.log(jnp.maximum(bg_pos, epsilon)) - jnp.log(jnp.maximum(bg_neg, epsilon))
    if variant == "v5_neg_only":
        return -bg_neg
    if variant == "v6_pos_only":
        return bg_pos
    if variant == "v7_normalized":
        return difference / (jnp.abs(bg_pos) + jnp.abs(bg_neg) + epsilon)
    if variant == "v8_squared_diff":
        return jnp.sign(difference) * difference**2
    if fg_pos is None:
        raise InputError("p_align_variant v9_fg_bg_contrast: needs fg_pos; give S_fg⁺")
    return jnp.asarray(fg_pos) - bg_pos
