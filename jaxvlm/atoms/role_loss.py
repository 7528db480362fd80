"""The loss of role learning: cross-entropy of the videos' labels, and what pulls."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxvlm.atoms.pooling import pool_video, strongest_frames, video_cross_entropy
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams, event_probability
from jaxvlm.atoms.rules import rule_strengths
from jaxvlm.atoms.training_data import TrainingData, batch_logits, constrain, with_atoms
from jaxvlm.atoms.written_roles import distance_from_written


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


def rho_l1_of(config: RoleConfig) -> ArrayLike:
    """The pull on the strengths that takes effect."""
    if config.rho_l1 is None:
        return 0.0 if config.reference else 3e-3
    return config.rho_l1


def _cross_entropy(
    params: RoleParams,
    data: TrainingData,
    index: jax.Array,
    labels: jax.Array,
    config: RoleConfig,
) -> jax.Array:
    """[B, E] of videos `index`; only the frames that count are differentiated."""
    presence, mask = data.presence[index], data.mask[index]
    known = jax.lax.stop_gradient(batch_logits(params, data, presence, config))
    frames = strongest_frames(known, k=config.topk, mask=mask)
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
        total = rho_l1_of(config) * sum(jnp.mean(jnp.abs(theta)) for theta in thetas)
        if data.prior is not None:
            pull = optax.sigmoid_binary_cross_entropy(thetas[0], data.prior.direct)
            total = total + data.prior_weight * jnp.mean(pull)
        return total
    num_events = data.labels.shape[1]
    rho = [jax.nn.sigmoid(theta) * data.candidates for theta in thetas if theta is not None]
    rho_l1 = rho_l1_of(config)
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
