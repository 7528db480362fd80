"""The pairwise noisy-OR exponent: every pair of atoms counts, no pair matrix exists."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

# Factors per logarithm. A factor is at least 2⁻²³ (see `_clip`), so a product of five stays above
# 2⁻¹¹⁵ and cannot underflow in float32 (2⁻¹²⁶); eight could.
_GROUP = 5


@jax.jit
def pairwise_noisy_or(a: ArrayLike) -> jax.Array:
    """Evidence that at least two atoms are present together, as a noisy-OR exponent.

    x = −Σ_{i<j} log(1 − a_i a_j), so that I = 1 − e^{−x}.
    Backward rule: ∂x/∂a_i = Σ_{j≠i} a_j / (1 − a_i a_j).

    The relative error is a few float32 roundings from a = 0 up to 1 − 1e-6: factors are formed
    as (1 − a_i) + a_i (1 − a_j), where nothing cancels, and a small x comes from log1p.
    Values are clipped to [0, 1 − 2⁻²⁴]: a = 1 counts as the largest float32 below one, so a sure
    pair adds 15.9 to x and the gradient stays finite (8e6); it is that of the clipped value.
    Time is O(C²), memory O(C), forwards and backwards.

    Args:
      a: [..., C] strength of each atom, ρ·p̄, in [0, 1].

    Returns:
      [...] x ≥ 0 in nats; 0 for C = 0 and C = 1. float32 (float64 if `a` is).

    Source: DESIGN §3, Roles.
    """
    a = jnp.asarray(a)
    a = a.astype(jnp.promote_types(a.dtype, jnp.float32))
    if a.ndim == 0:
        raise ValueError("pairwise_noisy_or: a needs an atom axis [..., C]; got a scalar")
    return _pairwise(a)


@jax.custom_vjp
def _pairwise(a: jax.Array) -> jax.Array:
    return jnp.sum(_sum_over_partners(_log_of_group, _clip(a), each_pair_once=True), axis=-1)


def _pairwise_forward(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _pairwise(a), a


def _pairwise_backward(a: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    gradient = _sum_over_partners(_gradient_of_group, _clip(a), each_pair_once=False)
    return (gradient * cotangent[..., None],)


_pairwise.defvjp(_pairwise_forward, _pairwise_backward)


def _clip(a: jax.Array) -> jax.Array:
    return jnp.clip(a, 0.0, 1.0 - jnp.finfo(a.dtype).epsneg)


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
