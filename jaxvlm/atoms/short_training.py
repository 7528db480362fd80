"""Short trainings of videos alike, compiled once: they tell settings apart, and rules that stay."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms import training
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_start import Effects, with_rules
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.atoms.training_data import TrainingData

SHORT_EPOCHS = 20  # enough to tell settings apart, and rules that come back from those that do not


class Run(NamedTuple):
    """A training before its first epoch, or after its last one."""

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


def train_short(runs: Sequence[Run], config: RoleConfig) -> list[Run]:
    """The runs after `SHORT_EPOCHS`. Prior weights may differ; the config says the rest.

    Rules have places for as many as any run has, so that one program trains all.
    """
    config = dataclasses.replace(config, epochs=min(SHORT_EPOCHS, config.epochs))
    trained = []
    for run in _with_places(runs):
        num_videos = run.data.labels.shape[0]
        state = training.start_state(run.params, num_videos, config, seed=run.seed)
        epochs = training.train_epochs(state, run.data, config)
        for state, _ in epochs:  # noqa: B007 - the last state is what counts
            pass
        trained.append(run._replace(params=state.params))
    return trained


def take(data: TrainingData, index: np.ndarray) -> TrainingData:
    """Some of the videos."""
    some = {name: getattr(data, name)[index] for name in ("presence", "mask", "labels")}
    return data._replace(**some)


def _with_places(runs: Sequence[Run]) -> list[Run]:
    """The runs with rules of the same shapes: nobody stands where one has fewer."""
    if runs[0].data.rules is None:
        return list(runs)
    shapes = [jnp.shape(run.data.rules.unless) for run in runs]
    num_events, most, counters = np.max(shapes, axis=0)
    none = Rules(
        jnp.full((num_events, most, 2), NOBODY, jnp.int32),
        jnp.zeros((num_events, most)),
        jnp.full((num_events, most, counters), NOBODY, jnp.int32),
        jnp.zeros((num_events, most, counters)),
    )

    def filled(table: jax.Array, room: jax.Array) -> jax.Array:
        return room.at[tuple(slice(size) for size in table.shape)].set(table)

    def with_strengths(params: RoleParams) -> RoleParams:
        room = none._replace(atoms=None, unless=None)
        return params._replace(rules=jax.tree.map(filled, params.rules, room))

    def with_places(run: Run) -> Run:
        written = run.data.written and with_strengths(run.data.written)
        rules = jax.tree.map(filled, run.data.rules, none)
        data = run.data._replace(rules=rules, prior=None, start=None, written=written)
        return run._replace(params=with_strengths(run.params), data=data)

    return list(map(with_places, runs))
