"""Pictures of a set with the map of their class, and the words that they match."""

import numpy as np

from jaxvlm.clip.preprocessing import Preprocessing, resize_and_crop
from jaxvlm.data.images import read_image
from jaxvlm.ood import cam
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pages import picture_plots, style
from jaxvlm.pages.picture_page import Card, Gallery
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.config import NEGALIGN, OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels

_CARDS = 6  # most and least ID-like pictures shown per set


def set_galleries(
    scored: ScoredSet,
    scores: np.ndarray,
    labels: Labels,
    config: OodConfig,
    preprocessing: Preprocessing,
) -> list[Gallery]:
    """The most and the least ID-like pictures of a set, with their maps and reasons.

    Of embeddings only if they name pictures that can be read, and without maps.
    """
    if not scored.encoded.has_patches and not scored.paths[0].is_file():
        return []
    heat = "heat: what speaks for the predicted class; outline: the background mask"
    order = np.argsort(-scores, kind="stable")
    count = min(_CARDS, len(order) // 2 or 1)
    return [
        Gallery(
            f"{scored.name}: {which} ID-like",
            heat if scored.encoded.has_patches else "",
            [card(scored, int(i), float(scores[i]), labels, config, preprocessing) for i in chosen],
        )
        for which, chosen in (("most", order[:count]), ("least", order[::-1][:count]))
    ]


def card(
    scored: ScoredSet,
    index: int,
    score: float,
    labels: Labels,
    config: OodConfig,
    preprocessing: Preprocessing,
) -> Card:
    """One picture as the encoder saw it, its map, and the words that it matches."""
    image = resize_and_crop(read_image(scored.paths[index]), preprocessing)
    encoded, negalign, overlay = scored.encoded, config.negalign, None
    if encoded.has_patches:
        heat = encoded.cam[index]
        masks = cam.cam_masks(
            heat,
            fg_percentile=negalign.cam_fg_percentile,
            dilate_px=negalign.cam_dilate_px,
            threshold=negalign.cam_threshold,
        )
        background = np.asarray(masks.background)
        overlay = picture_plots.overlay_cam(image, heat, background=background)
    facts = [("nearest negatives", _words(encoded.image[index], labels, "negative", 3))]
    if negalign.use_p_align:
        facts.append(
            ("background like", _words(encoded.background[index], labels, "negative_background", 3))
        )
    if negalign.use_p_align and config.method == NEGALIGN:
        p_align = scored.alignment[negalign.p_align_variant][index]
        facts.append(
            (f"P_align {negalign.p_align_variant}", style.number(float(p_align), sign="+"))
        )
    return Card(
        image=image,
        overlay=overlay,
        name=picture_tables.picture_name(scored, index),
        set_name=scored.name,
        predicted=labels.names.positive[encoded.predicted_class_idx[index]],
        score=score,
        facts=tuple(facts),
    )


def _words(embedding: np.ndarray, labels: Labels, bank: str, count: int) -> str:
    rows = np.asarray(getattr(labels.banks, bank))
    (near,) = nearest_labels(embedding[None], rows, getattr(labels.names, bank), count)
    return ", ".join(word for word, _ in near)
