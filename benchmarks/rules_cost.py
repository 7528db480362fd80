"""What rules cost: training on 200 videos and scoring a frame, by the form of the roles.

Medians of CPU time, the forms by turns, after everything is compiled. ``form=auto`` chooses first.

Run: python -m benchmarks.rules_cost [--cost_world=FOLDER of rule_worlds] [--cost_repeats=5]
"""

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from absl import app, flags

from benchmarks import rules_data
from benchmarks.rules_models import forms
from jaxvlm.atoms.learned_roles import train_roles
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import event_logits
from jaxvlm.atoms.training_data import without_idle_pairs

_WORLD = flags.DEFINE_string("cost_world", None, "A rendered world; none: a simulated one.")
_REPEATS = flags.DEFINE_integer("cost_repeats", 5, "Of each measurement.", lower_bound=1)
_FRAMES = (64, 4096)  # scored at once


def medians(cases: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """CPU seconds of each case, once without a clock first."""
    for case in cases.values():
        jax.block_until_ready(case())
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            begin = time.process_time()
            jax.block_until_ready(case())
            seconds[name].append(time.process_time() - begin)
    return {name: float(np.median(each)) for name, each in seconds.items()}


def main(_: list[str]) -> None:
    if _WORLD.value is None:
        world = rules_data.simulated("pairs", 11)
    else:
        world = rules_data.rendered(Path(_WORLD.value), "segment_presence")

    def train(form: str) -> object:
        config = RoleConfig(form=form)
        return train_roles(world.train, world.labels, config=config, candidates=world.candidates)

    found = medians({form: functools.partial(train, form) for form in forms()}, _REPEATS.value)
    rows = {form: [f"{seconds:.1f} s"] for form, seconds in found.items()}
    frames = np.concatenate(world.test).astype(np.float32)
    for count in _FRAMES:
        some = np.resize(frames, (count, frames.shape[1]))
        times = -(-max(_FRAMES) // count)

        def score(params: object, some: np.ndarray = some, times: int = times) -> list[jax.Array]:
            return [event_logits(params, some, candidates=world.candidates) for _ in range(times)]

        cases = {
            form: functools.partial(score, without_idle_pairs(train(form))) for form in forms()
        }
        for form, seconds in medians(cases, _REPEATS.value).items():
            rows[form].append(f"{1e6 * seconds / times / count:.2f} µs")
    head = [f"{len(world.train)} videos, CPU", *(f"a frame of {count}" for count in _FRAMES)]
    for cells in ([""] + head, ["---"] * (len(head) + 1), *([f, *own] for f, own in rows.items())):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    app.run(main)
