"""Features to run folders and to scores: what `pipeline` and `scored_folder` do with frames."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxvlm import outputs, runs
from jaxvlm.arrays import unit
from jaxvlm.data.embedding_files import check_rows
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.progress import Progress, counted, ignore
from jaxvlm.video import features as feature_sources
from jaxvlm.video import pipeline, role_model
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.doubts import video_doubts
from jaxvlm.video.feature_texts import Texts, embed_texts
from jaxvlm.video.features import FeatureSource, Taken
from jaxvlm.video.frame_presence import FrameFeatures, presence_in_blocks, segment
from jaxvlm.video.ordinary_model import OrdinaryModel
from jaxvlm.video.ordinary_reading import read_presence
from jaxvlm.video.result import ScoredVideo
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.scored_folder import ScoringResult, Seen, Source, no_pictures, score_all
from jaxvlm.video.scoring import Scorer, explain, novelty_seen, with_ordinary


def run_features(
    source: FeatureSource,
    out_dir: str | os.PathLike,
    *,
    texts: Texts,
    ontology_file: str | os.PathLike,
    config: AtomsConfig,
    labels_csv: str | os.PathLike | None = None,
    on_progress: Progress = ignore,
) -> pipeline.PipelineResult:
    """`pipeline.run_pipeline` of features: the same run folders, and no picture is encoded.

    One video is in memory at a time. Labels are those of ``labels_csv``, or of the list of the
    source; a class that is no event of the ontology is told. encoder.json says what is known of
    the encoder: of a CLIP its text tower, for the vision tower that gave the features is not there.

    Raises InputError as `pipeline.run_pipeline`, `feature_texts.embed_texts`; labels twice.
    """
    out_dir, seconds = Path(out_dir), {}
    outputs.require_places(out_dir, *pipeline.WRITTEN)
    ontology = load_ontology(ontology_file)
    places = {name: video.path for name, video in source.videos.items()}
    labels, notes = pipeline.read_labels(labels_csv, places, ontology.events)
    table, own_notes = feature_sources.labels_of(source, ontology.events)
    if table is not None and labels is not None:
        raise InputError(
            f"--labels_csv: the list of the features has labels too; leave {labels_csv} out, or "
            "give a list of paths alone"
        )
    if table is not None:
        labels, notes = pipeline.Labels(table, "--features_list"), own_notes
    with runs.timed(seconds, "texts"):
        side = embed_texts(
            texts, ontology.atoms, ontology.templates, ontology.neutral_prompts, config
        )
    taken: dict[str, Taken] = {}

    def see(wanted: Sequence[str], failed: dict[str, str]) -> pipeline.Stream:
        for name in counted(wanted, on_progress, "videos"):
            try:
                with runs.timed(seconds, "presence"):
                    frames, _, _, taken[name] = feature_sources.read_video(
                        source, name, side.made_by, side.bank, config.presence
                    )
            except ITEM_ERRORS as error:
                failed[name] = item_failure(error, places[name])
                continue
            yield name, frames.image_embeddings, frames.presence, frames.times

    run = pipeline.Run(source.root, places, [], ontology_file, ontology, labels, side.made_by, see)
    done, failures = pipeline.write_runs(run, out_dir, config, seconds)
    pipeline.write_record(run, out_dir, config, done, seconds, None)
    told = [*source.notes, *notes, *side.notes, *feature_sources.sentences(source, taken)]
    manifest = out_dir / "manifest.csv"
    return pipeline.PipelineResult(manifest, done, failures, None, None, [*told, _of(side.made_by)])


def make_scorer(
    texts: Texts,
    roles: RoleModel,
    *,
    force: bool = False,
    warnings: Sequence[str] = (),
    ordinary: OrdinaryModel | None = None,
) -> tuple[Scorer, list[str]]:
    """`scoring.make_scorer` for features, and lines about how texts were taken.

    Raises InputError: the roles were trained with another encoder, as far as that is known; or as
      `feature_texts.embed_texts`; or as `scoring.with_ordinary`.
    """
    side = embed_texts(texts, roles.atoms, roles.templates, roles.neutral_prompts, roles.config)
    told = [*warnings, *(kind.sentence() for kind in roles.one_kind)]
    told += role_model.check_encoder(roles, side.made_by, force=force)
    named = None if texts.encoder is not None else side.made_by
    scorer = Scorer(texts.encoder, side.bank, roles, tuple(told), named)
    scorer = with_ordinary(scorer, ordinary)
    return scorer, [*side.notes, _of(side.made_by)]


def score_features(
    source: FeatureSource, out_dir: str | os.PathLike, scorer: Scorer, **options: Any
) -> ScoringResult:
    """`scored_folder.score_videos` of features: the same files, and no thumbnails on the page.

    Every video's record in run.json says how many frames a row stands for, by which
    `evaluate-video --protocol` knows the frames that a score is of.

    Args:
      options: of `scored_folder.score_all`, without captions.

    Raises InputError as `scored_folder.score_all`.
    """
    taken: dict[str, Taken] = {}
    made_by = scorer.made_by

    def see(name: str, on_progress: Progress) -> Seen:
        frames, fps, record, taken[name] = feature_sources.read_video(
            source, name, made_by, scorer.bank, scorer.roles.config.presence
        )
        return Seen(frames, frames.presence, no_pictures, fps, record)

    places = {name: video.path for name, video in source.videos.items()}
    result = score_all(Source(source.root, places, see), out_dir, scorer, **options)
    notes = [*source.notes, *result.notes, *feature_sources.sentences(source, taken)]
    return result._replace(notes=notes)


def score_rows(
    scorer: Scorer, rows: ArrayLike, times: ArrayLike, *, name: str, threshold: ArrayLike
) -> ScoredVideo:
    """Scores features [T, D] of one video, at the seconds [T] where its rows start.

    Raises InputError: another shape, or rows that are not finite or zero.
    """
    rows, dimension = np.asarray(rows), scorer.bank.atoms.shape[1]
    if rows.ndim != 2 or not len(rows) or rows.shape[1] != dimension:
        raise InputError(
            f"features: shape {list(rows.shape)}; give [T, {dimension}], a row for every few frames"
        )
    check_rows("features", rows)
    rows = unit(np.asarray(rows, np.float32))
    roles = scorer.roles
    presence = presence_in_blocks(FrameFeatures(rows, None), scorer.bank, roles.config.presence)
    new = novelty_seen(scorer, rows)
    presence = read_presence(scorer.ordinary, presence)
    segmented = segment(presence, roles.config)
    scored = explain(roles, name, no_pictures, np.asarray(times), segmented, None, threshold, new)
    doubts = video_doubts(scorer.model, scorer.bank, roles, {name: rows})
    return scored._replace(warnings=(*scorer.warnings, *doubts))


def _of(made_by: Mapping[str, Any]) -> str:
    """What is known of the features' encoder, and what is not."""
    size, scale = made_by["embedding_dimension"], made_by["logit_scale"]
    if "name" in made_by:
        return f"encoder {made_by['name']}, as given: {size} numbers a row, logit scale {scale:g}"
    return (
        f"texts by {made_by['path']}, logit scale {scale:g}; that the features are of its vision "
        f"tower is known by their {size} numbers a row alone"
    )
