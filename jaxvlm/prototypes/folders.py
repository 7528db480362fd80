"""The Anomaly-Atoms prototype's folders to this project's, and back.

The prototype (AllenYLJiang/Atoms-to-Events-…, scripts/) leaves ``manifest.csv``, below each
``run_dir`` tensors of ``torch.save``, and ``role_learner_multi.pt`` beside the runs:

    RUN/presence.pt, seg_presence.pt   [T, C]           RUN/boundary.pt, labels.pt   [T]
    RUN/trainpack.pt   {"pbar": [T, C], "labels": [T]}
    RUN/video_event_labels.csv         video_id and a 0/1 column per event

Here the same arrays are safetensors of the same names, and the roles a role model.
"""

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files, outputs, runs
from jaxvlm import names as file_names
from jaxvlm.data import tables
from jaxvlm.data.torch_files import read_torch, write_torch
from jaxvlm.errors import ITEM_ERRORS, InputError, item_failure
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.prototypes import ontology as prototype_ontology
from jaxvlm.prototypes.roles import role_params, role_state
from jaxvlm.video import role_model as role_models
from jaxvlm.video import role_outputs
from jaxvlm.video.config import AtomsConfig

MANIFEST, ROLES_FILE, LABELS = "manifest.csv", "role_learner_multi.pt", "video_event_labels.csv"
ROLES_FOLDER = "roles"  # as train_role_learning's out_dir: its model/ is the role model
TRAINPACK = "trainpack"
_TRUTH = {"": 0, "nan": 0, "0.0": 0, "f": 0, "n": 0, "1.0": 1, "t": 1, "y": 1, **tables.TRUTH}
TENSORS = {"presence": 2, "seg_presence": 2, "boundary": 1, "labels": 1}  # file -> axes


class Converted(NamedTuple):
    """Names of the runs done, where manifest and roles went, a line for all that failed."""

    done: list[str]
    manifest: Path | None
    roles: Path | None
    failures: list[str]


def from_prototype(
    source: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: AtomsConfig,
    *,
    ontology_file: str | os.PathLike | None = None,
) -> Converted:
    """Reads the prototype's folder, or its ``role_learner_multi.pt``, and writes ours.

    ``out_dir`` gets a folder per run, manifest.csv, pipeline.json and ontology.yaml, from which
    ``train_role_learning`` goes on, and ``roles/model`` for ``score_video``. No code in the
    files is run. A run that cannot be read is reported and skipped.

    Args:
      config: how the runs were made; configs/reference.py is the prototype's.
      ontology_file: YAML or JSON, or the prototype's own ``src/atoms/ontology.py``, which is
        parsed and not run. Needed for the roles, whose file has no names.

    Raises:
      InputError: neither runs nor roles in ``source``; an ontology or manifest that cannot be read.
    """
    source, out_dir = Path(source), Path(out_dir)
    base = source if os.path.isdir(source) else source.parent
    runs = _prototype_runs(base) if os.path.isdir(source) else []
    roles_file = base / ROLES_FILE if os.path.isdir(source) else source
    if not runs and not os.path.isfile(roles_file):
        raise InputError(f"{source}: neither {MANIFEST}, run folders nor {ROLES_FILE}; check it")
    ontology = None
    if ontology_file is not None:
        target = out_dir / "ontology.yaml"
        if Path(ontology_file).suffix == ".py":
            files.write_text(target, prototype_ontology.to_yaml(ontology_file))
            try:
                load_ontology(target)
            except InputError as error:
                raise InputError(f"{ontology_file}: as YAML: {error}") from None
        else:
            load_ontology(ontology_file)
            with outputs.output_path(target) as temporary:
                shutil.copyfile(ontology_file, temporary)
        ontology = load_ontology(target)
    done, failures, entries = [], [], []
    for run in runs:
        try:
            name = file_names.part_of_path(run.run_dir.name, run.run_dir)
            entries.append(_convert_run(run, out_dir / name, ontology))
            done.append(run.run_dir.name)
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, run.run_dir))
    manifest = _finish_runs(out_dir, entries, config)
    roles = None
    if os.path.isfile(roles_file):
        try:
            _convert_roles(roles_file, out_dir / ROLES_FOLDER, ontology, config)
            roles = out_dir / ROLES_FOLDER / "model"
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, roles_file))
    return Converted(done, manifest, roles, failures)


