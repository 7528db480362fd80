"""The figures and the page of an OOD evaluation: which pictures are far out, and why."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.evaluation.intervals import Interval
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.methods import METHODS
from jaxvlm.pages import picture_plots, style
from jaxvlm.pages.galleries import set_galleries
from jaxvlm.pages.picture_page import Switched, View, write_picture_page
from jaxvlm.pages.stream_tables import stream_tables
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.choosing import CHOSEN, title
from jaxvlm.pictures.comparison import Evaluation
from jaxvlm.pictures.evaluating import Run
from jaxvlm.progress import Progress, ignore, stage


def write_plots(folder: Path, run: Run) -> None:
    """ROC curves of all methods and histograms of the main one, per pair of sets, as PNG."""
    evaluation = run.evaluation
    shown = _main_method(run)
    for id_set in run.id_sets:
        for ood_set in run.ood_sets:
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


def write_evaluation(
    out_dir: str | os.PathLike,
    run: Run,
    preprocessing: Preprocessing,
    *,
    on_progress: Progress = ignore,
) -> Path:
    """Writes ``plots/`` and the page ``report.html`` of an evaluation; returns the page's path."""
    page = Path(out_dir) / "report.html"
    with stage(on_progress, "draw the page"):
        write_plots(Path(out_dir) / "plots", run)
        write_page(page, run, preprocessing, notices=run.doubts)
    return page


def write_page(
    path: Path, run: Run, preprocessing: Preprocessing, *, notices: Sequence[str] = ()
) -> None:
    """Tables with intervals, ROC curves, and the most and least ID-like pictures of every set."""
    evaluation, ids, oods = run.evaluation, run.id_sets, run.ood_sets
    shown = _main_method(run)
    tables, figures, galleries = {}, {}, []
    for id_side in evaluation.results["id_set"].unique():
        tables[f"Methods, ID: {id_side}"] = _comparison(evaluation, id_side)
    tables |= _accuracy(evaluation) | stream_tables(run.streams)
    for id_set in ids:
        for ood_set in oods:
            pairs = _tested(evaluation, id_set.name, ood_set.name)
            curves = {title(m, evaluation.choices): pairs[m] for m in pairs if m not in VARIANTS}
            against = f"{id_set.name} against {ood_set.name}"
            figures[against] = style.inline_svg(picture_plots.roc_curves(curves), label=against)
    for scored in (*ids, *oods, *run.shifted):
        scores = evaluation.scores[scored.name][shown]
        galleries += set_galleries(scored, scores, run.labels, run.config, preprocessing)
    write_picture_page(
        path,
        title="Which pictures are out of distribution",
        notes=[
            f"Scores shown with the pictures: {title(shown, evaluation.choices)}. Higher means "
            "in-distribution. Tables are of the test part of every set, the best mean first, with "
            f"95 % intervals. FPR by the convention {run.config.convention}. Pooled: all OOD "
            "pictures as one set. Full spectrum: the ID side with the sets under covariate shift. "
            "CCR: ID pictures accepted and rightly named, where at most that share of OOD pictures "
            "is accepted.",
            picture_tables.LEVEL,
            *picture_tables.notes(evaluation),
            *run.labels.notes,
            *run.labels.read,
        ],
        notices=notices,
        tables=tables,
        figures=figures,
        galleries=galleries,
    )


def _tested(
    evaluation: Evaluation, id_set: str, ood_set: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Test scores of every method against an OOD set, with what was chosen for that set."""
    scores = evaluation.held_out[ood_set]

    def part(name: str, method: str) -> np.ndarray:
        return scores[name][method][~evaluation.validation[name]]

    return {m: (part(id_set, m), part(ood_set, m)) for m in evaluation.scores[id_set]}


def _comparison(evaluation: Evaluation, id_set: str) -> Switched:
    """The methods against one ID set, by each metric; the variants of P_align folded away."""
    metrics = {"AUROC": "auroc", "FPR at 95 % TPR": "fpr95"}
    if "auroc_gain" in evaluation.results:
        metrics["AUROC gained over the base"] = "auroc_gain"
    metrics |= {"AUPR, ID positive": "aupr_in", "AUPR, OOD positive": "aupr_out"}
    rows = evaluation.results[evaluation.results["id_set"] == id_set]
    metrics |= {
        title: name for name, title in picture_tables.CCR_TITLES.items() if rows[name].notna().any()
    }
    views = {
        name: View(*picture_tables.marked_tables(evaluation, id_set, metric))
        for name, metric in metrics.items()
    }
    return Switched(views, "".join(picture_tables.folded_line(evaluation, id_set)))


def _accuracy(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """How often ĉ is right, of the ID sides and shifted sets whose truth is known."""
    table = evaluation.accuracy.dropna(subset="accuracy")
    if table.empty:
        return {}
    cells = [
        Interval(row.accuracy, row.accuracy_low, row.accuracy_high) for row in table.itertuples()
    ]
    shown = {"accuracy": cells, "pictures": list(table["pictures"])}
    return {"How often ĉ, the nearest class, is right": pd.DataFrame(shown, list(table["set"]))}


def _main_method(run: Run) -> str:
    """What pictures are shown with: the config's method, else what was chosen, else the last."""
    methods = next(iter(run.evaluation.scores.values()))
    for method in (run.config.method, CHOSEN):
        if method in methods:
            return method
    return next(m for m in reversed(METHODS) if m in methods)
