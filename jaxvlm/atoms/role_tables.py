"""Role parameters as words, and words as role parameters."""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.pairs import clip_strength, pairwise_noisy_or
from jaxvlm.atoms.roles import (
    COUNTER,
    DIRECT,
    INDIRECT,
    NO_ROLE,
    Exponents,
    RoleParams,
    Strengths,
    calibrated_presence,
    check_roles,
    logits_from_exponents,
    noisy_or,
    role_strengths,
    sum_of_others,
)
from jaxvlm.atoms.rule_behaviour import BACKGROUND, behaviour_with_rules
from jaxvlm.atoms.rules import NOBODY, Rules, check_rules

_OPPOSED_SHARE = 0.5
# Terms of log(1 − y) for y ≤ 0.05: the rest is 0.05⁶/7 = 2e-9 of the sum.
_TERMS = 6

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

    From sums: showing an atom adds its own share to each exponent, and showing two adds what their
    pair has beyond that. Time and memory O(C·E). Where there are rules, every atom is shown, by
    itself, in each rule of its own, beside the best and as a counter of each rule, in
    `atoms.rule_behaviour`: O((C + R·U)·C²·E).

    Raises:
      ValueError: shapes that do not fit.
    """
    check_roles("role_behaviour", params, candidates=candidates)
    if params.rules is not None:
        found = behaviour_with_rules(params, candidates, temperature=temperature, share=share)
        return RoleBehaviour(*found)
    rho = role_strengths(params, candidates)
    num_atoms, num_events = rho.direct.shape
    events = jnp.arange(num_events)
    ground, gain = _background_exponents(rho), _gains(rho)

    def probability(*shown: jax.Array) -> jax.Array:
        """P of frames that show these different atoms, indices [..., E]; below 0: none."""
        kept = [jnp.where(atom >= 0, atom, 0) for atom in shown]
        x = ground
        for atom, index in zip(shown, kept, strict=True):
            more = (jnp.where(atom >= 0, table[index, events], 0.0) for table in gain)
            x = Exponents(*map(jnp.add, x, more))
        for first, second in itertools.combinations(range(len(shown)), 2):
            both = (shown[first] >= 0) & (shown[second] >= 0)
            a, b = (rho.indirect[kept[atom], events] for atom in (first, second))
            x = x._replace(indirect=x.indirect + jnp.where(both, _pair_beyond(a, b), 0.0))
        if params.gamma_explicit is None:
            x = x._replace(explicit=None)
        return jax.nn.sigmoid(logits_from_exponents(params, x, temperature))

    background = probability()
    every = jnp.broadcast_to(jnp.arange(num_atoms)[:, None], (num_atoms, num_events))
    alone = probability(every)
    strongest = jnp.argmax(alone, axis=0)
    pair = jax.lax.top_k(rho.indirect.T, min(2, num_atoms))[1].T  # [2, E]
    pair_wins = probability(*pair) > jnp.max(alone, axis=0)
    first = jnp.where(pair_wins, pair[0], strongest)
    second = jnp.where(pair_wins, pair[-1], NOBODY)
    second = jnp.where(second == first, NOBODY, second)
    best = probability(first, second)

    weak, partners = jax.lax.top_k(jnp.where(alone < share * best, rho.indirect, -1.0).T, len(pair))
    is_first = every == partners[:, 0]
    partner = jnp.where(is_first, partners[:, -1], partners[:, 0])
    has_partner = (jnp.where(is_first, weak[:, -1], weak[:, 0]) >= 0.0) & (partner != every)
    paired = probability(every, jnp.where(has_partner, partner, NOBODY))
    other = jnp.where((every == first) | (every == second), NOBODY, every)
    return RoleBehaviour(background, best, alone, paired, probability(other, first, second))


def _background_exponents(rho: Strengths) -> Exponents:
    """Exponents [E] of a frame that shows no atom: each is as present as in the background."""
    direct, counter = (
        jnp.sum(-jnp.log1p(-clip_strength(BACKGROUND * table)), axis=0)
        for table in (rho.direct, rho.counter)
    )
    return Exponents(direct, pairwise_noisy_or(BACKGROUND * rho.indirect.T), counter)


def _gains(rho: Strengths) -> Exponents:
    """What each atom [C, E] adds to the background's exponents when it alone is shown."""
    direct, counter = (
        jnp.log1p(-clip_strength(BACKGROUND * table)) - jnp.log1p(-clip_strength(table))
        for table in (rho.direct, rho.counter)
    )
    # f(ρ_c, ε ρ_j) − f(ε ρ_c, ε ρ_j) = Σ_k (ε^k − ε^{2k}) ρ_c^k ρ_j^k / k, summed over j ≠ c.
    indirect, power = jnp.zeros_like(rho.indirect), jnp.ones_like(rho.indirect)
    for k in range(1, _TERMS + 1):
        power = power * rho.indirect
        weight = (BACKGROUND**k - BACKGROUND ** (2 * k)) / k
        indirect = indirect + weight * power * sum_of_others(power)
    return Exponents(direct, indirect, counter)


