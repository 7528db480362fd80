"""The demo's other half: which pictures show what no class names, and does the background help?"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip
from jaxvlm.clip.preprocessing import resize_and_crop
from jaxvlm.data.image_sets import read_image_set
from jaxvlm.data.images import read_image
from jaxvlm.ood import cam
from jaxvlm.pages import evaluation_page, picture_plots
from jaxvlm.pictures import evaluating
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.choosing import CHOSEN
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Words
from jaxvlm.progress import Progress, ignore
from jaxvlm.world import ood_pictures
from jaxvlm.world.demo_splits import demo_encoder

_SHOWN = (
    "mcm", "neglabel", "neglabel_one_group", "neglabel_star", "negrefine", "negalign",
    "negalign_learned",
)  # fmt: skip
_COLUMNS, _SIDE = 8, 128


class OodDemo(NamedTuple):
    """table: AUROC of the main methods, rows methods, columns pairs of sets. sheet: pictures of ID
    and OOD, below each its map. metrics: the same numbers with intervals, for a JSON."""

    table: pd.DataFrame
    sheet: np.ndarray
    metrics: list[dict]


def run_ood_demo(
    out_dir: Path,
    batch_size: int | None,
    config: OodConfig,
    count: int,
    on_progress: Progress = ignore,
) -> OodDemo:
    """Renders the OOD benchmark, ``count`` pictures per set, and evaluates every method on it.

    ``out_dir`` gets the pictures and all that ``evaluate_ood`` writes. batch_size: see
    `demo_encoder`.
    """
    pictures, encoder = out_dir / "pictures", demo_encoder(batch_size)
    ood_pictures.write_ood_benchmark(pictures, seed=0, count=count, on_progress=on_progress)
    sets = {name: read_image_set(pictures / name) for name in ood_pictures.SETS}
    ids = [sets[name] for name in sets if name.startswith("id")]
    oods = [sets[name] for name in sets if not name.startswith("id")]
    words, model = Words(pictures / "class_names.txt"), encoder.model
    run = evaluating.run_evaluation(encoder, ids, oods, words, config)
    evaluating.write_run(out_dir, run)
    evaluation_page.write_evaluation(out_dir, run, model.preprocessing)
    results = run.evaluation.results
    chosen = results[results["method"].isin(_SHOWN)]
    table = pd.concat(
        {
            id_set.name: picture_tables.method_table(
                run.evaluation._replace(results=chosen), id_set.name, "auroc"
            )
            for id_set in ids
        },
        axis=1,
    )
    table.columns = [f"{ood} ({id_name})" for id_name, ood in table.columns]
    columns = ["method", "variant", "lambda", "id_set", "ood_set", "auroc", "auroc_low"]
    columns += ["auroc_high", "fpr95", "auroc_gain", "auroc_gain_low", "auroc_gain_high"]
    columns += ["convention", "chosen_on"]
    shown = {scored.name: scored for scored in (*run.id_sets, *run.ood_sets)}
    return OodDemo(
        table,
        _sheet(shown["id_rare"], shown["ood_spurious"], run.evaluation.scores, model),
        chosen[columns].to_dict("records"),
    )


def _sheet(
    known: ScoredSet, unknown: ScoredSet, scores: dict[str, dict], model: clip.ClipModel
) -> np.ndarray:
    """ID pictures, their maps, OOD pictures, their maps: four rows, most to least ID-like."""
    rows = []
    for scored in (known, unknown):
        order = np.argsort(-scores[scored.name][CHOSEN], kind="stable")
        picked = order[np.linspace(0, len(order) - 1, _COLUMNS).round().astype(int)]
        pairs = []
        for index in picked:
            image = resize_and_crop(read_image(scored.paths[index]), model.preprocessing)
            heat = scored.encoded.cam[index]
            background = np.asarray(cam.cam_masks(heat).background)
            pairs.append((image, picture_plots.overlay_cam(image, heat, background=background)))
        rows += [np.concatenate(row, axis=1) for row in zip(*pairs, strict=True)]
    sheet = np.concatenate(rows, axis=0)
    scale = max(1, _SIDE * _COLUMNS // sheet.shape[1])
    return sheet.repeat(scale, axis=0).repeat(scale, axis=1)
