"""The methods that adapt, with their static bases: what a table of streams has rows for."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.ood import scores
from jaxvlm.ood.streams import adaneg, clipscope, oodd, steady, tanl
from jaxvlm.ood.streams.running import Batch, Step, Texts, neglabel, run, similarities


class Adaptive(NamedTuple):
    """config: of a number of groups; start, step: of the method's module; base: the key of `BASES`
    that its gain is taken to; batch_size: as published."""

    title: str
    config: Callable[[int], Any]
    start: Callable[[Any, Texts], Any]
    step: Step
    base: str
    batch_size: int = 256


def _static_clipscope(texts: Texts, rows: jax.Array, num_groups: int) -> jax.Array:
    del num_groups
    config = clipscope.Config(prior=False)
    batch = Batch(rows, np.ones(len(rows), bool), np.zeros(len(rows), np.float32))
    return clipscope.step(config, texts, clipscope.start(config, texts), batch)[1]


def _mcm(texts: Texts, rows: jax.Array, num_groups: int) -> jax.Array:
    del num_groups
    return jax.vmap(scores.mcm_score)(similarities(rows, texts.positive, 100.0))


def _neglabel(texts: Texts, rows: jax.Array, num_groups: int) -> jax.Array:
    positive = similarities(rows, texts.positive, texts.scale)
    return neglabel(positive, similarities(rows, texts.negative, texts.scale), num_groups)


# What does not adapt: scores of rows [B, D] by texts and a number of groups.
BASES: Mapping[str, Callable[[Texts, jax.Array, int], jax.Array]] = {
    "neglabel": _neglabel,
    "mcm": _mcm,
    "clipscope_static": _static_clipscope,
}

ADAPTIVE: Mapping[str, Adaptive] = {
    "steady": Adaptive(
        "Steady (ours)",
        lambda groups: steady.Config(num_groups=groups),
        steady.start,
        steady.step,
        "neglabel",
    ),
    "adaneg": Adaptive(
        "AdaNeg",
        lambda groups: adaneg.Config(num_groups=groups),
        adaneg.start,
        adaneg.step,
        "neglabel",
    ),
    "adaneg_gap": Adaptive(
        "AdaNeg, adaptive gap",
        lambda groups: adaneg.Config(num_groups=groups, adaptive_gap=True),
        adaneg.start,
        adaneg.step,
        "neglabel",
    ),
    "adaneg_sample": Adaptive(
        "AdaNeg, sample-adaptive",
        lambda groups: adaneg.Config(num_groups=groups, sample_adaptive=True),
        adaneg.start,
        adaneg.step,
        "neglabel",
    ),
    "clipscope": Adaptive(
        "CLIPScope",
        lambda groups: clipscope.Config(),
        clipscope.start,
        clipscope.step,
        "clipscope_static",
    ),
    "oodd": Adaptive(
        "OODD on NegLabel", lambda groups: oodd.Config(), oodd.start, oodd.step, "neglabel", 64
    ),
    "oodd_mcm": Adaptive(
        "OODD on MCM", lambda groups: oodd.Config(), oodd.start, oodd.step, "mcm", 64
    ),
    "tanl": Adaptive("TANL", lambda groups: tanl.Config(), tanl.start, tanl.step, "neglabel"),
}


def base_scores(base: str, texts: Texts, rows: ArrayLike, *, num_groups: int) -> np.ndarray:
    """Scores [N] of a key of `BASES`, of unit rows [N, D]."""
    config = _Static(base, num_groups)
    return run(_static_step, config, texts, (), rows)[1]


class _Static(NamedTuple):
    base: str
    num_groups: int


def _static_step(config: _Static, texts: Texts, state: tuple, batch: Batch):
    return state, BASES[config.base](texts, batch.rows, config.num_groups)