def to_prototype(source: str | os.PathLike, out_dir: str | os.PathLike) -> Converted:
    """Writes our runs, and the role model in ``source`` (or its ``roles/model``), as ``.pt``.

    Raises InputError: neither a manifest nor a role model in ``source``.
    """
    source, out_dir = Path(source), Path(out_dir)
    has_manifest = os.path.isfile(source / MANIFEST)
    places = (source, source / "model", source / ROLES_FOLDER / "model")
    model_folder = next(
        (place for place in places if os.path.isfile(place / "metadata.json")), None
    )
    if not has_manifest and model_folder is None:
        raise InputError(f"{source}: neither {MANIFEST} nor a role model in it; check the path")
    done, failures, rows = [], [], []
    for run in tables.read_manifest(source / MANIFEST) if has_manifest else []:
        target = out_dir / file_names.part_of_path(run.run_dir.name, run.run_dir)
        try:
            _export_run(run, target)
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, run.run_dir))
            continue
        done.append(run.run_dir.name)
        # As typed and not relative to the manifest: the prototype starts from the working folder.
        if run.labels_csv is not None:
            rows.append(f"{target.as_posix()},{(target / LABELS).as_posix()}\n")
    manifest = out_dir / MANIFEST if done else None
    if manifest is not None:
        files.write_text(manifest, "".join(["run_dir,labels_csv\n", *rows]))
    roles = None
    if model_folder is not None:
        try:
            state = role_state(role_models.load_role_model(model_folder), model_folder)
            roles = out_dir / ROLES_FILE
            write_torch(roles, state)
        except ITEM_ERRORS as error:
            failures.append(item_failure(error, model_folder))
    return Converted(done, manifest, roles, failures)


