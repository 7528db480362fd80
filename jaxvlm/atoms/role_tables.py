"""Role parameters as words, and words as role parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms.pairs import pairwise_noisy_or
from jaxvlm.atoms.roles import (
    Exponents,
    RoleParams,
    Strengths,
    evidence_logit,
    logits_from_exponents,
    noisy_or,
    role_strengths,
)

ROLES = ("direct", "indirect", "counter")

# A typical frame, as the roles see it: every atom but the ones in question is this present.
_BACKGROUND = 0.05

# Without training. Contrast presence is 0.5 where an atom is as likely as a neutral prompt.
_CONTRAST_SCALE = 10.0
_CONTRAST_CENTER = 0.5
_CONTRAST_BACKGROUND = 0.1
_WRITTEN_RANGE = (1e-4, 0.99)
_WRITTEN_GAMMA_COUNTER = -4.0
_WRITTEN_GAMMA_EXPLICIT = -2.0


@functools.partial(jax.jit, static_argnames=("temperature",))
def role_effects(
    params: RoleParams, *, candidates: ArrayLike | None = None, temperature: float = 2.0
) -> Strengths:
    """How far each atom moves an event's logit in each role, [C, E] per role.

    Measured in a frame where all other atoms have a calibrated presence of 0.05, when the atom's
    goes from 0.05 to 1. direct: with its direct strength alone. indirect: with its pairs alone,
    while its strongest partner is at 1. counter: how far the logit falls, with K alone.
    """
    rho = role_strengths(params, candidates)
    num_atoms = rho.direct.shape[0]
    absent = jnp.full((1, num_atoms), _BACKGROUND)
    present = jnp.where(jnp.eye(num_atoms, dtype=bool), 1.0, absent)

    def pairs(presence: jax.Array) -> jax.Array:
        return pairwise_noisy_or(presence * rho.indirect.T)

    x = Exponents(noisy_or(rho.direct, absent), pairs(absent[:, None, :]))
    explicit = params.gamma_explicit is not None
    if explicit:
        x = x._replace(explicit=noisy_or(rho.counter, absent))

    # An atom's strongest partner is the strongest indirect atom that is not itself: [C, E].
    others = jnp.where(jnp.eye(num_atoms, dtype=bool)[:, :, None], -1.0, rho.indirect)
    partner = jax.nn.one_hot(jnp.argmax(others, axis=1), num_atoms, dtype=bool)
    with_partner = pairs(jnp.where(partner, 1.0, absent))
    with_both = pairs(jnp.where(partner, 1.0, present[:, None, :]))

    def rise(low: dict[str, jax.Array], high: dict[str, jax.Array]) -> jax.Array:
        def logits(part: dict[str, jax.Array]) -> jax.Array:
            return logits_from_exponents(params, x._replace(**part), temperature)

        return logits(high) - logits(low)

    counter = jnp.zeros_like(rho.direct)
    if explicit:
        counter = -rise({}, {"explicit": noisy_or(rho.counter, present)})
    return Strengths(
        direct=rise({}, {"direct": noisy_or(rho.direct, present)}),
        indirect=rise({"indirect": with_partner}, {"indirect": with_both}),
        counter=counter,
    )


def assign_roles(
    params: RoleParams, candidates: ArrayLike | None = None, *, threshold: float = 1.0
) -> np.ndarray:
    """The role of every atom for every event: "direct", "indirect", "counter" or "none" [C, E].

    The role in which the atom moves the event's logit most (`role_effects`), or "none" if that is
    less than `threshold` or the atom is no candidate.
    """
    effects = np.stack([np.asarray(e) for e in role_effects(params, candidates=candidates)])
    words = np.array(ROLES, dtype=object)[effects.argmax(axis=0)]
    silent = effects.max(axis=0) < threshold
    if candidates is not None:
        silent |= np.asarray(candidates) == 0
    return np.where(silent, "none", words)


def roles_from_strengths(
    direct: ArrayLike, indirect: ArrayLike, counter: ArrayLike
) -> RoleParams:
    """Role parameters from hand-written strengths [C, E] in 0..1, for use without training.

    θ = logit(strength). P = σ(2·logit(D ∨ I) − logit K + b): direct and indirect evidence are
    alternatives, so they enter through C = (1−D)(1−I) alone (γ_direct = γ_indirect = 0), and b
    puts P = 1/2 where D ∨ I = 1/2 and no counter atom is present. An event without counter atoms
    has no K. Presence is calibrated for `contrast`: σ(10(p̄ − 1/2)).
    """
    strengths = (direct, indirect, counter)
    thetas = [_logit(jnp.clip(jnp.asarray(table), *_WRITTEN_RANGE)) for table in strengths]
    num_atoms, num_events = thetas[0].shape
    zeros = jnp.zeros(num_events)
    has_counter = jnp.max(jnp.asarray(counter), axis=0) > 0
    gamma_explicit = jnp.where(has_counter, _WRITTEN_GAMMA_EXPLICIT, 0.0)
    quiet = jax.nn.sigmoid(_CONTRAST_SCALE * (_CONTRAST_BACKGROUND - _CONTRAST_CENTER))
    quiet_counter = noisy_or(jax.nn.sigmoid(thetas[2]), jnp.full((1, num_atoms), quiet))[0]
    return RoleParams(
        *thetas,
        gamma_direct=zeros,
        gamma_indirect=zeros,
        gamma_counter=jnp.full(num_events, _WRITTEN_GAMMA_COUNTER),
        bias=-gamma_explicit * evidence_logit(quiet_counter) / 2.0,
        gamma_explicit=gamma_explicit,
        presence_scale=jnp.full(num_atoms, _CONTRAST_SCALE),
        presence_center=jnp.full(num_atoms, _CONTRAST_CENTER),
    )


def _logit(probability: jax.Array) -> jax.Array:
    return jnp.log(probability) - jnp.log1p(-probability)
