"""Why a frame looks like an event: what each atom changed, alone and in pairs."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.pairs import pairwise_noisy_or
from jaxvlm.atoms.roles import (
    COUNTER,
    DIRECT,
    INDIRECT,
    Exponents,
    RoleParams,
    calibrated_presence,
    check_roles,
    clip_strength,
    exponents,
    logits_from_exponents,
    reference_exponents,
    reference_logits,
    reference_shares,
    role_strengths,
    sum_of_others,
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


class TopPair(NamedTuple):
    """The strongest pair of atoms of every frame and event. [T, E] each."""

    first: jax.Array
    second: jax.Array
    exponent: jax.Array  # −log(1 − a_first a_second), its share of x_I


class Reason(NamedTuple):
    """Atoms that speak for (contribution > 0) or against an event."""

    atoms: tuple[str, ...]  # one, or the pair of indirect atoms that counts together
    role: str
    contribution: float  # how much the event's logit falls, on the mean, without the first


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
    x_I loses the atom's pairs. Time O(T·C²·E), memory O(T·C·E).

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
        jnp.swapaxes(_pairs_without(a, x.indirect), 1, 2),
        None if x.explicit is None else sum_of_others(_shares(strengths.counter, presence)),
    )

    def change(**removed: jax.Array) -> jax.Array:
        return logits(x=full) - logits(x=full._replace(**removed))

    shape = without.direct.shape
    counter = jnp.zeros(shape) if x.explicit is None else change(explicit=without.explicit)
    return Contributions(
        total=change(**without._asdict()),
        direct=change(direct=without.direct),
        indirect=change(indirect=without.indirect),
        counter=counter,
        pair_strength=jnp.swapaxes(a, 1, 2),
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

    −log(1 − a_i a_j) grows with a_i a_j, so the top pair is the two largest a = ρⁱ p̄.
    Raises ValueError if there are fewer than two atoms, or shapes do not fit.
    """
    check_roles("top_pair", params, presence, candidates)
    presence = calibrated_presence(params, presence)
    if presence.shape[1] < 2:
        raise ValueError(f"top_pair: presence has shape {presence.shape}; it needs two atoms")
    a = presence[:, None, :] * role_strengths(params, candidates).indirect.T
    strongest, index = jax.lax.top_k(a, 2)
    return TopPair(index[..., 0], index[..., 1], pairwise_noisy_or(strongest))


def reasons(
    contributions: Contributions,
    atoms: Sequence[str],
    *,
    event: int,
    start: int,
    stop: int,
    limit: int = 3,
    smallest: float = 0.1,
) -> list[Reason]:
    """The atoms that moved one event most over frames start..stop−1, strongest first.

    Each atom speaks in the role in which it moved the mean logit most; an indirect atom names the
    partner of its strongest pair, and two atoms that name each other are one reason. At most
    `limit` reasons for the event and `limit` against; changes below `smallest` are left out.

    Args:
      contributions: of the whole video, from `role_contributions`.
      atoms: C names.
      event: index of the event.

    Raises:
      ValueError: shapes that do not fit.
    """
    fields = contributions._asdict().items()
    check_shapes("reasons", **{name: (value, f"T {len(atoms)} E") for name, value in fields})
    span = slice(start, stop)
    per_role = {
        DIRECT: np.asarray(contributions.direct)[span, :, event].mean(axis=0),
        INDIRECT: np.asarray(contributions.indirect)[span, :, event].mean(axis=0),
        COUNTER: np.asarray(contributions.counter)[span, :, event].mean(axis=0),
    }
    names = list(per_role)
    change = np.stack([per_role[name] for name in names])
    role = np.abs(change).argmax(axis=0)
    change = np.take_along_axis(change, role[None], axis=0)[0]
    a = np.asarray(contributions.pair_strength)[span, :, event]
    joint = a.T @ a
    np.fill_diagonal(joint, -1.0)
    found: list[Reason] = []
    named: set[frozenset[int]] = set()
    kept = {True: 0, False: 0}
    for atom in np.argsort(-np.abs(change), kind="stable"):
        supports = bool(change[atom] > 0)
        if abs(change[atom]) < smallest or kept[supports] == limit:
            continue
        partner = None
        if names[role[atom]] == INDIRECT:
            partner = int(joint[atom].argmax())
            pair = frozenset((int(atom), partner))
            if pair in named:
                continue
            named.add(pair)
        kept[supports] += 1
        pair_names = (atoms[atom],) if partner is None else (atoms[atom], atoms[partner])
        found.append(Reason(pair_names, names[role[atom]], float(change[atom])))
    return found


def _shares(strengths: jax.Array, presence: jax.Array) -> jax.Array:
    """What each atom adds to a noisy-OR exponent, [T, C, E]."""
    return -jnp.log1p(-clip_strength(presence[:, :, None] * strengths))


def _pairs_without(a: jax.Array, x: jax.Array) -> jax.Array:
    """x_I without each atom's pairs: a [T, E, C], x [T, E] -> [T, E, C]."""
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
