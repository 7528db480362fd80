"""Roles from a manifest of run folders: reads, trains with checkpoints, writes model and tables."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxvlm import files, outputs, parallel, runs
from jaxvlm.atoms import training
from jaxvlm.atoms.role_choice import choose
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import ROLES, RoleParams
from jaxvlm.atoms.rule_fits import refit_rules
from jaxvlm.atoms.rule_start import Effects
from jaxvlm.atoms.threshold import center_decision
from jaxvlm.clip import familiarity
from jaxvlm.data import tables
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.ontology.parameters import rule_arrays
from jaxvlm.progress import Progress, ignore, stage
from jaxvlm.video import held_out, one_kind, role_rules, training_state
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, check, segment_bound
from jaxvlm.video.frame_presence import segment
from jaxvlm.video.held_out import Holdout, Measured
from jaxvlm.video.learned_boundary import learned_boundary
from jaxvlm.video.role_data import RoleData, read_runs
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.role_outputs import write_roles

_SAVE_EVERY = 10  # epochs


class Learned(NamedTuple):
    """The roles, and how good they are on videos that they were not trained on."""

    model: RoleModel
    measured: Measured


def learn_roles(
    data: RoleData,
    ontology: Ontology,
    config: AtomsConfig,
    *,
    seed: int,
    state_dir: str | os.PathLike | None = None,
    mesh: Mesh | None = None,
    on_progress: Progress = ignore,
) -> RoleModel:
    """Trains roles; with ``state_dir`` it saves every 10 epochs and goes on where it was.

    The ontology's candidates are the mask, and its strengths, if it states roles, the prior. A form
    of rules, or a prior's weight, that the config leaves open is chosen first, see `choose`. With
    a learned boundary (δ or κ, then both) roles are trained on p̄ as it is, then δ and κ for these
    roles, then the roles again on the p̄ of the learned boundary. At last `center_decision` puts
    P = 1/2 where a frame is worth reporting (not in reference mode). mesh: see `train_roles`.
    """
    with stage(on_progress, "choose the form"):
        settings, effects = choose(
            data.videos,
            data.labels,
            config=config.roles,
            candidates=ontology.candidates,
            prior=_prior(ontology),
            seed=seed,
        )
    config = dataclasses.replace(config, roles=settings)
    train = functools.partial(
        _train, ontology=ontology, config=settings, seed=seed, mesh=mesh, on_progress=on_progress
    )
    if "learned" in (config.boundary.delta, config.boundary.kappa):
        if not data.presences:
            raise InputError(
                f"{data.names[0]}: a run lacks presence.safetensors, which a learned boundary "
                "needs; run the pipeline again, or give boundary.delta and kappa numbers"
            )
        first = train(data, state_dir=state_dir and Path(state_dir) / "first", effects=effects)
        boundary = learned_boundary(data, first, ontology, config)
        config = dataclasses.replace(config, boundary=boundary)
        pbar = [segment(p, config).segment_presence for p in data.presences]
        data, effects = data._replace(videos=pbar), None
    params = train(data, state_dir=state_dir and Path(state_dir) / "last", effects=effects)
    if not settings.reference:
        params = center_decision(
            params,
            data.videos,
            data.labels,
            candidates=ontology.candidates,
            temperature=settings.temperature,
        )
    training_record = {
        "seed": seed,
        "videos": len(data.videos),
        "training_videos": sorted(data.names),
    }
    if data.clip is not None:
        training_record["clip"] = data.clip
    if params.rules is not None:
        with stage(on_progress, "look at the rules"):
            fits = refit_rules(
                data.videos,
                data.labels,
                config=settings,
                candidates=ontology.candidates,
                prior=_prior(ontology),
                fits=settings.rule_fits,
                seed=seed,
            )
            training_record[role_rules.FIGURES] = role_rules.figures_of_training(
                params, ontology, data.videos, data.labels, fits
            )
    model = role_models.of_ontology(ontology, params, config, training_record)
    familiar = familiarity.fit(data.embeddings) if len(data.embeddings) else None
    return model._replace(familiar=familiar)


def without_fits(config: AtomsConfig) -> AtomsConfig:
    """The settings for roles whose rules nobody reads: how often these come back is not asked."""
    return dataclasses.replace(config, roles=dataclasses.replace(config.roles, rule_fits=0))


def with_one_kind(
    model: RoleModel, ontology: Ontology, kinds: Sequence[one_kind.OneKind]
) -> RoleModel:
    """A model of the events that labels taught, with those of one kind of label.

    An event whose roles the ontology states keeps these: its P is as with ``--roles=ontology``. One
    without is not in the model: it has no column in any table, because every number would be read
    as "it happens" or "it does not", and the training knows neither. All is named in ``one_kind``.
    """
    params, ontology = one_kind.with_written(model.params, ontology, kinds)
    return model._replace(
        params=params,
        events=ontology.events,
        candidates=ontology.candidates,
        one_kind=tuple(kinds),
    )


def train_manifest(
    manifest_csv: str | os.PathLike,
    out_dir: str | os.PathLike,
    config: AtomsConfig,
    *,
    ontology_file: str | os.PathLike | None = None,
    seed: int = 0,
    holdout: Holdout = held_out.DEFAULT,
    mesh: Mesh | None = None,
    on_progress: Progress = ignore,
) -> Learned:
    """Trains roles on the runs of a manifest, measures them, and writes them into ``out_dir``.

    Some videos are held out, see `held_out.Holdout`: ``split.csv`` says which, ``figures.csv`` how
    good the roles are on them and on those that they were trained on. An event whose labels are
    all alike is not trained: `RoleModel.one_kind` and ``warnings`` in run.json name it.

    The training state is kept in ``out_dir/state``: a run that was stopped goes on from there.
    The settings of presence, boundary and segments are those that the pipeline ran with. mesh: see
    `train_roles`; of several processes the first one writes.

    Raises:
      InputError: as `read_runs` and `one_kind.find_one_kind`; or a state of another configuration
        in ``out_dir``.
    """
    base = Path(manifest_csv).parent
    seconds: dict[str, float] = {}
    outputs.require_places(
        out_dir, "roles.csv", "roles.json", "rules.csv", "run.json", "split.csv", "figures.csv"
    )
    outputs.require_replaceable(Path(out_dir) / "model", kind=role_models.FOLDER)
    with runs.timed(seconds, "read"):
        ontology = load_ontology(ontology_file or base / "ontology.yaml")
        # First of all, whether there are runs.
        run_folders = [run.run_dir for run in tables.read_manifest(manifest_csv)]
        record = files.read_json(base / "pipeline.json")
        if not isinstance(record, dict) or "config" not in record:
            raise InputError(
                f"{base / 'pipeline.json'}: not the record of a pipeline; run it again"
            )
        ran_with = check(record["config"])
        data = read_runs(manifest_csv, ontology, most=segment_bound(ran_with.segments))
        kinds = one_kind.find_one_kind(
            data.labels, ontology, manifest_csv, reference=config.roles.reference
        )
        taught, data = one_kind.teachable(ontology, data, kinds)
    ran_with = dataclasses.replace(ran_with, roles=config.roles)
    with runs.timed(seconds, "train"):
        plan = held_out.make_plan(data.labels, taught.events, holdout, seed=seed)

        def learn(part: RoleData, name: str) -> RoleModel:
            kept = name == "all"
            state = Path(out_dir) / "state" if kept else Path(out_dir) / "state" / name
            return learn_roles(
                part,
                taught,
                ran_with if kept else without_fits(ran_with),
                seed=seed,
                state_dir=state,
                mesh=mesh,
                on_progress=on_progress,
            )

        with stage(on_progress, "learn and measure"):
            model, measured = held_out.train_and_measure(
                data, plan, learn, ontology=taught, config=ran_with, seed=seed
            )
        model = with_one_kind(model, ontology, kinds)
    if parallel.is_writer():
        write_roles(out_dir, model)
        held_out.write_split(out_dir, data.names, plan)
        files.write_csv(Path(out_dir) / "figures.csv", measured.figures)
        made_with = {
            "clip": model.training.get("clip"),
            "ontology": runs.input_record(ontology_file or base / "ontology.yaml"),
            "warnings": [kind.sentence() for kind in kinds],
            "inputs": {"runs": [runs.input_record(folder) for folder in run_folders]},
        }
        record = runs.run_record(model.config, seed=seed, seconds=seconds, made_with=made_with)
        record["held_out"] = held_out.record(measured)
        files.write_json(Path(out_dir) / "run.json", record)
    return Learned(model, measured)


def _train(
    data: RoleData,
    *,
    ontology: Ontology,
    config: RoleConfig,
    seed: int,
    state_dir: Path | None,
    effects: Effects | None,
    mesh: Mesh | None,
    on_progress: Progress,
) -> RoleParams:
    """Role parameters trained on p̄, resumed from ``state_dir`` if it holds a state."""
    prepared = training.prepare(
        data.videos,
        data.labels,
        config=config,
        names=data.names,
        candidates=ontology.candidates,
        prior=_prior(ontology),
        effects=effects,
    )
    state = training.initial_state(prepared, config, seed=seed)
    names = {"video": data.names, "atom": ontology.atoms, "event": ontology.events}
    made_of = training_state.fingerprints(prepared, names, seed)
    if state_dir is not None and outputs.recover(state_dir).is_dir():
        state = training_state.load_train_state(state_dir, state, config, made_of)
    done = int(state.epoch)
    state, prepared = parallel.replicate((state, prepared), mesh)
    epochs = training.train_epochs(state, prepared, config, mesh)
    total = config.epochs
    on_progress("train roles", done, total)
    for state, _ in epochs:  # noqa: B007 - the last state is what counts
        epoch = int(state.epoch)
        on_progress("train roles", epoch, total)
        if state_dir is not None and (epoch == total or epoch % _SAVE_EVERY == 0):
            training_state.save_train_state(state_dir, state, config, made_of)
    # From here on every process computes for itself.
    return jax.tree.map(
        lambda x: jnp.asarray(np.asarray(x)), training.role_params(state, prepared, config)
    )


def _prior(ontology: Ontology) -> list[Any] | None:
    """What the ontology states of roles and rules, to pull towards; None: nothing."""
    if not ontology.has_roles:
        return None
    as_stated = [True] * len(ontology.events)
    rules = rule_arrays(ontology.rules, ontology.atoms, as_stated)
    tables = [ontology.strengths[role] for role in ROLES]
    return tables if rules is None else [*tables, rules]
