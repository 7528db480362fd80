"""CLIPScope: a class that was predicted often counts less.

Source: Fu et al. 2025 (CLIPScope, WACV, arXiv 2405.14737), and its code, fu1001hao/CLIPScope,
``CLIPScope.py``. The code takes one picture at a time; here a batch gives the same numbers. Its
negatives are the 5,000 nearest and the 5,000 farthest nouns, half of them without the article in
the prompt: what `run` is given decides that.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from jaxvlm.ood.streams.running import Batch, Texts, similarities


class Config(NamedTuple):
    """It has no setting; ``prior`` off is the static score."""

    prior: bool = True


class State(NamedTuple):
    """counts [K]: 1 + how often each class was predicted."""

    counts: jax.Array


def start(config: Config, texts: Texts) -> State:
    """Each class counts once."""
    del config
    return State(jnp.ones(len(texts.positive)))


def step(config: Config, texts: Texts, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """S = max_k softmax(z⁺)_k · σ(LSE z⁺ − LSE z⁻) / prior(k̂), [B].

    prior(k) = n_k / Σ n over the pictures before this one; n_k = 1 + predictions of k.
    """
    known = len(texts.positive)
    labels = jnp.concatenate([jnp.asarray(texts.positive), jnp.asarray(texts.negative)])
    z = similarities(batch.rows, labels, texts.scale)
    positive, negative = z[:, :known], z[:, known:]
    predicted = positive.argmax(axis=1)
    sure = jax.nn.softmax(positive).max(axis=1)
    score = sure * jax.nn.sigmoid(logsumexp(positive, axis=1) - logsumexp(negative, axis=1))
    real = batch.is_real.astype(state.counts.dtype)
    earlier = jnp.tril(predicted[:, None] == predicted[None], -1) * real
    own = state.counts[predicted] + earlier.sum(axis=1)
    total = state.counts.sum() + jnp.cumsum(real) - real
    counts = state.counts.at[predicted].add(real)
    return State(counts), score * total / own if config.prior else score
