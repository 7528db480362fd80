"""Arrays of a wrong shape are an error that names the axes: never a number, as they would be."""

import functools

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
    (
        ood.one_group_score,
        (zeros(N, K), zeros(M)),
        "one_group_score: pos_sim has shape (3, 4), needs [K]",
    ),
    (
        ood.one_group_score,
        (zeros(K), zeros(N, M)),
        "one_group_score: neg_sim has shape (3, 6), needs [M]",
    ),
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


def banks(**changes) -> ood.LabelBanks:
    rows = zeros(M, D)
    rows[:, 0] = 1
    return ood.LabelBanks(rows[:K], rows, rows[:4], rows[:2])._replace(**changes)


def encoded(**changes) -> ood.Encoded:
    classes, maps = np.zeros(N, int), zeros(N, 2, 2)
    found = ood.Encoded(*zeros(3, N, D), classes, zeros(N), maps, zeros(N), zeros(N), zeros(N, D))
    return found._replace(**changes)


CONFIG = ood.NegAlignConfig(num_groups=2)
placed = functools.cache(lambda: ood.place_banks(banks(), CONFIG))


def methods(**changes):
    return ood.method_scores(encoded(**changes), placed(), CONFIG)


def scored(**changes):
    return ood.score_encoded(encoded(**changes), banks(), CONFIG)


def parts(pictures, of=None):
    return ood.alignment_parts(pictures, of or banks(), pos_topk=1, neg_topk=1)


OF_BANKS = [
    (lambda: methods(image=zeros(D)), "method_scores: image has shape (5,), needs [N, 5]"),
    (lambda: methods(image=zeros(N, H)), "method_scores: image has shape (3, 7), needs [N, 5]"),
    (lambda: methods(foreground=zeros(2, D)), "method_scores: foreground has shape (2, 5), needs"),
    (lambda: methods(local_mcm=zeros(N, 1)), "method_scores: local_mcm has shape (3, 1), needs"),
    (
        lambda: ood.method_scores(encoded(), placed(), CONFIG, multi_matching=zeros(2)),
        "method_scores: multi_matching has shape (2,), needs [3]",
    ),
    (
        lambda: ood.alignment_scores(encoded(background=zeros(N, 1, D)), placed(), CONFIG),
        "alignment_scores: background has shape (3, 1, 5), needs [N, 5] with N = 3",
    ),
    (
        lambda: scored(predicted_class_idx=zeros(N, 1)),
        "score_encoded: predicted_class_idx has shape (3, 1), needs [N] with N = 3",
    ),
    (lambda: scored(cam=zeros(2, 2)), "score_encoded: cam has shape (2, 2)"),
    (
        lambda: ood.neglabel_scores(zeros(D), banks(), CONFIG),
        "neglabel_scores: embeddings has shape (5,), needs [N, D]",
    ),
    (
        lambda: ood.neglabel_scores(zeros(N, H), banks(), CONFIG),
        "neglabel_scores: positive has shape (4, 5), needs [K, D] with D = 7",
    ),
    (
        lambda: ood.neglabel_scores(zeros(N, D), banks(object_weights=zeros(M)), CONFIG),
        "neglabel_scores: object_weights has shape (6,), needs [O] with O = 4",
    ),
    (
        lambda: parts(encoded(foreground=zeros(D))),
        "alignment_parts: foreground has shape (5,), needs [N, D",
    ),
    (
        lambda: parts(encoded(), banks(positive_prompts=zeros(K, D))),
        "alignment_parts: positive_prompts has shape (4, 5), needs [K, R, D] with K = 4, D = 5",
    ),
    (
        lambda: ood.place_banks(banks(negative=zeros(M, H)), CONFIG),
        "place_banks: negative has shape (6, 7), needs [M, D] with D = 5",
    ),
    (
        lambda: ood.place_banks(banks(), CONFIG, soft_weights=zeros(4)),
        "place_banks: soft_weights has shape (4,), needs [M] with M = 6",
    ),
    (lambda: ood.fit_scale(zeros(N, 1)), "fit_scale: star has shape (3, 1), needs [N]"),
]


@pytest.mark.parametrize(("call", "message"), OF_BANKS, ids=[row[1][:45] for row in OF_BANKS])
def test_a_wrong_shape_of_pictures_or_banks_is_named(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value).startswith(message)


def test_the_right_shapes_are_none_of_these():
    assert len(methods()["neglabel"]) == len(scored()["s_final"]) == N
    assert parts(encoded()).bg_pos.shape == (N,)


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