def _pair_beyond(a: jax.Array, b: jax.Array) -> jax.Array:
    """What two shown atoms of strengths a, b add to x_I beyond what each of them adds alone.

    f(a, b) − f(a, ε b) − f(ε a, b) + f(ε a, ε b) with f(a, b) = −log(1 − a b), ε = 0.05.
    """
    shown = pairwise_noisy_or(jnp.stack(jnp.broadcast_arrays(a, b), axis=-1))
    one_shown, none_shown = (-jnp.log1p(-(BACKGROUND**n) * a * b) for n in (1, 2))
    return shown - 2.0 * one_shown + none_shown


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
    words = np.full(behaviour.alone.shape, NO_ROLE, dtype=object)
    words[(behaviour.paired >= enough) & learned] = INDIRECT
    words[(behaviour.opposed < _OPPOSED_SHARE * behaviour.best) & learned] = COUNTER
    words[(behaviour.alone >= enough) & learned] = DIRECT
    return words


def roles_from_strengths(
    direct: ArrayLike, indirect: ArrayLike, counter: ArrayLike, *, rules: Rules | None = None
) -> RoleParams:
    """Role parameters from hand-written strengths [C, E] in 0..1, for use without training.

    Rules of one and of two atoms stand beside them.

    θ = logit(strength). P = σ(2·logit(D ∨ I) − 2·logit K + b): direct and indirect evidence are
    alternatives, so they enter through C = (1−D)(1−I) alone (γ_direct = γ_indirect = 0), and b
    puts P = 1/2 where D ∨ I = 1/2 and no counter atom is present. An event without counter atoms
    has no K. Presence is calibrated for `contrast`: σ(10(p̄ − 1/2)).

    Raises:
      ValueError: shapes that do not fit.
    """
    tables = {DIRECT: direct, INDIRECT: indirect, COUNTER: counter}
    check_shapes("roles_from_strengths", **{name: (t, "C E") for name, t in tables.items()})
    thetas = [written_theta(table) for table in tables.values()]
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
        rules=rules,
    )
    check_rules("roles_from_strengths", rules, num_events)
    params = written_calibration(params)
    # x = log 2 is D ∨ I = 1/2, whose logit is 0: what is left is the quiet counter's share.
    quiet = jnp.full((1, num_atoms), _CONTRAST_BACKGROUND)
    counter_exponent = noisy_or(role_strengths(params).counter, calibrated_presence(params, quiet))
    half = jnp.full((1, num_events), jnp.log(2.0))
    x = Exponents(direct=half, indirect=jnp.zeros_like(half), explicit=counter_exponent)
    return params._replace(bias=-logits_from_exponents(params, x, _WRITTEN_TEMPERATURE)[0])


def written_calibration(params: RoleParams) -> RoleParams:
    """The parameters with the calibration of written roles, σ(10(p̄ − 1/2)) for every atom."""
    num_atoms = jnp.shape(params.theta_direct)[0]
    return params._replace(
        presence_scale=jnp.full(num_atoms, _CONTRAST_SCALE),
        presence_center=jnp.full(num_atoms, _CONTRAST_CENTER),
    )


def written_theta(strength: ArrayLike) -> jax.Array:
    """logit of a hand-written strength, which is neither 0 nor 1."""
    strength = jnp.clip(jnp.asarray(strength), *_WRITTEN_RANGE)
    return jnp.log(strength) - jnp.log1p(-strength)
