"""The figures and the page of an OOD evaluation: which pictures are far out, and why."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxvlm.clip.preprocessing import Preprocessing, resize_and_crop
from jaxvlm.data.images import read_image
from jaxvlm.ood import cam
from jaxvlm.ood.alignment import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.methods import METHODS
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pages import picture_plots, style
from jaxvlm.pages.picture_page import Card, Gallery, write_picture_page
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.choosing import CHOSEN, title
from jaxvlm.pictures.comparison import Evaluation
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.evaluating import Run
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.scoring import FolderScores

_CARDS = 6  # most and least ID-like pictures shown per set


def write_plots(
    folder: Path, evaluation: Evaluation, ids: Sequence[ScoredSet], oods: Sequence[ScoredSet]
) -> None:
    """ROC curves of all methods and histograms of the main one, per pair of sets, as PNG."""
    shown = _main_method(evaluation)
    for id_set in ids:
        for ood_set in oods:
            pairs = _tested(evaluation, id_set.name, ood_set.name)
            name = f"{id_set.name}-{ood_set.name}"
            heading = f"{id_set.name} against {ood_set.name}"
            curves = {title(m, evaluation.choices): pairs[m] for m in pairs if m not in VARIANTS}
            picture_plots.write_figure(
                folder / f"roc-{name}.png", picture_plots.roc_curves(curves, title=heading)
            )
            histogram = picture_plots.score_histogram(
                *pairs[shown], title=f"{title(shown, evaluation.choices)}: {heading}"
            )
            picture_plots.write_figure(folder / f"scores-{name}.png", histogram)


def write_evaluation(out_dir: str | os.PathLike, run: Run, preprocessing: Preprocessing) -> Path:
    """Writes ``plots/`` and the page ``report.html`` of an evaluation; returns the page's path."""
    write_plots(Path(out_dir) / "plots", run.evaluation, run.id_sets, run.ood_sets)
    page = Path(out_dir) / "report.html"
    write_page(page, run, preprocessing)
    return page


def write_folder(
    out_dir: str | os.PathLike, scores: FolderScores, preprocessing: Preprocessing
) -> Path:
    """Writes the page ``report.html`` of a scored folder; returns its path."""
    page, names = Path(out_dir) / "report.html", scores.labels.names
    write_picture_page(
        page,
        title="How far out these pictures are, and why",
        notes=[
            f"S_final = {_formula(scores.negalign)}; higher is in-distribution. "
            f"{len(names.positive)} classes, {len(names.negative)} negatives."
        ],
        notices=scores.warnings,
        galleries=set_galleries(
            scores.scored, scores.final, scores.labels, scores.negalign, preprocessing
        ),
    )
    return page


def write_page(path: Path, run: Run, preprocessing: Preprocessing) -> None:
    """Tables with intervals, ROC curves, and the most and least ID-like pictures of every set."""
    evaluation, ids, oods = run.evaluation, run.id_sets, run.ood_sets
    labels, negalign = run.labels, run.negalign
    shown = _main_method(evaluation)
    tables, figures, galleries = {}, {}, []
    for id_set in ids:
        heading = f"ID: {id_set.name}"
        tables[f"AUROC, {heading}"] = picture_tables.method_table(evaluation, id_set.name, "auroc")
        tables[f"FPR at 95 % TPR, {heading}"] = picture_tables.method_table(
            evaluation, id_set.name, "fpr95"
        )
        if "auroc_gain" in evaluation.results:
            tables[f"AUROC gained over the base, {heading}"] = picture_tables.method_table(
                evaluation, id_set.name, "auroc_gain"
            )
        for ood_set in oods:
            pairs = _tested(evaluation, id_set.name, ood_set.name)
            curves = {title(m, evaluation.choices): pairs[m] for m in pairs if m not in VARIANTS}
            against = f"{id_set.name} against {ood_set.name}"
            figures[against] = style.inline_svg(picture_plots.roc_curves(curves), label=against)
    for scored in (*ids, *oods):
        scores = evaluation.scores[scored.name][shown]
        galleries += set_galleries(scored, scores, labels, negalign, preprocessing)
    write_picture_page(
        path,
        title="Which pictures are out of distribution",
        notes=[
            f"Scores shown with the pictures: {title(shown, evaluation.choices)}. Higher means "
            "in-distribution. Tables are of the test part of every set. Brackets: 95 % intervals. "
            f"FPR by the convention {run.config.convention}. Pooled: all OOD pictures as one set.",
            *picture_tables.notes(evaluation),
            *labels.notes,
        ],
        tables=tables,
        figures=figures,
        galleries=galleries,
    )


def set_galleries(
    scored: ScoredSet,
    scores: np.ndarray,
    labels: Labels,
    negalign: NegAlignConfig,
    preprocessing: Preprocessing,
) -> list[Gallery]:
    """The most and the least ID-like pictures of a set, with their maps and reasons."""
    order = np.argsort(-scores, kind="stable")
    count = min(_CARDS, len(order) // 2 or 1)
    return [
        Gallery(
            f"{scored.name}: {which} ID-like",
            "heat: what speaks for the predicted class; outline: the background mask",
            [
                card(scored, int(i), float(scores[i]), labels, negalign, preprocessing)
                for i in chosen
            ],
        )
        for which, chosen in (("most", order[:count]), ("least", order[::-1][:count]))
    ]


def card(
    scored: ScoredSet,
    index: int,
    score: float,
    labels: Labels,
    negalign: NegAlignConfig,
    preprocessing: Preprocessing,
) -> Card:
    """One picture as the encoder saw it, its map, and the words that it matches."""
    image = resize_and_crop(read_image(scored.paths[index]), preprocessing)
    encoded = scored.encoded
    heat = encoded.cam[index]
    masks = cam.cam_masks(
        heat,
        fg_percentile=negalign.cam_fg_percentile,
        dilate_px=negalign.cam_dilate_px,
        threshold=negalign.cam_threshold,
    )
    facts = [("nearest negatives", _words(encoded.image[index], labels, "negative", 3))]
    if negalign.use_p_align:
        facts.append(
            ("background like", _words(encoded.background[index], labels, "negative_background", 3))
        )
        p_align = scored.alignment[negalign.p_align_variant][index]
        facts.append(
            (f"P_align {negalign.p_align_variant}", style.number(float(p_align), sign="+"))
        )
    return Card(
        image=image,
        overlay=picture_plots.overlay_cam(image, heat, background=np.asarray(masks.background)),
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


def _tested(
    evaluation: Evaluation, id_set: str, ood_set: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Test scores of every method against an OOD set, with what was chosen for that set."""
    scores = evaluation.held_out[ood_set]

    def part(name: str, method: str) -> np.ndarray:
        return scores[name][method][~evaluation.validation[name]]

    return {m: (part(id_set, m), part(ood_set, m)) for m in evaluation.scores[id_set]}


def _main_method(evaluation: Evaluation) -> str:
    methods = next(iter(evaluation.scores.values()))
    return CHOSEN if CHOSEN in methods else next(m for m in reversed(METHODS) if m in methods)


def _formula(negalign: NegAlignConfig) -> str:
    base = "S*" if negalign.use_neglabel_star else "S_NegLabel"
    if not negalign.use_p_align:
        return base
    return f"{base} + λ·P_align, {negalign.p_align_variant}, λ = {negalign.lambda_bg:g}"
