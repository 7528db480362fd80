"""What `jaxvlm.ood` gives to others, see `jaxvlm.lazily`."""

from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.background import AlignmentParts, alignment_parts
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import (
    ScaleStatistics,
    fit_scale,
    neglabel_scores,
    score_encoded,
    score_images,
    with_logit_scale,
)
from jaxvlm.ood.encoding import Encoded, encode
from jaxvlm.ood.methods import METHODS, alignment_scores, method_scores
from jaxvlm.ood.placing import Permutations, PlacedBanks, place_banks
from jaxvlm.ood.referenced import knn_score
from jaxvlm.ood.scores import (
    energy_score,
    glmcm_score,
    local_mcm_score,
    max_logit_score,
    mcm_score,
    multi_matching_score,
    neglabel_score,
    negrefine_score,
    one_group_score,
    topk_mean,
)
from jaxvlm.ood.text_scores import cma_score, cover_score, eoe_score, size_free_score
from jaxvlm.ood.words.label_banks import LabelBanks, check_banks

__all__ = [
    "METHODS",
    "VARIANTS",
    "AlignmentParts",
    "Encoded",
    "LabelBanks",
    "NegAlignConfig",
    "Permutations",
    "PlacedBanks",
    "ScaleStatistics",
    "align_score",
    "alignment_parts",
    "alignment_scores",
    "check_banks",
    "cma_score",
    "cover_score",
    "encode",
    "energy_score",
    "eoe_score",
    "fit_scale",
    "glmcm_score",
    "knn_score",
    "local_mcm_score",
    "max_logit_score",
    "mcm_score",
    "method_scores",
    "multi_matching_score",
    "neglabel_score",
    "neglabel_scores",
    "negrefine_score",
    "one_group_score",
    "place_banks",
    "score_encoded",
    "score_images",
    "size_free_score",
    "topk_mean",
    "with_logit_scale",
]
