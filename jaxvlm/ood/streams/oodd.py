"""OODD: pictures near those that scored lowest so far score lower.

Source: Yang et al. 2025 (OODD, CVPR, arXiv 2503.10468), and its code, zxk1212/OODD,
``MCM/eval_ood_detection.py`` and ``NegLabel/tools/ood_test.py``. As there, a batch enters the queue
before it is scored, so that a low score makes a picture its own neighbour. Known difference: the
code fails while fewer than k pictures are in the queue; here the farthest of them counts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvlm.ood.streams.running import Batch, Texts


class Config(NamedTuple):
    """Published values, of MCM and NegLabel; its batches have 64 pictures."""

    queue: int = 2048
    """Q, pictures that are remembered."""
    neighbours: int = 5
    """k."""


class State(NamedTuple):
    """The lowest-scored pictures: scores [Q], +∞ where empty, and rows [Q, D]."""

    scores: jax.Array
    rows: jax.Array


def start(config: Config, texts: Texts) -> State:
    """An empty queue."""
    width = jnp.shape(texts.positive)[1]
    return State(jnp.full(config.queue, jnp.inf), jnp.zeros((config.queue, width)))


def step(config: Config, texts: Texts, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """S' = S − (k-th largest cosine to the queue), [B]; S is the batch's ``base``.

    The queue takes the batch and keeps the Q lowest S.
    """
    del texts
    size = config.queue
    values = jnp.concatenate([state.scores, jnp.where(batch.is_real, batch.base, jnp.inf)])
    kept = jnp.zeros(len(values), bool).at[jax.lax.top_k(-values, size)[1]].set(True)
    # What comes in takes the places of what goes, in turn; the other rows are not moved.
    leaves = jnp.flatnonzero(~kept[:size], size=len(batch.rows), fill_value=size)
    enters = kept[size:]
    at = jnp.where(enters, leaves[jnp.cumsum(enters) - 1], size)
    state = State(
        state.scores.at[at].set(values[size:], mode="drop"),
        state.rows.at[at].set(batch.rows, mode="drop"),
    )
    cosine = jnp.matmul(batch.rows, state.rows.T, precision="highest")
    held = jnp.isfinite(state.scores)
    k = min(config.neighbours, config.queue)
    # The least of them, not the last: of a slice of `top_k` XLA would make a sort of all.
    nearest = jax.lax.top_k(jnp.where(held, cosine, -jnp.inf), k)[0]
    kth = jnp.where(jnp.isfinite(nearest), nearest, jnp.inf).min(axis=1)
    return state, batch.base - jnp.where(held.any(), kth, 0.0)
