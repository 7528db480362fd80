"""Rules: pairs of atoms with a strength of their own, and counters that argue against one rule.

A rule says: this atom, or these two together, unless one of its own counter atoms is seen. Each
event has R places for rules and each rule U for counters, so the cost is linear in R·U and does
not depend on the number of pairs that there might be.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.pairs import clip_strength

NOBODY = -1  # in place of the number of an atom


class Rules(NamedTuple):
    """Rules of every event. Atoms by number, `NOBODY` where there is none."""

    atoms: ArrayLike  # [E, R, 2] int: the second is nobody: one atom alone; the first: no rule
    theta: ArrayLike  # [E, R], strength s = σ(θ)
    unless: ArrayLike  # [E, R, U] int, the rule's own counters
    theta_unless: ArrayLike  # [E, R, U], κ = σ(θ), how far a counter cancels the rule


class RuleStrengths(NamedTuple):
    """s = σ(θ) and κ = σ(θ), 0 where there is no rule, no counter, or no candidate."""

    strength: jax.Array  # [E, R]
    unless: jax.Array  # [E, R, U]


def check_rules(function: str, rules: Rules | None, num_events: int) -> None:
    """`check_shapes` of rules. Raises ValueError."""
    if rules is None:
        return
    axes = Rules(f"{num_events} R 2", f"{num_events} R", f"{num_events} R U", f"{num_events} R U")
    fields = zip(rules._fields, rules, axes, strict=True)
    check_shapes(function, **{f"rules.{name}": (value, own) for name, value, own in fields})


@jax.jit
def rule_strengths(rules: Rules, candidates: ArrayLike | None = None) -> RuleStrengths:
    """The strengths that take effect. candidates: [C, E] 0/1; a rule with an atom outside its
    event's list has s = 0, such a counter κ = 0. None: all atoms."""
    atoms, unless = jnp.asarray(rules.atoms), jnp.asarray(rules.unless)
    allowed, may_oppose = atoms[..., 0] != NOBODY, unless != NOBODY
    if candidates is not None:
        known = jnp.asarray(candidates).T > 0  # [E, C]
        here = jnp.arange(len(known))[:, None, None]
        # A second atom that is nobody reads the last atom of all, hence the |.
        allowed &= jnp.all(known[here, atoms] | (atoms == NOBODY), axis=-1)
        may_oppose &= known[here, unless]
    return RuleStrengths(
        jnp.where(allowed, jax.nn.sigmoid(jnp.asarray(rules.theta)), 0.0),
        jnp.where(may_oppose, jax.nn.sigmoid(jnp.asarray(rules.theta_unless)), 0.0),
    )


class RuleFactors(NamedTuple):
    """What the strength of each rule is multiplied with in every frame.

    Frames last: what a rule reads of them lies side by side, so that a compiled loop takes the
    logarithms of many at once.
    """

    evidence: jax.Array  # p̃_i p̃_j [E, R, T]
    kept: jax.Array  # 1 − κ_u p̃_u [E, R, U, T]


def rule_factors(rules: Rules, presence: ArrayLike, strengths: RuleStrengths) -> RuleFactors:
    """The factors of calibrated presences [T, C]."""
    frames = jnp.asarray(presence).T
    # Nobody is always there: index −1 finds the added row of ones.
    frames = jnp.concatenate([frames, jnp.ones_like(frames[:1])])
    evidence = jnp.prod(frames[jnp.asarray(rules.atoms)], axis=2)
    return RuleFactors(
        evidence, 1.0 - strengths.unless[..., None] * frames[jnp.asarray(rules.unless)]
    )


@jax.jit
def rule_activation(rules: Rules, presence: ArrayLike, strengths: RuleStrengths) -> jax.Array:
    """p̃_i p̃_j Π_u (1 − κ_u p̃_u) [T, E, R] in [0, 1]: how far each rule holds in each frame."""
    factors = rule_factors(rules, presence, strengths)
    return jnp.moveaxis(factors.evidence * jnp.prod(factors.kept, axis=2), -1, 0)


def rule_shares(rules: Rules, presence: ArrayLike, strengths: RuleStrengths) -> jax.Array:
    """−log(1 − s p̃_i p̃_j Π_u (1 − κ_u p̃_u)) [T, E, R]: what each rule adds to its exponent."""
    return jnp.moveaxis(_shares(strengths, rule_factors(rules, presence, strengths)), -1, 0)


def _shares(strengths: RuleStrengths, factors: RuleFactors) -> jax.Array:
    """`rule_shares` [E, R, T] of factors."""
    activation = strengths.strength[..., None] * factors.evidence * jnp.prod(factors.kept, axis=2)
    return -jnp.log1p(-clip_strength(activation))


def is_pair(rules: Rules) -> jax.Array:
    """[E, R] whether a rule is of two atoms: it adds to x_I then, and to x_D otherwise."""
    return jnp.asarray(rules.atoms)[..., 1] != NOBODY


def rule_exponents(
    rules: Rules, presence: ArrayLike, strengths: RuleStrengths
) -> tuple[jax.Array, jax.Array]:
    """Σ of the shares of the rules of one atom, and of those of two: [T, E] each."""
    shares = _shares(strengths, rule_factors(rules, presence, strengths))
    pairs = is_pair(rules)[..., None]
    return tuple(jnp.sum(jnp.where(of, shares, 0.0), axis=1).T for of in (~pairs, pairs))


class WithoutAtoms(NamedTuple):
    """The two exponents of the rules [T, C, E] where each atom is taken out of some of them."""

    direct: jax.Array
    indirect: jax.Array


def exponents_without_atoms(
    rules: Rules, presence: ArrayLike, strengths: RuleStrengths
) -> tuple[WithoutAtoms, WithoutAtoms, WithoutAtoms]:
    """The exponents without each atom as evidence, as a counter, and as either.

    Sums of what is left, so nothing cancels. Time O(T·C·E·R), memory O(T·C·E + C·E·R·U).
    """
    num_atoms = jnp.shape(presence)[1]
    factors = rule_factors(rules, presence, strengths)

    def shares(kept: jax.Array) -> jax.Array:
        """[E, R, T] of rules that are kept so far by their counters."""
        return _shares(strengths, factors._replace(kept=kept))

    whole = shares(factors.kept)
    places = range(factors.kept.shape[2])
    freed = [shares(factors.kept.at[:, :, place].set(1.0)) - whole for place in places]
    freed = jnp.stack(freed, axis=2) if freed else factors.kept  # [E, R, U, T], without counter u
    has = jnp.sum(jax.nn.one_hot(rules.atoms, num_atoms), axis=2)  # [E, R, C]
    opposed_by = jax.nn.one_hot(rules.unless, num_atoms)  # [E, R, U, C]
    pairs = is_pair(rules)

    def of(kind: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        sum_of = functools.partial(jnp.einsum, precision="highest")
        evidence = sum_of("ert,er,erc->tce", whole, kind, 1.0 - has)
        more = sum_of("erut,er,eruc->tce", freed, kind, opposed_by)
        everything = sum_of("ert,er->te", whole, kind)[:, None, :]
        return evidence, everything + more, evidence + more

    direct, indirect = of(1.0 - pairs), of(1.0 * pairs)
    return tuple(WithoutAtoms(*parts) for parts in zip(direct, indirect, strict=True))
