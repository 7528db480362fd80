"""How well a score tells in-distribution images from others, and how sure one can be of it.

Higher score = in-distribution (ID), everywhere. Each side is the positive one once: the ID images
are called from the highest score down, the OOD images from the lowest up.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.evaluation.ranking import picture_metrics, sort_pictures

METRICS = ("auroc", "aupr_in", "aupr_out", "fpr95")
CCR = ("ccr_1", "ccr_2", "ccr_3", "ccr_4")  # at an FPR of 10⁻¹ to 10⁻⁴
CONVENTIONS = ("id_positive", "openood", "closest_recall")


def ood_metrics(
    id_scores: ArrayLike, ood_scores: ArrayLike, *, convention: str = "id_positive"
) -> dict[str, float]:
    """AUROC, AUPR and FPR at 95 % TPR of scores that are higher for in-distribution images.

    AUROC = P(s_id > s_ood) + ½ P(s_id = s_ood);
    AUPR = Σ_p (R_p − R_{p−1}) P_p over distinct thresholds, recall R and precision P of the ID
    images (``aupr_in``) or, with −s, of the OOD images (``aupr_out``);
    FPR@95 = FP_p / N_ood at the first p, from the highest threshold down, with TP_p ≥ 0.95 N_id.

    Args:
      id_scores: [N_id], any monotone unit; ±inf are ordered like any other score.
      ood_scores: [N_ood].
      convention: ``id_positive`` as above. ``openood``: the OOD images are the positives of the
        FPR, so it is the fraction of ID images called OOD where at least 95 % of the OOD images
        are, and the AUPR is the trapezoidal area under the precision-recall curve, which starts
        at precision 1. The AUROC is the same. ``closest_recall``: FPR@95 as the code of NegLabel,
        MCM, GL-MCM, CSP and NegRefine has it, at the recall nearest to 0.95 instead of the first
        that is not below it. With distinct ID scores s_1 > … > s_J of recalls r_j, and j the last
        of those with the least |r_j − 0.95| in float64, it is the share of OOD images above
        s_{j+1}, or, if j = J, at or above s_J. Few ID images make it differ from ``id_positive``
        by the share of OOD images that lie between two of them. The rest is the same.

    Returns:
      ``{"auroc", "aupr_in", "aupr_out", "fpr95"}``, each in [0, 1].

    Raises:
      InputError: an empty set, a NaN, not one number per image, or an unknown convention.

    Source: scikit-learn ``roc_auc_score`` and ``average_precision_score``; Hendrycks and Gimpel
    (2017); Zhang et al., OpenOOD v1.5 (2023), whose ROC curve leaves out collinear points: where
    ID and OOD images tie, its FPR can be that of a later threshold; ``closest_recall``: the
    published code of Jiang et al., NegLabel (2024), after Hendrycks et al., Outlier Exposure
    (2019).
    """
    check_convention(convention)
    pair = check_scores(id_scores, ood_scores, "")
    ones = (np.ones((1, side.size)) for side in pair)
    values = picture_metrics(sort_pictures(*pair), *ones, convention)[:, 0]
    return dict(zip(METRICS, values.tolist(), strict=True))


def correct_classification_rates(
    id_scores: ArrayLike, ood_scores: ArrayLike, right: ArrayLike
) -> dict[str, float]:
    """CCR at a false positive rate f of 10⁻¹ to 10⁻⁴: ID images both accepted and rightly named.

    CCR@f = |{i: s_i > t, right_i}| / N_id, t the ⌈f N_ood⌉-th highest OOD score, so that fewer OOD
    images than f N_ood are accepted. What ties with t is rejected, on both sides.

    Args:
      id_scores: [N_id]. ood_scores: [N_ood]. right: [N_id] whether the predicted class is the true
        one, 0 or 1.

    Returns:
      ``{"ccr_1", …, "ccr_4"}``, for f = 10⁻ʲ; nan where N_ood f < 1: a single OOD image is more
      than the share f then. OpenOOD's code rejects all of them there.

    Raises:
      InputError: as `ood_metrics`, or not a 0 or 1 per ID image.

    Source: Dhamija, Günther and Boult, Reducing Network Agnostophobia, NeurIPS 2018, for OOD; the
    threshold is that of OpenOOD v1 (Yang et al., 2022).
    """
    pair = check_scores(id_scores, ood_scores, "")
    ones = (np.ones((1, side.size)) for side in pair)
    right = check_right(right, pair[0].size)[None]
    values = picture_metrics(sort_pictures(*pair), *ones, CONVENTIONS[0], right)[len(METRICS) :, 0]
    return dict(zip(CCR, values.tolist(), strict=True))


def check_right(right: ArrayLike, count: int) -> np.ndarray:
    """[N_id] float64. Raises InputError unless there is a 0 or a 1 for each of the ID images."""
    checked = np.asarray(right, np.float64)
    if checked.shape != (count,) or not np.isin(checked, (0, 1)).all():
        raise InputError(f"right: no 0 or 1 for each of {count} ID images; give one for each")
    return checked


def check_convention(convention: str) -> None:
    """Raises InputError for an unknown one."""
    if convention not in CONVENTIONS:
        raise InputError(f"convention {convention!r}: unknown; use one of {', '.join(CONVENTIONS)}")


def check_scores(
    id_scores: ArrayLike, ood_scores: ArrayLike, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides as float64 [N], which holds every float32 exactly: no two scores become one.

    Raises InputError as `ood_metrics`; ``name``: whose scores they are.
    """
    checked = []
    for side, scores in (("ID", id_scores), ("OOD", ood_scores)):
        what = f"{side} scores of {name}" if name else f"{side} scores"
        try:
            scores = np.asarray(scores, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{what}: not all numbers; give one score per image") from None
        if scores.ndim != 1:
            raise InputError(f"{what}: shape {list(scores.shape)}; give one score per image, [N]")
        if not scores.size:
            raise InputError(f"{what}: none; give at least one image")
        if np.isnan(scores).any():
            raise InputError(
                f"{what}: NaN at image {int(np.isnan(scores).argmax())}; score the images again"
            )
        checked.append(scores)
    return checked[0], checked[1]


def check_sets(
    id_scores: Mapping[str, Mapping[str, ArrayLike]],
    ood_scores: Mapping[str, Mapping[str, ArrayLike]],
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Both sides of every method, as `check_scores`, by OOD set.

    Raises InputError also for sets, methods or numbers of images that differ.
    """
    if set(id_scores) != set(ood_scores):
        raise InputError(
            f"sets: {list(id_scores)} have ID scores, {list(ood_scores)} OOD scores; "
            "score the ID images for every set"
        )
    checked = {name: _check_methods(id_scores[name], ood_scores[name]) for name in ood_scores}
    first = next(iter(checked))
    for name, pairs in checked.items():
        sizes = [next(iter(found.values()))[0].size for found in (pairs, checked[first])]
        if sizes[0] != sizes[1] or set(pairs) != set(checked[first]):
            raise InputError(
                f"{name}: {sizes[0]} ID scores of {list(pairs)}, {first} has {sizes[1]} of "
                f"{list(checked[first])}; score the same images with the same methods"
            )
    return checked


def _check_methods(
    id_scores: Mapping[str, ArrayLike], ood_scores: Mapping[str, ArrayLike]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not id_scores or set(id_scores) != set(ood_scores):
        raise InputError(
            f"methods: {list(id_scores)} have ID scores, {list(ood_scores)} OOD scores; "
            "score both sides with the same methods, at least one"
        )
    checked = {name: check_scores(id_scores[name], ood_scores[name], name) for name in id_scores}
    sizes = {name: [side.size for side in pair] for name, pair in checked.items()}
    first = next(iter(sizes))
    for name, size in sizes.items():
        if size != sizes[first]:
            raise InputError(
                f"{name}: {size} ID and OOD scores, {first} has {sizes[first]}; "
                "score the same images with every method"
            )
    return checked
