"""The pairwise noisy-OR exponent: every pair of atoms counts, no pair matrix exists.

Below 768 atoms every pair is formed, each in its turn. From there on the 120 largest atoms meet
every other one exactly and the rest, r, meet each other through a power series, linear in C. For
r in [0, 1) and m = max r, with q_k = Σ_i r_i^k,
  −Σ_{i<j} log(1 − r_i r_j) = ½ Σ_{k≤K} q_k²/k + ½ Σ_i log(1 − r_i²) + tail.
As q_k ≤ m^{k−K−1} q_{K+1} for k > K,
  0 ≤ tail = Σ_{k>K} q_k²/(2k) ≤ q_{K+1}² / (2 (K+1) (1 − m²)),
  0 ≤ ∂tail/∂r_i = Σ_{k>K} q_k r_i^{k−1} ≤ q_{K+1} m^K / (1 − m²).
K is the first of `TERMS` for which the former is at most 1e-6 and the latter at most 1e-6 q_1.
The atoms taken out beforehand are no smaller than the rest. With one of them alone ∂x/∂a_i ≥ q_1
for every i, and x ≥ q_1²/2 while tail ≤ 1e-6 q_1²/(2 (K+1)): the bounds are relative ones as well.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes

# Factors per logarithm. A factor is at least 2⁻²³ (see `clip_strength`), so a product of five stays
# above 2⁻¹¹⁵ and cannot underflow in float32 (2⁻¹²⁶); eight could.
_GROUP = 5

METHODS = ("auto", "exact", "hybrid")
# Atoms from which "auto" is "hybrid". Measured on two cores: with fewer, all pairs cost no more.
HYBRID_FROM = 768
# The atoms that are taken out of the series because they would converge slowly; whole groups.
HEAD = 24 * _GROUP
# Terms of the series, cheapest first. K powers are products of two tables of √K, each doubled
# until full, so K is a power of 4.
TERMS = (64, 256, 1024)
# What may be missing from x, absolute, and from its gradient, relative. x may be off by 1e-5; the
# other nine tenths are for float32, which needs them from x = 10 on.
_TRUNCATION = 1e-6
# Vectors that share one choice of method and one set of tables, so that these stay in the cache.
_ROWS = 16
# Atoms per partial sum. One running sum over thousands loses 3e-5 of q in float32.
_CHUNK = 64


class PairMethod(NamedTuple):
    """How the pairs of each vector are summed."""

    terms: jax.Array  # [...] int32, terms of the series; 0: every pair is formed
    bound: jax.Array  # [...] nats that the series may miss; 0 where every pair is formed


@functools.partial(jax.jit, static_argnames="method")
def pairwise_noisy_or(a: ArrayLike, *, method: str = "auto") -> jax.Array:
    """Evidence that at least two atoms are present together, as a noisy-OR exponent.

    x = −Σ_{i<j} log(1 − a_i a_j), so that I = 1 − e^{−x}.
    Backward rule: ∂x/∂a_i = Σ_{j≠i} a_j / (1 − a_i a_j).

    From a = 0 up to 1 − 1e-6 the relative error is a few float32 roundings: factors are formed as
    (1 − a_i) + a_i (1 − a_j), where nothing cancels, and a small x comes from log1p. Values are
    clipped to [0, 1 − 2⁻²⁴]: a = 1 counts as the largest float32 below one, so a sure pair adds
    15.9 to x and the gradient, that of the clipped value, stays finite (8e6). Memory is O(C).

    "exact" forms every pair, in O(C²). "hybrid" takes O(C); its series misses at most 1e-6 of x,
    absolute and relative, and 1e-6 of the gradient, relative. With float32 rounding x is within
    1e-5 + 4e-6 x and the gradient within 2e-5 of itself. Where the series is too slow for that
    (hundreds of atoms near 1), or all atoms would be in the head, every pair is formed. "auto" is
    "exact" below 768 atoms and "hybrid" from there on. `pairwise_method` says what was done.

    Args:
      a: [..., C] strength of each atom, ρ·p̄, in [0, 1].
      method: "auto", "exact" or "hybrid".

    Returns:
      [...] x ≥ 0 in nats; 0 for C = 0 and C = 1. float32 (float64 if `a` is).

    Raises:
      ValueError: no atom axis, or another method.

    Source: docs/mathematics.md, Roles.
    """
    return _pairwise(*_prepared("pairwise_noisy_or", a, method))


@functools.partial(jax.jit, static_argnames="method")
def pairwise_method(a: ArrayLike, *, method: str = "auto") -> PairMethod:
    """The method and the truncation bound of `pairwise_noisy_or` for each vector by itself.

    Sixteen neighbours of a batch share a method: the most exact that one of them needs. Arguments
    and errors as for `pairwise_noisy_or`; zeros where every pair is formed.
    """
    a, exact = _prepared("pairwise_method", a, method)
    if exact:
        return PairMethod(jnp.zeros(a.shape[:-1], jnp.int32), jnp.zeros(a.shape[:-1], a.dtype))
    return _choose_method(_split(clip_strength(a))[2])


def _prepared(name: str, a: ArrayLike, method: str) -> tuple[jax.Array, bool]:
    """`a` as floats, and whether every pair is formed whatever its values."""
    num_atoms = check_shapes(name, a=(a, "... C"))["C"]
    if method not in METHODS:
        raise ValueError(f"{name}: method {method!r}; use one of {', '.join(METHODS)}")
    few = num_atoms <= HEAD or (method == "auto" and num_atoms < HYBRID_FROM)
    a = jnp.asarray(a)
    return a.astype(jnp.promote_types(a.dtype, jnp.float32)), few or method == "exact"


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _pairwise(a: jax.Array, exact: bool) -> jax.Array:
    return (_value if exact else _hybrid_value)(clip_strength(a))


def _pairwise_backward(exact: bool, a: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    return ((_gradient if exact else _hybrid_gradient)(clip_strength(a)) * cotangent[..., None],)


_pairwise.defvjp(lambda a, exact: (_pairwise(a, exact), a), _pairwise_backward)


def clip_strength(a: jax.Array) -> jax.Array:
    """Clips to [0, 1 − 2⁻²⁴]: a sure atom, or pair, adds 16.6 to a noisy-OR exponent."""
    return jnp.clip(a, 0.0, 1.0 - jnp.finfo(a.dtype).epsneg)


def _value(a: jax.Array) -> jax.Array:  # x of clipped a, from every pair
    return jnp.sum(_sum_over_partners(_log_of_group, a, each_pair_once=True), axis=-1)


def _gradient(a: jax.Array) -> jax.Array:  # ∂x/∂a of clipped a, from every pair
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


def _by_rows(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """Applies a function of [_ROWS, C] to [..., C], also under vmap.

    vmap would turn the choice of method into a select, which computes every branch; here it only
    adds rows.
    """

    @jax.custom_batching.custom_vmap
    @functools.wraps(function)
    def apply(a: jax.Array) -> jax.Array:
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        size = max(1, min(_ROWS, len(rows)))
        blocks = jnp.pad(rows, ((0, -len(rows) % size if len(rows) else size), (0, 0)))
        out = lax.map(function, blocks.reshape(-1, size, a.shape[-1]))
        out = out.reshape(-1, *out.shape[2:])[: len(rows)]
        return out.reshape(*a.shape[:-1], *out.shape[1:])

    @apply.def_vmap
    def add_rows(size: int, batched: list[bool], a: jax.Array) -> tuple[jax.Array, bool]:
        del size, batched  # the one argument is batched, along axis 0
        return apply(a), True

    return apply


@_by_rows
def _hybrid_value(a: jax.Array) -> jax.Array:
    """x [N] of clipped a [N, C]."""
    head, _, rest = _split(a)

    def add_group(total: jax.Array, group: jax.Array) -> tuple[jax.Array, None]:
        return total + _log_of_group(rest, list(group)), None

    def hybrid(among_rest: jax.Array) -> jax.Array:
        groups = head.T.reshape(-1, _GROUP, len(head), 1)
        with_head = lax.scan(add_group, jnp.zeros_like(rest), groups)[0]
        return _value(head) + jnp.sum(with_head, axis=-1) + among_rest

    return _with_series(_series_value, rest, hybrid, lambda: _value(a))


@_by_rows
def _hybrid_gradient(a: jax.Array) -> jax.Array:
    """∂x/∂a [N, C] of clipped a [N, C]."""
    head, index, rest = _split(a)

    def add_group(total: jax.Array, group: jax.Array) -> tuple[jax.Array, jax.Array]:
        inverse = [1.0 / ((1.0 - partner) + partner * (1.0 - rest)) for partner in group]
        of_group = jnp.stack([jnp.sum(rest * factor, axis=-1) for factor in inverse])
        return sum(map(jnp.multiply, group, inverse), total), of_group

    def hybrid(of_rest: jax.Array) -> jax.Array:
        groups = head.T.reshape(-1, _GROUP, len(head), 1)
        of_rest, with_rest = lax.scan(add_group, of_rest, groups)
        of_head = _gradient(head) + with_rest.reshape(HEAD, -1).T
        return jnp.put_along_axis(of_rest, index, of_head, axis=-1, inplace=False)

    return _with_series(_series_gradient, rest, hybrid, lambda: _gradient(a))


def _split(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The `HEAD` largest, where they are, and [..., C] all others with 0 in their place."""
    head, index = lax.top_k(a, HEAD)
    return head, index, jnp.put_along_axis(a, index, 0.0, axis=-1, inplace=False)


