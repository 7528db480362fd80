"""The settings of NegAlign, under the names of its README, and ours."""

import dataclasses
from typing import NamedTuple

from jaxvlm.clip import Tap
from jaxvlm.errors import InputError
from jaxvlm.ood.alignment import check_lambda, check_variant
from jaxvlm.ood.cam import THRESHOLDS

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
    """NegAlign: S_final = S_NegLabel* + λ·P_align. Checked when made; InputError says what is off.

    Base score:
      use_neglabel_star: S* in S_final; False: plain NegLabel.
      topk_aggregation_k: k of TopKMean (M1); 0 or None: log-sum-exp. The prototype's flag of this
        name (10) had no effect there, so 0 reproduces it.
      use_role_aware_negatives: S* against the object-leaning negatives only (M2).
      use_scale_stabilization: S* as z-score, with statistics of a calibration set (M3).
      num_groups: G.
      approximate_topk: TopKMean by an accelerator's approximate top-k, see `scores.topk_mean`.
      logit_scale: z = logit_scale·cosine; 100 is that of the published CLIPs, 0 takes the model's
        own, which matters for a CLIP that was trained for less long.
      glmcm_weight: λ of GL-MCM's local part; 1 is the paper's, its ImageNet script takes 0.5.
    Background:
      use_p_align, lambda_bg: λ. p_align_variant: see `alignment.align_score`.
      pos_topk, neg_topk: k of the TopKMean over the class's prompts and over N_bg.
    Words:
      neg_split_tau, neg_use_ambiguous_in_obj, neg_split_recompute: see `words.split`.
      soft_weighting: ``none`` is the hard split; ``ambiguous`` adds the ambiguous words to both
        sides with weights σ(±soft_beta·r); ``all`` gives every word the weights
        σ(±soft_weight_scale·r) on both sides (V3). A weight multiplies the similarity.
    Map:
      cam_layer: ``attention_input`` (the input of the block's attention) or ``output``, the
        prototype's, at which block −1 has no gradient on any patch.
      cam_block: −1 is the last. cam_block_weights: weights of cam_block, cam_block − 1, …
      cam_threshold: ``positive_percentile``, ``percentile`` (the prototype's; both of
        cam_fg_percentile) or ``otsu``, see `cam.cam_masks`. cam_dilate_px: times dilated.
      patch_features: what is pooled: the last block's ``output``, ``value_block`` or
        ``value_only``, see `clip.encode_tapped`. GL-MCM's own features do not depend on it.
      pooled_layernorm: pooled tokens go through post-layernorm before the projection; the
        prototype leaves it out for the background. foreground-star always has it, as there.
    """

    use_neglabel_star: bool = True
    topk_aggregation_k: int | None = 0
    use_role_aware_negatives: bool = True
    use_scale_stabilization: bool = False
    use_p_align: bool = True
    lambda_bg: float = 1.0
    pos_topk: int = 10
    neg_topk: int = 5
    p_align_variant: str = "v1_original"
    neg_split_tau: float = 0.05
    neg_use_ambiguous_in_obj: bool = False
    neg_split_recompute: bool = False
    cam_fg_percentile: float = 80.0
    cam_dilate_px: int = 1
    cam_block: int = -1
    num_groups: int = 100
    logit_scale: float = 100.0
    cam_layer: str = "attention_input"
    cam_block_weights: tuple[float, ...] = (1.0,)
    cam_threshold: str = "positive_percentile"
    patch_features: str = "output"
    pooled_layernorm: bool = False
    soft_weighting: str = "none"
    soft_beta: float = 10.0
    soft_weight_scale: float = 20.0
    approximate_topk: bool = False
    glmcm_weight: float = 1.0

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
