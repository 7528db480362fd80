"""What the atom kernels cost: each against its naive form, and as its input grows.

``segment_presence`` at T = 10⁴ and 2, 4, 8 times that, against a loop over frames and windows;
``pairwise_noisy_or`` forwards and backwards against autodiff of the product over [T, C, C, E], and
its series against every pair as C grows; one compiled epoch of role training against a loop that
takes one step per video on the same data. Memory is what XLA asks for beside the arguments.

Prints medians and asserts nothing. Run: python -m benchmarks.kernels [--json=FILE]
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from jaxvlm import files
from jaxvlm.atoms import pairs, training
from jaxvlm.atoms.segments import segment_presence

_JSON = flags.DEFINE_string("json", None, "file for the numbers")

ATOMS, EVENTS, WINDOW, FRAMES, REPEATS = 84, 6, 20, 10_000, 5
NAIVE_FRAMES, PAIR_FRAMES, MANY_ROWS, VIDEOS, VIDEO_FRAMES = 200, 1000, 24, 64, 120
Row = dict[str, Any]


def seconds(function: Callable, *args: Any, repeats: int = REPEATS) -> float:
    """Median wall time of a call, after one that is not counted."""
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(name: str, function: Callable, *args: Any, **more: Any) -> Row:
    """A row of the table: time and memory of a function, compiled for these arguments."""
    compiled = jax.jit(function).lower(*args).compile()
    memory = compiled.memory_analysis()
    megabytes = None
    if memory is not None:
        megabytes = (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 2**20
    return {"name": name, "seconds": seconds(compiled, *args), "megabytes": megabytes, **more}


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


def segments(rng: np.random.Generator) -> list[Row]:
    rows = []

    def inputs(frames: int) -> tuple[np.ndarray, np.ndarray]:
        presence = rng.random((frames, ATOMS), np.float32)
        return presence, rng.random(frames, np.float32) ** 4

    for factor in (1, 2, 4, 8):
        args = map(jnp.asarray, inputs(factor * FRAMES))
        row = measure(f"segment_presence T={factor * FRAMES}", segment_presence, *args)
        rows.append(row | {"growth": row["seconds"] / (rows or [row])[0]["seconds"]})
    small = inputs(NAIVE_FRAMES)
    row = measure(f"segment_presence T={NAIVE_FRAMES}", segment_presence, *map(jnp.asarray, small))
    naive = seconds(looped_segment_presence, *small)
    return [*rows, row | {"naive": naive, "ratio": naive / row["seconds"]}]


def all_pairs(a: jax.Array) -> jax.Array:
    """x [T, E] of a [T, C, E], from the product over [T, C, C, E]."""
    upper = jnp.triu(jnp.ones((a.shape[1], a.shape[1]), bool), 1)[None, :, :, None]
    return -jnp.sum(jnp.where(upper, jnp.log1p(-a[:, :, None] * a[:, None]), 0.0), axis=(1, 2))


def pair_kernel(rng: np.random.Generator) -> list[Row]:
    """Forwards and backwards of both, in one run on the same numbers."""
    a = jnp.asarray(0.9 * rng.random((PAIR_FRAMES, ATOMS, EVENTS), np.float32))
    rowwise = jnp.moveaxis(a, 1, -1)
    fast = jax.value_and_grad(lambda a: pairs.pairwise_noisy_or(a).sum())
    slow = jax.value_and_grad(lambda a: all_pairs(a).sum())
    name = f"pairwise_noisy_or T={PAIR_FRAMES} C={ATOMS} E={EVENTS}"
    row, naive = measure(name, fast, rowwise), measure("[T, C, C, E]", slow, a)
    return [
        row
        | {
            "naive": naive["seconds"],
            "naive_megabytes": naive["megabytes"],
            "ratio": naive["seconds"] / row["seconds"],
        }
    ]


def many_atoms(rng: np.random.Generator) -> list[Row]:
    """The series against every pair, forwards and backwards, of a in [0, 0.9]."""
    rows = []
    for num_atoms in (500, 1000, 2000, 4000):
        a = jnp.asarray(0.9 * rng.random((MANY_ROWS, num_atoms), np.float32))
        series = measure(
            f"series C={num_atoms}",
            lambda a: (pairs._hybrid_value(a), pairs._hybrid_gradient(a)),
            a,
        )
        exact = measure("every pair", lambda a: (pairs._value(a), pairs._gradient(a)), a)
        ratio, growth = exact["seconds"] / series["seconds"], (rows or [series])[0]["seconds"]
        rows.append(
            series
            | {"naive": exact["seconds"], "naive_megabytes": exact["megabytes"], "ratio": ratio}
            | {"growth": series["seconds"] / growth}
        )
    return rows


def role_training(rng: np.random.Generator) -> list[Row]:
    """One epoch, minibatches in one scan, against a compiled step per video, called from Python."""
    presence = rng.random((VIDEOS, VIDEO_FRAMES, ATOMS), np.float32) ** 3
    labels = np.eye(EVENTS, dtype=np.float32)[np.arange(VIDEOS) % EVENTS]
    config = training.RoleConfig()
    data = training.prepare(list(presence), labels, config=config)
    state = training.initial_state(data, config)
    row = measure(
        f"role epoch N={VIDEOS} T={VIDEO_FRAMES}",
        lambda state, data: training.train_epoch(state, data, config),
        *(state, data),
    )
    optimizer = training._optimizer(config, VIDEOS)

    @jax.jit
    def step(params: Any, opt_state: Any, index: jax.Array) -> tuple:
        loss, gradient = jax.value_and_grad(training.role_loss)(
            params, data, index, jnp.ones(1), config
        )
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return training.optax.apply_updates(params, updates), opt_state, loss

    def loop() -> list[float]:
        params, opt_state, losses = state.params, state.opt_state, []
        for video in range(VIDEOS):
            params, opt_state, loss = step(params, opt_state, jnp.array([video]))
            losses.append(float(loss))  # what a training loop prints
        return losses

    naive = seconds(loop)
    return [row | {"naive": naive, "ratio": naive / row["seconds"]}]


def table(rows: list[Row]) -> str:
    def cell(value: float | None, form: str) -> str:
        return "-" if value is None else form.format(value)

    columns = (("seconds", "ms", 1e3), ("growth", "growth", 1), ("naive", "naive ms", 1e3))
    columns += (("ratio", "ratio", 1), ("megabytes", "MiB", 1), ("naive_megabytes", "naive MiB", 1))
    lines = [f"{'':40}" + "".join(f"{title:>11}" for _, title, _ in columns)]
    for row in rows:
        values = (row.get(key) and row[key] * scale for key, _, scale in columns)
        lines.append(f"{row['name']:40}" + "".join(f"{cell(v, '{:.1f}'):>11}" for v in values))
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    del argv
    rng = np.random.default_rng(0)
    device = jax.devices()[0]
    rows = [row for part in (segments, pair_kernel, many_atoms, role_training) for row in part(rng)]
    print(f"{device.platform}, {device.device_kind}: medians of {REPEATS}")
    print(table(rows))
    if _JSON.value:
        files.write_json(_JSON.value, {"device": device.device_kind, "rows": rows})


if __name__ == "__main__":
    app.run(main)
