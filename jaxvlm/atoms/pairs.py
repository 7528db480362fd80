"""The pairwise noisy-OR exponent: every pair of atoms counts, no pair matrix exists.

Below 768 atoms every pair is formed, each in its turn. From there on the 120 largest atoms meet
every other one exactly and the rest meet each other through a power series, in time linear in C.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvlm.atoms.pairs_series import (
    TERMS,
    PairMethod,
    by_rows,
    choose_method,
    series_gradient,
    series_value,
)

# Factors per logarithm. A factor is at least 2⁻²³ (see `_clip`), so a product of five stays above
# 2⁻¹¹⁵ and cannot underflow in float32 (2⁻¹²⁶); eight could.
_GROUP = 5

METHODS = ("auto", "exact", "hybrid")
# Atoms from which "auto" is "hybrid". Measured on two cores: with fewer, all pairs cost no more.
HYBRID_FROM = 768
# The atoms that are taken out of the series because they would converge slowly; whole groups.
HEAD = 24 * _GROUP


@functools.partial(jax.jit, static_argnames="method")
def pairwise_noisy_or(a: ArrayLike, *, method: str = "auto") -> jax.Array:
    """Evidence that at least two atoms are present together, as a noisy-OR exponent.

    x = −Σ_{i<j} log(1 − a_i a_j), so that I = 1 − e^{−x}.
    Backward rule: ∂x/∂a_i = Σ_{j≠i} a_j / (1 − a_i a_j).

    The relative error is a few float32 roundings from a = 0 up to 1 − 1e-6: factors are formed
    as (1 − a_i) + a_i (1 − a_j), where nothing cancels, and a small x comes from log1p.
    Values are clipped to [0, 1 − 2⁻²⁴]: a = 1 counts as the largest float32 below one, so a sure
    pair adds 15.9 to x and the gradient stays finite (8e6); it is that of the clipped value.
    Memory is O(C), forwards and backwards.

    "exact" forms every pair, in O(C²). "hybrid" takes O(C): the pairs of the 120 largest atoms
    (`HEAD`) are formed, those of the rest come from a power series (`pairs_series`) which misses
    at most 1e-6 of x, absolute and relative, and 1e-6 of the gradient, relative. With float32
    rounding x is within 1e-5 + 4e-6 x and the gradient within 2e-5 of itself. If the series is
    too slow for that (hundreds of atoms near 1), or the head would be all, every pair is formed.
    "auto" is "exact" below 768 atoms (`HYBRID_FROM`) and "hybrid" from there on.
    `pairwise_method` says what was done, and the bound.

    Args:
      a: [..., C] strength of each atom, ρ·p̄, in [0, 1].
      method: "auto", "exact" or "hybrid".

    Returns:
      [...] x ≥ 0 in nats; 0 for C = 0 and C = 1. float32 (float64 if `a` is).

    Raises:
      ValueError: no atom axis, or another method.

    Source: DESIGN §3, Roles.
    """
    a = _checked(a, "pairwise_noisy_or")
    return _pairwise(a, _is_exact(a, method))


@functools.partial(jax.jit, static_argnames="method")
def pairwise_method(a: ArrayLike, *, method: str = "auto") -> PairMethod:
    """The method and the truncation bound of `pairwise_noisy_or` for each vector by itself.

    Sixteen neighbours of a batch share a method: the most exact that one of them needs.

    Args:
      a, method: as for `pairwise_noisy_or`.

    Returns:
      PairMethod of [...] each; zeros where every pair is formed.

    Raises:
      ValueError: as `pairwise_noisy_or`.
    """
    a = _clip(_checked(a, "pairwise_method"))
    if _is_exact(a, method):
        none = jnp.zeros(a.shape[:-1])
        return PairMethod(none.astype(jnp.int32), none.astype(a.dtype))
    return choose_method(_split(a)[2])


def _is_exact(a: jax.Array, method: str) -> bool:
    if method not in METHODS:
        raise ValueError(f"pairs: method {method!r}; use one of {', '.join(METHODS)}")
    num_atoms = a.shape[-1]
    return method == "exact" or num_atoms <= HEAD or (method == "auto" and num_atoms < HYBRID_FROM)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pairwise(a: jax.Array, exact: bool) -> jax.Array:
    return _value(_clip(a)) if exact else _hybrid_value(_clip(a))


def _pairwise_forward(a: jax.Array, exact: bool) -> tuple[jax.Array, jax.Array]:
    return _pairwise(a, exact), a


def _pairwise_backward(exact: bool, a: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    gradient = _gradient(_clip(a)) if exact else _hybrid_gradient(_clip(a))
    return (gradient * cotangent[..., None],)


_pairwise.defvjp(_pairwise_forward, _pairwise_backward)


def _checked(a: ArrayLike, name: str) -> jax.Array:
    a = jnp.asarray(a)
    if a.ndim == 0:
        raise ValueError(f"{name}: a needs an atom axis [..., C]; got a scalar")
    return a.astype(jnp.promote_types(a.dtype, jnp.float32))


def _clip(a: jax.Array) -> jax.Array:
    return jnp.clip(a, 0.0, 1.0 - jnp.finfo(a.dtype).epsneg)


def _value(a: jax.Array) -> jax.Array:
    """x of clipped a, from every pair."""
    return jnp.sum(_sum_over_partners(_log_of_group, a, each_pair_once=True), axis=-1)


def _gradient(a: jax.Array) -> jax.Array:
    """∂x/∂a of clipped a, from every pair."""
    return _sum_over_partners(_gradient_of_group, a, each_pair_once=False)


def _sum_over_partners(
    term: Callable[[jax.Array, list[jax.Array]], jax.Array], a: jax.Array, *, each_pair_once: bool
) -> jax.Array:
    """Σ of term(a, partners) over offsets on a ring of atoms, `_GROUP` at a time: [..., C].

    partners[k][..., i] = a[..., (i + offset_k) mod C]. Offsets 1..C−1 give every atom all its
    partners; 1..C/2 meet every pair once.
    """
    num_atoms = a.shape[-1]
    last = num_atoms // 2 if each_pair_once else num_atoms - 1
    if last < 1:
        return jnp.zeros_like(a)
    ring = jnp.concatenate([a, a], axis=-1)
    groups, rest = divmod(last - 1, _GROUP)

    def partners(start: ArrayLike, count: int) -> list[jax.Array]:
        return [lax.dynamic_slice_in_dim(ring, start + k, num_atoms, -1) for k in range(count)]

    def add_group(total: jax.Array, start: jax.Array) -> tuple[jax.Array, None]:
        return total + term(a, partners(start, _GROUP)), None

    *others, final = partners(last - rest, rest + 1)
    if each_pair_once and num_atoms % 2 == 0:
        # Half way round an even ring each pair is met from both ends; a partner of 0 adds nothing.
        final = jnp.where(jnp.arange(num_atoms) < last, final, 0.0)
    # The loop comes last: XLA would fuse anything after it into the caller's sum over atoms,
    # where it is not vectorised.
    return lax.scan(add_group, term(a, [*others, final]), 1 + _GROUP * jnp.arange(groups))[0]


def _log_of_group(a: jax.Array, partners: list[jax.Array]) -> jax.Array:
    """−Σ_k log(1 − a·partner_k) with one logarithm."""
    product, complement = jnp.ones_like(a), jnp.zeros_like(a)
    for partner in partners:
        product = product * ((1.0 - a) + a * (1.0 - partner))
        # 1 − Π(1 − y) built without forming 1 − y, so tiny pairs are not rounded away.
        complement = complement + (1.0 - complement) * (a * partner)
    small = complement < 0.5
    log1p = jnp.log1p(-jnp.where(small, complement, 0.0))
    return -jnp.where(small, log1p, jnp.log(product))


def _gradient_of_group(a: jax.Array, partners: list[jax.Array]) -> jax.Array:
    """Σ_k partner_k / (1 − a·partner_k) with one division, over the common denominator."""
    numerator, denominator = jnp.zeros_like(a), jnp.ones_like(a)
    for partner in partners:
        factor = (1.0 - a) + a * (1.0 - partner)
        numerator = numerator * factor + partner * denominator
        denominator = denominator * factor
    return numerator / denominator


@by_rows
def _hybrid_value(a: jax.Array) -> jax.Array:
    """x [N] of clipped a [N, C]."""
    head, _, rest = _split(a)
    terms = _shared_terms(rest)

    def add_group(total: jax.Array, group: jax.Array) -> tuple[jax.Array, None]:
        return total + _log_of_group(rest, list(group)), None

    def hybrid() -> jax.Array:
        among_rest = _series(series_value, rest, terms)
        with_head = lax.scan(add_group, jnp.zeros_like(rest), _head_groups(head))[0]
        return _value(head) + jnp.sum(with_head, axis=-1) + among_rest

    return lax.cond(terms == 0, lambda: _value(a), hybrid)


@by_rows
def _hybrid_gradient(a: jax.Array) -> jax.Array:
    """∂x/∂a [N, C] of clipped a [N, C]."""
    head, index, rest = _split(a)
    terms = _shared_terms(rest)

    def add_group(total: jax.Array, group: jax.Array) -> tuple[jax.Array, jax.Array]:
        inverse = [1.0 / ((1.0 - partner) + partner * (1.0 - rest)) for partner in group]
        of_group = jnp.stack([jnp.sum(rest * factor, axis=-1) for factor in inverse])
        return sum(map(jnp.multiply, group, inverse), total), of_group

    def hybrid() -> jax.Array:
        of_rest = _series(series_gradient, rest, terms)
        of_rest, with_rest = lax.scan(add_group, of_rest, _head_groups(head))
        of_head = _gradient(head) + with_rest.reshape(HEAD, -1).T
        return jnp.put_along_axis(of_rest, index, of_head, axis=-1, inplace=False)

    return lax.cond(terms == 0, lambda: _gradient(a), hybrid)


def _split(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The `HEAD` largest, where they are, and [..., C] all others with 0 in their place."""
    head, index = lax.top_k(a, HEAD)
    return head, index, jnp.put_along_axis(a, index, 0.0, axis=-1, inplace=False)


def _head_groups(head: jax.Array) -> jax.Array:
    """[N, HEAD] as partners, a group at a time: [HEAD / _GROUP, _GROUP, N, 1]."""
    return head.T.reshape(-1, _GROUP, head.shape[0], 1)


def _shared_terms(rest: jax.Array) -> jax.Array:
    """[] terms that do for every row; 0 if one of them needs every pair."""
    terms = choose_method(rest).terms
    return jnp.where(jnp.any(terms == 0), 0, jnp.max(terms))


def _series(
    function: Callable[[jax.Array, int], jax.Array], rest: jax.Array, terms: jax.Array
) -> jax.Array:
    """function(rest, terms), compiled for each of `TERMS`."""
    branches = [functools.partial(function, num_terms=num_terms) for num_terms in TERMS]
    return lax.switch(jnp.searchsorted(jnp.array(TERMS), terms), branches, rest)
