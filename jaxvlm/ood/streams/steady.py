"""Steady: AdaNeg's proxies, held to the score that has not adapted. Ours.

AdaNeg's score against proxies is nearly 0 or 1, since a picture is far more like a stored picture
than like any text: one ID picture that was stored as OOD sends all that look like it to 0, and the
texts' own score, with weight 0.1, orders only what is level. Here both have the same say, so that a
wrong proxy costs a picture at most half of the scale, and proxies of several weights of their text
are averaged: the text's alone is in the first score, a light text trusts single stored pictures, a
heavy one only those that many agree with. The weights never change within a stream: scores
of different times would not compare. docs/results.md has what it was chosen on and measured on, and
what was tried and did worse (a weight by the estimated share of OOD, or by how well the memory
foretells the confident verdicts; smoothing over neighbours; a share of the log-odds).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvlm.arrays import unit
from jaxvlm.ood.streams import adaneg
from jaxvlm.ood.streams.running import Batch, Texts, neglabel, similarities


class Config(NamedTuple):
    """Chosen by ``benchmarks/stream_study.py``."""

    num_groups: int = 10
    """G of NegLabel."""
    threshold: float = 0.5
    """τ, as in AdaNeg."""
    gap: float = 0.0
    """g, as in AdaNeg; 0: every picture is stored on the side of τ that it is on."""
    slots: int = 10
    """L, pictures that a label remembers."""
    text_weights: tuple[float, ...] = (1.0, 3.0)
    """What the text counts in a proxy, in pictures."""
    base_weight: float = 1.0
    """Of the score against the texts, beside 1 for the mean over proxies."""


class State(NamedTuple):
    """memory [C, L, D], entropy [C, L], used [C]: as `adaneg.State`; proxies [P, C, D]."""

    memory: jax.Array
    entropy: jax.Array
    used: jax.Array
    proxies: jax.Array


def start(config: Config, texts: Texts) -> State:
    """No picture stored."""
    like = adaneg.Config(num_groups=config.num_groups, slots=config.slots)
    own = adaneg.start(like, texts)
    proxies = jnp.stack([own.proxies] * len(config.text_weights))
    return State(own.memory, own.entropy, own.used, proxies)


def step(config: Config, texts: Texts, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """Stores a batch's confident pictures as `adaneg.step` does, then scores the batch [B].

    a_j(w) = unit(w·t_j + Σ_l m_jl);
    S = (λ·S_NL(texts) + mean_w S_NL(a(w))) / (λ + 1), in [0, 1].
    """
    labels = adaneg.group_labels(config.num_groups, texts)
    known = len(texts.positive)
    z = similarities(batch.rows, labels, texts.scale)
    base = neglabel(z[:, :known], z[:, known:], config.num_groups)
    gap = config.gap
    is_id = batch.is_real & (base > config.threshold + gap * (1 - config.threshold))
    is_ood = batch.is_real & (base < config.threshold - gap * config.threshold)
    label, entropy = adaneg.label_and_entropy(z, known, is_id)
    stored = adaneg.store(state[:3], batch.rows, label, entropy, is_id | is_ood)
    pictures = stored[0][label].sum(axis=1)
    score, proxies = config.base_weight * base, []
    for weight, own in zip(config.text_weights, state.proxies, strict=True):
        proxies.append(own.at[label].set(unit(weight * labels[label] + pictures)))
        z = similarities(batch.rows, proxies[-1], texts.scale)
        adapted = neglabel(z[:, :known], z[:, known:], config.num_groups)
        score += adapted / len(config.text_weights)
    return State(*stored, jnp.stack(proxies)), score / (config.base_weight + 1)
