"""From sets of pictures to the comparison of all methods, and to the files that it leaves."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import clip, files, runs
from jaxvlm.data.image_sets import ImageSet
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.methods import base_method
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.accuracy import right_pictures
from jaxvlm.pictures.comparison import (
    ALL,
    Evaluation,
    asked_referenced,
    asked_versions,
    check_methods,
    evaluate,
    validation_masks,
)
from jaxvlm.pictures.config import BASELINE, OodConfig
from jaxvlm.pictures.doubts import embedding_doubts, picture_doubts
from jaxvlm.pictures.embedded import EmbeddedSet, check_dimensions, with_notes
from jaxvlm.pictures.encoder_use import encoded_sentence, used, used_so_far
from jaxvlm.pictures.encoding import ScoredSet, score_set
from jaxvlm.pictures.exporting import write_embeddings
from jaxvlm.pictures.labels import Labels, Words, prepare_labels
from jaxvlm.pictures.references import references_of, with_referenced
from jaxvlm.pictures.set_names import groups_of
from jaxvlm.pictures.set_records import set_records, word_records
from jaxvlm.pictures.sets import check_classes, check_sets
from jaxvlm.pictures.streams import StreamSettings, run_streams
from jaxvlm.progress import Progress, ignore, stage

_SIDES = ("id", "ood", "shifted", "id_train")


class Run(NamedTuple):
    """An evaluation, its sets, words and settings, and a line per picture left out or warned of.

    encoding: what was encoded, None of embeddings; record: for ``results.json``, how, and the
    seconds of each stage. streams: the table of `streams.run_streams`, None where none was asked.
    shifted: the sets of the ID classes under covariate shift.
    """

    evaluation: Evaluation
    id_sets: tuple[ScoredSet, ...]
    ood_sets: tuple[ScoredSet, ...]
    labels: Labels
    config: OodConfig
    failures: list[str]
    warnings: list[str]
    doubts: list[str]  # what speaks against trusting the figures
    encoding: clip.EncodingStatistics | None
    record: dict[str, Any]
    streams: pd.DataFrame | None = None
    shifted: tuple[ScoredSet, ...] = ()

    @property
    def negalign(self) -> NegAlignConfig:
        """The settings of the scores."""
        return self.config.negalign

    def to_pandas(self) -> pd.DataFrame:
        """The results: a row per method, ID set and OOD set."""
        return self.evaluation.results

    @property
    def encoded(self) -> str:
        """What was encoded, in a sentence."""
        return encoded_sentence(self.encoding)


class Beside(NamedTuple):
    """What an evaluation may have beside its sets.

    choose_on: see `comparison.evaluate`. id_train: the ID pictures that the methods of
    `ood.referenced` look at; None: those of the ID sets that are chosen on and never reported.
    stream: how pictures arrive, for the methods that adapt; None: those are not tried.
    shifted: sets of the ID classes under covariate shift, see `comparison.evaluate`.
    """

    choose_on: str = "other_sets"
    id_train: ImageSet | EmbeddedSet | None = None
    stream: StreamSettings | None = None
    shifted: Sequence[ImageSet] | Sequence[EmbeddedSet] = ()


def run_evaluation(
    encoder: clip.Encoder | None,
    id_sets: Sequence[ImageSet] | Sequence[EmbeddedSet],
    ood_sets: Sequence[ImageSet] | Sequence[EmbeddedSet],
    words: Words,
    config: OodConfig,
    *,
    methods: Sequence[str] | None = None,
    beside: Beside = Beside(),  # noqa: B008 (immutable)
    on_progress: Progress = ignore,
) -> Run:
    """Encodes every picture once, or reads it from the store, and compares all methods.

    Writes nothing but the encoder's store and cache: `write_run` does. With a store another score,
    λ, variant or list of negatives costs no forward pass.

    Args:
      encoder: None where pictures and words are all given as embeddings.
      config: from `config.check`; of embeddings through `embedded.without_patches`.
      methods: see `comparison.evaluate`. on_progress: see `encoding.score_set`.
      beside: what λ is chosen on, ID pictures given apart, streams, and shifted sets.

    Raises InputError for inputs that do not fit.
    """
    check_methods(methods)
    before = used_so_far(encoder)
    seconds: dict[str, float] = {}
    warnings = check_sets(id_sets, ood_sets, beside.shifted)
    train = () if beside.id_train is None else (beside.id_train,)
    sides = id_sets, ood_sets, beside.shifted, train
    compared = (*id_sets, *ood_sets, *beside.shifted)
    given = (*compared, *train)
    check_dimensions(encoder, given)
    with runs.timed(seconds, "labels"), stage(on_progress, "prepare the labels"):
        labels = prepare_labels(encoder, words, config)
    if isinstance(id_sets[0], EmbeddedSet):
        labels = with_notes(labels, compared)
    check_classes((*id_sets, *beside.shifted), labels.names.positive)
    scored: list[ScoredSet] = []
    failures: list[str] = []
    base = base_method(config.negalign)
    some = methods is not None and ALL not in methods
    computed = {BASELINE, base, *methods} if some else None
    with runs.timed(seconds, "encode"):
        for image_set in given:
            own, lost = score_set(
                encoder,
                image_set,
                labels,
                config,
                methods=computed,
                more=() if image_set is beside.id_train else asked_versions(methods),
                on_progress=on_progress,
            )
            scored.append(own)
            failures += lost
    ids, oods, shifted, known = _split(scored, sides)
    if asked := asked_referenced(methods):
        masks = validation_masks({s.name: s for s in (*ids, *oods)}, config)
        references = references_of(known or ids, None if known else masks, labels, config)
        (ids, oods, shifted), notes = with_referenced(
            (ids, oods, shifted), references, asked=asked, must=some
        )
        labels = labels._replace(notes=(*labels.notes, *notes))
    right, notes = right_pictures((*ids, *shifted), words, labels.names.positive)
    labels = labels._replace(notes=(*labels.notes, *notes))
    streams = None
    if beside.stream is not None:
        with runs.timed(seconds, "streams"), stage(on_progress, "run the streams"):
            streams = run_streams(ids, oods, labels, config, beside.stream, encoder=encoder)
    with runs.timed(seconds, "evaluate"), stage(on_progress, "compare the methods"):
        evaluation = evaluate(
            ids,
            oods,
            config,
            base=base,
            methods=methods,
            choose_on=beside.choose_on,
            shifted=shifted,
            right=right,
        )
    statistics, record, made_with = used(encoder, compared, since=before)
    pairs = _split(list(zip(scored, given, strict=True)), sides)
    record["sets"] = set_records(dict(zip(_SIDES, pairs, strict=True)))
    record["words"] = word_records(labels)
    record["methods"] = None if methods is None else list(methods)
    record["choose_on"] = beside.choose_on
    if beside.stream is not None:
        record["streams"] = beside.stream._asdict()
    record |= runs.run_record(config, seed=config.seed, seconds=seconds, made_with=made_with)
    if isinstance(id_sets[0], EmbeddedSet):
        doubts = embedding_doubts(scored, given, labels)
    else:
        doubts = [line for own in ids for line in picture_doubts(encoder.model, own, labels)]
    doubts = list(dict.fromkeys(doubts))  # of the words each says the same
    return Run(
        evaluation,
        tuple(ids),
        tuple(oods),
        labels,
        config,
        failures,
        warnings,
        doubts,
        statistics,
        record,
        streams,
        tuple(shifted),
    )


def _split(found: Sequence[Any], sides: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """What was made of the sets of each side, in their order."""
    remaining = iter(found)
    return [list(itertools.islice(remaining, len(sets))) for sets in sides]


WRITTEN = ("results.csv", "sweep.csv", "scores.csv", "streams.csv", "results.json")


def write_run(out_dir: str | os.PathLike, run: Run, *, embeddings: bool = False) -> None:
    """``results.csv`` (a row per method and pair of sets), ``sweep.csv`` (AUROC of every variant
    and λ on the part chosen on), ``scores.csv`` (a row per picture; NegAlign as chosen on all OOD
    sets together), ``streams.csv`` where streams were run (`streams.streams_table`), and
    ``results.json`` (the same rows, accuracies, choices per OOD set, failures, and all that makes
    the rows again: config, methods, sets and words with their hashes, how it was encoded).
    ``chosen_on`` says for each row what its choices have seen; ``convention`` is the FPR's.

    `pages.evaluation_page` draws the page. Of several processes one has to write.

    embeddings: writes what was encoded, too, see `exporting.write_embeddings`.
    """
    if embeddings:
        sets = (*run.id_sets, *run.ood_sets, *run.shifted)
        write_embeddings(Path(out_dir), sets, run.labels)
    _write_tables(Path(out_dir), run)
    files.write_json(
        Path(out_dir) / "results.json",
        {
            "results": _records(run.evaluation.results),
            "choices": {
                ood_set: {method: choice._asdict() for method, choice in own.items()}
                for ood_set, own in run.evaluation.choices.items()
            },
            "accuracy": _records(run.evaluation.accuracy),
            "groups": groups_of(run.ood_sets),
            "counts": {
                own.name: len(own.paths) for own in (*run.id_sets, *run.ood_sets, *run.shifted)
            },
            "unreadable": run.failures,
            "in_both": run.warnings,
            "warnings": run.doubts,
            "labels": {field: len(names) for field, names in run.labels.names._asdict().items()},
            "notes": list(run.labels.notes),
            **run.record,
        },
    )


def _write_tables(out_dir: Path, run: Run) -> None:
    """The same inputs give the same bytes."""
    evaluation = run.evaluation
    files.write_csv(out_dir / "results.csv", evaluation.results)
    if run.streams is not None:
        files.write_csv(out_dir / "streams.csv", run.streams)
    files.write_csv(out_dir / "sweep.csv", evaluation.sweep)
    tables = [
        picture_tables.picture_table(
            scored,
            side,
            run.labels,
            evaluation.scores[scored.name],
            evaluation.validation[scored.name],
        )
        for side, sets in (("id", run.id_sets), ("ood", run.ood_sets), ("shifted", run.shifted))
        for scored in sets
    ]
    files.write_csv(out_dir / "scores.csv", pd.concat(tables, ignore_index=True))


def _records(table: pd.DataFrame) -> list[dict]:
    return [
        {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in row.items()
        }
        for row in table.to_dict("records")
    ]
