"""Saved models and training states: orbax arrays beside a metadata.json, whole or not at all."""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.typing import ArrayLike

from jaxvlm import files, parallel
from jaxvlm.atoms.explanation import Contributions, Reason, reasons, role_contributions
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.role_tables import assign_roles
from jaxvlm.atoms.roles import RoleParams, event_logits, event_probability
from jaxvlm.atoms.training import RoleConfig, TrainState
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import DEFAULT_TEMPLATES, Ontology
from jaxvlm.video.config import AtomsConfig, check

_ARRAYS = "arrays"
_METADATA = "metadata.json"
_ROLE_MODEL = "role_model"
_TRAIN_STATE = "train_state"


class RoleModel(NamedTuple):
    """Roles, the names they belong to, and how they were made: all that a video is scored with.

    γ, b and θ mean something only in the arithmetic that they were trained in (temperature,
    reference form), so whoever has a model computes by its methods. They take p̄ of any number of
    frames, few lengths of which are compiled, and return NumPy arrays.
    """

    params: RoleParams
    atoms: tuple[str, ...]  # C
    events: tuple[str, ...]  # E
    candidates: np.ndarray | None = None  # [C, E] 0/1
    config: AtomsConfig = AtomsConfig()
    templates: tuple[str, ...] = DEFAULT_TEMPLATES
    neutral_prompts: tuple[str, ...] = ()
    training: Mapping[str, Any] = {}  # JSON: seed, number of videos, whatever describes it

    def logits(self, presence: ArrayLike) -> np.ndarray:
        """logit P(e|u) [T, E] of p̄ [T, C]: see `atoms.event_logits`."""
        return self._of_frames(event_logits, presence, reference=self.config.roles.reference)

    def probability(self, presence: ArrayLike) -> np.ndarray:
        """P(e|u) [T, E] of p̄ [T, C]: see `atoms.event_probability`."""
        return self._of_frames(event_probability, presence, reference=self.config.roles.reference)

    def contributions(self, presence: ArrayLike) -> Contributions:
        """What every atom changed, [T, C, E] each, of p̄ [T, C]: see `atoms.role_contributions`."""
        return self._of_frames(role_contributions, presence)

    def reasons(
        self, contributions: Contributions, event: str, start: int, stop: int
    ) -> list[Reason]:
        """Why the event over frames start..stop−1: see `atoms.explanation.reasons`."""
        index = self.events.index(event)
        return reasons(contributions, self.atoms, event=index, start=start, stop=stop)

    def roles(self) -> np.ndarray:
        """ "direct", "indirect", "counter" or "none" [C, E]: see `atoms.assign_roles`."""
        return assign_roles(self.params, self.candidates, temperature=self._temperature)

    @property
    def _temperature(self) -> float:
        roles = self.config.roles
        return RoleConfig.temperature if roles.reference else roles.temperature

    def _of_frames(self, function: Callable[..., Any], presence: ArrayLike, **form: Any) -> Any:
        num_frames = len(presence)
        # A live frame comes alone: a shape of its own costs less than 63 frames of padding.
        result = function(
            self.params,
            presence if num_frames == 1 else pad_frames(presence),
            candidates=self.candidates,
            temperature=self._temperature,
            **form,
        )
        return jax.tree.map(lambda rows: np.asarray(rows)[:num_frames], result)


def of_ontology(
    ontology: Ontology,
    params: RoleParams,
    config: AtomsConfig,
    training: Mapping[str, Any] | None = None,
) -> RoleModel:
    """The roles of an ontology's atoms, to be scored by this config and with its prompts."""
    return RoleModel(
        params,
        ontology.atoms,
        ontology.events,
        ontology.candidates,
        config,
        ontology.templates,
        ontology.neutral_prompts,
        training or {},
    )


def save_role_model(folder: str | os.PathLike, model: RoleModel) -> None:
    """Writes a role model: arrays and metadata.json. A model that stands there is replaced.

    Of several processes the first one writes, and all may call it.
    """
    arrays = _arrays(model.params)
    if model.candidates is not None:
        arrays["candidates"] = np.asarray(model.candidates, np.uint8)
    metadata = {
        "atoms": list(model.atoms),
        "events": list(model.events),
        "metadata": {
            "atoms_config": dataclasses.asdict(model.config),
            "templates": list(model.templates),
            "neutral_prompts": list(model.neutral_prompts),
            **model.training,
        },
    }
    _save(folder, _ROLE_MODEL, arrays, metadata)


