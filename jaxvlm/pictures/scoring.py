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
from jaxvlm.names import number_of
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import ScaleStatistics, fit_scale
from jaxvlm.ood.methods import base_method
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.choosing import scored_title
from jaxvlm.pictures.config import NEGALIGN, OodConfig
from jaxvlm.pictures.deciding import KEEP_ID, Decision, check_keep_id, decide, rule
from jaxvlm.pictures.doubts import embedding_doubts, picture_doubts
from jaxvlm.pictures.embedded import EmbeddedSet, check_dimensions, with_notes
from jaxvlm.pictures.encoder_use import encoded_sentence, used, used_so_far
from jaxvlm.pictures.encoding import ScoredSet, score_set
from jaxvlm.pictures.exporting import write_embeddings
from jaxvlm.pictures.labels import Labels, Words, check_served, prepare_labels
from jaxvlm.pictures.sets import check_classes
from jaxvlm.progress import Progress, ignore, stage


class FolderScores(NamedTuple):
    """A row per readable picture, farthest out first, whose index is its place in the set.

    ``table`` holds the method's score, every other method's, the predicted class, the nearest
    negatives, the sentence and, with ID pictures, ``share_of_id_below`` and the decision. failures:
    a line per picture that was left out. encoding: what was encoded; record: for ``run.json``, how,
    and the seconds of each stage. For the page: the set, its scores [N] in the set's order, words,
    settings, and what the decision rests on.
    """

    table: pd.DataFrame
    failures: list[str]
    encoding: clip.EncodingStatistics | None
    scored: ScoredSet
    final: np.ndarray
    labels: Labels
    config: OodConfig
    record: dict[str, Any]
    decision: Decision | None = None
    warnings: list[str] = []  # what speaks against trusting the scores

    def __repr__(self) -> str:
        """One line."""
        return f"FolderScores({self.scored.name}, {len(self.table)} pictures)"

    def to_pandas(self) -> pd.DataFrame:
        """The table: a row per picture, farthest out first."""
        return self.table

    @property
    def negalign(self) -> NegAlignConfig:
        """The settings of the scores."""
        return self.config.negalign

    @property
    def encoded(self) -> str:
        """What was encoded, in a sentence."""
        return encoded_sentence(self.encoding)

    @property
    def title(self) -> str:
        """The method's name, with its settings."""
        return scored_title(self.config)

    @property
    def rule(self) -> str:
        """How pictures are called in or out, in a sentence; or that they are not, and the cure."""
        return rule(self.decision)

    def lines(self, count: int, out_dir: str | os.PathLike) -> list[str]:
        """For a terminal: the ``count`` farthest pictures, what was done, and where it is."""
        found = [picture_tables.told(row) for row in self.table.head(count).to_dict("records")]
        how = f"scored with {self.title}; {self.encoded}"
        pictures = number_of(len(self.table), "picture")
        where = f"{pictures}: {out_dir}/scores.csv, {out_dir}/report.html"
        return [*found, *self.labels.read, how, self.rule, where]


