"""Events whose training labels are all alike: nothing can be learned of them, and it is said."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms.roles import ROLES, RoleParams
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology
from jaxvlm.ontology.parameters import role_params
from jaxvlm.ontology.trained import UNTRAINED
from jaxvlm.video.role_data import RoleData

# What stands in the place of learned roles: those of the ontology; none, and the event is not
# looked for; in reference mode what the prototype makes of such labels.
WRITTEN, NOTHING, AS_PROTOTYPE = "ontology", "nothing", "prototype"
# In `RoleModel.training`, of an ontology file with trained events: those that a person wrote.
AS_WRITTEN = "as_written"
_ENDS = {
    WRITTEN: "its roles are those that the ontology states",
    NOTHING: "the ontology states no roles of it, so it is not looked for",
    AS_PROTOTYPE: "it is trained all the same, as the prototype does, and its P says nothing",
}


class OneKind(NamedTuple):
    """An event that all training videos show (label 1), or none of them (0)."""

    event: str
    label: int
    videos: int
    roles_from: str  # WRITTEN, NOTHING or AS_PROTOTYPE

    def sentence(self) -> str:
        """What is so, and what follows."""
        who = "all" if self.label else "none of"
        verb = "show" if self.label else "shows"
        of = (
            f"{who} the {self.videos} training videos {verb} it"
            if self.videos > 1
            else (f"the one training video {'shows' if self.label else 'does not show'} it")
        )
        return f"{self.event}: {of}, so nothing can be learned of it; {_ENDS[self.roles_from]}"


def find_one_kind(
    labels: np.ndarray, ontology: Ontology, place: object, *, reference: bool = False
) -> tuple[OneKind, ...]:
    """The events whose labels [N, E] are all 1 or all 0.

    Raises InputError, which begins with ``place``, where every event is one: what is lacking.
    """
    alike = labels.min(axis=0) == labels.max(axis=0)
    stated = sum(ontology.strengths[role].sum(axis=0) for role in ROLES) > 0
    stated = stated | np.array([bool(rules) for rules in ontology.rules])
    found = []
    for e in np.flatnonzero(alike):
        source = AS_PROTOTYPE if reference else WRITTEN if stated[e] else NOTHING
        found.append(OneKind(ontology.events[e], int(labels[0, e]), len(labels), source))
    if alike.all():
        given = {1: "that do not show it", 0: "that show it"}
        lacks = "; ".join(f"{kind.event}: videos {given[kind.label]}" for kind in found[:8])
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise InputError(
            f"{place}: no event is 1 in some of the {len(labels)} videos and 0 in others, so "
            f"nothing can be learned; give labelled videos for one event at least, two or more of "
            f"each kind ({lacks}{more})"
        )
    return tuple(found)


def written(kinds: Sequence[OneKind]) -> list[str]:
    """The events whose roles are those of the ontology."""
    return [kind.event for kind in kinds if kind.roles_from == WRITTEN]


def as_written(kinds: Sequence[OneKind], training: Mapping[str, Any]) -> list[str]:
    """The events with written roles beside learned ones: `written`, and those that a file of
    trained roles states without weights."""
    listed = training.get(AS_WRITTEN)
    return written(kinds) + (list(map(str, listed)) if isinstance(listed, list) else [])


def left_out(kinds: Sequence[OneKind]) -> list[str]:
    """The events that are not looked for."""
    return [kind.event for kind in kinds if kind.roles_from == NOTHING]


def teachable(
    ontology: Ontology, data: RoleData, kinds: Sequence[OneKind]
) -> tuple[Ontology, RoleData]:
    """The events that labels teach, so that the others do not change what is learned of them."""
    untaught = {kind.event for kind in kinds if kind.roles_from != AS_PROTOTYPE}
    if not untaught:
        return ontology, data
    kept = [e for e, event in enumerate(ontology.events) if event not in untaught]
    return _of_events(ontology, kept), data._replace(
        labels=data.labels[:, kept],
        frame_labels=[rows[:, kept] for rows in data.frame_labels],
    )


def with_written(
    params: RoleParams, ontology: Ontology, kinds: Sequence[OneKind]
) -> tuple[RoleParams, Ontology]:
    """The parameters of the taught events, and between them those of the events whose roles are
    written (`parameters.role_params`); the ontology of both. θ, γ and b of an event mean in it what
    they mean with ``--roles=ontology``, if presence is read with `written_calibration`.
    """
    untaught = {kind.event: kind.roles_from for kind in kinds}
    if not {WRITTEN, NOTHING} & set(untaught.values()):
        return params, ontology
    kept = [e for e, event in enumerate(ontology.events) if untaught.get(event) != NOTHING]
    ontology = _of_events(ontology, kept)
    taught = np.array([untaught.get(event) != WRITTEN for event in ontology.events])
    if taught.all():
        return params, ontology
    stated = role_params(ontology._replace(trained=UNTRAINED))
    if params.gamma_explicit is None:
        params = params._replace(gamma_explicit=jnp.zeros(int(taught.sum())))
    merged = {
        name: getattr(stated, name).at[..., taught].set(getattr(params, name))
        for name in params._fields
        if name not in ("presence_scale", "presence_center", "rules")
    }
    rules = _merged_rules(params.rules, stated.rules, taught)
    return params._replace(**merged, rules=rules), ontology


def _merged_rules(learned: Rules | None, stated: Rules | None, taught: np.ndarray) -> Rules | None:
    """The learned rules of the taught events [E] and the stated ones of the others, in as many
    places as the more of them need."""
    if learned is None and stated is None:
        return None
    num_rules, num_counters = (
        max(np.shape(rules.unless)[axis] for rules in (learned, stated) if rules is not None)
        for axis in (1, 2)
    )
    numbers = (len(taught), num_rules, 2 + num_counters)
    atoms, theta = np.full(numbers, NOBODY, np.int32), np.zeros((len(taught), num_rules))
    theta_unless = np.zeros((len(taught), num_rules, num_counters))
    for rules, own in ((learned, taught), (stated, ~taught)):
        if rules is None or not own.any():
            continue
        # The stated ones are of all events, the learned ones of those that were taught.
        chosen = np.flatnonzero(own) if rules is stated else np.arange(int(own.sum()))
        places, counters = np.shape(rules.unless)[1:]
        for e, source in zip(np.flatnonzero(own), chosen, strict=True):
            atoms[e, :places, :2] = rules.atoms[source]
            atoms[e, :places, 2 : 2 + counters] = rules.unless[source]
            theta[e, :places] = rules.theta[source]
            theta_unless[e, :places, :counters] = rules.theta_unless[source]
    return Rules(
        jnp.asarray(atoms[..., :2]),
        jnp.asarray(theta, jnp.float32),
        jnp.asarray(atoms[..., 2:]),
        jnp.asarray(theta_unless, jnp.float32),
    )


def read_one_kind(value: Any, place: object) -> tuple[OneKind, ...]:
    """What `RoleModel.one_kind` was written as. Raises InputError, which begins with ``place``."""
    try:
        found = tuple(OneKind(**record) for record in value)
    except TypeError:
        found = (None,)
    for kind in found:
        if (
            kind is None
            or [type(part) for part in kind] != [str, int, int, str]
            or kind.roles_from not in _ENDS
        ):
            raise InputError(f"{place}: one_kind is no list of events; train the roles again")
    return found


def _of_events(ontology: Ontology, kept: Sequence[int]) -> Ontology:
    """The ontology of some events, in their order; all atoms stay, for p̄ has them."""
    strengths = {role: table[:, kept] for role, table in ontology.strengths.items()}
    rules = tuple(ontology.rules[e] for e in kept)
    return ontology._replace(
        events=tuple(ontology.events[e] for e in kept),
        candidates=ontology.candidates[:, kept],
        strengths=strengths,
        has_roles=any(table.any() for table in strengths.values()) or any(rules),
        rules=rules,
        trained=ontology.trained.of_events(kept),
    )
