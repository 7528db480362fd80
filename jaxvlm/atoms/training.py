"""The descent of role learning: from labelled videos to a state, epoch by epoch, to roles."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from jaxvlm import parallel
from jaxvlm.atoms.descent import gradient_steps
from jaxvlm.atoms.padding import LENGTHS, shorten
from jaxvlm.atoms.role_config import FORMS, RoleConfig, compiled_for
from jaxvlm.atoms.role_loss import rho_l1_of, role_loss
from jaxvlm.atoms.role_start import balance_bias, default_start, prototype_start
from jaxvlm.atoms.roles import RoleParams, check_roles
from jaxvlm.atoms.rule_start import Effects, with_rules
from jaxvlm.atoms.rules import Rules
from jaxvlm.atoms.training_data import (
    WEIGHTS,
    TrainingData,
    constrain,
    pack_videos,
    unconstrain,
    with_atoms,
)
from jaxvlm.atoms.written_roles import towards_written

PROTOTYPE_PRIOR_WEIGHT = 1e-3


class TrainState(NamedTuple):
    """All that an epoch needs from the one before it; saved and restored, it continues exactly."""

    params: RoleParams  # unconstrained; `role_params` gives the values that take effect
    opt_state: optax.OptState
    epoch: jax.Array  # int32, epochs done
    key: jax.Array  # never changes; every epoch folds its number in


def prepare(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    effects: Effects | None = None,
) -> TrainingData:
    """Checks and pads the videos, and finds where the roles start; arguments and errors as `pack`.

    effects: of these videos, see `rule_start.with_rules`.

    Raises ValueError for a config that leaves its form or its prior's weight open, see
    `role_choice.choose`.
    """
    if not config.reference and config.form not in FORMS:
        raise ValueError(f"prepare: form {config.form!r}; choose one of {', '.join(FORMS)} first")
    data = pack(videos, labels, config=config, candidates=candidates, prior=prior, names=names)
    if prior is not None and config.prior_weight is None and not config.reference:
        raise ValueError("prepare: a prior without a weight; choose one first")
    weight = PROTOTYPE_PRIOR_WEIGHT if config.prior_weight is None else config.prior_weight
    return with_rules(data._replace(prior_weight=jnp.float32(weight)), config, effects)


def pack(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
) -> TrainingData:
    """`pack_videos` as the config says.

    Of a video of more than `LONGEST` frames runs of frames are averaged, see `shorten`; not in
    reference mode, which trains as the prototype does.
    """
    calibrate = config.calibrate and not config.reference
    if not config.reference:
        videos = [shorten(video) for video in videos]
    multiple = 1 if config.reference else LENGTHS
    sides = {"candidates": candidates, "prior": prior, "names": names}
    return pack_videos(videos, labels, calibrate=calibrate, multiple=multiple, **sides)


def initial_state(
    data: TrainingData, config: RoleConfig, *, seed: int = 0, init: RoleParams | None = None
) -> TrainState:
    """The state before the first epoch. `init` holds values as they take effect.

    Raises ValueError if `init` is of other shapes than the data, or has other rules.
    """
    _, start_key = jax.random.split(jax.random.key(seed))
    if init is not None:
        check_roles("initial_state", init, candidates=data.candidates)
        if init.rules is not None and not _same_atoms(init.rules, data.rules):
            raise ValueError("initial_state: init has other rules than the data")
        params = unconstrain(jax.tree.map(jnp.asarray, init), data, config)
    elif config.reference:
        params = prototype_start(data)
    else:
        params = balance_bias(default_start(data, config, start_key), data, config)
        if data.written is not None:
            params = towards_written(params, data)
    return start_state(params, data.labels.shape[0], config, seed=seed)


def start_state(
    params: RoleParams, num_videos: int, config: RoleConfig, *, seed: int = 0
) -> TrainState:
    """The state before the first epoch of unconstrained parameters."""
    key, _ = jax.random.split(jax.random.key(seed))
    optimizer = _optimizer(config, num_videos)
    # An epoch gives float32; from Python's numbers JAX would make types of its own, and the second
    # epoch would be another program than the first.
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    return TrainState(params, optimizer.init(params), jnp.asarray(0, jnp.int32), key)


def train_epochs(
    state: TrainState, data: TrainingData, config: RoleConfig, mesh: Mesh | None = None
) -> Iterator[tuple[TrainState, jax.Array]]:
    """Yields (state, losses of the steps) after every epoch until `config.epochs` are done."""
    for _ in range(int(state.epoch), config.epochs):
        state, losses = train_epoch(state, data, config, mesh)
        yield state, losses


def train_epoch(
    state: TrainState, data: TrainingData, config: RoleConfig, mesh: Mesh | None = None
) -> tuple[TrainState, jax.Array]:
    """One pass over the videos, all steps in one `lax.scan`: the new state and [steps] losses.

    mesh: state and data are on all of its devices (`parallel.replicate`), and each of these takes
    its part of a step's videos; the gradient is their sum.
    """
    numbers = _Numbers(
        config.epochs,
        config.learning_rate,
        config.freeze_bias_epochs,
        rho_l1_of(config),
        config.calibration_pull,
    )
    data = data._replace(start=None, prior=data.prior if config.reference else None)
    return _train_epoch(state, data, numbers, compiled_for(config), mesh)


class _Numbers(NamedTuple):
    """Settings of which another value is no other program; as in `RoleConfig`."""

    epochs: ArrayLike
    learning_rate: ArrayLike
    freeze_bias_epochs: ArrayLike
    rho_l1: ArrayLike
    calibration_pull: ArrayLike


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def _train_epoch(
    state: TrainState,
    data: TrainingData,
    numbers: _Numbers,
    config: RoleConfig,
    mesh: Mesh | None,
) -> tuple[TrainState, jax.Array]:
    config = dataclasses.replace(config, **numbers._asdict())
    batches = _split(_batches(state, data.labels.shape[0], config), mesh)
    frozen = state.epoch < config.freeze_bias_epochs
    optimizer = _optimizer(config, data.labels.shape[0])

    def gradient(params: RoleParams, batch: tuple[jax.Array, ...]) -> tuple[jax.Array, RoleParams]:
        loss, slope = jax.value_and_grad(role_loss)(params, data, *batch, config)
        return loss, _freeze(slope, frozen)

    start = state.params, state.opt_state
    (params, opt_state), losses = gradient_steps(gradient, start, optimizer, batches)
    return TrainState(params, opt_state, state.epoch + 1, state.key), losses


def role_params(state: TrainState, data: TrainingData, config: RoleConfig) -> RoleParams:
    """The learned parameters as they take effect on p̄ itself."""
    params = with_atoms(constrain(state.params, config), data)
    if params.presence_scale is None:
        return params
    return params._replace(
        presence_scale=params.presence_scale * data.scale,
        presence_center=data.center + params.presence_center / data.scale,
    )


def _optimizer(config: RoleConfig, num_videos: int) -> optax.GradientTransformation:
    """Adam; its rate falls to 0 along a cosine, which the prototype's does not.

    The prototype's Adam counts the steps of each parameter by itself, so its first step of γ and b
    after the thaw is that of a new one, the whole rate. Here all steps count, as usual in optax.
    """
    if config.reference:
        frozen = config.freeze_bias_epochs * num_videos
        adam = optax.adam(config.learning_rate)
        held = optax.conditionally_transform(adam, lambda step: step >= frozen)
        return optax.multi_transform({"held": held, "free": adam}, _kinds)
    steps = config.epochs * -(-num_videos // min(config.batch_size, num_videos))

    def rate(step: jax.Array) -> jax.Array:  # optax's own takes no traced number of steps
        share = jnp.minimum(step, steps) / steps
        return 0.5 * config.learning_rate * (1.0 + jnp.cos(jnp.pi * share))

    return optax.adam(rate)


def _kinds(params: RoleParams) -> RoleParams:
    """ "held" for γ and b, "free" for the others."""
    kinds = jax.tree.map(lambda _: "free", params)
    return kinds._replace(**{n: "held" for n in WEIGHTS if getattr(params, n) is not None})


def _batches(state: TrainState, num: int, config: RoleConfig) -> tuple[jax.Array, jax.Array]:
    """Indices and 0/1 weights of the videos of every step, [steps, B] each."""
    if config.reference:
        return jnp.arange(num)[:, None], jnp.ones((num, 1))
    size = min(config.batch_size, num)
    order = jax.random.permutation(jax.random.fold_in(state.key, state.epoch), num)
    padding = -num % size
    index = jnp.concatenate([order, jnp.zeros(padding, order.dtype)])
    weight = jnp.concatenate([jnp.ones(num), jnp.zeros(padding)])
    return index.reshape(-1, size), weight.reshape(-1, size)


def _split(batches: tuple[jax.Array, jax.Array], mesh: Mesh | None) -> tuple:
    """[steps, B] over the mesh's ``data`` axis, B padded with videos of weight 0."""
    if mesh is None:
        return batches
    fill = -batches[0].shape[1] % mesh.shape[parallel.DATA]
    sharding = NamedSharding(mesh, PartitionSpec(None, parallel.DATA))
    return tuple(
        jax.lax.with_sharding_constraint(jnp.pad(rows, ((0, 0), (0, fill))), sharding)
        for rows in batches
    )


def _freeze(gradient: RoleParams, frozen: jax.Array) -> RoleParams:
    """Zero gradients for γ and b while frozen, so that Adam's moments stay at zero too."""

    def hold(leaf: jax.Array | None) -> jax.Array | None:
        return None if leaf is None else jnp.where(frozen, 0.0, leaf)

    return gradient._replace(**{name: hold(getattr(gradient, name)) for name in WEIGHTS})


def _same_atoms(rules: Rules, others: Rules | None) -> bool:
    return others is not None and all(
        np.array_equal(getattr(rules, name), getattr(others, name)) for name in ("atoms", "unless")
    )
