"""What roles are learned from: the videos of a manifest, in memory."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxvlm import clip, files, names
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology


class RoleData(NamedTuple):
    """p̄ and p [T_n, C] per video, labels [N, E], and where each came from.

    ``presences`` is empty where a run lacks p, as runs of the prototype may. ``frame_labels``
    [T_n, E], −1 unknown: only where labels say something of single frames. ``embeddings``: of
    frames [≤ T_n, D], where the runs have them. clip: the encoder that all are of, see
    `clip.identity`; None where no run says it.
    """

    videos: list[np.ndarray]
    labels: np.ndarray
    names: list[str]
    presences: list[np.ndarray]
    frame_labels: Sequence[np.ndarray] = ()
    embeddings: Sequence[np.ndarray] = ()
    clip: Mapping[str, Any] | None = None

    def of(self, kept: np.ndarray) -> "RoleData":
        """The videos where ``kept`` [N] is True, in their order."""
        places = np.flatnonzero(kept)

        def some(items: Sequence) -> list:
            return [items[n] for n in places] if len(items) else []

        return RoleData(
            some(self.videos),
            self.labels[places],
            some(self.names),
            some(self.presences),
            some(self.frame_labels),
            some(self.embeddings),
            self.clip,
        )


def read_runs(
    manifest_csv: str | os.PathLike, ontology: Ontology, *, most: float = 1.0
) -> RoleData:
    """Reads p̄ and video labels of every run of a manifest.

    most: what p̄ can reach, see `config.segment_bound`.

    Raises:
      InputError: a run without labels, of another number of atoms than the ontology, of another
        encoder than the others, with p̄ or p out of range, or a table with wrong columns or values.
    """
    runs = tables.read_manifest(manifest_csv)
    packs = tables.read_trainpacks(runs, most=most)
    base = Path(manifest_csv).parent
    ids = [names.relative_id(run.run_dir, base) for run in runs]
    labels = []
    for video, run, pack in zip(ids, runs, packs, strict=True):
        if run.labels_csv is None:
            raise InputError(
                f"{manifest_csv}: {run.run_dir.name} has no labels; run the pipeline "
                "with --labels_csv"
            )
        if pack.pbar.shape[1] != len(ontology.atoms):
            raise InputError(
                f"{run.run_dir}: {pack.pbar.shape[1]} atoms, the ontology has "
                f"{len(ontology.atoms)}; run the pipeline again"
            )
        table = tables.read_event_labels(run.labels_csv, ontology.events)
        if table["video_id"].nunique() > 1:  # a table of many videos, and not the run's own
            known = names.match_ids([video], table["video_id"])
            if unknown := names.unmatched(run.labels_csv, [video], table["video_id"]):
                raise InputError(f"{unknown}; add a row for the run, or correct its video_id")
            table = table[table["video_id"] == known[video]]
        labels.append(table[list(ontology.events)].to_numpy(np.int64).max(0))
    presences, embeddings = [], []
    if all(os.path.isfile(run.run_dir / tables.PRESENCE) for run in runs):
        for run in runs:
            presences.append(tables.read_presence(run.run_dir))
            arrays = files.read_arrays(run.run_dir / tables.PRESENCE)
            if "image_embeddings" in arrays:
                embeddings.append(spread(arrays["image_embeddings"]))
    if len(embeddings) < len(presences):
        embeddings = []
    return RoleData(
        [pack.pbar for pack in packs],
        np.stack(labels),
        ids,
        presences,
        _labels_of_frames([run.run_dir / "labels.safetensors" for run in runs]),
        embeddings,
        _same_encoder([run.run_dir for run in runs]),
    )


def _same_encoder(folders: Sequence[Path]) -> dict[str, Any] | None:
    """What the run folders say of their encoder; None where none says anything.

    Raises InputError where one differs from another, or is silent and another is not.
    """
    records = {}
    for folder in folders:
        path = folder / tables.ENCODER
        records[folder] = files.read_json(path) if path.is_file() else None
        if not isinstance(records[folder], dict | None):
            raise InputError(f"{path}: not what run-pipeline writes; run it again")
    first = folders[0]
    for folder, record in records.items():
        if (record is None) != (records[first] is None):
            silent, other = (first, folder) if record else (folder, first)
            raise InputError(
                f"{silent}: does not say which encoder it is of, as {other} does; run the pipeline "
                "on both"
            )
        if record and (differs := clip.identity_difference(records[first], record)):
            raise InputError(
                f"{folder}: made by another encoder than {first} ({differs}); run the pipeline on "
                "both with one --clip"
            )
    return records[first]


def _labels_of_frames(paths: Sequence[Path]) -> list[np.ndarray]:
    """[T, E] per run, if any of them says something of a single frame and not of its video."""
    if not all(path.is_file() for path in paths):
        return []
    labels = [files.read_arrays(path)["labels"] for path in paths]
    if any(rows.ndim != 2 for rows in labels):  # runs of the prototype: of no event in particular
        return []

    def varies(rows: np.ndarray) -> bool:
        known = rows[(rows >= 0).all(axis=1)]
        return bool(len(known)) and bool((known != known[0]).any())

    return labels if any(varies(rows) for rows in labels) else []


def spread(rows: np.ndarray) -> np.ndarray:
    """At most 64 of a video's rows, evenly spread: enough to know its frames by."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 64)).round().astype(int))
    return rows[places]
