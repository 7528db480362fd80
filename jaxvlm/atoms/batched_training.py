"""Trainings of one size at once, whatever their forms: as one batch, compiled once."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms import training
from jaxvlm.atoms.role_config import FORMS, RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_start import Effects, with_rules
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.atoms.training_data import NO_STRENGTH, TrainingData

SHORT_EPOCHS = 20  # enough to tell forms apart, and rules that come back from those that do not


class Run(NamedTuple):
    """A training before its first epoch."""

    params: RoleParams  # unconstrained
    data: TrainingData
    seed: int


def start_run(
    packed: TrainingData, config: RoleConfig, *, seed: int, effects: Effects | None = None
) -> Run:
    """A training of packed videos, which starts as `training.prepare` and `initial_state` do."""
    data = packed._replace(prior_weight=jnp.float32(config.prior_weight or 0.0))
    data = with_rules(data, config, effects)
    return Run(training.initial_state(data, config, seed=seed).params, data, seed)


def train_together(runs: Sequence[Run], config: RoleConfig) -> tuple[RoleParams, TrainingData]:
    """The parameters after `SHORT_EPOCHS`, unconstrained, and the data, of all runs stacked.

    The runs have as many videos each; forms and prior weights may differ, and ``config`` says the
    rest. Rules have places for as many as any run has.
    """
    config = dataclasses.replace(
        config, form=FORMS[-1], prior_weight=0.0, epochs=min(SHORT_EPOCHS, config.epochs)
    )
    num_videos = runs[0].data.labels.shape[0]
    alike = _alike(runs)
    states = [training.start_state(run.params, num_videos, config, seed=run.seed) for run in alike]
    state = jax.tree.map(lambda *rows: jnp.stack(rows), *states)
    data = jax.tree.map(lambda *rows: jnp.stack(rows), *(run.data for run in alike))
    epoch = jax.vmap(functools.partial(training.train_epoch, config=config))
    for _ in range(config.epochs):
        state, _losses = epoch(state, data)
    return state.params, data


def take(data: TrainingData, index: np.ndarray) -> TrainingData:
    """Some of the videos."""
    some = {name: getattr(data, name)[index] for name in ("presence", "mask", "labels")}
    return data._replace(**some)


def _alike(runs: Sequence[Run]) -> list[Run]:
    """The runs with arrays of the same shapes: ρⁱ of 0 where one has none, and rules that are
    none."""
    shapes = [jnp.shape(run.data.rules.unless) for run in runs if run.data.rules is not None]
    most, counters = (max((shape[n] for shape in shapes), default=0) for n in (1, 2))
    num_events = runs[0].data.labels.shape[1]
    none = Rules(
        jnp.full((num_events, most, 2), NOBODY),
        jnp.zeros((num_events, most)),
        jnp.full((num_events, most, counters), NOBODY),
        jnp.zeros((num_events, most, counters)),
    )

    def filled(table: jax.Array, room: jax.Array) -> jax.Array:
        return room.at[tuple(slice(size) for size in table.shape)].set(table)

    def with_places(run: Run) -> Run:
        rules = none
        if run.data.rules is not None:
            rules = jax.tree.map(filled, run.data.rules, none)
        written = run.data.written and with_strengths(run.data.written)
        data = run.data._replace(rules=rules, prior=None, start=None, written=written)
        return run._replace(params=with_strengths(run.params), data=data)

    def with_strengths(params: RoleParams) -> RoleParams:
        free = none._replace(atoms=None, unless=None)
        if params.rules is not None:
            free = jax.tree.map(filled, params.rules, free)
        if params.theta_indirect is None:
            nothing = jnp.full_like(params.theta_direct, NO_STRENGTH)
            params = params._replace(theta_indirect=nothing)
        return params._replace(rules=free)

    return list(map(with_places, runs))
