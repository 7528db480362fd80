"""The settings of NegAlign, under the names of its README, and ours."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from jaxvlm.errors import InputError
from jaxvlm.ood.choices import THRESHOLDS, check_lambda, check_variant

if TYPE_CHECKING:
    from jaxvlm.clip import Tap

_CHOICES = {
    "cam_layer": ("attention_input", "output"),
    "cam_threshold": THRESHOLDS,
    "patch_features": ("output", "value_block", "value_only"),
    "soft_weighting": ("none", "ambiguous", "all"),
}


class CamSettings(NamedTuple):
    """What decides what the encoder is asked; all else is arithmetic on what it gave."""

    layer: str
    block: int
    block_weights: tuple[float, ...]
    fg_percentile: float
    dilate_px: int
    threshold: str
    patch_features: str
    pooled_layernorm: bool

    def taps(self, num_blocks: int) -> tuple[Tap, ...]:
        """The taps, uppermost first. Raises InputError for a block that the tower lacks."""
        from jaxvlm.clip import Tap  # settings are read without an encoder

        lowest = self.block - len(self.block_weights) + 1
        if not -num_blocks <= lowest <= self.block < 0:
            raise InputError(
                f"cam_block {self.block} with {len(self.block_weights)} weights: the tower has "
                f"blocks -1 to {-num_blocks}; choose among them"
            )
        return tuple(
            Tap(self.layer, num_blocks + self.block - i) for i in range(len(self.block_weights))
        )


@dataclasses.dataclass(frozen=True)
class NegAlignConfig:
    """NegAlign: S_final = S_NegLabel* + λ·P_align. Checked when made, by InputError."""

    use_neglabel_star: bool = True
    """S* in S_final; False: plain NegLabel."""
    topk_aggregation_k: int | None = 0
    """k of TopKMean (M1); 0 or None: log-sum-exp. The prototype's flag of this name (10) had no
    effect there, so 0 reproduces it."""
    use_role_aware_negatives: bool = True
    """S* against the object-leaning negatives only (M2)."""
    use_scale_stabilization: bool = False
    """S* as z-score, with statistics of a calibration set (M3)."""
    use_p_align: bool = True
    """The background term in S_final; False: λ = 0."""
    lambda_bg: float = 1.0
    """λ of S_final."""
    pos_topk: int = 10
    """k of the TopKMean over the class's prompts."""
    neg_topk: int = 5
    """k of the TopKMean over N_bg."""
    p_align_variant: str = "v1_original"
    """v1 to v9, see `alignment.align_score`."""
    neg_split_tau: float = 0.05
    """τ of the split into object and background words, see `words.split`."""
    neg_use_ambiguous_in_obj: bool = False
    """Words between the two sides count as object words."""
    neg_split_recompute: bool = False
    """Splits the words again where a folder brings a split."""
    cam_fg_percentile: float = 80.0
    """Percentile of the map from which a patch is foreground."""
    cam_dilate_px: int = 1
    """Times that the foreground is dilated."""
    cam_block: int = -1
    """The block whose map is read; −1 is the last."""
    num_groups: int = 100
    """G, groups of negatives."""
    logit_scale: float = 100.0
    """z = logit_scale·cosine; 100 is that of the published CLIPs, 0 takes the model's own, which
    matters for a CLIP that was trained for less long."""
    cam_layer: str = "attention_input"
    """``attention_input`` (the input of the block's attention) or ``output``, the prototype's, at
    which block −1 has no gradient on any patch."""
    cam_block_weights: tuple[float, ...] = (1.0,)
    """Weights of cam_block, cam_block − 1, …"""
    cam_threshold: str = "positive_percentile"
    """``positive_percentile``, ``percentile`` (the prototype's; both of cam_fg_percentile) or
    ``otsu``, see `cam.cam_masks`."""
    patch_features: str = "output"
    """What is pooled: the last block's ``output``, ``value_block`` or ``value_only``, see
    `clip.encode_tapped`. GL-MCM's own features do not depend on it."""
    pooled_layernorm: bool = False
    """Pooled tokens go through post-layernorm before the projection; the prototype leaves it out
    for the background. foreground-star always has it, as there."""
    soft_weighting: str = "none"
    """``none`` is the hard split; ``ambiguous`` adds the ambiguous words to both sides with weights
    σ(±soft_beta·r); ``all`` gives every word the weights σ(±soft_weight_scale·r) on both sides
    (V3). A weight multiplies the similarity."""
    soft_beta: float = 10.0
    """β of ``ambiguous``."""
    soft_weight_scale: float = 20.0
    """Of ``all``."""
    approximate_topk: bool = False
    """TopKMean by an accelerator's approximate top-k, see `scores.topk_mean`."""
    glmcm_weight: float = 1.0
    """λ of GL-MCM's local part; 1 is the paper's, its ImageNet script takes 0.5."""

    def __post_init__(self) -> None:
        check_variant(self.p_align_variant)
        check_lambda(self.lambda_bg)
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise InputError(
                    f"{field} {getattr(self, field)!r}: unknown; use one of {', '.join(choices)}"
                )
        for field, least in (("num_groups", 1), ("pos_topk", 1), ("neg_topk", 1)):
            if getattr(self, field) < least:
                raise InputError(f"{field} {getattr(self, field)}: too small; give at least 1")
        if (self.topk_aggregation_k or 0) < 0 or self.cam_dilate_px < 0:
            raise InputError("topk_aggregation_k, cam_dilate_px: negative; give 0 or more")
        if not 0 <= self.logit_scale < float("inf"):
            raise InputError(
                f"logit_scale {self.logit_scale}: negative or not finite; give a positive number, "
                "or 0 for the model's own"
            )
        if not 0 <= self.glmcm_weight < float("inf"):
            raise InputError(
                f"glmcm_weight {self.glmcm_weight}: negative or not finite; the paper has 1"
            )
        if not 0 <= self.cam_fg_percentile <= 100:
            raise InputError(
                f"cam_fg_percentile {self.cam_fg_percentile}: no percentile; give 0 to 100"
            )
        weights = self.cam_block_weights
        if not (weights and all(0 <= w < float("inf") for w in weights) and sum(weights) > 0):
            raise InputError(
                f"cam_block_weights {weights}: not weights with a positive sum; give (1.0,), say"
            )

    @property
    def cam(self) -> CamSettings:
        """The part that the encoder's pass depends on."""
        return CamSettings(
            self.cam_layer,
            self.cam_block,
            tuple(self.cam_block_weights),
            float(self.cam_fg_percentile),
            self.cam_dilate_px,
            self.cam_threshold,
            self.patch_features,
            self.pooled_layernorm,
        )
