"""An event's candidates alone, where they are few among the atoms.

The pairs of 10 atoms of each of 13 events are a hundredth of the pairs of 139 atoms.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms.explanation import Contributions, role_contributions
from jaxvlm.atoms.roles import RoleParams, event_logits
from jaxvlm.atoms.rules import NOBODY, Rules


def few_members(candidates: np.ndarray) -> np.ndarray | None:
    """`members_of` of candidates [C, E]; None where M is over half of C."""
    most = int(candidates.sum(axis=0).max(initial=0))
    return members_of(candidates) if 0 < 2 * most <= len(candidates) else None


def members_of(candidates: np.ndarray) -> np.ndarray:
    """The candidates [C, E] of each event by number [E, M], padded with −1."""
    most = max(int(candidates.sum(axis=0).max(initial=0)), 1)
    members = np.full((candidates.shape[1], most), -1, np.int32)
    for event, column in enumerate(candidates.T):
        atoms = np.flatnonzero(column)
        members[event, : len(atoms)] = atoms
    return members


def logits_of_members(
    params: RoleParams,
    presence: jax.Array,
    *,
    candidates: ArrayLike,
    members: jax.Array | None,
    temperature: float,
) -> jax.Array:
    """`event_logits` [B, T, E] of presences [B, T, C]; of each event from its own atoms alone.

    The same numbers to rounding, and the same gradients: an atom that is no candidate has ρ = 0.
    members: from `few_members` of ``candidates``; None: from all atoms.
    """
    if members is None:
        logits = functools.partial(event_logits, candidates=candidates, temperature=temperature)
        return jax.vmap(functools.partial(logits, params))(presence)

    def of_event(event: jax.Array, own: jax.Array) -> jax.Array:
        known = own >= 0
        return _logits_of_event(params, presence[..., own], event, own, known, temperature)

    return jnp.moveaxis(jax.vmap(of_event)(jnp.arange(len(members)), members), 0, -1)


def logits_of_frames(
    params: RoleParams,
    presence: jax.Array,
    frames: jax.Array,
    *,
    candidates: ArrayLike,
    members: jax.Array | None,
    temperature: float,
) -> jax.Array:
    """`logits_of_members` [B, K, E] of some frames of presences [B, T, C] alone.

    frames: [B, E, K], every event has its own, by number.
    """
    candidates = jnp.asarray(candidates)
    num_atoms, num_events = candidates.shape
    if members is None:
        members = jnp.broadcast_to(jnp.arange(num_atoms), (num_events, num_atoms))

    def of_event(event: jax.Array, own: jax.Array, at: jax.Array) -> jax.Array:
        known = (own >= 0) & (candidates[own, event] > 0)
        rows = jnp.take_along_axis(presence, at[..., None], axis=1)[..., own]
        return _logits_of_event(params, rows, event, own, known, temperature)

    return jax.vmap(of_event, in_axes=(0, 0, 1), out_axes=-1)(
        jnp.arange(num_events), members, frames
    )


def _logits_of_event(
    params: RoleParams,
    presence: jax.Array,
    event: jax.Array,
    own: jax.Array,
    known: jax.Array,
    temperature: float,
) -> jax.Array:
    """[B, T] of presences [B, T, M] of one event's own atoms, of which the known take part."""
    alone = functools.partial(
        event_logits,
        event_columns(params, own, event),
        candidates=known[:, None],
        temperature=temperature,
    )
    return jax.vmap(alone)(presence)[..., 0]


@functools.partial(jax.jit, static_argnames=("temperature", "reference"))
def contributions_of_event(
    params: RoleParams,
    presence: ArrayLike,
    event: ArrayLike,
    members: ArrayLike,
    *,
    temperature: float,
    reference: bool = False,
) -> Contributions:
    """`role_contributions` [T, M, 1] of one event and its own atoms, of presences [T, C].

    event: its number; members: its atoms by number [M], −1 for none, whose contributions are 0.
    Compiled once for all events.
    """
    members, presence = jnp.asarray(members), jnp.asarray(presence)
    return role_contributions(
        event_columns(params, members, event),
        presence[:, members],
        candidates=(members >= 0)[:, None],
        temperature=temperature,
        reference=reference,
    )


def event_columns(params: RoleParams, members: jax.Array, event: jax.Array) -> RoleParams:
    """The parameters of one event and some atoms: [M, 1], [1] and [M] for [C, E], [E] and [C].

    members: [M] atoms by number, −1 for none; event: its number.
    """
    calibration = ("presence_scale", "presence_center")
    found = {}
    for name, value in params._asdict().items():
        if value is None:
            found[name] = None
        elif name == "rules":
            found[name] = _rules_of(value, members, event)
        elif name in calibration:
            found[name] = value[members]
        elif jnp.ndim(value) == 2:
            found[name] = value[members, event][:, None]
        else:
            found[name] = value[event][None]
    return RoleParams(**found)


def _rules_of(rules: Rules, members: jax.Array, event: jax.Array) -> Rules:
    """The rules of one event, [1, R, …], whose atoms are numbered by their places in members.

    A rule with an atom that is no member is none; such a counter neither.
    """
    own = Rules(*(jnp.asarray(field)[event][None] for field in rules))

    def places(atoms: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = (atoms[..., None] == members) & (members != NOBODY)
        known = jnp.any(found, axis=-1)
        return jnp.where(known, jnp.argmax(found, axis=-1), NOBODY), known

    atoms, known = places(own.atoms)
    whole = jnp.all(known | (own.atoms == NOBODY), axis=-1, keepdims=True)
    return own._replace(
        atoms=jnp.where(whole, atoms, NOBODY),
        unless=places(own.unless)[0],
    )
