"""Video-level pooling: a video shows an event if any of its strongest frames does."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, top_indices

_COOLED_SHARE = 50  # one frame in fifty
_COOLED_CAP = 0.9
_COOLED_CLIP = 1e-6
# log(1 − S) above this counts as it: log S then stays finite in float32.
_LARGEST_LOG_COMPLEMENT = -1e-6


@functools.partial(jax.jit, static_argnames=("k", "cooled"))
def pool_video(
    probability: ArrayLike, *, k: int = 10, mask: ArrayLike | None = None, cooled: bool = False
) -> jax.Array:
    """Probability that a video shows each event, from its frames.

    S_e = 1 − Π_{top-k} (1 − P(e|u)), over all frames if there are fewer than k.
    Cooled: k becomes max(1, min(k, ⌊(T + 25)/50⌋)) and each P becomes min(σ(logit(P)/2), 0.9).
    Otherwise frames of P = 0, as `padding.pad_frames` adds them, change nothing.

    Args:
      probability: [T, E] P(e|u).
      k: frames that count.
      mask: [T] 1 for a frame, 0 for padding; None: all are frames. T above counts frames only.
      cooled: weaken long videos' many small probabilities.

    Returns:
      [E] probabilities; 0 for a video without frames.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Roles.
    """
    sizes = check_shapes("pool_video", probability=(probability, "T E"), mask=(mask, "T"))
    probability, num_frames = jnp.asarray(probability), sizes["T"]
    if num_frames == 0:
        return jnp.zeros(sizes["E"], probability.dtype)
    if mask is None:
        mask = jnp.ones(num_frames)
    mask = jnp.asarray(mask) > 0
    top, _ = jax.lax.top_k(jnp.where(mask[:, None], probability, 0.0).T, min(k, num_frames))
    if cooled:
        count = cooled_count(jnp.sum(mask), k)
        clipped = jnp.clip(top, _COOLED_CLIP, 1.0 - _COOLED_CLIP)
        cool = jax.nn.sigmoid((jnp.log(clipped) - jnp.log1p(-clipped)) / 2.0)
        counts = (jnp.arange(top.shape[1]) < count) & (jnp.arange(top.shape[1]) < jnp.sum(mask))
        top = jnp.where(counts, jnp.minimum(cool, _COOLED_CAP), 0.0)
    return 1.0 - jnp.prod(1.0 - top, axis=-1)


@functools.partial(jax.jit, static_argnames=("k",))
def strongest_frames(logits: ArrayLike, *, k: int = 10, mask: ArrayLike | None = None) -> jax.Array:
    """The frames that `pool_video` counts of logits [..., T, E]: [..., E, min(k, T)] by number.

    Strongest first; of a video with fewer frames than k those of the padding come last. S is that
    of these frames alone, and so is its gradient: no other frame has to be differentiated.
    """
    sizes = check_shapes("strongest_frames", logits=(logits, "... T E"), mask=(mask, "... T"))
    logits = jnp.asarray(logits)
    if mask is not None:
        logits = jnp.where(jnp.asarray(mask)[..., None] > 0, logits, -jnp.inf)
    return top_indices(jnp.swapaxes(logits, -1, -2), min(k, sizes["T"]))


@functools.partial(jax.jit, static_argnames=("k", "cooled"))
def pool_log_complement(
    logits: ArrayLike,
    *,
    k: int = 10,
    mask: ArrayLike | None = None,
    cooled: bool = False,
    num_frames: ArrayLike | None = None,
) -> jax.Array:
    """log(1 − S) [E] from the logits of P(e|u) [T, E]: −Σ_{top-k} softplus(logit).

    The same S as `pool_video`, for a loss that must stay exact where S rounds to 0 or 1.

    num_frames: of the whole video, where these are its `strongest_frames`; None: they are all.
    """
    sizes = check_shapes("pool_log_complement", logits=(logits, "T E"), mask=(mask, "T"))
    logits = jnp.asarray(logits)
    if mask is None:
        mask = jnp.ones(sizes["T"])
    mask = jnp.asarray(mask) > 0
    top, counts = logits.T, mask
    if k < sizes["T"] or cooled:
        index = strongest_frames(jax.lax.stop_gradient(logits), k=k, mask=mask)
        top, counts = jnp.take_along_axis(top, index, axis=1), mask[index]
    if cooled:
        whole = jnp.sum(mask) if num_frames is None else num_frames
        counts = counts & (jnp.arange(top.shape[1]) < cooled_count(whole, k))
        cap = jnp.log(_COOLED_CAP) - jnp.log1p(-_COOLED_CAP)
        top = jnp.minimum(top / 2.0, cap)
    # The inner `where` keeps the −∞ of padding out of the gradient.
    return -jnp.sum(jnp.where(counts, jax.nn.softplus(jnp.where(counts, top, 0.0)), 0.0), axis=-1)


def video_cross_entropy(
    logits: ArrayLike,
    label: ArrayLike,
    *,
    k: int = 10,
    mask: ArrayLike | None = None,
    cooled: bool = False,
    num_frames: ArrayLike | None = None,
) -> jax.Array:
    """What a video's labels cost: −y log S − (1 − y) log(1 − S).

    Args:
      logits: [T, E] of P(e|u); S is `pool_video` of P.
      label: [E] y, 0 or 1.
      k, mask, cooled: as for `pool_video`.
      num_frames: as for `pool_log_complement`.

    Returns:
      [E] nats, finite: S below 1e-6 counts as 1e-6.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Training.
    """
    check_shapes("video_cross_entropy", logits=(logits, "T E"), label=(label, "E"))
    log_absent = pool_log_complement(logits, k=k, mask=mask, cooled=cooled, num_frames=num_frames)
    log_absent = jnp.minimum(log_absent, _LARGEST_LOG_COMPLEMENT)
    return -label * jnp.log(-jnp.expm1(log_absent)) - (1.0 - label) * log_absent


def cooled_count(num_frames: ArrayLike, k: int) -> jax.Array:
    """max(1, min(k, ⌊(T + 25)/50⌋)): T/50 rounded, halves up, in whole numbers of frames."""
    frames = jnp.asarray(num_frames, jnp.int32)
    return jnp.clip((frames + _COOLED_SHARE // 2) // _COOLED_SHARE, 1, k)
