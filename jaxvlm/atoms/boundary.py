"""Where one segment ends and the next begins: a jump of the presence vector."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes

REDUCTIONS = ("sum", "mean")
# The prototype's κ·δ = 8 · 0.6: a frame without any change has b = σ(−4.8) = 0.008.
_STEEPNESS = 4.8
# Smallest `auto` threshold. Rounding of p makes d about C·1e-14; a frozen video has d = 0.
_SMALLEST_DELTA = 1e-6


@functools.partial(jax.jit, static_argnames=["reduction"])
def divergence(presence: ArrayLike, *, reduction: str = "sum") -> jax.Array:
    """Squared change of the presence vector since the frame before.

    d_0 = 0; sum: d_t = ‖p(t) − p(t−1)‖²;  mean: d_t = ‖p(t) − p(t−1)‖²/C

    The sum grows with the number of atoms, and with it how often a fixed δ is reached.

    Args:
      presence: [T, C].
      reduction: "sum" or "mean" over the atoms.

    Returns:
      [T] in [0, C], or in [0, 1] for the mean, for presences in [0, 1]; 0 without atoms.

    Raises:
      ValueError: another shape, or an unknown reduction.

    Source: the prototype (sum); docs/mathematics.md, Boundaries and segments.
    """
    sizes = check_shapes("divergence", presence=(presence, "T C"))
    if reduction not in REDUCTIONS:
        raise ValueError(f"divergence: reduction {reduction!r}; use {' or '.join(REDUCTIONS)}")
    presence = jnp.asarray(presence)
    change = jnp.diff(presence, axis=0, prepend=presence[:1])
    total = jnp.sum(change * change, axis=1)
    return total / max(sizes["C"], 1) if reduction == "mean" else total


def boundary_probability(
    divergence: ArrayLike,
    *,
    delta: ArrayLike | str = 0.6,
    kappa: ArrayLike | str = 8.0,
    mask: ArrayLike | None = None,
) -> jax.Array:
    """Probability that a new segment begins at each frame.

    b_t = σ(κ (d_t − δ))

    Args:
      divergence: [T] from `divergence`.
      delta: threshold on d; a number, a traced array (to be learned), or "auto": `auto_delta`.
      kappa: steepness per unit of d; a number, a traced array, or "auto": `auto_kappa`. With a
        number, a δ far below 1/κ leaves every b near one half, which is what `cosine` presences
        (d about 1e-3) would get from κ = 8.
      mask: [T] True for real frames; only "auto" looks at it.

    Returns:
      [T] in [0, 1].

    Raises:
      ValueError: shapes that do not fit, or a string other than "auto".

    Source: the prototype (numbers); docs/mathematics.md, Boundaries and segments.
    """
    return jax.nn.sigmoid(_logit("boundary_probability", divergence, delta, kappa, mask))


def log_survival(
    divergence: ArrayLike,
    *,
    delta: ArrayLike | str = 0.6,
    kappa: ArrayLike | str = 8.0,
    mask: ArrayLike | None = None,
) -> jax.Array:
    """Log-probability that the segment goes on, exact where b rounds to one.

    log(1 − b_t) = −softplus(κ (d_t − δ))

    Arguments, [T] result and errors as for `boundary_probability`; values in (−∞, 0].

    Source: docs/mathematics.md, Boundaries and segments.
    """
    return -jax.nn.softplus(_logit("log_survival", divergence, delta, kappa, mask))


@jax.jit
def auto_delta(divergence: ArrayLike, *, mask: ArrayLike | None = None) -> jax.Array:
    """Threshold above which a divergence is an outlier of its own video.

    δ = max(median(d) + 3 · 1.4826 · median|d − median(d)|, 1e-6)

    The floor keeps a frozen video (d = 0 throughout) in one piece. A video without frames has
    δ = 1e-6.

    Args:
      divergence: [T].
      mask: [T] True for real frames.

    Returns:
      scalar δ > 0.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Boundaries and segments; 1.4826·MAD estimates the σ of a normal
    distribution.
    """
    check_shapes("auto_delta", divergence=(divergence, "T"), mask=(mask, "T"))
    divergence = jnp.asarray(divergence)
    if divergence.shape[0] == 0:
        return jnp.asarray(_SMALLEST_DELTA, divergence.dtype)
    if mask is not None:
        divergence = jnp.where(jnp.asarray(mask, bool), divergence, jnp.nan)
    median = jnp.nanmedian(divergence)
    spread = 1.4826 * jnp.nanmedian(jnp.abs(divergence - median))
    return jnp.fmax(median + 3.0 * spread, _SMALLEST_DELTA)  # fmax: NaN means no real frame


def auto_kappa(delta: ArrayLike) -> jax.Array:
    """Steepness that fits a threshold: a frame without change keeps the prototype's b = 0.008.

    κ = 8 · 0.6 / δ

    Args:
      delta: threshold on d, > 0, any shape.

    Returns:
      κ per unit of d, the shape of `delta`.

    Source: scale invariance: b depends on d/δ alone, so presences of any spread get boundaries.
    """
    return _STEEPNESS / jnp.asarray(delta)


def _logit(
    function: str,
    divergence: ArrayLike,
    delta: ArrayLike | str,
    kappa: ArrayLike | str,
    mask: ArrayLike | None,
) -> jax.Array:
    check_shapes(function, divergence=(divergence, "T"), mask=(mask, "T"))
    for name, value in (("delta", delta), ("kappa", kappa)):
        if not isinstance(value, str):
            check_shapes(function, **{name: (value, "")})
        elif value != "auto":
            raise ValueError(f"{function}: {name} {value!r}; use a number or 'auto'")
    if isinstance(delta, str):
        delta = auto_delta(divergence, mask=mask)
    if isinstance(kappa, str):
        kappa = auto_kappa(delta)
    return kappa * (jnp.asarray(divergence) - delta)
