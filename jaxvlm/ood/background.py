"""S⁺ and S⁻ of a picture's background and foreground: what P_align is computed from."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.ood import scores
from jaxvlm.ood.encoding import Encoded
from jaxvlm.ood.placing import Background
from jaxvlm.ood.sharded import topk_mean_across
from jaxvlm.ood.words.label_banks import LabelBanks


class AlignmentSettings(NamedTuple):
    """k of the TopKMean over the class's prompts and over the words, and whether that is
    approximate."""

    pos_topk: int
    neg_topk: int
    approximate: bool = False


class AlignmentParts(NamedTuple):
    """S⁺, S⁻ of the background and S⁺ of the foreground, cosines [N]."""

    bg_pos: jax.Array
    bg_neg: jax.Array
    fg_pos: jax.Array


def alignment_parts(
    encoded: Encoded,
    banks: LabelBanks,
    *,
    pos_topk: int,
    neg_topk: int,
    approximate: bool = False,
) -> AlignmentParts:
    """S_bg⁺ = TopKMean over ĉ's prompts, S_bg⁻ = TopKMean over N_bg, S_fg⁺ likewise; cosines.

    approximate: of N_bg, see `scores.topk_mean`.

    Raises ValueError: other shapes.

    Source: NegAlign; S_fg⁺ is what its notes propose. docs/mathematics.md.
    """
    check_shapes(
        "alignment_parts",
        positive=(banks.positive, "K D"),
        positive_prompts=(banks.positive_prompts, "K R D"),
        negative_background=(banks.negative_background, "B D"),
        background_weights=(banks.background_weights, "B"),
        foreground=(encoded.foreground, "N D"),
        background=(encoded.background, "N D"),
        predicted_class_idx=(encoded.predicted_class_idx, "N"),
    )
    return _alignment_parts(
        encoded, banks, settings=AlignmentSettings(pos_topk, neg_topk, approximate)
    )


@functools.partial(jax.jit, static_argnames="settings")
def _alignment_parts(
    encoded: Encoded, banks: LabelBanks, *, settings: AlignmentSettings
) -> AlignmentParts:
    positive, rows = jnp.asarray(banks.positive), jnp.asarray(banks.negative_background)
    weights = banks.background_weights
    return alignment_of(
        encoded.foreground,
        encoded.background,
        encoded.predicted_class_idx,
        positive[:, None] if banks.positive_prompts is None else banks.positive_prompts,
        Background(rows, 1.0 if weights is None else jnp.asarray(weights), True),
        settings=settings,
    )


@jax.default_matmul_precision("float32")  # accelerators would use TF32 or bfloat16
def alignment_of(
    foreground: ArrayLike,
    background: ArrayLike,
    predicted: ArrayLike,
    prompts: ArrayLike,
    words: Background,
    *,
    settings: AlignmentSettings,
    axis: str | None = None,
) -> AlignmentParts:
    """`alignment_parts` of N pictures [N, D], [N, D], [N] by the prompts [K, R, D] and the words.

    axis: of the mesh, over which the words are split. Call it under jit.
    """

    def one(foreground, background, predicted):
        own = jnp.asarray(prompts)[predicted]
        similar = jnp.where(words.is_real, words.factors * (words.rows @ background), -jnp.inf)
        return AlignmentParts(
            scores.topk_mean(own @ background, settings.pos_topk),
            topk_mean_across(similar, settings.neg_topk, axis, approximate=settings.approximate),
            scores.topk_mean(own @ foreground, settings.pos_topk),
        )

    return jax.vmap(one)(foreground, background, predicted)
