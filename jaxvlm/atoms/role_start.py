"""Where the roles of a training start."""

import functools

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxvlm.atoms.descent import minimise
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.role_config import RoleConfig, compiled_for
from jaxvlm.atoms.roles import RoleParams, Strengths
from jaxvlm.atoms.training_data import (
    TrainingData,
    batch_logits,
    constrain,
    unconstrain,
    videos_alone,
)

_INITIAL_THETA = -2.0  # ρ = 0.12: small enough for clutter, large enough for a gradient in I
_INITIAL_NOISE = 0.1
_PROTOTYPE_THETA = -3.8918202  # ρ = 0.02
_PROTOTYPE_THETA_INDIRECT = -4.5951199  # ρ = 0.01
_PROTOTYPE_THETA_COUNTER = -1.3862944  # ρ = 0.2
_PROTOTYPE_BIAS = -2.944439  # P = 0.05
_RANGE = (0.01, 0.9)  # ρ of an atom without effect, and of the one with the largest
_LINEAR_GAMMA = (0.1, 0.1, -2.0, -1.0)  # D and I as alternatives: both enter through C
_LINEAR_STEPS = 200
_LINEAR_RATE = 0.05
_LINEAR_L2 = 1e-2
_SMALLEST_RATE = 1e-3  # of an event no video, or every video, shows
_SMALLEST_STD = 1e-6
_LARGEST_BIAS = 64.0
_BISECTIONS = 40


def default_start(data: TrainingData, config: RoleConfig, key: jax.Array) -> RoleParams:
    """Strengths as `config.start` says, γ to match, b = 0; unconstrained.

    equal: ρ = 0.12 with a little noise, γ = (1, 1, −1, −1). linear: with w the effects of
    `linear_effects`, ρᵈ = ρⁱ = 0.01 + 0.89 w⁺/max w⁺ and ρᶜ the same of w⁻, per event;
    γ = (0.1, 0.1, −2, −1).
    """
    num_atoms, num_events = data.candidates.shape
    if data.start is not None or config.start == "linear":
        start = data.start or roles_of_effects(linear_effects(data, config))
        thetas = (None if rho is None else start_theta(rho) for rho in start[:3])
        *gammas, explicit = (jnp.full(num_events, gamma) for gamma in _LINEAR_GAMMA)
        params = RoleParams(*thetas, *gammas, jnp.zeros(num_events), gamma_explicit=explicit)
        return unconstrain(params, data, config)
    noise = jax.random.normal(key, (3, num_atoms, num_events))
    ones = jnp.ones(num_events)
    params = RoleParams(
        *(_INITIAL_THETA + _INITIAL_NOISE * noise),
        gamma_direct=ones,
        gamma_indirect=ones,
        gamma_counter=-ones,
        bias=jnp.zeros(num_events),
    )
    return unconstrain(params, data, config)


def linear_effects(data: TrainingData, config: RoleConfig) -> jax.Array:
    """What full presence of an atom adds to the logit in a linear model of the labels, [C, E].

    Fits logit P(e|u) = Σ_c w_ce z_c(u) + b_e on z-scores over the training frames, pooled as the
    roles are, with an L2 pull on w; full presence is the atom's largest z less its mean. An atom
    that is no candidate has 0.
    """
    return _linear_effects(videos_alone(data), topk=config.topk, cooled=config.cooled)


@functools.partial(jax.jit, static_argnames=("topk", "cooled"))
def _linear_effects(data: TrainingData, *, topk: int, cooled: bool) -> jax.Array:
    scores, _, _ = standardised(data.presence, data.mask)

    def objective(params: tuple[jax.Array, jax.Array]) -> jax.Array:
        weights, bias = params
        logits = scores @ (weights * data.candidates) + bias
        cost = functools.partial(video_cross_entropy, k=topk, cooled=cooled)
        bce = jax.vmap(lambda z, y, mask: cost(z, y, mask=mask))(logits, data.labels, data.mask)
        return jnp.sum(jnp.mean(bce, axis=0)) + _LINEAR_L2 * jnp.sum(weights**2)

    start = (jnp.zeros(data.candidates.shape), first_bias(data.labels, topk))
    falling = optax.cosine_decay_schedule(_LINEAR_RATE, _LINEAR_STEPS)
    weights, _ = minimise(objective, start, steps=_LINEAR_STEPS, rate=falling)
    full = jnp.max(jnp.where(data.mask[..., None] > 0, scores, -jnp.inf), axis=(0, 1))
    return weights * data.candidates * full[:, None]


