"""AdaNeg: a memory of confident pictures per label turns the texts into proxies of the stream.

Source: Zhang and Zhang 2024 (AdaNeg, NeurIPS, arXiv 2410.20149), and its code, YBZh/OpenOOD-VLM,
``openood/postprocessors/ttaprompt_postprocessor.py`` (the class without adaptive gap made the
published tables). Where this differs from the code:

- The code stops filling a label at L − 1 pictures: its L = 10 is ``slots=9`` here.
- It cuts β = 5.5 to 5: ``sharpness=5.0``.
- Its class with adaptive gap adds S_NL(texts) with weight 1 whatever λ is: ``base_weight=1.0``.
- The negatives that fill no group (M mod G) collect pictures there and are left out here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvlm.arrays import unit
from jaxvlm.ood.streams.running import Batch, Texts, neglabel, similarities

_FIRST = 100  # confident pictures of each side that the window starts with


class Config(NamedTuple):
    """Published values."""

    num_groups: int = 5
    """G of NegLabel; 5 on ImageNet."""
    threshold: float = 0.5
    """τ between ID and OOD."""
    gap: float = 0.5
    """g: stored from τ + g(1 − τ) up and from τ − gτ down."""
    slots: int = 10
    """L, pictures that a label remembers beside its text."""
    sharpness: float = 5.5
    """β of the sample-adaptive weights."""
    base_weight: float = 0.1
    """λ, of the score against the texts alone."""
    sample_adaptive: bool = False
    """Proxies for each picture, instead of for the stream."""
    adaptive_gap: bool = False
    """The gap of the rarer side widens with its rarity."""
    window: int = 10_000
    """Confident pictures that the share of ID is taken over."""


class State(NamedTuple):
    """memory [C, L, D] and entropy [C, L] of the C = K + M labels' pictures, zeros where empty;
    used [C]: how many; proxies [C, D]: task-adaptive. recent [W]: confident pictures, 1 for ID, a
    ring; seen: how many have been written to it."""

    memory: jax.Array
    entropy: jax.Array
    used: jax.Array
    proxies: jax.Array
    recent: jax.Array
    seen: jax.Array


def start(config: Config, texts: Texts) -> State:
    """No picture stored; the window holds 100 confident pictures of each side."""
    labels = group_labels(config.num_groups, texts)
    count, width = labels.shape
    window = config.window if config.adaptive_gap else 2 * _FIRST
    first = min(2 * _FIRST, window)
    recent = jnp.zeros(window, jnp.int8).at[jnp.arange(0, first, 2)].set(1)
    return State(
        jnp.zeros((count, config.slots, width)),
        jnp.zeros((count, config.slots)),
        jnp.zeros(count, jnp.int32),
        unit(labels),
        recent,
        jnp.int32(first),
    )


def step(config: Config, texts: Texts, state: State, batch: Batch) -> tuple[State, jax.Array]:
    """Stores a batch's confident pictures, then scores the batch [B].

    s₀ = S_NL(texts). s₀ > τ + g(1 − τ): stored under argmax z⁺; s₀ < τ − gτ: under argmax z⁻.
    A label that is full replaces its picture of highest entropy (of softmax z⁺ or softmax z⁻) by
    one of lower entropy.
    Task-adaptive proxy: a_j = unit(t_j + Σ_l m_jl);
    sample-adaptive: a_j = unit(Σ_{l=0..L} e^{−β(1 − ⟨v, m_jl⟩)} m_jl), m_j0 = t_j.
    S = S_NL(proxies) + λ s₀.
    Adaptive gap: r = share of ID among the last ``window`` confident pictures; r > ½: g of the OOD
    side is r; r < ½: g of the ID side is 1 − r.
    """
    labels = group_labels(config.num_groups, texts)
    known = len(texts.positive)
    z = similarities(batch.rows, labels, texts.scale)
    base = neglabel(z[:, :known], z[:, known:], config.num_groups)
    recent, seen, gaps = _gaps(config, state, base, batch.is_real)
    is_id = batch.is_real & (base > config.threshold + gaps[0] * (1 - config.threshold))
    is_ood = batch.is_real & (base < config.threshold - gaps[1] * config.threshold)
    label, entropy = label_and_entropy(z, known, is_id)
    stored = store(state[:3], batch.rows, label, entropy, is_id | is_ood)
    proxies = state.proxies.at[label].set(unit(labels[label] + stored[0][label].sum(axis=1)))
    if config.sample_adaptive:
        adapted = _sample_adaptive(config, labels, stored[0], batch.rows, z / texts.scale)
        adapted = texts.scale * adapted
    else:
        adapted = similarities(batch.rows, proxies, texts.scale)
    score = neglabel(adapted[:, :known], adapted[:, known:], config.num_groups)
    return State(*stored, proxies, recent, seen), score + config.base_weight * base


def store(
    kept: tuple[jax.Array, jax.Array, jax.Array],
    rows: jax.Array,
    label: jax.Array,
    entropy: jax.Array,
    wanted: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Puts the wanted ones of rows [B, D] under their labels [B], one after another.

    kept: memory [C, L, D], entropy [C, L], used [C].
    """
    slots = kept[0].shape[1]

    def one(i: jax.Array, kept):
        memory, entropies, used = kept
        at = label[i]
        filled = used[at]
        full = filled == slots
        slot = jnp.where(full, entropies[at].argmax(), filled)
        takes = wanted[i] & (~full | (entropy[i] < entropies[at].max()))
        memory = memory.at[at, slot].set(jnp.where(takes, rows[i], memory[at, slot]))
        entropies = entropies.at[at, slot].set(jnp.where(takes, entropy[i], entropies[at, slot]))
        return memory, entropies, used.at[at].add((takes & ~full).astype(used.dtype))

    return jax.lax.fori_loop(0, len(rows), one, kept)