def _with_series(
    series: Callable, rest: jax.Array, hybrid: Callable, every_pair: Callable
) -> jax.Array:
    """hybrid(series(rest, K)) with a K that does for every row, or every_pair() if none does."""
    terms = _choose_method(rest).terms
    terms = jnp.where(jnp.any(terms == 0), 0, jnp.max(terms))
    branches = [functools.partial(series, num_terms=num_terms) for num_terms in TERMS]
    which = jnp.searchsorted(jnp.array(TERMS), terms)
    return lax.cond(terms == 0, every_pair, lambda: hybrid(lax.switch(which, branches, rest)))


def _choose_method(rest: jax.Array) -> PairMethod:
    """The fewest terms within the bounds stated above; NaN is within none."""
    largest, first = jnp.max(rest, axis=-1), jnp.sum(rest, axis=-1)
    gap = (1.0 - largest) * (1.0 + largest)
    terms, bound = jnp.zeros(first.shape, jnp.int32), jnp.zeros_like(first)
    for num_terms in reversed(TERMS):
        next_sum = jnp.sum(rest ** (num_terms + 1), axis=-1)
        missing = next_sum * next_sum / (2.0 * (num_terms + 1) * gap)
        slope = next_sum * largest**num_terms
        holds = (missing <= _TRUNCATION) & (slope <= _TRUNCATION * gap * first)
        terms, bound = jnp.where(holds, num_terms, terms), jnp.where(holds, missing, bound)
    return PairMethod(terms, bound)


