"""TANL: the negatives are chosen anew from all words, by what the stream's OOD pictures activate.

Source: Zhang et al. 2026 (TANL, CVPR, arXiv 2603.25250), and its code, YBZh/OpenOOD-VLM,
``openood/postprocessors/activated_neg_postprocessor.py``, with ``scripts/ood/TANL``. Known
differences: the code draws which class texts start the ID queue where there are more than it
holds, here the last ones do (shuffle them before); its variance is weighted in float32, as here,
but over pictures and not over the grid's bins, so that equal thresholds may be told apart
otherwise in the last digit.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from jaxvlm.ood.streams.running import Batch, Texts, similarities

_GRID = 100  # thresholds 0, 0.01, … 0.99
_TINY = 1e-37  # a prefix that is e^−85 of the largest counts as this


class Config(NamedTuple):
    """Published values."""

    count: int = 1000
    """β, negatives that are chosen."""
    queue: int = 300
    """Pictures that each side remembers."""
    gap: float = 0.5
    """g, as in AdaNeg, around Otsu's threshold."""
    keep: float = 0.0
    """α, weight of the queue against the batch itself; 0: a batch chooses for itself."""
    window: int = 20_000
    """Scores that the threshold is taken over."""


class State(NamedTuple):
    """Activations of the last confident pictures, [Q, W] each, with how many have been written;
    scores [N]: a ring of confidences, with how many."""

    id_queue: jax.Array
    id_seen: jax.Array
    ood_queue: jax.Array
    ood_seen: jax.Array
    scores: jax.Array
    seen: jax.Array


def start(config: Config, texts: Texts) -> State:
    """The class texts stand for ID pictures, the pictures of noise for OOD ones.

    Without pictures of noise, which take an encoder, no OOD picture is known at the start.
    """
    positive, corpus, count = _banks(config, texts)
    noise = positive[:0] if texts.noise is None else jnp.asarray(texts.noise)
    queues = []
    for rows in (positive, noise):
        active = _activation(rows, positive, corpus, texts.scale)[-config.queue :]
        room = config.queue - len(active)
        queues += [jnp.pad(active, ((0, room), (0, 0))), jnp.int32(len(active))]
    difference = _mean(*queues[2:]) - _mean(*queues[:2])
    chosen = jax.lax.top_k(difference, count)[1]
    both = jnp.concatenate([positive, noise])
    first = _nested(both, positive, corpus[chosen], texts.scale)[-config.window :]
    scores = jnp.zeros(config.window).at[: len(first)].set(first)
    return State(*queues, scores, jnp.int32(len(first)))


