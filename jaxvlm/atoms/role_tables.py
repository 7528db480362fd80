"""Role parameters as words, and words as role parameters."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.pairs import pairwise_noisy_or
from jaxvlm.atoms.roles import (
    Exponents,
    RoleParams,
    calibrated_presence,
    check_roles,
    clip_strength,
    logits_from_exponents,
    noisy_or,
    role_strengths,
)

# A typical frame, as the roles see it: every atom but the ones in question is this present.
_BACKGROUND = 0.05
_OPPOSED_SHARE = 0.5

# Without training. Contrast presence is 0.5 where an atom is as likely as a neutral prompt.
_CONTRAST_SCALE = 10.0
_CONTRAST_CENTER = 0.5
_CONTRAST_BACKGROUND = 0.1
_WRITTEN_TEMPERATURE = 2.0
_WRITTEN_RANGE = (1e-4, 0.99)
_WRITTEN_GAMMA_COUNTER = -4.0
_WRITTEN_GAMMA_EXPLICIT = -4.0


class RoleBehaviour(NamedTuple):
    """P(e) in frames that show one atom, or few, and nothing else: what roles mean in practice."""

    background: jax.Array  # [E] no atom
    best: jax.Array  # [E] the strongest single atom or the strongest pair
    alone: jax.Array  # [C, E] the atom
    paired: jax.Array  # [C, E] the atom and its strongest partner that does not suffice alone
    opposed: jax.Array  # [C, E] the strongest atom or pair, and the atom


@functools.partial(jax.jit, static_argnames=("temperature", "share"))
def role_behaviour(
    params: RoleParams,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
    share: float = 0.5,
) -> RoleBehaviour:
    """What each atom does to an event by itself, with a partner, and against the evidence.

    A shown atom has a calibrated presence of 1, all others one of 0.05. Partners are ranked by
    ρⁱ; an atom suffices alone if it reaches `share` of the best probability.

    Raises:
      ValueError: shapes that do not fit.
    """
    check_roles("role_behaviour", params, candidates=candidates)
    rho = role_strengths(params, candidates)
    num_atoms, num_events = rho.direct.shape
    one = jnp.eye(num_atoms, dtype=bool)[:, None, :]  # [C, 1, C]: atom c is shown

    def probability(shown: jax.Array) -> jax.Array:
        """[..., E, C] shown atoms -> [..., E]."""
        presence = jnp.where(shown, 1.0, _BACKGROUND)
        single = [jnp.sum(-jnp.log1p(-clip_strength(presence * table.T)), -1) for table in rho]
        x = Exponents(single[0], pairwise_noisy_or(presence * rho.indirect.T))
        if params.gamma_explicit is not None:
            x = x._replace(explicit=single[2])
        return jax.nn.sigmoid(logits_from_exponents(params, x, temperature))

    background = probability(jnp.zeros((num_events, num_atoms), bool))
    alone = probability(jnp.broadcast_to(one, (num_atoms, num_events, num_atoms)))
    strongest = jax.nn.one_hot(jnp.argmax(alone, axis=0), num_atoms, dtype=bool)
    first_two = jax.lax.top_k(rho.indirect.T, min(2, num_atoms))[1]
    pair = jnp.any(jax.nn.one_hot(first_two, num_atoms, dtype=bool), axis=-2)
    pair_wins = probability(pair) > jnp.max(alone, axis=0)
    evidence = jnp.where(pair_wins[:, None], pair, strongest)
    best = probability(evidence)

    weak = jnp.where(alone < share * best, rho.indirect, -1.0)
    others = jnp.where(one, -1.0, weak.T)  # [C, E, C]
    partner = jax.nn.one_hot(jnp.argmax(others, axis=-1), num_atoms, dtype=bool)
    has_partner = jnp.max(others, axis=-1) >= 0.0
    paired = jnp.where(has_partner, probability(one | partner), alone)
    return RoleBehaviour(background, best, alone, paired, probability(one | evidence))


def assign_roles(
    params: RoleParams,
    candidates: ArrayLike | None = None,
    *,
    temperature: float = 2.0,
    share: float = 0.5,
) -> np.ndarray:
    """The role of every atom for every event: "direct", "indirect", "counter" or "none" [C, E].

    By behaviour (`role_behaviour`), so that a role means what it says. direct: alone, the atom
    reaches `share` of the best probability. indirect: it does with a partner, and neither does
    alone. counter: beside the best evidence, it halves the probability. An event whose background
    is above `share` of its best has learned nothing and gives no roles.

    Raises:
      ValueError: shapes that do not fit.
    """
    check_roles("assign_roles", params, candidates=candidates)
    behaviour = role_behaviour(params, candidates=candidates, temperature=temperature, share=share)
    behaviour = RoleBehaviour(*(np.asarray(part) for part in behaviour))
    enough = share * behaviour.best
    learned = behaviour.background < enough
    if candidates is not None:
        learned = learned & (np.asarray(candidates) > 0)
    words = np.full(behaviour.alone.shape, "none", dtype=object)
    words[(behaviour.paired >= enough) & learned] = "indirect"
    words[(behaviour.opposed < _OPPOSED_SHARE * behaviour.best) & learned] = "counter"
    words[(behaviour.alone >= enough) & learned] = "direct"
    return words


def roles_from_strengths(direct: ArrayLike, indirect: ArrayLike, counter: ArrayLike) -> RoleParams:
    """Role parameters from hand-written strengths [C, E] in 0..1, for use without training.

    θ = logit(strength). P = σ(2·logit(D ∨ I) − 2·logit K + b): direct and indirect evidence are
    alternatives, so they enter through C = (1−D)(1−I) alone (γ_direct = γ_indirect = 0), and b
    puts P = 1/2 where D ∨ I = 1/2 and no counter atom is present. An event without counter atoms
    has no K. Presence is calibrated for `contrast`: σ(10(p̄ − 1/2)).

    Raises:
      ValueError: shapes that do not fit.
    """
    tables = {"direct": direct, "indirect": indirect, "counter": counter}
    check_shapes("roles_from_strengths", **{name: (t, "C E") for name, t in tables.items()})
    thetas = [_logit(jnp.clip(jnp.asarray(table), *_WRITTEN_RANGE)) for table in tables.values()]
    num_atoms, num_events = thetas[0].shape
    zeros = jnp.zeros(num_events)
    has_counter = jnp.max(jnp.asarray(counter), axis=0) > 0
    gamma_explicit = jnp.where(has_counter, _WRITTEN_GAMMA_EXPLICIT, 0.0)
    params = RoleParams(
        *thetas,
        gamma_direct=zeros,
        gamma_indirect=zeros,
        gamma_counter=jnp.full(num_events, _WRITTEN_GAMMA_COUNTER),
        bias=zeros,
        gamma_explicit=gamma_explicit,
        presence_scale=jnp.full(num_atoms, _CONTRAST_SCALE),
        presence_center=jnp.full(num_atoms, _CONTRAST_CENTER),
    )
    # x = log 2 is D ∨ I = 1/2, whose logit is 0: what is left is the quiet counter's share.
    quiet = jnp.full((1, num_atoms), _CONTRAST_BACKGROUND)
    counter_exponent = noisy_or(role_strengths(params).counter, calibrated_presence(params, quiet))
    half = jnp.full((1, num_events), jnp.log(2.0))
    x = Exponents(direct=half, indirect=jnp.zeros_like(half), explicit=counter_exponent)
    return params._replace(bias=-logits_from_exponents(params, x, _WRITTEN_TEMPERATURE)[0])


def _logit(probability: jax.Array) -> jax.Array:
    return jnp.log(probability) - jnp.log1p(-probability)