def score_folder(
    encoder: clip.Encoder | None,
    image_set: ImageSet | EmbeddedSet,
    words: Words,
    config: OodConfig,
    *,
    id_set: ImageSet | EmbeddedSet | None = None,
    keep_id: float = KEEP_ID,
    on_progress: Progress = ignore,
) -> FolderScores:
    """Scores a folder with ``config.method`` and says why in a sentence each.

    Writes nothing but the encoder's store and cache: `write_scores` does.

    Args:
      encoder: None where pictures and words are all given as embeddings.
      config: from `config.check`; of embeddings through `embedded.without_patches`.
      id_set: pictures known to be in-distribution. With them a score also comes as the share of
        ID pictures that score as low (`deciding.decide`), a picture is called in or out, and M3
        (``use_scale_stabilization``) can be fitted.
      keep_id: the share of the ID pictures that are called in, which sets the threshold.
      on_progress: see `encoding.score_set`.

    Raises InputError: inputs that do not fit, a method that the words do not serve, or M3 without
    ``id_set``.
    """
    check_keep_id(keep_id)
    negalign = config.negalign
    needs_id = config.method == NEGALIGN and negalign.use_scale_stabilization
    if needs_id and id_set is None:
        raise InputError(
            "use_scale_stabilization: needs ID pictures to be fitted on; give --id_dir"
        )
    before = used_so_far(encoder)
    seconds: dict[str, float] = {}
    sets = [image_set] if id_set is None else [image_set, id_set]
    check_dimensions(encoder, sets)
    with runs.timed(seconds, "labels"), stage(on_progress, "prepare the labels"):
        labels = prepare_labels(encoder, words, config)
        check_served(config.method, labels, text_tower=encoder is not None)
    if isinstance(image_set, EmbeddedSet):
        labels = with_notes(labels, sets)
    check_classes([] if id_set is None else [id_set], labels.names.positive)
    reference, scale, decision = None, None, None
    with runs.timed(seconds, "encode"):
        scored, failures = score_set(encoder, image_set, labels, config, on_progress=on_progress)
        if id_set is not None:
            reference, lost = score_set(encoder, id_set, labels, config, on_progress=on_progress)
            failures += lost
    if needs_id:
        scale = fit_scale(reference.scores[_star(negalign)])
    final, parts = _scores(scored, config, scale)
    if reference is not None:
        decision = decide(final, _scores(reference, config, scale)[0], keep_id)
    table = _table(scored, labels, config, final, decision)
    table = pd.concat([table, pd.DataFrame(parts)], axis=1)
    table = table.iloc[np.argsort(final, kind="stable")]
    record = {"method": config.method, "title": scored_title(config)}
    if decision is not None:
        record |= decision.record()
    statistics, encoding, made_with = used(encoder, sets, since=before)
    record |= encoding
    record |= runs.run_record(config, seed=config.seed, seconds=seconds, made_with=made_with)
    if isinstance(image_set, EmbeddedSet):
        known = [scored] if reference is None else [scored, reference]
        warnings = embedding_doubts(known, sets, labels)
    else:
        warnings = picture_doubts(encoder.model, scored, labels)
    record["warnings"] = warnings
    return FolderScores(
        table, failures, statistics, scored, final, labels, config, record, decision, warnings
    )


def write_scores(
    out_dir: str | os.PathLike, scores: FolderScores, *, embeddings: bool = False
) -> None:
    """``scores.csv``, a row per picture in the set's order, and ``run.json``.

    `pages.folder_page` draws the page. Of several processes one has to write.

    embeddings: writes what was encoded, too, see `exporting.write_embeddings`.
    """
    if embeddings:
        write_embeddings(Path(out_dir), [scores.scored], scores.labels)
    files.write_csv(Path(out_dir) / "scores.csv", scores.table.sort_index())
    counts = {"pictures": len(scores.table), "unreadable": scores.failures}
    files.write_json(Path(out_dir) / "run.json", counts | scores.record)


def _table(
    scored: ScoredSet,
    labels: Labels,
    config: OodConfig,
    final: np.ndarray,
    decision: Decision | None,
) -> pd.DataFrame:
    """A row per picture, in the set's order."""
    table = picture_tables.picture_table(scored, "", labels, scored.scores).drop(columns="side")
    p_values = None if decision is None else decision.id_p_value
    first = {"why": _sentences(scored, labels, final, p_values, config)}
    first |= {"method": config.method, "score": final}
    if decision is not None:
        first |= {"share_of_id_below": decision.share_of_id_below, "id_p_value": p_values}
        first["threshold"] = decision.threshold
        first["decision"] = np.where(decision.is_out, "out", "in")
    for place, (name, values) in enumerate(first.items(), start=1):
        table.insert(place, name, values)
    return table


def _scores(
    scored: ScoredSet, config: OodConfig, scale: ScaleStatistics | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The method's scores [N], and with NegAlign what they are made of."""
    if config.method != NEGALIGN:
        return scored.scores[config.method], {}
    parts = _final(scored, config.negalign, scale)
    return parts["s_final"], parts


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
    p_values: np.ndarray | None,
    config: OodConfig,
) -> list[str]:
    banks, names = labels.banks, labels.names
    encoded = scored.encoded
    near = nearest_labels(encoded.image, np.asarray(banks.negative), names.negative, 1)
    background: Sequence = [()] * len(final)
    if config.negalign.use_p_align:
        rows = np.asarray(banks.negative_background)
        background = nearest_labels(encoded.background, rows, names.negative_background, 1)
    own = np.asarray(banks.positive)[encoded.predicted_class_idx]
    positive = np.einsum("nd,nd->n", own, np.asarray(encoded.image))
    method = "NegAlign" if config.method == NEGALIGN else scored_title(config)
    return [
        picture_tables.sentence(
            method,
            float(final[i]),
            (names.positive[encoded.predicted_class_idx[i]], float(positive[i])),
            near[i],
            background[i],
            None if p_values is None else float(p_values[i]),
        )
        for i in range(len(final))
    ]
