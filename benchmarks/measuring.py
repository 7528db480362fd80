"""What every benchmark shares: interleaved timing, the limits of the device, a row of the table."""

import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm import runs
from jaxvlm.clip.flax_clip import sums_in
from jaxvlm.errors import InputError

# Rounds of a comparison: as many as fit the seconds, within these.
_ROUNDS, _SECONDS = (5, 25), 6.0
FACTORS = (1, 2, 4, 8)

Case = tuple[Callable[..., Any], tuple[Any, ...]]  # a compiled function and its arguments


class Limits(NamedTuple):
    """Measured rates of this device."""

    flops: dict[str, float]  # per second, of square matrix products, by dtype
    bandwidth: float  # bytes per second, read and written, in place
    fresh_bandwidth: float  # the same where the result is a new array, whose pages come first


class Row(NamedTuple):
    """A line of the table. None: not measured, or there is no such thing."""

    name: str
    seconds: float  # median
    middle_half: tuple[float, float] | None = None  # of the seconds
    against: str | None = None  # the naive form
    naive_seconds: float | None = None
    ratio: float | None = None  # median over rounds of naive / fast, one after the other
    ratio_middle_half: tuple[float, float] | None = None
    limit: str | None = None  # "float32 matmul", "bfloat16 matmul" or "memory"
    fraction: float | None = None  # of the limit
    growth: tuple[float, ...] | None = None  # time at 2N, 4N, 8N over time at N
    megabytes: float | None = None  # temporary memory and output, as XLA plans it
    naive_megabytes: float | None = None


def compiled(function: Callable, *args: Any) -> jax.stages.Compiled:
    """Compiled for the arguments, so that timing starts no compilation."""
    return jax.jit(function).lower(*args).compile()