def group_labels(num_groups: int, texts: Texts) -> jax.Array:
    """[C, D], the classes and the negatives that fill the groups."""
    negative = jnp.asarray(texts.negative)
    negative = negative[: len(negative) - len(negative) % num_groups]
    return jnp.concatenate([jnp.asarray(texts.positive), negative])


def label_and_entropy(z: jax.Array, known: int, is_id: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The label [B] that a picture of similarities z [B, C] would be stored under, on the ID side
    of K = ``known`` labels or on the other, and the entropy [B] of the softmax of that side."""
    label = jnp.where(is_id, z[:, :known].argmax(1), known + z[:, known:].argmax(1))
    return label, jnp.where(is_id, _entropy(z[:, :known]), _entropy(z[:, known:]))


def _entropy(z: jax.Array) -> jax.Array:
    """Of softmax z [B, L], [B]."""
    log_probability = jax.nn.log_softmax(z)
    return -(jnp.exp(log_probability) * log_probability).sum(axis=1)


def _gaps(config: Config, state: State, base: jax.Array, is_real: jax.Array):
    """The window after a batch, and the gaps of the ID and of the OOD side."""
    if not config.adaptive_gap:
        return state.recent, state.seen, (config.gap, config.gap)
    window = len(state.recent)
    is_id = is_real & (base > config.threshold + config.gap * (1 - config.threshold))
    is_ood = is_real & (base < config.threshold - config.gap * config.threshold)
    # The batch's ID pictures are written first, then its OOD pictures, as in the release.
    ids, oods = is_id.sum(), is_ood.sum()
    place = jnp.where(is_id, jnp.cumsum(is_id) - 1, ids + jnp.cumsum(is_ood) - 1)
    at = jnp.where(is_id | is_ood, (state.seen + place) % window, window)
    recent = state.recent.at[at].set(is_id.astype(jnp.int8), mode="drop")
    seen = state.seen + ids + oods
    held = jnp.arange(window) < seen
    share = (held & (recent == 1)).sum() / jnp.minimum(seen, window)
    id_gap = jnp.where(share < 0.5, 1 - share, config.gap)
    ood_gap = jnp.where(share > 0.5, share, config.gap)
    return recent, seen, (id_gap, ood_gap)


def _sample_adaptive(
    config: Config, labels: jax.Array, memory: jax.Array, rows: jax.Array, cosine: jax.Array
) -> jax.Array:
    """⟨v, a_j⟩ [B, C] without the [B, C, D] proxies: ⟨v, Σ w m⟩ / ‖Σ w m‖, the norm by the slots'
    products with each other."""
    slots = jnp.concatenate([labels[:, None], memory], axis=1)
    near = jnp.einsum("bd,cld->bcl", rows, memory, precision="highest")
    near = jnp.concatenate([cosine[..., None], near], axis=2)
    weight = jnp.exp(-config.sharpness * (1 - near))
    products = jnp.einsum("cld,ckd->clk", slots, slots, precision="highest")
    square = jnp.einsum("bcl,clk,bck->bc", weight, products, weight, precision="highest")
    return (weight * near).sum(axis=2) / jnp.sqrt(square)
