"""What NegAlign's settings choose among."""

import math

from jaxvlm.errors import InputError

# Of P_align, see `alignment.align_score`.
VARIANTS = (
    "v1_original",
    "v2_sign_flip",
    "v3_ratio",
    "v4_log_ratio",
    "v5_neg_only",
    "v6_pos_only",
    "v7_normalized",
    "v8_squared_diff",
    "v9_fg_bg_contrast",
)
# Of the map, see `cam.cam_masks`.
THRESHOLDS = ("positive_percentile", "percentile", "otsu")


def check_variant(variant: str) -> str:
    """The full name of a variant, from that name or from its number, "v3".

    Raises InputError for another one.
    """
    for name in VARIANTS:
        if variant in (name, name.split("_")[0]):
            return name
    raise InputError(f"p_align_variant {variant!r}: unknown; use one of {', '.join(VARIANTS)}")


def check_lambda(value: float) -> float:
    """λ as it is. Raises InputError if it is not finite."""
    if not math.isfinite(value):
        raise InputError(
            f"lambda_bg {value}: not a finite number; give one, 0 switches P_align off"
        )
    return value
