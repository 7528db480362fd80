"""A folder of pictures: how far out each of them is, and why."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip, files, runs
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import ScaleStatistics, fit_scale
from jaxvlm.ood.methods import base_method
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.doubts import picture_doubts
from jaxvlm.pictures.encoding import Progress, ScoredSet, ignore, score_set
from jaxvlm.pictures.labels import Labels, Words, prepare_labels
from jaxvlm.pictures.sets import check_classes


class FolderScores(NamedTuple):
    """A row per readable picture, farthest out first, whose index is its place in the set.

    ``table`` holds all of `score_encoded`'s scores, every method, the predicted class, the nearest
    negatives and the sentence. failures: a line per picture that was left out. encoding: what was
    encoded; record: for ``run.json``, how, and the seconds of each stage. For the page: the set,
    its final scores [N] in the set's order, words and settings.
    """

    table: pd.DataFrame
    failures: list[str]
    encoding: clip.EncodingStatistics
    scored: ScoredSet
    final: np.ndarray
    labels: Labels
    config: OodConfig
    record: dict[str, Any]
    warnings: list[str] = []  # what speaks against trusting the scores

    def to_pandas(self) -> pd.DataFrame:
        """The table: a row per picture, farthest out first."""
        return self.table

    @property
    def negalign(self) -> NegAlignConfig:
        """The settings of the scores."""
        return self.config.negalign


def score_folder(
    encoder: clip.Encoder,
    image_set: ImageSet,
    words: Words,
    config: OodConfig,
    *,
    id_set: ImageSet | None = None,
    on_progress: Progress = ignore,
) -> FolderScores:
    """Scores a folder with NegAlign, S_final = S* + λ·P_align, and says why in a sentence each.

    Writes nothing but the encoder's store and cache: `write_scores` does.

    Args:
      config: from `config.check`.
      id_set: pictures known to be in-distribution. With them a score also comes as the share of
        these that lie below it, and M3 (``use_scale_stabilization``) can be fitted.
      on_progress: see `encoding.score_set`.

    Raises InputError: inputs that do not fit, or M3 without ``id_set``.
    """
    negalign = config.negalign
    if negalign.use_scale_stabilization and id_set is None:
        raise InputError(
            "use_scale_stabilization: needs ID pictures to be fitted on; give --id_dir"
        )
    before = dataclasses.replace(encoder.statistics)
    seconds: dict[str, float] = {}
    with runs.timed(seconds, "labels"):
        labels = prepare_labels(encoder, words, config)
    check_classes([] if id_set is None else [id_set], labels.names.positive)
    reference, scale = None, None
    with runs.timed(seconds, "encode"):
        scored, failures = score_set(encoder, image_set, labels, config, on_progress=on_progress)
        if id_set is not None:
            reference, lost = score_set(encoder, id_set, labels, config, on_progress=on_progress)
            failures += lost
    if negalign.use_scale_stabilization:
        scale = fit_scale(reference.scores[_star(negalign)])
    found = _final(scored, negalign, scale)
    percentiles = None
    if reference is not None:
        known = np.sort(_final(reference, negalign, scale)["s_final"])
        percentiles = np.searchsorted(known, found["s_final"]) / len(known)
    table = picture_tables.picture_table(scored, "", labels, found | scored.scores).drop(
        columns="side"
    )
    table.insert(1, "why", _sentences(scored, labels, found["s_final"], percentiles, negalign))
    if percentiles is not None:
        table.insert(2, "share_of_id_below", percentiles)
    table = table.iloc[np.argsort(found["s_final"], kind="stable")]
    statistics = clip.total_statistics(encoder, since=before)  # of this run
    record = {"encoding": clip.encoding_record(encoder, statistics)}
    record |= runs.run_record(config, seed=config.seed, seconds=seconds)
    warnings = picture_doubts(encoder.model, scored, labels)
    record["warnings"] = warnings
    final = found["s_final"]
    return FolderScores(
        table, failures, statistics, scored, final, labels, config, record, warnings
    )


def write_scores(out_dir: str | os.PathLike, scores: FolderScores) -> None:
    """``scores.csv``, a row per picture in the set's order, and ``run.json``.

    `pages.evaluation_page` draws the page. Of several processes one has to write.
    """
    files.write_csv(Path(out_dir) / "scores.csv", scores.table.sort_index())
    counts = {"pictures": len(scores.table), "unreadable": scores.failures}
    files.write_json(Path(out_dir) / "run.json", counts | scores.record)


def _star(negalign: NegAlignConfig) -> str:
    """The method that is S*, whether S_final takes it or not."""
    return base_method(dataclasses.replace(negalign, use_neglabel_star=True))


def _final(
    scored: ScoredSet, negalign: NegAlignConfig, scale: ScaleStatistics | None
) -> dict[str, np.ndarray]:
    """S_final = base + λ·P_align and its parts, of the scores that the set has."""
    star = scored.scores[_star(negalign)]
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