def step(config: Config, texts: Texts, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """Chooses, finds the confident pictures, chooses with them, scores [B], and remembers them.

    act_j(v) = softmax(z⁺, z of the corpus)_j; A_j = mean_OOD act_j − mean_ID act_j;
    the β words of largest A, in this order, are the negatives:
    S = mean_{m=1..β} σ(LSE z⁺ − LSE_{j≤m} z⁻_(j)).
    Confident: S > t + g(1 − t) and S < t − gt; t: Otsu's threshold of the last ``window`` S on the
    grid 0, 0.01, …; of several the middle one. With confident pictures in the batch,
    A = α A_queue + (1 − α) A_batch, side by side.
    """
    positive, corpus, count = _banks(config, texts)
    active = _activation(batch.rows, positive, corpus, texts.scale)
    id_mean = _mean(state.id_queue, state.id_seen)
    ood_mean = _mean(state.ood_queue, state.ood_seen)
    chosen = jax.lax.top_k(ood_mean - id_mean, count)[1]
    confidence = _nested(batch.rows, positive, corpus[chosen], texts.scale)
    scores, seen = _write(state.scores, state.seen, confidence, batch.is_real)
    threshold = otsu(scores, jnp.arange(len(scores)) < seen)
    is_id = batch.is_real & (confidence > threshold + config.gap * (1 - threshold))
    is_ood = batch.is_real & (confidence < threshold - config.gap * threshold)

    def blended(queue_mean: jax.Array, own: jax.Array) -> jax.Array:
        share = own / jnp.maximum(own.sum(), 1)
        mixed = config.keep * queue_mean + (1 - config.keep) * (share @ active)
        return jnp.where(own.any(), mixed, queue_mean)

    difference = blended(ood_mean, is_ood) - blended(id_mean, is_id)
    chosen = jax.lax.top_k(difference, count)[1]
    score = _nested(batch.rows, positive, corpus[chosen], texts.scale)
    ids = _write(state.id_queue, state.id_seen, active, is_id)
    oods = _write(state.ood_queue, state.ood_seen, active, is_ood)
    return State(*ids, *oods, scores, seen), score


def otsu(scores: jax.Array, held: jax.Array) -> jax.Array:
    """The threshold of 0, 0.01, … 0.99 with the least variance within the two sides [n] ≥ t, < t.

    w₀ var₀ + w₁ var₁, ∞ where a side is empty; the middle one of the least.
    """
    grid = jnp.asarray(np.arange(_GRID) * 0.01, jnp.float32)
    weight = held.astype(jnp.float32)
    total = weight.sum()
    centred = scores - (weight * scores).sum() / total
    at = jnp.searchsorted(grid, scores, side="right") - 1  # the last threshold not above
    moments = jnp.stack([weight, weight * centred, weight * centred**2], axis=1)
    below = jnp.zeros((_GRID + 1, 3)).at[at + 1].add(moments).cumsum(axis=0)[:_GRID]
    above = below[-1:] * 0 + moments.sum(axis=0) - below
    spread = 0.0
    for side in (below, above):
        mass, first, second = side.T
        some = jnp.where(mass > 0, mass, 1.0)
        spread += jnp.where(mass > 0, (second - first**2 / some) / total, jnp.inf)
    least = spread == spread.min()
    middle = least.sum() // 2
    return grid[jnp.argmax(jnp.cumsum(least) == middle + 1)]


def noise_pictures(seed: int, size: int, *, each: int = 3) -> jax.Array:
    """[5·each, size, size, 3] in [0, 1]: noise that is Gaussian, uniform, Poisson(5), gamma(2), and
    salt and pepper; a kind that is not bounded is stretched over [0, 1]. The release has three of
    each, and gives them to the encoder without its normalisation."""
    keys = jax.random.split(jax.random.key(seed), 5)
    shape = (each, size, size, 3)

    def stretched(values: jax.Array) -> jax.Array:
        values = values.astype(jnp.float32)
        return (values - values.min()) / (values.max() - values.min())

    return jnp.concatenate(
        [
            stretched(jax.random.normal(keys[0], shape)),
            jax.random.uniform(keys[1], shape),
            stretched(jax.random.poisson(keys[2], 5.0, shape)),
            stretched(jax.random.gamma(keys[3], 2.0, shape)),
            jax.random.bernoulli(keys[4], 0.5, shape).astype(jnp.float32),
        ]
    )


def _banks(config: Config, texts: Texts) -> tuple[jax.Array, jax.Array, int]:
    corpus = jnp.asarray(texts.negative if texts.corpus is None else texts.corpus)
    return jnp.asarray(texts.positive), corpus, min(config.count, len(corpus))


def _activation(rows: jax.Array, positive: jax.Array, corpus: jax.Array, scale) -> jax.Array:
    """[B, W]: the corpus's part of the softmax over it and the classes."""
    z = similarities(rows, jnp.concatenate([positive, corpus]), scale)
    return jax.nn.softmax(z)[:, len(positive) :]


def _nested(rows: jax.Array, positive: jax.Array, chosen: jax.Array, scale) -> jax.Array:
    """mean_m σ(LSE z⁺ − LSE of the first m negatives), [B]."""
    known = logsumexp(similarities(rows, positive, scale), axis=1, keepdims=True)
    z = similarities(rows, chosen, scale)
    # One maximum for all prefixes: z of CLIPs span far less than float32's exponents, and a running
    # maximum takes ten times as long.
    largest = z.max(axis=1, keepdims=True)
    other = largest + jnp.log(jnp.cumsum(jnp.exp(z - largest), axis=1) + _TINY)
    return jax.nn.sigmoid(known - other).mean(axis=1)


def _mean(queue: jax.Array, seen: jax.Array) -> jax.Array:
    """Of the rows that have been written."""
    held = (jnp.arange(len(queue)) < seen).astype(queue.dtype)
    return (held @ queue) / jnp.maximum(held.sum(), 1)


def _write(ring: jax.Array, seen: jax.Array, values: jax.Array, wanted: jax.Array):
    """The ring after the wanted values [B, …], in their order; the last ones stay."""
    size = len(ring)
    place = jnp.cumsum(wanted) - 1
    stays = wanted & (place >= wanted.sum() - size)
    at = jnp.where(stays, (seen + place) % size, size)
    return ring.at[at].set(values, mode="drop"), seen + wanted.sum()
