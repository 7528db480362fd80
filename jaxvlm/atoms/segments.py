"""Presence pooled over the segment a frame belongs to, offline and one frame at a time.

π_{t→u} = Π_{s=t+1..u} (1 − b_s) is the probability that frames t ≤ u share a segment. The window
W keeps t in (u − W, u]. All of it is causal: frames padded at the end change no earlier number, so
padding needs no mask here.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.boundary import boundary_probability, divergence

_WINDOWED = ("running_mean", "point")
_WEIGHTINGS = (*_WINDOWED, "recurrent")
# Offsets that XLA fuses into one pass over the frames: [T, C] is read and written W/8 times instead
# of W times. Measured on two cores: up to 1.6 times faster; more at once gain nothing; blocks of
# frames that stay in the cache, as sums or as banded matrix products, were slower.
_OFFSETS_AT_ONCE = 8


@functools.partial(jax.jit, static_argnames=["window", "weighting", "normalize"])
def segment_presence(
    presence: ArrayLike,
    boundary: ArrayLike,
    *,
    window: int = 20,
    weighting: str = "running_mean",
    normalize: bool = True,
    survival_floor: ArrayLike = 0.0,
) -> jax.Array:
    """Presence of each atom in the segment that each frame belongs to.

    running_mean: p̄_c(u) = Σ_t π_{t→u} mean_{s=t..u} p_c(s)
    point:        p̄_c(u) = Σ_t π_{t→u} p_c(t)
    recurrent:    p̄_c(u) = p_c(u) + (1 − b_u) p̄_c(u−1), without a window
    normalize=True divides by Σ_t π_{t→u}, so p̄ is a weighted mean of p; False is the prototype,
    whose p̄ reaches W.

    Time O(T·W·C), memory O(T·(W + C)), forwards and backwards; recurrent O(T·C) in O(log T)
    steps. In float32 a normalised p̄ is within 1e-5 of itself in float64, however long the video.

    Args:
      presence: [T, C].
      boundary: [T] b; b_0 is not used, because nothing comes before the first frame.
      window: W ≥ 1 frames; may exceed T.
      weighting: "running_mean" (the prototype's), "point" or "recurrent".
      normalize: divide by the mass Σ_t π_{t→u}.
      survival_floor: smallest 1 − b; the prototype's 1e-6 lets a little of the past through a
        boundary that is certain.

    Returns:
      [T, C].

    Raises:
      ValueError: shapes that do not fit, window < 1, or an unknown weighting.

    Source: the prototype; docs/mathematics.md, Boundaries and segments.
    """
    sizes = check_shapes("segment_presence", presence=(presence, "T C"), boundary=(boundary, "T"))
    _check(window, weighting)
    presence, boundary = jnp.asarray(presence, float), jnp.asarray(boundary, float)
    if sizes["T"] == 0:
        return presence
    if weighting == "recurrent":
        total, mass = _recurrence(presence, _survival(boundary, survival_floor))
        return total / mass[:, None] if normalize else total
    products = _products(boundary, window, survival_floor)
    weights = _offset_weights(products, weighting)
    return _banded_sum(weights / jnp.sum(products, axis=0) if normalize else weights, presence)


@functools.partial(jax.jit, static_argnames=["window", "weighting"])
def segment_weights(
    boundary: ArrayLike, *, window: int = 20, weighting: str = "running_mean"
) -> jax.Array:
    """How much each earlier frame contributes to a frame's unnormalised segment presence.

    point: w(u, u−j) = π_{u−j→u};  running_mean: w(u, s) = Σ_{t≤s} π_{t→u} / (u − t + 1)

    Args:
      boundary: [T] b.
      window: W ≥ 1 frames.
      weighting: "running_mean" or "point".

    Returns:
      [T, W] weight of frame u − j at [u, j], 0 before the first frame; rows sum to `pi_mass`.

    Raises:
      ValueError: another shape, window < 1, or another weighting ("recurrent" has no band).

    Source: docs/mathematics.md, Boundaries and segments.
    """
    check_shapes("segment_weights", boundary=(boundary, "T"))
    _check(window, weighting, _WINDOWED)
    products = _products(jnp.asarray(boundary, float), window, 0.0, clip=False)
    return _offset_weights(products, weighting).T


@functools.partial(jax.jit, static_argnames=["window"])
def pi_mass(boundary: ArrayLike, *, window: int = 20, survival_floor: ArrayLike = 0.0) -> jax.Array:
    """Expected number of frames, within the window, that share the frame's segment.

    Σ_{t in (u−W, u]} π_{t→u}

    Args:
      boundary: [T] b.
      window: W ≥ 1 frames.
      survival_floor: as in `segment_presence`.

    Returns:
      [T] in [1, W].

    Raises:
      ValueError: another shape, or window < 1.

    Source: the prototype; docs/mathematics.md, Boundaries and segments.
    """
    check_shapes("pi_mass", boundary=(boundary, "T"))
    _check(window)
    return jnp.sum(_products(jnp.asarray(boundary, float), window, survival_floor), axis=0)


@jax.jit
def segment_index(boundary: ArrayLike, *, threshold: ArrayLike = 0.5) -> jax.Array:
    """Number of the segment that each frame belongs to, from 0.

    k_u = #{0 < s ≤ u : b_s > threshold}

    Args:
      boundary: [T] b.
      threshold: a new segment begins where b exceeds it.

    Returns:
      [T] int32, non-decreasing by steps of 0 or 1.

    Source: docs/mathematics.md, Boundaries and segments.
    """
    check_shapes("segment_index", boundary=(boundary, "T"))
    begins = (jnp.asarray(boundary) > threshold).at[:1].set(False)
    return jnp.cumsum(begins, dtype=jnp.int32)


def segment_spans(index: ArrayLike) -> list[tuple[int, int]]:
    """First frame and frame after the last of each segment, in order.

    Args:
      index: [T] from `segment_index`.

    Returns:
      List of (start, stop), which tile 0..T.
    """
    check_shapes("segment_spans", index=(index, "T"))
    index = np.asarray(index)
    starts = np.flatnonzero(np.diff(index, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], index.size], strict=True)) if starts else []


class StreamState(NamedTuple):
    """What one frame needs from those before it; frame n sits in slot n mod W of the rings."""

    count: jax.Array  # [] frames seen
    presence: jax.Array  # [W, C] ring of p
    survival: jax.Array  # [W] ring of 1 − b, 0 for the first frame and for slots not yet filled
    total: jax.Array  # [C] recurrent Σ_t π p
    mass: jax.Array  # [] recurrent Σ_t π


def init_stream(num_atoms: int, window: int = 20) -> StreamState:
    """The state before the first frame of a video of C atoms; raises ValueError if W < 1."""
    _check(window)
    return StreamState(
        count=jnp.zeros((), jnp.int32),
        presence=jnp.zeros((window, num_atoms)),
        survival=jnp.zeros((window,)),
        total=jnp.zeros((num_atoms,)),
        mass=jnp.zeros(()),
    )


@functools.partial(jax.jit, static_argnames=["weighting", "normalize", "reduction"])
def stream_step(
    state: StreamState,
    presence: ArrayLike,
    *,
    delta: ArrayLike = 0.6,
    kappa: ArrayLike = 8.0,
    weighting: str = "running_mean",
    normalize: bool = True,
    reduction: str = "sum",
) -> tuple[StreamState, tuple[jax.Array, jax.Array]]:
    """One frame of `divergence`, `boundary_probability` and `segment_presence`; scannable.

    Args:
      state: from `init_stream`, which fixes the window, or from the frame before.
      presence: [C] p of this frame.
      delta: threshold on d; a number ("auto" needs the whole video).
      kappa: steepness, a number.
      weighting, normalize: as in `segment_presence`.
      reduction: as in `divergence`.

    Returns:
      The next state and (b [], p̄ [C]), equal to the offline numbers.

    Raises:
      ValueError: another shape, or an unknown weighting or reduction.

    Source: docs/mathematics.md, Boundaries and segments (the window is causal).
    """
    ring = state.presence, "W C"
    window = check_shapes("stream_step", ring=ring, presence=(presence, "C"))["W"]
    _check(window, weighting)
    presence = jnp.asarray(presence, state.presence.dtype)
    is_first = state.count == 0
    pair = jnp.stack([state.presence[(state.count - 1) % window], presence])
    distance = jnp.where(is_first, 0.0, divergence(pair, reduction=reduction)[1])
    boundary = boundary_probability(distance[None], delta=delta, kappa=kappa)[0]
    survival = jnp.where(is_first, 0.0, 1.0 - boundary)

    slot = state.count % window
    state = StreamState(
        count=state.count + 1,
        presence=state.presence.at[slot].set(presence),
        survival=state.survival.at[slot].set(survival),
        total=presence + survival * state.total,
        mass=1.0 + survival * state.mass,
    )
    if weighting == "recurrent":
        total, mass = state.total, state.mass
    else:
        newest_first = (slot - jnp.arange(window)) % window
        band = state.survival[newest_first]
        products = _running_products(band[:-1])
        mass = jnp.sum(products)
        total = _offset_weights(products, weighting) @ state.presence[newest_first]
    return state, (boundary, total / mass if normalize else total)


def _check(window: int, weighting: str = "point", allowed: tuple[str, ...] = _WEIGHTINGS) -> None:
    if window < 1:
        raise ValueError(f"segments: window {window}; use at least 1 frame")
    if weighting not in allowed:
        raise ValueError(f"segments: weighting {weighting!r}; use one of {', '.join(allowed)}")


def _survival(boundary: jax.Array, floor: ArrayLike) -> jax.Array:
    """1 − b, and 0 at the first frame: no segment reaches it from before the video."""
    return jnp.maximum(1.0 - boundary, floor).at[:1].set(0.0)


def _products(
    boundary: jax.Array, window: int, floor: ArrayLike, *, clip: bool = True
) -> jax.Array:
    """[W, T] π_{u−j→u} at [j, u]; `clip` leaves out the offsets that T frames cannot have.

    Differences of whole-video cumulative sums would lose 1.5e-4 in float32 at T = 2,000.
    """
    num_frames = boundary.shape[0]
    if clip:
        window = max(1, min(window, num_frames))
    padded = jnp.concatenate([jnp.zeros(window, boundary.dtype), _survival(boundary, floor)])
    frames, offsets = jnp.arange(num_frames), jnp.arange(1, window)
    # π_{u−j→u} = Π_{i<j} (1 − b_{u−i}); the zero of frame 0 ends every product that passes it.
    factors = padded[window + frames[None, :] - (offsets[:, None] - 1)]
    return _running_products(factors)


def _running_products(factors: jax.Array) -> jax.Array:
    """[1, f_0, f_0 f_1, …] along axis 0. W short steps compile ten times faster than a tree."""
    one = jnp.ones(factors.shape[1:], factors.dtype)
    _, products = lax.scan(lambda carry, f: (carry * f, carry * f), one, factors)
    return jnp.concatenate([one[None], products])


def _offset_weights(products: jax.Array, weighting: str) -> jax.Array:
    """Weight of frame u − j at [j, ...] from π_{u−j→u} at [j, ...]."""
    if weighting == "point":
        return products
    length = jnp.arange(1, products.shape[0] + 1, dtype=products.dtype)
    mean = products / length.reshape(-1, *[1] * (products.ndim - 1))
    # Frame s is in the running mean of every t ≤ s: a sum over the offsets j and longer.
    none = jnp.zeros_like(mean[0])
    return lax.scan(lambda carry, m: (carry + m, carry + m), none, mean, reverse=True)[1]


def _banded_sum(weights: jax.Array, presence: jax.Array) -> jax.Array:
    """Σ_j weights[j, u] p(u − j): [T, C], a few offsets at a time, so no [T, W, C] exists."""
    window, num_frames = weights.shape
    padded = jnp.pad(presence, ((window - 1, 0), (0, 0)))

    # Without `checkpoint` the backward pass would keep the slice of every offset: [W, T, C].
    @functools.partial(jax.checkpoint, prevent_cse=False)
    def add_offset(total: jax.Array, offset: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        start, weight = offset
        return total + weight[:, None] * lax.dynamic_slice_in_dim(padded, start, num_frames), None

    starts = window - 1 - jnp.arange(window)
    zeros = jnp.zeros_like(presence)
    return lax.scan(add_offset, zeros, (starts, weights), unroll=_OFFSETS_AT_ONCE)[0]


def _recurrence(presence: jax.Array, survival: jax.Array) -> tuple[jax.Array, jax.Array]:
    """S_u = p_u + (1 − b_u) S_{u−1} for p [T, C] and for ones [T], as composed affine maps."""
    inputs = jnp.concatenate([presence, jnp.ones_like(presence[:, :1])], axis=1)

    def compose(
        first: tuple[jax.Array, jax.Array], then: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        return first[0] * then[0], then[0] * first[1] + then[1]

    _, sums = lax.associative_scan(compose, (survival[:, None], inputs), axis=0)
    return sums[:, :-1], sums[:, -1]
