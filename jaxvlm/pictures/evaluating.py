"""From folders of pictures to the files that an OOD evaluation leaves behind."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jax.sharding import Mesh
from tqdm import tqdm

from jaxvlm import clip, files, parallel, runs
from jaxvlm.data.image_sets import ImageSet, read_image_set, sample
from jaxvlm.data.presets import PRESETS, read_preset
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.detector import with_logit_scale
from jaxvlm.ood.methods import base_method
from jaxvlm.pictures import encoding
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.comparison import Evaluation, check_methods, evaluate
from jaxvlm.pictures.config import OodConfig, check
from jaxvlm.pictures.encoding import Labels, ScoredSet


class Run(NamedTuple):
    """An evaluation, its sets and words, and a line per picture left out or warned of."""

    evaluation: Evaluation
    id_sets: tuple[ScoredSet, ...]
    ood_sets: tuple[ScoredSet, ...]
    labels: Labels
    negalign: NegAlignConfig
    failures: list[str]
    warnings: list[str]


def read_set(
    source: str,
    *,
    samples_per_class: int | None = None,
    max_images: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """A set from ``[NAME=][PRESET:]FOLDER``, or a list in place of the folder, sampled.

    A preset, a name of `ood_presets.PRESETS` such as ``textures:``, has its layout checked.
    Raises InputError as these readers.
    """
    name, equals, path = source.partition("=")
    if not equals or os.path.exists(source):  # a folder's own name may hold a "="
        name, path = "", source
    preset, _, folder = path.partition(":")
    if not path:
        raise InputError(f"{source!r}: names no folder; give FOLDER or NAME=FOLDER")
    if preset in PRESETS and folder:
        found = read_preset(preset, folder)
        found = found._replace(name=name or found.name)
    else:
        found = read_image_set(path, name=name or None)
    return sample(
        found,
        samples_per_class=samples_per_class if found.labels is not None else None,
        max_images=max_images,
        seed=seed,
    )


def run_evaluation(
    model: clip.ClipModel,
    id_sets: Sequence[ImageSet],
    ood_sets: Sequence[ImageSet],
    class_names: str | os.PathLike,
    negatives: str | os.PathLike | None,
    out_dir: str | os.PathLike,
    config: OodConfig,
    *,
    methods: Sequence[str] | None = None,
    choose_on: str = "validation",
    mesh: Mesh | None = None,
    store_dir: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Encodes every picture once, compares all methods, and writes what came out.

    Writes ``results.csv`` (a row per method and pair of sets), ``sweep.csv`` (AUROC of every
    variant and λ on the part chosen on), ``scores.csv`` (a row per picture), ``results.json``
    (config, counts, choices, failures); `pages.evaluation_page` draws what is returned. Raises
    InputError for inputs that do not fit, before anything is written.

    mesh: devices to use, see `parallel.make_mesh`; of several processes the first one writes.
    store_dir: what is encoded is kept there, and read where it is known: another score, λ,
    variant or list of negatives then costs no forward pass. cache_dir: of text embeddings and of
    the batch size.
    """
    config, negalign = check(config)
    negalign = with_logit_scale(negalign, model)
    check_methods(methods)
    seconds: dict[str, float] = {}
    warnings = encoding.check_sets(id_sets, ood_sets)
    with runs.timed(seconds, "labels"):
        labels = encoding.prepare_labels(
            model, class_names, negatives, config, negalign, cache_dir=cache_dir, mesh=mesh
        )
    with runs.timed(seconds, "batch size"):
        encoder = clip.make_encoder(
            model,
            batch_size=config.batch_size,
            mesh=mesh,
            store_dir=store_dir,
            cache_dir=cache_dir,
        )
    scored: list[ScoredSet] = []
    failures: list[str] = []
    with runs.timed(seconds, "encode"):
        for image_set in (*id_sets, *ood_sets):
            say(f"{image_set.name}: {len(image_set.paths)} pictures")
            with tqdm(total=len(image_set.paths), disable=not progress, leave=False) as bar:
                own, lost = encoding.score_set(
                    encoder,
                    image_set,
                    labels,
                    config,
                    negalign,
                    cache_dir=cache_dir,
                    advance=bar.update,
                )
            scored.append(own)
            failures += lost
    statistics = clip.total_statistics(encoder)
    say(statistics.sentence())
    ids, oods = scored[: len(id_sets)], scored[len(id_sets) :]
    base = base_method(negalign)
    with runs.timed(seconds, "evaluate"):
        evaluation = evaluate(ids, oods, config, base=base, methods=methods, choose_on=choose_on)
    if parallel.is_writer():
        with runs.timed(seconds, "write"):
            write_tables(Path(out_dir), evaluation, ids, oods, labels)
        counts = {s.name: len(s.paths) for s in scored}
        files.write_json(
            Path(out_dir) / "results.json",
            {
                "results": _records(evaluation.results),
                "choices": {n: choice._asdict() for n, choice in evaluation.choices.items()},
                "counts": counts,
                "unreadable": failures,
                "in_both": warnings,
                "labels": {field: len(names) for field, names in labels.names._asdict().items()},
                "encoding": clip.encoding_record(encoder, statistics),
                **runs.run_record(config, seed=config.seed, seconds=seconds),
            },
        )
    return Run(evaluation, tuple(ids), tuple(oods), labels, negalign, failures, warnings)


def write_tables(
    out_dir: Path,
    evaluation: Evaluation,
    ids: Sequence[ScoredSet],
    oods: Sequence[ScoredSet],
    labels: Labels,
) -> None:
    """``results.csv``, ``sweep.csv`` and ``scores.csv``: the same inputs give the same bytes."""
    files.write_csv(out_dir / "results.csv", evaluation.results)
    files.write_csv(out_dir / "sweep.csv", evaluation.sweep)
    tables = [
        picture_tables.picture_table(
            scored,
            side,
            labels,
            evaluation.scores[scored.name],
            evaluation.validation[scored.name],
        )
        for side, group in (("id", ids), ("ood", oods))
        for scored in group
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
