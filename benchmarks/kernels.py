"""The kernels of the atoms: segment presence, pairs and the epoch of role training."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measuring import FACTORS, Case, Limits, Row, compiled, row
from jaxvlm.atoms import role_loss, training
from jaxvlm.atoms.pairs import pairwise_noisy_or
from jaxvlm.atoms.segments import segment_presence

ATOMS, EVENTS, WINDOW = 84, 6, 20
LOOPED_FRAMES, WINDOWED_FRAMES, FRAMES = 200, 10_000, 125_000  # eight times: a million
PAIR_FRAMES, PAIR_ROWS, MANY_ATOMS = 1000, 16, 1000
VIDEOS, VIDEO_FRAMES = 64, 120
_ROLES = training.RoleConfig(form="product")


def rows(limits: Limits) -> list[Row]:
    rng = np.random.default_rng(0)
    return [*_segments(rng, limits), *_pairs(rng), _role_epoch(rng)]


def looped_segment_presence(presence: np.ndarray, boundary: np.ndarray) -> np.ndarray:
    """The definition: for every frame, every start in its window, the mean from there on."""
    out = np.zeros_like(presence)
    for u in range(len(presence)):
        product, mass = 1.0, 0.0
        for t in range(u, max(-1, u - WINDOW), -1):
            out[u] += product * presence[t : u + 1].mean(axis=0)
            mass += product
            product *= 1.0 - boundary[t]
        out[u] /= mass
    return out


def windowed_segment_presence(presence: jax.Array, boundary: jax.Array) -> jax.Array:
    """The definition over [T, W, C]: every window of every frame, its running means, their sum."""
    frames = jnp.arange(len(presence))[:, None] - jnp.arange(WINDOW)  # newest first
    survival = jnp.where(frames > 0, 1.0 - boundary[frames], 0.0)[:, :-1]
    products = jnp.cumprod(jnp.pad(survival, ((0, 0), (1, 0)), constant_values=1.0), axis=1)
    means = jnp.cumsum(presence[frames], axis=1) / jnp.arange(1, WINDOW + 1)[:, None]
    return jnp.einsum("tw,twc->tc", products, means) / products.sum(1, keepdims=True)


def _segments(rng: np.random.Generator, limits: Limits) -> list[Row]:
    def inputs(frames: int) -> tuple[jax.Array, jax.Array]:
        presence, boundary = rng.random((frames, ATOMS), np.float32), rng.random(frames, np.float32)
        return jnp.asarray(presence), jnp.asarray(boundary**4)

    def case(args: tuple[jax.Array, jax.Array]) -> Case:
        return compiled(functools.partial(segment_presence, window=WINDOW), *args), args

    def needed(frames: int) -> dict[str, float]:  # p read, p̄ written, b read
        return {"bytes": 4.0 * frames * (2 * ATOMS + 1)}

    small, middle = inputs(LOOPED_FRAMES), inputs(WINDOWED_FRAMES)
    looped = "loop over frames", (looped_segment_presence, tuple(map(np.asarray, small)))
    windowed = "[T, W, C] formed", (compiled(windowed_segment_presence, *middle), middle)
    fast = {factor: case(inputs(factor * FRAMES)) for factor in FACTORS}
    million = 8 * FRAMES
    name = f"segment_presence C={ATOMS} W={WINDOW}"
    return [
        row(f"{name} T={LOOPED_FRAMES:,}", case(small), naive=looped),
        row(f"{name} T={WINDOWED_FRAMES:,}", case(middle), naive=windowed),
        row(f"{name} T={FRAMES:,}", fast, needed=needed(FRAMES), limits=limits),
        row(f"{name} T={million:,}", fast[8], needed=needed(million), limits=limits),
    ]


def all_pairs(a: jax.Array) -> jax.Array:
    """x [T, E] of a [T, C, E], from the product over [T, C, C, E]."""
    upper = jnp.triu(jnp.ones((a.shape[1], a.shape[1]), bool), 1)[None, :, :, None]
    return -jnp.sum(jnp.where(upper, jnp.log1p(-a[:, :, None] * a[:, None]), 0.0), axis=(1, 2))


def _pairs(rng: np.random.Generator) -> list[Row]:
    """Forwards and backwards, of a in [0, 0.9]."""

    def strengths(*shape: int) -> jax.Array:
        return jnp.asarray(0.9 * rng.random(shape, np.float32))

    def case(a: jax.Array, method: str = "auto") -> Case:
        total = jax.value_and_grad(lambda a: pairwise_noisy_or(a, method=method).sum())
        return compiled(total, a), (a,)

    a = strengths(PAIR_FRAMES, ATOMS, EVENTS)
    formed = compiled(jax.value_and_grad(lambda a: all_pairs(a).sum()), a), (a,)
    rowwise = jnp.moveaxis(a, 1, -1)
    exact = {factor: case(jnp.tile(rowwise, (factor, 1, 1))) for factor in FACTORS}
    many = {factor: strengths(PAIR_ROWS, factor * MANY_ATOMS) for factor in FACTORS}
    hybrid = {factor: case(a) for factor, a in many.items()}
    name = f"pairs forward+backward, hybrid, {PAIR_ROWS} rows"
    return [
        row(
            f"pairs forward+backward T={PAIR_FRAMES:,} C={ATOMS} E={EVENTS}",
            exact,
            naive=("autodiff of [T, C, C, E]", formed),
        ),
        row(f"{name} C={MANY_ATOMS:,}", hybrid, naive=("every pair", case(many[1], "exact"))),
        row(
            f"{name} C={8 * MANY_ATOMS:,}",
            hybrid[8],
            naive=("every pair", case(many[8], "exact")),
        ),
    ]


def role_epoch(rng: np.random.Generator, num_videos: int) -> Case:
    """An epoch of role training of so many videos."""
    presence = rng.random((num_videos, VIDEO_FRAMES, ATOMS), np.float32) ** 3
    labels = np.eye(EVENTS, dtype=np.float32)[np.arange(num_videos) % EVENTS]
    data = training.prepare(list(presence), labels, config=_ROLES)
    state = training.initial_state(data, _ROLES)
    epoch = functools.partial(training.train_epoch, config=_ROLES)
    return compiled(epoch, state, data), (state, data)


def _role_epoch(rng: np.random.Generator) -> Row:
    """Minibatches in one scan, against a compiled step per video that Python calls."""
    config = _ROLES
    fast = {factor: role_epoch(rng, factor * VIDEOS) for factor in FACTORS}
    state, data = fast[1][1]
    optimizer = optax.adam(config.learning_rate)

    @jax.jit
    def step(params: Any, opt_state: Any, index: jax.Array) -> tuple[Any, Any, jax.Array]:
        weight = jnp.ones(1)
        loss, gradient = jax.value_and_grad(role_loss.role_loss)(
            params, data, index, weight, config
        )
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def loop() -> list[float]:
        params, opt_state, losses = state.params, optimizer.init(state.params), []
        for video in range(VIDEOS):
            params, opt_state, loss = step(params, opt_state, jnp.array([video]))
            losses.append(float(loss))  # what a training loop prints
        return losses

    name = f"role epoch N={VIDEOS} T={VIDEO_FRAMES} C={ATOMS} E={EVENTS}"
    return row(name, fast, naive=("step per video", (loop, ())))