def load_role_model(
    folder: str | os.PathLike,
    *,
    atoms: Sequence[str] | None = None,
    events: Sequence[str] | None = None,
) -> RoleModel:
    """Reads a role model.

    Args:
      folder: what `save_role_model` wrote.
      atoms, events: names it has to have, in this order; None: any.

    Raises:
      InputError: no such folder, another kind of folder, a damaged one, other atoms or events.
    """
    arrays, metadata = _load(folder, _ROLE_MODEL)
    for what, wanted in (("atoms", atoms), ("events", events)):
        if wanted is not None and list(wanted) != metadata[what]:
            raise InputError(
                f"{folder}: {_difference(what, metadata[what], list(wanted))}; "
                "train the roles again on this ontology"
            )
    candidates = arrays.pop("candidates", None)
    missing = set(RoleParams._fields[:7]) - set(arrays)
    if missing or set(arrays) - set(RoleParams._fields):
        raise InputError(f"{folder}: not the arrays of a role model; save the model again")
    params = RoleParams(**{name: jnp.asarray(arrays[name]) for name in sorted(arrays)})
    shape = (len(metadata["atoms"]), len(metadata["events"]))
    if np.shape(params.theta_direct) != shape:
        raise InputError(
            f"{folder}: parameters for {np.shape(params.theta_direct)} atoms and events, names for "
            f"{shape}; save the model again"
        )
    training = dict(metadata["metadata"])
    missing = {"atoms_config", "templates", "neutral_prompts"} - set(training)
    if missing:
        raise InputError(
            f"{folder}: does not say {sorted(missing)[0]}; train it with train_role_learning"
        )
    return RoleModel(
        params,
        tuple(metadata["atoms"]),
        tuple(metadata["events"]),
        candidates,
        check(training.pop("atoms_config")),
        tuple(training.pop("templates")),
        tuple(training.pop("neutral_prompts")),
        training,
    )


def save_train_state(folder: str | os.PathLike, state: TrainState, config: RoleConfig) -> None:
    """Writes a training state with the config it belongs to; an older one is replaced.

    Of several processes the first one writes, and all have to call it.
    """
    raw = state._replace(key=jax.random.key_data(state.key))
    _save(folder, _TRAIN_STATE, _arrays(raw), {"config": dataclasses.asdict(config)})


def load_train_state(
    folder: str | os.PathLike, template: TrainState, config: RoleConfig
) -> TrainState:
    """Reads a training state to go on from: training continues bit for bit.

    Args:
      folder: what `save_train_state` wrote.
      template: a state of the run that continues, from `initial_state`; its shapes must fit.
      config: of the run that continues; all of it must be as it was.

    Raises:
      InputError: no such folder, a damaged one, another config, other atom or event counts.
    """
    arrays, metadata = _load(folder, _TRAIN_STATE)
    for name, now in dataclasses.asdict(config).items():
        before = metadata["config"].get(name)
        if before != now:
            raise InputError(
                f"{folder}: was trained with {name}={before}, now it is {now}; "
                "use the old value, or start in another folder"
            )
    raw = template._replace(key=jax.random.key_data(template.key))
    expected = _arrays(raw)
    for name in sorted(expected.keys() | arrays.keys()):
        before = np.shape(arrays[name]) if name in arrays else None
        now = np.shape(expected[name]) if name in expected else None
        if before != now:
            raise InputError(
                f"{folder}: {name} has shape {before}, this run needs {now}; "
                "the atoms or events differ: start in another folder"
            )
    leaves = [jnp.asarray(arrays[name]) for name in expected]
    state = jax.tree.unflatten(jax.tree.structure(raw), leaves)
    return state._replace(key=jax.random.wrap_key_data(state.key))


def _arrays(tree: Any) -> dict[str, np.ndarray]:
    """Leaves by their path, in tree order: stored files do not depend on Python classes."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
        for path, leaf in leaves
    }


def _save(
    folder: str | os.PathLike, kind: str, arrays: dict[str, np.ndarray], metadata: dict[str, Any]
) -> None:
    if not parallel.is_writer():
        return
    shapes = {name: [str(array.dtype), *array.shape] for name, array in arrays.items()}
    with files.atomic_path(folder) as temporary, _checkpointer() as checkpointer:
        checkpointer.save(temporary.absolute() / _ARRAYS, arrays)
        checkpointer.wait_until_finished()
        # It names the temporary folder, and nobody reads it: the rename is the commit.
        (temporary / _ARRAYS / "commit_success.txt").unlink(missing_ok=True)
        files.write_json(temporary / _METADATA, {"kind": kind, "arrays": shapes} | metadata)


def _load(folder: str | os.PathLike, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path, or train first")
    metadata = files.read_json(folder / _METADATA)
    if not isinstance(metadata, dict) or metadata.get("kind") != kind:
        raise InputError(f"{folder}: not a {kind.replace('_', ' ')}; check the path")
    try:
        template = {
            name: np.zeros(shape, dtype) for name, (dtype, *shape) in metadata["arrays"].items()
        }
        with _checkpointer() as checkpointer:
            arrays = checkpointer.restore(folder.absolute() / _ARRAYS, template)
    except (ValueError, KeyError, TypeError, OSError) as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: cannot be read ({cause}); save it again") from None
    return {name: np.asarray(arrays[name]) for name in template}, metadata


def _checkpointer() -> ocp.StandardCheckpointer:
    """A checkpointer that waits for no other process: what it saves is on every one of them."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=alone)


def _difference(what: str, have: list[str], want: list[str]) -> str:
    if len(have) != len(want):
        return f"has {len(have)} {what}, {len(want)} are needed"
    position = next(n for n, (a, b) in enumerate(zip(have, want, strict=True)) if a != b)
    return f'has "{have[position]}" where "{want[position]}" is needed among the {what}'