def prototype_start(data: TrainingData) -> RoleParams:
    """The prototype's start: ρ = 0.02, 0.01 and 0.2, γ = 0, b = logit 0.05."""
    shape = data.candidates.shape
    zeros = jnp.zeros(shape[1])
    return RoleParams(
        jnp.full(shape, _PROTOTYPE_THETA),
        jnp.full(shape, _PROTOTYPE_THETA_INDIRECT),
        jnp.full(shape, _PROTOTYPE_THETA_COUNTER),
        gamma_direct=zeros,
        gamma_indirect=zeros,
        gamma_counter=zeros,
        bias=jnp.full(shape[1], _PROTOTYPE_BIAS),
    )


def balance_bias(params: RoleParams, data: TrainingData, config: RoleConfig) -> RoleParams:
    """Sets b so that the mean of S_e over the videos equals each event's base rate.

    b shifts all logits of an event alike, so the top k frames stay the same and bisection on
    mean S_e(b), which grows with b, finds it.
    """
    with_rules = videos_alone(data)._replace(rules=data.rules)
    return _balance_bias(params, with_rules, compiled_for(config))


@functools.partial(jax.jit, static_argnames=("config",))
def _balance_bias(params: RoleParams, data: TrainingData, config: RoleConfig) -> RoleParams:
    constrained = constrain(params._replace(bias=jnp.zeros_like(params.bias)), config)
    k = min(config.topk, data.presence.shape[1])

    def top_logits(video: tuple[jax.Array, jax.Array]) -> jax.Array:
        presence, mask = video
        logits = batch_logits(constrained, data, presence[None], config)[0]
        return jax.lax.top_k(jnp.where(mask[:, None] > 0, logits, -jnp.inf).T, k)[0]

    top = jax.lax.map(top_logits, (data.presence, data.mask), batch_size=config.batch_size)
    rate = base_rate(data.labels)

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2.0
        log_absent = -jnp.sum(jax.nn.softplus(top + middle[:, None]), axis=-1)
        below = jnp.mean(-jnp.expm1(log_absent), axis=0) < rate
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    bounds = (jnp.full_like(rate, -_LARGEST_BIAS), jnp.full_like(rate, _LARGEST_BIAS))
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, bounds)
    return params._replace(bias=(low + high) / 2.0)


def roles_of_effects(effects: jax.Array) -> Strengths:
    """w⁺/max w⁺ of an event as direct and as indirect, the same of w⁻ as counter, [C, E]."""

    def share(values: jax.Array) -> jax.Array:
        positive = jnp.maximum(values, 0.0)
        return positive / jnp.maximum(jnp.max(positive, axis=0), _SMALLEST_STD)

    return Strengths(share(effects), share(effects), share(-effects))


def start_theta(share: ArrayLike) -> jax.Array:
    """θ of the strength ρ = 0.01 + 0.89·share."""
    low, high = _RANGE
    rho = low + (high - low) * jnp.asarray(share)
    return jnp.log(rho) - jnp.log1p(-rho)


def standardised(x: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """z-scores [N, T, C] of x over all frames, 0 for padding, and the mean and std [C]."""
    mask = mask[..., None]
    count = jnp.sum(mask)
    mean = jnp.sum(x * mask, axis=(0, 1)) / count
    variance = jnp.sum((x - mean) ** 2 * mask, axis=(0, 1)) / count
    std = jnp.maximum(jnp.sqrt(variance), _SMALLEST_STD)
    return (x - mean) / std * mask, mean, std


def base_rate(labels: jax.Array) -> jax.Array:
    """The share of videos with each event [E], kept from 0 and 1."""
    return jnp.clip(jnp.mean(labels, axis=0), _SMALLEST_RATE, 1.0 - _SMALLEST_RATE)


def first_bias(labels: jax.Array, k: int) -> jax.Array:
    """logit of the P [E] at which the noisy-OR of k frames gives each event its base rate."""
    frame_rate = -jnp.expm1(jnp.log1p(-base_rate(labels)) / k)
    return jnp.log(frame_rate) - jnp.log1p(-frame_rate)
