"""Why a frame looks like an event: what each atom changed, alone and in pairs."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.atoms.pairs import clip_strength, pairwise_noisy_or
from jaxvlm.atoms.roles import (
    Exponents,
    RoleParams,
    calibrated_presence,
    check_roles,
    exponents,
    logits_from_exponents,
    reference_exponents,
    reference_logits,
    reference_shares,
    role_strengths,
    sum_of_others,
)
from jaxvlm.atoms.rules import (
    WithoutAtoms,
    exponents_without_atoms,
    is_pair,
    rule_activation,
    rule_shares,
)


class Contributions(NamedTuple):
    """Change of logit P(e|u) by each atom, [T, C, E]: > 0 speaks for the event, < 0 against.

    `total` removes the atom from everything; `direct`, `indirect` and `counter` from one role.
    They do not add up to `total`: the logit is not linear in the evidence.
    """

    total: jax.Array
    direct: jax.Array
    indirect: jax.Array
    counter: jax.Array
    pair_strength: jax.Array  # a = ρⁱ p̄, which ranks an atom's partners
    rule_strength: jax.Array | None = None  # s p̃_i p̃_j Π(1 − κ p̃_u) [T, R, E], the same of rules


class TopPair(NamedTuple):
    """The strongest pair of atoms of every frame and event. [T, E] each."""

    first: jax.Array
    second: jax.Array
    exponent: jax.Array  # −log(1 − a_first a_second), its share of x_I


@functools.partial(jax.jit, static_argnames=("temperature", "reference"))
def role_contributions(
    params: RoleParams,
    presence: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
    reference: bool = False,
) -> Contributions:
    """What every atom changed at every frame, over all roles and for each role alone.

    Δ_c = logit P(e|u) − logit P(e|u, atom c removed), exactly: x_D and x_K lose the atom's share,
    x_I loses the atom's pairs, and rules are as they would be without the atom: `direct` and
    `indirect` take it out of the evidence of rules of one and of two atoms, `counter` out of K and
    out of the counters of rules. Time O(T·C²·E), memory O(T·C·E).

    Args:
      params, presence [T, C], candidates [C, E], temperature, reference: as in
        `event_probability`.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Roles.
    """
    check_roles("role_contributions", params, presence, candidates)
    strengths = role_strengths(params, candidates)
    if reference:
        x = reference_exponents(strengths, presence)
        direct = reference_shares(strengths.direct, presence)
        presence = jnp.clip(presence, 0.0, 1.0)
        logits = functools.partial(reference_logits, params)
    else:
        presence = calibrated_presence(params, presence)
        x = exponents(params, presence, strengths)
        direct = _shares(strengths.direct, presence)
        logits = functools.partial(logits_from_exponents, params, temperature=temperature)
    a = jnp.swapaxes(presence[:, :, None] * strengths.indirect, 1, 2)
    full = Exponents(*(None if part is None else part[:, None, :] for part in x))
    without = Exponents(
        sum_of_others(direct),
        jnp.swapaxes(_pairs_without(a), 1, 2),
        None if x.explicit is None else sum_of_others(_shares(strengths.counter, presence)),
    )
    evidence, counters, neither = without, full._replace(explicit=without.explicit), without
    rule_strength = None
    if params.rules is not None and not reference:
        apart = exponents_without_atoms(params.rules, presence, strengths.rules)
        evidence, neither = (_with_rules(without, apart[n]) for n in (0, 2))
        of_roles = exponents(params._replace(rules=None), presence, strengths)
        of_roles = Exponents(*(part[:, None, :] for part in of_roles[:2]))
        counters = _with_rules(of_roles, apart[1])._replace(explicit=without.explicit)
        activation = rule_activation(params.rules, presence, strengths.rules)
        rule_strength = jnp.swapaxes(strengths.rules.strength * activation, 1, 2)

    def change(removed: Exponents) -> jax.Array:
        return jnp.broadcast_to(logits(x=full) - logits(x=removed), without.direct.shape)

    return Contributions(
        total=change(neither),
        direct=change(full._replace(direct=evidence.direct)),
        indirect=change(full._replace(indirect=evidence.indirect)),
        counter=change(counters),
        pair_strength=jnp.swapaxes(a, 1, 2),
        rule_strength=rule_strength,
    )


def leave_one_out(
    params: RoleParams,
    presence: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
) -> jax.Array:
    """Δ_c = logit P(e|u) − logit P(e|u, atom c removed) [T, C, E]; > 0 speaks for the event.

    Arguments and errors as in `event_probability`. Exact: equals removing the atom and computing
    again.
    """
    check_roles("leave_one_out", params, presence, candidates)
    return role_contributions(
        params, presence, candidates=candidates, temperature=temperature
    ).total


@jax.jit
def top_pair(
    params: RoleParams, presence: ArrayLike, *, candidates: ArrayLike | None = None
) -> TopPair:
    """The pair that contributes most to I at every frame; arguments as in `event_probability`.

    −log(1 − a_i a_j) grows with a_i a_j, so the top pair is the two largest a = ρⁱ p̄, or a rule
    of two atoms that adds more.
    Raises ValueError if there are fewer than two atoms, or shapes do not fit.
    """
    check_roles("top_pair", params, presence, candidates)
    presence = calibrated_presence(params, presence)
    if presence.shape[1] < 2:
        raise ValueError(f"top_pair: presence has shape {presence.shape}; it needs two atoms")
    strengths = role_strengths(params, candidates)
    a = presence[:, None, :] * strengths.indirect.T
    strongest, index = jax.lax.top_k(a, 2)
    best = TopPair(index[..., 0], index[..., 1], pairwise_noisy_or(strongest))
    if params.rules is None or not params.rules.theta.shape[1]:
        return best
    shares = jnp.where(
        is_pair(params.rules), rule_shares(params.rules, presence, strengths.rules), -1.0
    )
    rule = jnp.argmax(shares, axis=-1)  # [T, E]
    share = jnp.max(shares, axis=-1)
    atoms = jnp.asarray(params.rules.atoms)[jnp.arange(rule.shape[1]), rule]  # [T, E, 2]
    own = TopPair(atoms[..., 0], atoms[..., 1], share)
    return TopPair(
        *(jnp.where(share > best.exponent, x, y) for x, y in zip(own, best, strict=True))
    )


def _with_rules(x: Exponents, rules: WithoutAtoms) -> Exponents:
    return x._replace(direct=x.direct + rules.direct, indirect=x.indirect + rules.indirect)


def _shares(strengths: jax.Array, presence: jax.Array) -> jax.Array:
    """What each atom adds to a noisy-OR exponent, [T, C, E]."""
    return -jnp.log1p(-clip_strength(presence[:, :, None] * strengths))


def _pairs_without(a: jax.Array) -> jax.Array:
    """Σ_{i<j} −log(1 − a_i a_j) without each atom's pairs: a [T, E, C] -> [T, E, C]."""
    x = pairwise_noisy_or(a)
    num_atoms = a.shape[-1]

    def pairs_of(atom: jax.Array) -> jax.Array:
        own = jax.lax.dynamic_index_in_dim(a, atom, axis=-1)
        others = jnp.where(jnp.arange(num_atoms) == atom, 0.0, a)
        return jnp.sum(-jnp.log1p(-clip_strength(own * others)), axis=-1)

    pairs = jnp.moveaxis(jax.lax.map(pairs_of, jnp.arange(num_atoms)), 0, -1)
    rest = jnp.maximum(x[..., None] - pairs, 0.0)
    # The difference cancels where one atom is in nearly all the evidence. At most two atoms can
    # be (the two of the one strong pair), and those are computed again without the atom.
    _, dominant = jax.lax.top_k(pairs, min(2, num_atoms))
    for rank in range(dominant.shape[-1]):
        chosen = jax.nn.one_hot(dominant[..., rank], num_atoms, dtype=bool)
        exact = pairwise_noisy_or(jnp.where(chosen, 0.0, a))
        rest = jnp.where(chosen, exact[..., None], rest)
    return rest
