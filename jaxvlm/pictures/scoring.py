"""A folder of pictures: how far out each of them is, and why."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jax.sharding import Mesh
from tqdm import tqdm

from jaxvlm import clip, files, parallel, runs
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import ScaleStatistics, fit_scale, with_logit_scale
from jaxvlm.ood.methods import base_method
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pictures import encoding
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.config import OodConfig, check
from jaxvlm.pictures.encoding import Labels, ScoredSet


class FolderScores(NamedTuple):
    """A row per readable picture, farthest out first; a line per picture that was left out; what
    was encoded; and for the page the set, its final scores, the words and the settings."""

    table: pd.DataFrame
    failures: list[str]
    encoding: clip.EncodingStatistics
    scored: ScoredSet
    final: np.ndarray
    labels: Labels
    negalign: NegAlignConfig


def score_folder(
    model: clip.ClipModel,
    image_set: ImageSet,
    class_names: str | os.PathLike,
    negatives: str | os.PathLike | None,
    out_dir: str | os.PathLike,
    config: OodConfig,
    *,
    id_set: ImageSet | None = None,
    mesh: Mesh | None = None,
    store_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: bool = False,
) -> FolderScores:
    """Scores a folder with NegAlign, S_final = S* + λ·P_align, and says why in a sentence each.

    Writes ``scores.csv`` (a row per picture in the folder's order: all of `score_images`'s scores,
    the predicted class, the nearest negatives, the sentence) and ``run.json``.

    id_set: pictures known to be in-distribution. With them a score also comes as the share of
    these that lie below it, and M3 (``use_scale_stabilization``) can be fitted. mesh, store_dir,
    cache_dir: as of `ood_run.run_evaluation`.

    Raises InputError: inputs that do not fit, or M3 without ``id_set``.
    """
    config, negalign = check(config)
    negalign = with_logit_scale(negalign, model)
    if negalign.use_scale_stabilization and id_set is None:
        raise InputError(
            "use_scale_stabilization: needs ID pictures to be fitted on; give --id_dir"
        )
    seconds: dict[str, float] = {}
    with runs.timed(seconds, "labels"):
        labels = encoding.prepare_labels(
            model, class_names, negatives, config, negalign, cache_dir=cache_dir, mesh=mesh
        )

    encoder = clip.make_encoder(
        model, batch_size=config.batch_size, mesh=mesh, store_dir=store_dir, cache_dir=cache_dir
    )

    def score(chosen: ImageSet) -> tuple[ScoredSet, list[str]]:
        with tqdm(total=len(chosen.paths), disable=not progress, leave=False) as bar:
            return encoding.score_set(
                encoder,
                chosen,
                labels,
                config,
                negalign,
                cache_dir=cache_dir,
                advance=bar.update,
            )

    with runs.timed(seconds, "encode"):
        scored, failures = score(image_set)
        reference = None
        if id_set is not None:
            reference, lost = score(id_set)
            failures += lost
    scale = None
    if negalign.use_scale_stabilization:
        star = base_method(dataclasses.replace(negalign, use_neglabel_star=True))
        scale = fit_scale(reference.scores[star])
    found = _final(scored, negalign, scale)
    percentiles = None
    if reference is not None:
        known = np.sort(np.asarray(_final(reference, negalign, scale)["s_final"]))
        percentiles = np.searchsorted(known, found["s_final"]) / len(known)
    table = picture_tables.picture_table(scored, "", labels, found | scored.scores).drop(
        columns="side"
    )
    table.insert(1, "why", _sentences(scored, labels, found["s_final"], percentiles, negalign))
    if percentiles is not None:
        table.insert(2, "share_of_id_below", percentiles)
    statistics = clip.total_statistics(encoder)
    if parallel.is_writer():
        files.write_csv(Path(out_dir) / "scores.csv", table)
        record = runs.run_record(config, seed=config.seed, seconds=seconds)
        counts = {
            "pictures": len(scored.paths),
            "unreadable": failures,
            "encoding": clip.encoding_record(encoder, statistics),
        }
        files.write_json(Path(out_dir) / "run.json", counts | record)
    order = np.argsort(found["s_final"], kind="stable")
    return FolderScores(
        table.iloc[order].reset_index(drop=True),
        failures,
        statistics,
        scored,
        found["s_final"],
        labels,
        negalign,
    )


def _final(
    scored: ScoredSet, negalign: NegAlignConfig, scale: ScaleStatistics | None
) -> dict[str, np.ndarray]:
    """S_final = base + λ·P_align and its parts, of the scores that the set has."""
    star = scored.scores[base_method(dataclasses.replace(negalign, use_neglabel_star=True))]
    if scale is not None:
        star = (star - scale.mean) / scale.std
    plain = scored.scores["neglabel"]
    final = base = star if negalign.use_neglabel_star else plain
    p_align = np.zeros_like(base)
    if negalign.use_p_align:
        p_align = scored.alignment[negalign.p_align_variant]
        final = base + np.float32(negalign.lambda_bg) * p_align
    return {
        "s_final": final,
        "s_neglabel_star": star,
        "s_neglabel_plain": plain,
        "p_align": p_align,
    }


def _sentences(
    scored: ScoredSet,
    labels: Labels,
    final: np.ndarray,
    percentiles: np.ndarray | None,
    negalign: NegAlignConfig,
) -> list[str]:
    banks, names = labels.banks, labels.names
    encoded = scored.encoded
    near = nearest_labels(encoded.image, np.asarray(banks.negative), names.negative, 1)
    background: Sequence = [()] * len(final)
    if negalign.use_p_align:
        rows = np.asarray(banks.negative_background)
        background = nearest_labels(encoded.background, rows, names.negative_background, 1)
    own = np.asarray(banks.positive)[encoded.predicted_class_idx]
    positive = np.sum(own * encoded.image, axis=1)
    return [
        picture_tables.sentence(
            float(final[i]),
            names.positive[encoded.predicted_class_idx[i]],
            float(positive[i]),
            near[i],
            background[i],
            None if percentiles is None else float(percentiles[i]),
        )
        for i in range(len(final))
    ]