def _power_sums(rest: jax.Array, num_terms: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """q_k at [h, l] of [N, √K, √K], k = 1 + h√K + l, and the powers r^l and r^{h√K}, [N, √K, C]."""
    doublings = math.isqrt(num_terms).bit_length() - 1

    def powers(base: jax.Array) -> tuple[jax.Array, jax.Array]:
        table, next_power = jnp.ones_like(base)[..., None, :], base
        for _ in range(doublings):
            table = jnp.concatenate([table, table * next_power[..., None, :]], axis=-2)
            next_power = next_power * next_power
        return table, next_power

    def chunks(table: jax.Array) -> jax.Array:
        table = jnp.pad(table, ((0, 0), (0, 0), (0, -table.shape[-1] % _CHUNK)))
        return table.reshape(*table.shape[:-1], -1, _CHUNK)

    low, root = powers(rest)
    high, _ = powers(root)
    from_one = chunks(high * rest[..., None, :])
    sums = jnp.einsum("nhgc,nlgc->nghl", from_one, chunks(low), precision="highest")
    return jnp.sum(sums, axis=1), low, high


def _series_value(rest: jax.Array, num_terms: int) -> jax.Array:
    """½ Σ_{k≤K} q_k²/k + ½ Σ_i log(1 − r_i²).

    The two cancel where few atoms make up q, but pairs with the head, none of which is smaller,
    outweigh the second sum a hundred times.
    """
    sums = _power_sums(rest, num_terms)[0]
    sums = sums.reshape(*sums.shape[:-2], num_terms)
    weighted = sums**2 / jnp.arange(1, num_terms + 1, dtype=sums.dtype)
    return 0.5 * (jnp.sum(weighted, axis=-1) + jnp.sum(jnp.log1p(-rest * rest), axis=-1))


def _series_gradient(rest: jax.Array, num_terms: int) -> jax.Array:
    """Σ_{k≤K} q_k r_i^{k−1} − r_i/(1 − r_i²)."""
    sums, low, high = _power_sums(rest, num_terms)
    inner = jnp.einsum("nhl,nlc->nhc", sums, low, precision="highest")
    return jnp.sum(high * inner, axis=-2) - rest / ((1.0 - rest) * (1.0 + rest))
