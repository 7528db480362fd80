"""A stream of pictures through a method that adapts: batches under one scan, the state carried.

A method is a module with a ``Config``, a ``start`` and a ``step``. The state is all that it has
learned; whoever keeps it goes on where the stream stopped, with the same numbers.
"""

import functools
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.errors import InputError
from jaxvlm.ood import scores

_AT_ONCE = (16, 4, 1)  # batches in one call of the compiled scan: three shapes are compiled


class Texts(NamedTuple):
    """What a stream is compared with, unit rows.

    positive [K, D]: the classes. negative [M, D]: the negative labels, in the order that fills the
    groups. corpus [W, D]: all words that negatives may be chosen from, None: the negatives.
    noise [R, D]: pictures of noise, None: there are none; only `tanl` uses the last two.
    """

    positive: ArrayLike
    negative: ArrayLike
    corpus: ArrayLike | None = None
    noise: ArrayLike | None = None
    scale: ArrayLike = 100.0


class Batch(NamedTuple):
    """Pictures that come together: rows [B, D] of unit length, is_real [B]: not padding, and the
    scores [B] of the static method that `oodd` adds to, or zeros."""

    rows: jax.Array
    is_real: jax.Array
    base: jax.Array


Step = Callable[[Any, Texts, Any, Batch], tuple[Any, jax.Array]]


def run(
    step: Step,
    config: Hashable,
    texts: Texts,
    state: Any,
    rows: ArrayLike,
    *,
    base: ArrayLike | None = None,
    batch_size: int = 256,
) -> tuple[Any, np.ndarray]:
    """Scores [N] of a stream's pictures in their order, and the state after the last of them.

    A stream that is cut at a multiple of ``batch_size`` gives the same scores in its pieces, the
    state of one handed to the next.

    Args:
      step, config: of a method, such as ``adaneg.step`` and ``adaneg.Config()``.
      state: ``start(config, texts)`` of the method, or what an earlier call returned.
      rows: [N, D], unit. base: [N], scores of the static method that is adapted, for `oodd`.
      batch_size: pictures that come together; a method scores a batch with what it learned up to
        and with it.

    Raises ValueError: other shapes. InputError: batch_size below 1.
    """
    count = len(rows)
    check_shapes(
        "run",
        rows=(rows, "N D"),
        base=(base, "N"),
        positive=(texts.positive, "K D"),
        negative=(texts.negative, "M D"),
    )
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: give at least 1")
    texts = jax.tree.map(lambda part: jnp.asarray(part, jnp.float32), texts)
    found = [np.empty(0, np.float32)]
    first = 0
    while first < count:
        left = -(-(count - first) // batch_size)
        at_once = next(n for n in _AT_ONCE if n <= left)
        last = first + at_once * batch_size
        own = None if base is None else base[first:last]
        batches = _batches(rows[first:last], own, at_once, batch_size)
        state, scored = _scan(texts, state, batches, step=step, config=config)
        found.append(np.asarray(scored).reshape(-1)[: count - first])
        first = last
    return state, np.concatenate(found)


def _batches(rows: ArrayLike, base: ArrayLike | None, number: int, size: int) -> Batch:
    """``number`` batches of ``size``, the last one padded."""
    rows = np.asarray(rows, np.float32)
    room = number * size - len(rows)
    values = np.zeros(len(rows)) if base is None else np.asarray(base)
    parts = (
        np.pad(rows, ((0, room), (0, 0))),
        np.arange(number * size) < len(rows),
        np.pad(values.astype(np.float32), (0, room)),
    )
    return Batch(*(part.reshape(number, size, *part.shape[1:]) for part in parts))


@functools.partial(jax.jit, static_argnames=("step", "config"))
def _scan(texts: Texts, state: Any, batches: Batch, *, step: Step, config: Hashable):
    return jax.lax.scan(lambda state, batch: step(config, texts, state, batch), state, batches)


def similarities(rows: jax.Array, bank: ArrayLike, scale: ArrayLike) -> jax.Array:
    """z [B, L] = scale·cosine of unit rows [B, D] and [L, D]."""
    return scale * jnp.matmul(rows, jnp.asarray(bank).T, precision="highest")


def neglabel(positive: jax.Array, negative: jax.Array, num_groups: int) -> jax.Array:
    """`scores.neglabel_score` [B] of z⁺ [B, K] and z⁻ [B, M]."""
    score = functools.partial(scores.neglabel_score, num_groups=num_groups)
    return jax.vmap(score)(positive, negative)