def _prototype_runs(base: Path) -> list[tables.Run]:
    """The runs of a manifest, or without one every sub-folder with a training pack, sorted."""
    if not os.path.isfile(base / MANIFEST):
        packs = sorted(base.glob(f"*/{TRAINPACK}.pt"))
        found = [(pack.parent, pack.parent / LABELS) for pack in packs]
        return [
            tables.Run(run, labels if os.path.isfile(labels) else None) for run, labels in found
        ]
    table = files.read_csv(base / MANIFEST, dtype=str, keep_default_na=False)
    for column in tables.MANIFEST_COLUMNS:
        if column not in table:
            raise InputError(f"{base / MANIFEST}: no column {column}; correct the header")
    runs = []
    for run_dir, labels_csv in zip(*map(table.get, tables.MANIFEST_COLUMNS), strict=True):
        labels = _located(base, labels_csv) if labels_csv else None
        runs.append(tables.Run(_located(base, run_dir), labels))
    names = [run.run_dir.name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{base / MANIFEST}: two runs named {twice}; rename one of the folders")
    return runs


def _located(base: Path, written: str) -> Path:
    """Where a path of the prototype's manifest leads: it is relative to where the script ran."""
    candidates = [folder / written for folder in (base, *base.resolve().parents)]
    return next((path for path in candidates if os.path.exists(path)), base / Path(written).name)


def _tensor(path: Path, value: Any, axes: int) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.ndim != axes or 0 in value.shape:
        raise InputError(f"{path}: not a tensor of {axes} axes; make the run again")
    return np.ascontiguousarray(value)


def _convert_run(run: tables.Run, target: Path, ontology: Ontology | None) -> tables.Run:
    pack_file = run.run_dir / f"{TRAINPACK}.pt"
    pack = read_torch(pack_file)
    if not isinstance(pack, dict) or "pbar" not in pack:
        raise InputError(f"{pack_file}: no pbar in it; make the run again")
    pbar = _tensor(pack_file, pack["pbar"], 2).astype(np.float32)
    labels = pack.get("labels", np.full(len(pbar), -1, np.int8))
    labels = _tensor(pack_file, labels, 1)
    if len(labels) != len(pbar):
        raise InputError(f"{pack_file}: {len(pbar)} frames, {len(labels)} labels; make it again")
    if ontology is not None and pbar.shape[1] != len(ontology.atoms):
        raise InputError(
            f"{pack_file}: {pbar.shape[1]} atoms, the ontology has {len(ontology.atoms)}; "
            "give the ontology that the run was made with"
        )
    video_labels = None if run.labels_csv is None else _video_labels(run.labels_csv, ontology)
    with outputs.output_path(target, kind=tables.RUN_FOLDER) as folder:
        folder.mkdir()
        files.write_arrays(folder / f"{TRAINPACK}.safetensors", {"pbar": pbar, "labels": labels})
        for name, axes in TENSORS.items():
            path = run.run_dir / f"{name}.pt"
            if os.path.isfile(path):
                array = _tensor(path, read_torch(path), axes)
                files.write_arrays(folder / f"{name}.safetensors", {name: array})
        if video_labels is not None:
            files.write_csv(folder / LABELS, video_labels)
    return tables.Run(target, None if video_labels is None else target / LABELS)


def _video_labels(path: Path, ontology: Ontology | None) -> pd.DataFrame:
    """A video's row of 0 and 1 by the prototype's rules: the first row counts, no value is 0."""
    table = files.read_csv(path, dtype=str, keep_default_na=False)
    events = list(table)[1:]
    if not len(table) or not events or (ontology and events != list(ontology.events)):
        expected = ",".join(ontology.events) if ontology else "one per event"
        raise InputError(f"{path}: columns must be video_id and {expected}, with a row; correct it")
    row: dict[str, Any] = {"video_id": table.iloc[0, 0]}
    for event in events:
        text = table[event][0].strip().casefold()
        if text not in _TRUTH:
            raise InputError(f"{path}: {event} is {text!r}; write 0 or 1")
        row[event] = _TRUTH[text]
    return pd.DataFrame([row])


def _finish_runs(out_dir: Path, entries: Sequence[tables.Run], config: AtomsConfig) -> Path | None:
    if not entries:
        return None
    files.write_json(out_dir / "pipeline.json", runs.run_record(config, seed=None, seconds={}))
    tables.write_manifest(out_dir / MANIFEST, entries)
    return out_dir / MANIFEST


def _convert_roles(
    path: Path, folder: Path, ontology: Ontology | None, config: AtomsConfig
) -> None:
    params = role_params(read_torch(path), path)
    if ontology is None:
        raise InputError(f"{path}: holds no names of atoms and events; give --ontology")
    shape = len(ontology.atoms), len(ontology.events)
    if params.theta_direct.shape != shape:
        raise InputError(
            f"{path}: roles of {params.theta_direct.shape} atoms and events, the ontology has "
            f"{shape}; give the ontology that they were trained with"
        )
    role_outputs.write_roles(folder, role_models.of_ontology(ontology, params, config))


def _export_run(run: tables.Run, target: Path) -> None:
    (pack,) = tables.read_trainpacks([run], most=math.inf)
    found: Mapping[str, np.ndarray] = {
        name: files.read_arrays(path)[name]
        for name in TENSORS
        if os.path.isfile(path := run.run_dir / f"{name}.safetensors")
    }
    with outputs.output_path(target, kind="a run of the prototype") as folder:
        folder.mkdir()
        labels = pack.labels.astype(np.float32)
        write_torch(folder / f"{TRAINPACK}.pt", {"pbar": pack.pbar, "labels": labels})
        for name, array in found.items():
            # The prototype has one label per frame where we have one per event.
            array = array.max(-1) if name == "labels" and array.ndim == 2 else array
            write_torch(folder / f"{name}.pt", array.astype(np.float32))
        if run.labels_csv is not None:
            shutil.copyfile(run.labels_csv, folder / LABELS)
