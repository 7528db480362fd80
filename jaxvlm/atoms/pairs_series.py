"""The pairs of many atoms below one, as a power series: linear in the number of atoms.

For r in [0, 1) and m = max r, with q_k = Σ_i r_i^k,
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


def choose_method(rest: jax.Array) -> PairMethod:
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


def by_rows(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """Applies a function of [_ROWS, C] to [..., C], also under vmap.

    vmap would turn the choice of method into a select, which computes every branch; here it only
    adds rows.
    """

    @jax.custom_batching.custom_vmap
    @functools.wraps(function)
    def apply(a: jax.Array) -> jax.Array:
        rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        num_rows = rows.shape[0]
        size = max(1, min(_ROWS, num_rows))
        blocks = jnp.pad(rows, ((0, (-num_rows % size) if num_rows else size), (0, 0)))
        out = lax.map(function, blocks.reshape(-1, size, a.shape[-1]))
        out = out.reshape(-1, *out.shape[2:])[:num_rows]
        return out.reshape(*a.shape[:-1], *out.shape[1:])

    @apply.def_vmap
    def add_rows(size: int, batched: list[bool], a: jax.Array) -> tuple[jax.Array, bool]:
        del size, batched  # the one argument is batched, along axis 0
        return apply(a), True

    return apply


def _power_tables(rest: jax.Array, num_terms: int) -> tuple[jax.Array, jax.Array]:
    """r^0, r^1, … and r^0, r^√K, r^{2√K}, …, √K of each: [N, √K, C] twice."""
    doublings = math.isqrt(num_terms).bit_length() - 1

    def powers(base: jax.Array) -> tuple[jax.Array, jax.Array]:
        table, next_power = jnp.ones_like(base)[..., None, :], base
        for _ in range(doublings):
            table = jnp.concatenate([table, table * next_power[..., None, :]], axis=-2)
            next_power = next_power * next_power
        return table, next_power

    low, root = powers(rest)
    return low, powers(root)[0]


def _power_sums(low: jax.Array, high: jax.Array, rest: jax.Array) -> jax.Array:
    """q_k [N, √K, √K] for k = 1..K in order."""
    pad = -rest.shape[-1] % _CHUNK

    def chunks(table: jax.Array) -> jax.Array:
        table = jnp.pad(table, ((0, 0), (0, 0), (0, pad)))
        return table.reshape(*table.shape[:-1], -1, _CHUNK)

    first = chunks(high * rest[..., None, :])
    sums = jnp.einsum("nhgc,nlgc->nghl", first, chunks(low), precision="highest")
    return jnp.sum(sums, axis=1)


def series_value(rest: jax.Array, num_terms: int) -> jax.Array:
    """½ Σ_{k≤K} q_k²/k + ½ Σ_i log(1 − r_i²).

    The two cancel where few atoms make up q, but pairs with the head, none of which is smaller,
    outweigh the second sum a hundred times.
    """
    sums = _power_sums(*_power_tables(rest, num_terms), rest)
    sums = sums.reshape(*sums.shape[:-2], num_terms)
    weighted = sums**2 / jnp.arange(1, num_terms + 1, dtype=sums.dtype)
    return 0.5 * (jnp.sum(weighted, axis=-1) + jnp.sum(jnp.log1p(-rest * rest), axis=-1))


def series_gradient(rest: jax.Array, num_terms: int) -> jax.Array:
    """Σ_{k≤K} q_k r_i^{k−1} − r_i/(1 − r_i²)."""
    low, high = _power_tables(rest, num_terms)
    sums = _power_sums(low, high, rest)
    inner = jnp.einsum("nhl,nlc->nhc", sums, low, precision="highest")
    return jnp.sum(high * inner, axis=-2) - rest / ((1.0 - rest) * (1.0 + rest))
