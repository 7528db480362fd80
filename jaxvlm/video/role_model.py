"""Roles that are shared: what they compute, and their folder of one safetensors and one JSON."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxvlm import clip, files, outputs, parallel, resources
from jaxvlm.atoms.explanation import Contributions
from jaxvlm.atoms.members import contributions_of_event, members_of
from jaxvlm.atoms.padding import by_blocks
from jaxvlm.atoms.reasons import NamedRule, Reason, reasons
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_tables import assign_roles, written_calibration
from jaxvlm.atoms.roles import RoleParams, event_logits, event_probability
from jaxvlm.atoms.training_data import without_idle_pairs
from jaxvlm.clip.familiarity import Familiar, load_familiar, save_familiar
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import DEFAULT_TEMPLATES, Ontology
from jaxvlm.reading import sha256
from jaxvlm.terminal import control_character
from jaxvlm.video import one_kind as of_one_kind
from jaxvlm.video.config import AtomsConfig, check
from jaxvlm.video.one_kind import OneKind
from jaxvlm.video.orbax_folder import restore_arrays
from jaxvlm.video.role_arrays import arrays_of, check_arrays, params_of
from jaxvlm.video.role_rules import named_rules

_ARRAYS = "arrays.safetensors"
_ORBAX = "arrays"  # the folder that models had instead
_METADATA = "metadata.json"
FOLDER = "a role model"  # what `outputs` calls one

_KIND = "role_model"
_CURE = "train it with jaxvlm train-role-learning"


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
    # JSON, empty for roles that a person wrote: seed, number of videos, "training_videos" (their
    # ids, sorted), "clip" (see `clip.identity`), whatever describes the training.
    training: Mapping[str, Any] = {}
    familiar: Familiar | None = None  # the frames that it was trained on
    source: str | None = None  # the folder, or the ontology file, that it was read from, as given
    one_kind: tuple[OneKind, ...] = ()  # events that the training videos' labels say nothing of

    def __repr__(self) -> str:
        """One line."""
        return f"RoleModel({len(self.atoms)} atoms; {', '.join(self.events)})"

    def logits(self, presence: ArrayLike) -> np.ndarray:
        """logit P(e|u) [T, E] of p̄ [T, C]: see `atoms.event_logits`."""
        return self._of_frames(event_logits, presence)

    def probability(self, presence: ArrayLike) -> np.ndarray:
        """P(e|u) [T, E] of p̄ [T, C]: see `atoms.event_probability`."""
        return self._of_frames(event_probability, presence)

    def contributions(self, presence: ArrayLike, event: str) -> Contributions:
        """What each of an event's `candidates_of` changed, [T, M, 1] each, of p̄ [T, C]: see
        `atoms.role_contributions`."""
        index = self.events.index(event)
        of_rows = functools.partial(
            contributions_of_event,
            self._params_of(event),
            event=index,
            members=self._members[index],
            temperature=self._temperature,
            reference=self.config.roles.reference,
        )
        found = by_blocks(of_rows, presence)
        own = len(self.candidates_of(event))
        of_atoms = jax.tree.map(lambda rows: rows[:, :own], found)
        return of_atoms._replace(rule_strength=found.rule_strength)

    def candidates_of(self, event: str) -> tuple[str, ...]:
        """The atoms that may have a role in an event."""
        members = self._members[self.events.index(event)]
        return tuple(self.atoms[c] for c in members if c >= 0)

    def reasons(self, presence: ArrayLike, event: str) -> list[Reason]:
        """Why the event over some frames p̄ [T, C]: see `atoms.reasons.reasons`."""
        found = self.contributions(presence, event)
        rules: Sequence[NamedRule] = ()
        if found.rule_strength is not None:
            index = self.events.index(event)
            rules = named_rules(self.params.rules, self.candidates, index, self._members[index])
        names = self.candidates_of(event)
        return reasons(found, names, event=0, start=0, stop=len(found.total), rules=rules)

    def roles(self) -> np.ndarray:
        """ "direct", "indirect", "counter" or "none" [C, E]: see `atoms.assign_roles`."""
        return assign_roles(self.params, self.candidates, temperature=self._temperature)

    @property
    def _temperature(self) -> float:
        roles = self.config.roles
        return RoleConfig.temperature if roles.reference else roles.temperature

    @property
    def _members(self) -> np.ndarray:
        """The candidates of each event by number [E, M], padded with −1."""
        if self.candidates is None:
            return np.tile(np.arange(len(self.atoms)), (len(self.events), 1))
        return members_of(np.asarray(self.candidates))

    def _params_of(self, event: str) -> RoleParams:
        """Events with written roles beside learned ones have a calibration of their own."""
        own = event in of_one_kind.as_written(self.one_kind, self.training)
        return written_calibration(self.params) if own else self.params

    def _of_frames(self, function: Callable[..., Any], presence: ArrayLike) -> np.ndarray:
        own = np.isin(self.events, of_one_kind.as_written(self.one_kind, self.training))

        reference = self.config.roles.reference

        def computed(params: RoleParams) -> np.ndarray:
            of_rows = functools.partial(
                function,
                params if reference else without_idle_pairs(params),
                candidates=self.candidates,
                temperature=self._temperature,
                reference=reference,
            )
            return by_blocks(of_rows, presence)

        result = computed(self.params)
        if not own.any():
            return result
        return np.where(own, computed(written_calibration(self.params)), result)


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


def check_encoder(
    roles: RoleModel, made_by: clip.ClipModel | Mapping[str, Any], *, force: bool = False
) -> list[str]:
    """Lines that warn of scoring with another encoder than that of the training; none for written
    roles. made_by: the encoder, or its `clip.identity`. force: another one is but a warning.

    Raises InputError: another encoder; names what differs.
    """
    if not roles.training:
        return []
    place = "the roles" if roles.source is None else f"--roles={resources.shown(roles.source)}"
    trained_with = roles.training.get("clip")
    if not isinstance(trained_with, Mapping):
        return [f"{place}: does not say which encoder it was trained with; see that it is this one"]
    now = clip.identity(made_by) if isinstance(made_by, clip.ClipModel) else made_by
    if (differs := clip.identity_difference(trained_with, now)) is None:
        doubt = clip.unproved(trained_with, now)
        return [] if doubt is None else [f"{place}: is this the encoder of its training? {doubt}"]
    told = f"{place}: trained with another encoder ({differs})"
    if force:
        return [f"{told}, so its probabilities mean nothing unless shown otherwise (--force)"]
    known = trained_with.get("path")
    cure = f"give --clip={known}, or train" if known else "give the encoder's --clip, or train"
    raise InputError(f"{told}; {cure} roles on this one; --force scores all the same")


def save_role_model(folder: str | os.PathLike, model: RoleModel) -> None:
    """Writes a role model: arrays.safetensors, metadata.json and, where it knows its training
    frames, familiar.safetensors. What stands there is replaced.

    Of several processes the first one writes, and all may call it.
    """
    if not parallel.is_writer():
        return
    arrays = arrays_of(model.params)
    if model.candidates is not None:
        arrays["candidates"] = np.asarray(model.candidates, np.uint8)
    metadata = {
        "kind": _KIND,
        "atoms": list(model.atoms),
        "events": list(model.events),
        "metadata": {
            "atoms_config": dataclasses.asdict(model.config),
            "templates": list(model.templates),
            "neutral_prompts": list(model.neutral_prompts),
            **({"one_kind": [k._asdict() for k in model.one_kind]} if model.one_kind else {}),
            **model.training,
        },
    }
    with outputs.output_path(folder, kind=FOLDER) as temporary:
        temporary.mkdir()
        files.write_arrays(temporary / _ARRAYS, arrays)
        if model.familiar is not None:
            save_familiar(temporary, model.familiar)
        metadata["arrays_sha256"] = sha256(temporary / _ARRAYS)
        files.write_json(temporary / _METADATA, metadata)


def load_role_model(
    folder: str | os.PathLike,
    *,
    atoms: Sequence[str] | None = None,
    events: Sequence[str] | None = None,
) -> RoleModel:
    """Reads a role model, also one whose arrays are a folder of orbax.

    Args:
      folder: what `save_role_model` wrote.
      atoms, events: names it has to have, in this order; None: any.

    Raises:
      InputError: no such folder, another kind of folder, a damaged one, other atoms or events.
    """
    folder = outputs.recover(folder)
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; check the path, or train first")
    metadata = _read_metadata(folder)
    model = _described(metadata, folder / _METADATA)
    for what, have, wanted in (("atoms", model.atoms, atoms), ("events", model.events, events)):
        if wanted is not None and tuple(wanted) != have:
            raise InputError(
                f"{folder}: {_difference(what, have, tuple(wanted))}; "
                "train the roles again on this ontology"
            )
    if os.path.isdir(folder / _ORBAX):
        arrays = restore_arrays(folder / _ORBAX, metadata.get("arrays", {}))
    else:
        arrays = files.read_arrays(folder / _ARRAYS)
    check_arrays(arrays, len(model.atoms), len(model.events), folder)
    candidates = arrays.get("candidates")
    return model._replace(
        params=params_of(arrays),
        candidates=candidates,
        familiar=load_familiar(folder),
        source=str(folder),
    )


def _read_metadata(folder: Path) -> dict[str, Any]:
    """The metadata that belongs to the arrays: read again where another training put its own model
    there between the two looks."""
    for _ in range(3):
        metadata = files.read_json(folder / _METADATA)
        if not isinstance(metadata, dict) or metadata.get("kind") != _KIND:
            raise InputError(f"{folder}: not a role model; check the path")
        digest = metadata.get("arrays_sha256")
        arrays = folder / _ARRAYS
        if digest is None or not os.path.isfile(arrays) or sha256(arrays) == digest:
            return metadata
    raise InputError(
        f"{arrays}: not the arrays that {_METADATA} tells of; copy both files or train again"
    )


def _described(metadata: Mapping[str, Any], path: Path) -> RoleModel:
    """The model without its arrays. Raises InputError where the JSON lacks or garbles something."""

    def names(table: Mapping[str, Any], field: str) -> tuple[str, ...]:
        value = table.get(field)
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise InputError(f"{path}: {field} is no list of names; {_CURE}")
        if any(map(control_character, value)):
            raise InputError(f"{path}: {field} holds a control character; {_CURE}")
        return tuple(value)

    training = metadata.get("metadata")
    if not isinstance(training, dict) or "atoms_config" not in training:
        raise InputError(f"{path}: does not say atoms_config; {_CURE}")
    training = dict(training)
    try:
        config = check(training.pop("atoms_config"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    prompts = names(training, "templates"), names(training, "neutral_prompts")
    del training["templates"], training["neutral_prompts"]
    model = RoleModel(
        None, names(metadata, "atoms"), names(metadata, "events"), None, config, *prompts, training
    )
    kinds = of_one_kind.read_one_kind(training.pop("one_kind", ()), path)
    return model._replace(one_kind=kinds)


def _difference(what: str, have: tuple[str, ...], want: tuple[str, ...]) -> str:
    if len(have) != len(want):
        return f"has {len(have)} {what}, {len(want)} are needed"
    position = next(n for n, (a, b) in enumerate(zip(have, want, strict=True)) if a != b)
    return f'has "{have[position]}" where "{want[position]}" is needed among the {what}'