def megabytes(program: jax.stages.Compiled) -> float | None:
    """MiB of temporary memory and output that XLA plans for, beside the arguments."""
    memory = program.memory_analysis()
    if memory is None:
        return None
    return (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 2**20


def interleaved(cases: Mapping[str, Case], seconds: float = _SECONDS) -> dict[str, np.ndarray]:
    """Wall seconds of each case in each round; noise of the machine meets all of them alike.

    A round calls every case once, every other round in reverse. One round is not counted.
    """

    def timed(name: str) -> float:
        function, args = cases[name]
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        return time.perf_counter() - start

    names = list(cases)
    for name in names:
        timed(name)
    start = time.perf_counter()
    rounds = [{name: timed(name) for name in names}]
    once = time.perf_counter() - start
    count = int(np.clip(seconds / once, *_ROUNDS))
    for number in range(1, count):
        order = names[::-1] if number % 2 else names
        rounds.append({name: timed(name) for name in order})
    return {name: np.array([taken[name] for taken in rounds]) for name in names}


def row(
    name: str,
    fast: Case | Mapping[int, Case],
    *,
    naive: tuple[str, Case] | None = None,
    needed: Mapping[str, float] | None = None,
    limits: Limits | None = None,
    seconds: float = _SECONDS,
) -> Row:
    """Times a function, its naive form and its larger inputs in one interleaved run.

    Args:
      name: with the size N.
      fast: a case, or one for each of `FACTORS` times N.
      naive: what it is compared with, at N, and its name.
      needed: at N, what the algorithm cannot do without: "flops" and their "dtype", or "bytes".
      limits: of this device, with ``needed``.
      seconds: of measuring, about.
    """
    fast = fast if isinstance(fast, Mapping) else {1: fast}
    cases = {f"{factor}": case for factor, case in fast.items()}
    if naive is not None:
        cases["naive"] = naive[1]
    taken = interleaved(cases, seconds)
    own = taken["1"]
    result = Row(name, float(np.median(own)), _middle_half(own), megabytes=_planned(fast[1]))
    if naive is not None:
        ratios = taken["naive"] / own
        result = result._replace(
            against=naive[0],
            naive_seconds=float(np.median(taken["naive"])),
            ratio=float(np.median(ratios)),
            ratio_middle_half=_middle_half(ratios),
            naive_megabytes=_planned(naive[1]),
        )
    if needed is not None and limits is not None:
        limit, rate = _limit(needed, limits)
        amount = needed.get("flops") or needed["bytes"]
        result = result._replace(limit=limit, fraction=amount / rate / result.seconds)
    if len(fast) > 1:
        growth = (float(np.median(taken[f"{f}"] / own)) for f in FACTORS[1:] if f in fast)
        result = result._replace(growth=tuple(growth))
    return result


def measure_limits(dtypes: Sequence[str] = ("float32", "bfloat16")) -> Limits:
    """The best of several sizes of matrix product, and of a triad x + s·y in place.

    float32 is multiplied as float32, not as TF32 or in bfloat16 passes, as the towers are.
    """
    sizes = (512, 1024, 2048) if jax.default_backend() == "cpu" else (2048, 4096, 8192, 16384)
    flops = {dtype: max(_matmul_rate(size, dtype) for size in sizes) for dtype in dtypes}
    count = 2**26 if jax.default_backend() == "cpu" else 2**28
    return Limits(flops, _bandwidth(count, donate=True), _bandwidth(count, donate=False))


def record(limits: Limits) -> dict[str, Any]:
    """What a JSON of results says of where they come from."""
    described = runs.run_record(None, seed=None, seconds={})
    statistics = jax.devices()[0].memory_stats() or {}
    return {
        "device": device_name(),
        "platform": jax.default_backend(),
        "versions": described["versions"],
        "commit": _commit(),
        "limits": limits._asdict(),
        "peak_bytes_in_use": statistics.get("peak_bytes_in_use"),
    }


def require_passive() -> None:
    """Raises InputError where PyTorch's threads, if there are any, would wait in a loop."""
    if os.environ.get("OMP_WAIT_POLICY") != "passive":  # which they read when they are imported
        raise InputError("OMP_WAIT_POLICY: not passive; set it in front of the command")


def device_name() -> str:
    """The accelerator's name; of a CPU, the processor's and the number of cores."""
    kind = jax.devices()[0].device_kind
    if jax.default_backend() != "cpu":
        return kind
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*:\s*(.+)", information.read_text())
        processor = found[1] if found else processor
    return f"{processor}, {os.cpu_count()} cores"


def file_name(name: str) -> str:
    """A device's name as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _middle_half(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


def _planned(case: Case) -> float | None:
    return megabytes(case[0]) if isinstance(case[0], jax.stages.Compiled) else None


def _limit(needed: Mapping[str, Any], limits: Limits) -> tuple[str, float]:
    if "flops" in needed:
        return f"{needed['dtype']} matmul", limits.flops[needed["dtype"]]
    return "memory", limits.bandwidth


def _matmul_rate(size: int, dtype: str) -> float:
    taken = interleaved({"product": (product(size, dtype), ())}, seconds=1.0)["product"]
    return 2.0 * size**3 / float(taken.min())


def product(size: int, dtype: str) -> Callable[[], jax.Array]:
    """A product of two square matrices as the towers multiply: see `flax_clip.sums_in`.

    dtype: ``tf32`` is float32 in the precision that accelerators have for it.
    """
    precision = {"float32": "float32", "tf32": "tensorfloat32"}.get(dtype, "default")
    dtype = "float32" if dtype == "tf32" else dtype
    a = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
    options = {"precision": precision, "preferred_element_type": sums_in(dtype)}
    run = compiled(lambda a, b: jnp.matmul(a, b, **options), a, a)
    return lambda: run(a, a).block_until_ready()


def _bandwidth(count: int, *, donate: bool) -> float:
    """Two arrays of ``count`` float32 are read and one is written, over the first or anew."""
    y = jnp.ones(count, jnp.float32)
    triad = jax.jit(lambda x, y: x + 0.5 * y, donate_argnums=0 if donate else ())
    x, best = triad(jnp.zeros_like(y), y).block_until_ready(), float("inf")
    for _ in range(10):
        start = time.perf_counter()
        x = triad(x, y).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 3.0 * y.nbytes / best


def _commit() -> str | None:
    """The commit of the tree, with a + if files differ from it; None without git."""

    def git(*arguments: str) -> str:
        folder = Path(__file__).parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
