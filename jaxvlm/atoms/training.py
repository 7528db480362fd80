"""The descent of role learning: from labelled videos to a state, epoch by epoch, to roles."""

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
from jaxvlm.atoms.pooling import pool_video, strongest_frames, video_cross_entropy
from jaxvlm.atoms.role_config import FORMS, RoleConfig
from jaxvlm.atoms.role_start import balance_bias, default_start, prototype_start
from jaxvlm.atoms.roles import RoleParams, check_roles, event_probability
from jaxvlm.atoms.rule_start import with_rules
from jaxvlm.atoms.rules import Rules, rule_strengths
from jaxvlm.atoms.training_data import (
    WEIGHTS,
    TrainingData,
    batch_logits,
    constrain,
    pack_videos,
    unconstrain,
    with_atoms,
)
from jaxvlm.atoms.written_roles import distance_from_written, towards_written

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
) -> TrainingData:
    """Checks and pads the videos, and finds where the roles start; arguments and errors as `pack`.

    Raises ValueError for a config that leaves its form or its prior's weight open, see
    `role_choice.choose`.
    """
    if not config.reference and config.form not in FORMS:
        raise ValueError(f"prepare: form {config.form!r}; choose one of {', '.join(FORMS)} first")
    data = pack(videos, labels, config=config, candidates=candidates, prior=prior, names=names)
    if prior is not None and config.prior_weight is None and not config.reference:
        raise ValueError("prepare: a prior without a weight; choose one first")
    weight = PROTOTYPE_PRIOR_WEIGHT if config.prior_weight is None else config.prior_weight
    return with_rules(data._replace(prior_weight=jnp.float32(weight)), config)


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
    return TrainState(params, optimizer.init(params), jnp.asarray(0, jnp.int32), key)


def train_epochs(
    state: TrainState, data: TrainingData, config: RoleConfig, mesh: Mesh | None = None
) -> Iterator[tuple[TrainState, jax.Array]]:
    """Yields (state, losses of the steps) after every epoch until `config.epochs` are done."""
    for _ in range(int(state.epoch), config.epochs):
        state, losses = train_epoch(state, data, config, mesh)
        yield state, losses


@functools.partial(jax.jit, static_argnames=("config", "mesh"))
def train_epoch(
    state: TrainState, data: TrainingData, config: RoleConfig, mesh: Mesh | None = None
) -> tuple[TrainState, jax.Array]:
    """One pass over the videos, all steps in one `lax.scan`: the new state and [steps] losses.

    mesh: state and data are on all of its devices (`parallel.replicate`), and each of these takes
    its part of a step's videos; the gradient is their sum.
    """
    batches = _split(_batches(state, data.labels.shape[0], config), mesh)
    frozen = state.epoch < config.freeze_bias_epochs
    optimizer = _optimizer(config, data.labels.shape[0])

    def gradient(params: RoleParams, batch: tuple[jax.Array, ...]) -> tuple[jax.Array, RoleParams]:
        loss, slope = jax.value_and_grad(role_loss)(params, data, *batch, config)
        return loss, _freeze(slope, frozen)

    start = state.params, state.opt_state
    (params, opt_state), losses = gradient_steps(gradient, start, optimizer, batches)
    return TrainState(params, opt_state, state.epoch + 1, state.key), losses


def role_loss(
    params: RoleParams,
    data: TrainingData,
    index: jax.Array,
    weight: jax.Array,
    config: RoleConfig,
) -> jax.Array:
    """The training loss of unconstrained parameters on videos `index` [B], weighted by [B] 0/1."""
    constrained = constrain(params, config)
    labels = data.labels[index]
    if config.reference:
        bce = _prototype_bce(constrained, data, index, labels, config)
    else:
        bce = _cross_entropy(constrained, data, index, labels, config)
    bce = jnp.sum(weight[:, None] * bce) / (jnp.sum(weight) * labels.shape[1])
    return bce + _regularizer(params, data, config)


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
    steps = -(-num_videos // min(config.batch_size, num_videos))
    return optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.epochs * steps))


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


def _cross_entropy(
    params: RoleParams,
    data: TrainingData,
    index: jax.Array,
    labels: jax.Array,
    config: RoleConfig,
) -> jax.Array:
    """[B, E] of videos `index`; only the frames that count are differentiated."""
    presence, mask = data.presence[index], data.mask[index]
    strongest = functools.partial(strongest_frames, k=config.topk)
    known = jax.lax.stop_gradient(batch_logits(params, data, presence, config))
    frames = jax.vmap(lambda z, own: strongest(z, mask=own))(known, mask)
    logits = batch_logits(params, data, presence, config, frames)

    def of_video(logits: jax.Array, label: jax.Array, num_frames: jax.Array) -> jax.Array:
        there = jnp.arange(len(logits)) < num_frames
        options = {"k": config.topk, "cooled": config.cooled, "num_frames": num_frames}
        return video_cross_entropy(logits, label, mask=there, **options)

    return jax.vmap(of_video)(logits, labels, jnp.sum(mask, axis=1))


def _prototype_bce(
    params: RoleParams,
    data: TrainingData,
    index: jax.Array,
    labels: jax.Array,
    config: RoleConfig,
) -> jax.Array:
    def pooled(presence: jax.Array, mask: jax.Array) -> jax.Array:
        probability = event_probability(
            params, presence, candidates=data.candidates, reference=True
        )
        return pool_video(probability, k=config.topk, mask=mask, cooled=config.cooled)

    video = jax.vmap(pooled)(data.presence[index], data.mask[index])
    video = jnp.clip(video, 1e-6, 1.0 - 1e-6)
    return -labels * jnp.log(video) - (1.0 - labels) * jnp.log1p(-video)


def _regularizer(params: RoleParams, data: TrainingData, config: RoleConfig) -> jax.Array:
    thetas = params.theta_direct, params.theta_indirect, params.theta_counter
    if config.reference:
        total = (config.rho_l1 or 0.0) * sum(jnp.mean(jnp.abs(theta)) for theta in thetas)
        if data.prior is not None:
            pull = optax.sigmoid_binary_cross_entropy(thetas[0], data.prior.direct)
            total = total + data.prior_weight * jnp.mean(pull)
        return total
    num_events = data.labels.shape[1]
    rho = [jax.nn.sigmoid(theta) * data.candidates for theta in thetas if theta is not None]
    rho_l1 = 3e-3 if config.rho_l1 is None else config.rho_l1
    total = rho_l1 * jnp.sum(jnp.stack(rho)) / num_events
    if params.rules is not None:
        of_rules = rule_strengths(with_atoms(params, data).rules, data.candidates)
        total = (
            total + rho_l1 * (jnp.sum(of_rules.strength) + jnp.sum(of_rules.unless)) / num_events
        )
    if params.presence_scale is not None:
        moved = jnp.sum(params.presence_scale**2) + jnp.sum(params.presence_center**2)
        total = total + config.calibration_pull * moved / num_events
    if data.written is not None:
        total = total + data.prior_weight * distance_from_written(params, data, config) / num_events
    return total


def _same_atoms(rules: Rules, others: Rules | None) -> bool:
    return others is not None and all(
        np.array_equal(getattr(rules, name), getattr(others, name)) for name in ("atoms", "unless")
    )
