"""Arrays of a wrong shape are an error that names the axes: never a number, as they would be."""

import numpy as np
import pytest

from jaxvlm import ood
from jaxvlm.ood import cam, scores
from jaxvlm.ood.words import label_banks, mining, split

N, K, M, P, D, H = 3, 4, 6, 9, 5, 7


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


TABLE = [
    (ood.mcm_score, (zeros(N, K),), "mcm_score: pos_sim has shape (3, 4), needs [K]; batch"),
    (ood.max_logit_score, (zeros(N, K),), "max_logit_score: pos_sim has shape (3, 4), needs [K]"),
    (ood.energy_score, (zeros(N, K),), "energy_score: pos_sim has shape (3, 4), needs [K]; batch"),
    (ood.energy_score, (np.float32(1),), "energy_score: pos_sim has shape (), needs [K]"),
    (ood.csp_score, (zeros(N, K), zeros(M)), "csp_score: pos_sim has shape (3, 4), needs [K]"),
    (ood.csp_score, (zeros(K), zeros(N, M)), "csp_score: neg_sim has shape (3, 6), needs [M]"),
    (ood.neglabel_score, (zeros(N, K), zeros(M)), "neglabel_score: pos_sim has shape (3, 4)"),
    (ood.neglabel_score, (zeros(K), zeros(N, M)), "neglabel_score: neg_sim has shape (3, 6)"),
    (scores.group_negatives, (zeros(N, M),), "group_negatives: neg_sim has shape (3, 6)"),
    (ood.local_mcm_score, (zeros(N, P, K),), "local_mcm_score: local_sim has shape (3, 9, 4)"),
    (ood.local_mcm_score, (zeros(K),), "local_mcm_score: local_sim has shape (4,), needs [P, K]"),
    (ood.glmcm_score, (zeros(N, K), 0.5), "glmcm_score: pos_sim has shape (3, 4), needs [K]"),
    (ood.glmcm_score, (zeros(K), zeros(N)), "glmcm_score: local_mcm has shape (3,), needs a scal"),
    (ood.multi_matching_score, (zeros(N, 2, 5), zeros(5)), "multi_matching_score: pair_sim has"),
    (ood.multi_matching_score, (zeros(2, 5), zeros(N, 5)), "multi_matching_score: pair_neg_sim"),
    (ood.multi_matching_score, (zeros(2, 5), zeros(2)), "multi_matching_score: pair_neg_sim has"),
    (ood.negrefine_score, (zeros(N), zeros(N, 1)), "negrefine_score: multi_matching has shape"),
    (ood.negrefine_score, (zeros(N), 0.5), "negrefine_score: multi_matching has shape (), needs"),
    (ood.topk_mean, (np.float32(1), 2), "topk_mean: values has shape (), needs [..., n]"),
    (ood.topk_mean, (zeros(N, 0), 2), "top-k mean: of no value"),
    (ood.align_score, (zeros(N), zeros(N, 1)), "align_score: bg_neg has shape (3, 1), needs (3,)"),
    (ood.align_score, (zeros(N), 0.1), "align_score: bg_neg has shape (), needs (3,), the shape"),
    (cam.grad_cam, (zeros(N, P, H), zeros(N, P, H)), "grad_cam: activations has shape (3, 9, 7)"),
    (cam.grad_cam, (zeros(P, H), zeros(H)), "grad_cam: gradients has shape (7,), needs [P, H]"),
    (cam.average_cams, (zeros(2, P), (1.0,)), "average_cams: weights has shape (1,), needs [B] wi"),
    (cam.average_cams, (zeros(2, 3, 3), (1.0, 1.0)), "average_cams: cams has shape (2, 3, 3)"),
    (cam.cam_masks, (zeros(N, 3, 3),), "cam_masks: cam has shape (3, 3, 3), needs [h, w]; batch"),
    (cam.cam_masks, (zeros(P),), "cam_masks: cam has shape (9,), needs [h, w]"),
    (cam.otsu_threshold, (zeros(3, 3),), "otsu_threshold: values has shape (3, 3), needs [P]"),
    (cam.masked_mean, (zeros(N, P, H), zeros(P)), "masked_mean: tokens has shape (3, 9, 7)"),
    (cam.masked_mean, (zeros(P, H), zeros(3, 3)), "masked_mean: mask has shape (3, 3), needs [P]"),
    (split.role_scores, (zeros(M, D), zeros(M, D), zeros(D)), "role_scores: background_prompts ha"),
    (split.role_scores, (zeros(D), zeros(D), zeros(D)), "role_scores: words has shape (5,)"),
    (mining.class_similarity, (zeros(M, D), zeros(K, H)), "class_similarity: classes has shape"),
    (mining.class_similarity, (zeros(D), zeros(K, D)), "class_similarity: words has shape (5,)"),
    (
        label_banks.nearest_labels,
        (zeros(D), zeros(2, D), "ab", 1),
        "nearest_labels: embeddings has",
    ),
    (label_banks.nearest_labels, (zeros(N, D), zeros(3, D), "ab", 1), "nearest_labels: bank has s"),
]


@pytest.mark.parametrize(
    ("function", "arguments", "message"), TABLE, ids=[row[2].split(" has")[0] for row in TABLE]
)
def test_a_wrong_shape_is_named(function, arguments, message):
    with pytest.raises(ValueError) as error:
        function(*arguments)
    assert str(error.value).startswith(message)


def test_a_foreground_of_another_shape():
    with pytest.raises(ValueError, match=r"align_score: fg_pos has shape \(2,\), needs \(3,\)"):
        ood.align_score(zeros(N), zeros(N), variant="v9", fg_pos=zeros(2))
