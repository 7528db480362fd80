"""Seconds that each method that adapts takes for 100,000 embeddings, its static base apart.

Random unit rows, half of them near a class: 100 classes, 1,200 negatives, D = 512, the batch size
of each publication. The methods take turns, so that what else the machine does falls on all; of the
rounds the median counts, and the least is what a quiet machine would come near to.

Run: python -m benchmarks.stream_speed [--stream_rounds=5]
"""

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
from absl import app, flags

from jaxvlm.arrays import unit
from jaxvlm.ood.streams.methods import ADAPTIVE, Adaptive, base_scores
from jaxvlm.ood.streams.running import Texts, run

_ROUNDS = flags.DEFINE_integer("stream_rounds", 5, "Of each method.", lower_bound=1)
_PICTURES = flags.DEFINE_integer("stream_pictures", 8192, "Scaled to 100,000.", lower_bound=256)

GROUPS = 10


def main(_) -> None:
    texts, rows = inputs(_PICTURES.value)
    print(seconds(texts, rows, ADAPTIVE, _ROUNDS.value).round(2).to_string())


def inputs(count: int, *, classes: int = 100, negatives: int = 1200, width: int = 512):
    """The texts, and as many rows as ``count``."""
    rng = np.random.default_rng(0)
    positive, negative, rows = (
        np.asarray(unit(rng.normal(size=(n, width)).astype(np.float32)))
        for n in (classes, negatives, count)
    )
    near = 0.5 * positive[rng.integers(classes, size=count)] * (rng.random((count, 1)) < 0.5)
    return Texts(positive, negative), np.asarray(unit(rows + near), np.float32)


def seconds(
    texts: Texts, rows: np.ndarray, methods: Mapping[str, Adaptive], rounds: int
) -> pd.DataFrame:
    """A row per method: ``median`` and ``least`` of the rounds, compiled before, and ``base``, the
    least time of its static base, all for 100,000 rows."""
    scale = 1e5 / len(rows)
    static, took = {}, {name: [] for name in {method.base for method in methods.values()}}
    for base in took:
        for _ in range(rounds + 1):  # the first one compiles
            started = time.perf_counter()
            static[base] = base_scores(base, texts, rows, num_groups=GROUPS)
            took[base].append(scale * (time.perf_counter() - started))
    found: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds + 1):
        for name, method in methods.items():
            config = method.config(GROUPS)
            state = method.start(config, texts)
            started = time.perf_counter()
            run(
                method.step,
                config,
                texts,
                state,
                rows,
                base=static[method.base],
                batch_size=method.batch_size,
            )
            found[name].append(scale * (time.perf_counter() - started))
    return pd.DataFrame(
        {
            name: {
                "median": np.median(times[1:]),
                "least": min(times[1:]),
                "base": min(took[methods[name].base][1:]),
            }
            for name, times in found.items()
        }
    ).T


if __name__ == "__main__":
    app.run(main)
