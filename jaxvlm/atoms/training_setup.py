"""Where role learning starts, and the unconstrained coordinates it moves in."""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from jaxvlm.atoms.pooling import pool_log_complement
from jaxvlm.atoms.roles import RoleParams, event_logits
from jaxvlm.atoms.training_data import TrainingData

_INITIAL_THETA = -2.0  # ρ = 0.12: small enough for clutter, large enough for a gradient in I
_INITIAL_NOISE = 0.1
_PROTOTYPE_THETA = -3.8918202  # ρ = 0.02
_PROTOTYPE_THETA_COUNTER = -1.3862944  # ρ = 0.2
_PROTOTYPE_BIAS = -2.944439  # P = 0.05
_LINEAR_RANGE = (0.05, 0.9)  # ρ of an atom without effect, and of the one with the largest
_LINEAR_GAMMA = (0.1, 0.1, -2.0, -1.0)  # D and I as alternatives: both enter through C
_LINEAR_STEPS = 200
_LINEAR_RATE = 0.05
_LINEAR_L2 = 1e-2
_LARGEST_LOG_COMPLEMENT = -1e-6  # as in training: log S stays finite
_SMALLEST_RATE = 1e-3  # of an event no video, or every video, shows
_SMALLEST_GAMMA = 1e-3
_SMALLEST_STD = 1e-6
_LARGEST_BIAS = 64.0
_BISECTIONS = 40


@dataclasses.dataclass(frozen=True)
class RoleConfig:
    """How roles are learned. Hashable, so that it can be static under jit."""

    epochs: int = 60
    batch_size: int = 16  # videos per step
    learning_rate: float = 3e-2  # of the first step; falls to 0 along a cosine
    topk: int = 10  # frames that count in a video's probability
    cooled: bool = False
    temperature: float = 2.0
    # Where the strengths start. "linear": from the weights of a linear model of the same labels; a
    # rare direct atom that starts like all others is pulled to 0 before its counter is known.
    # "equal": all alike but for noise.
    start: Literal["linear", "equal"] = "linear"
    rho_l1: float | None = None  # pull on the strengths; None: 3e-3, or 0 in reference mode
    # Pull of each atom's calibration towards the atom's own midpoint and spread. At 0 it fits the
    # training videos better than the true roles do.
    calibration_pull: float = 3e-3
    prior_weight: float = 1e-3  # pull towards hand-written strengths, if there are any
    freeze_bias_epochs: int = 5  # epochs in which γ and b stand still
    counter: Literal["explicit", "absence"] = "explicit"  # K beside C, or C alone
    signed: bool = True  # γ_direct, γ_indirect ≥ 0 and γ_counter, γ_explicit ≤ 0
    calibrate: bool = True  # learn σ(s_c (p̄_c − m_c))
    # The prototype's training: one video per step, in order, at a constant rate; its arithmetic and
    # its start; |θ| instead of ρ under `rho_l1`. Overrides batch_size, temperature, counter, signed
    # and calibrate.
    reference: bool = False


def constrain(params: RoleParams, config: RoleConfig) -> RoleParams:
    """Unconstrained parameters -> values that take effect on `TrainingData.presence`.

    Signed: γ_direct, γ_indirect = softplus(·), γ_counter, γ_explicit = −softplus(·).
    Calibration: scale = exp(·), center as it is, both in units of the data's own.
    """
    if params.presence_scale is not None:
        params = params._replace(presence_scale=jnp.exp(params.presence_scale))
    if not config.signed or config.reference:
        return params
    explicit = params.gamma_explicit
    return params._replace(
        gamma_direct=jax.nn.softplus(params.gamma_direct),
        gamma_indirect=jax.nn.softplus(params.gamma_indirect),
        gamma_counter=-jax.nn.softplus(params.gamma_counter),
        gamma_explicit=None if explicit is None else -jax.nn.softplus(explicit),
    )


def unconstrain(params: RoleParams, data: TrainingData, config: RoleConfig) -> RoleParams:
    """Role parameters -> unconstrained ones for this data; parts the config has off are dropped.

    Parts that the config has on and `params` lacks start as in `default_start`. A γ of the wrong
    sign, or 0, starts at the smallest magnitude of the right one.
    """
    num_atoms, num_events = data.candidates.shape
    explicit = config.counter == "explicit" and not config.reference
    calibrated = config.calibrate and not config.reference
    if params.gamma_explicit is None and explicit:
        params = params._replace(gamma_explicit=-jnp.ones(num_events))
    scale, center = jnp.zeros(num_atoms), jnp.zeros(num_atoms)
    if params.presence_scale is not None:
        scale = jnp.log(params.presence_scale / data.scale)
        center = (params.presence_center - data.center) * data.scale
    params = params._replace(
        gamma_explicit=params.gamma_explicit if explicit else None,
        presence_scale=scale if calibrated else None,
        presence_center=center if calibrated else None,
    )
    if not config.signed or config.reference:
        return params
    return params._replace(
        gamma_direct=_inverse_softplus(params.gamma_direct),
        gamma_indirect=_inverse_softplus(params.gamma_indirect),
        gamma_counter=_inverse_softplus(-params.gamma_counter),
        gamma_explicit=_inverse_softplus(-params.gamma_explicit) if explicit else None,
    )


def default_start(data: TrainingData, config: RoleConfig, key: jax.Array) -> RoleParams:
    """Strengths as `config.start` says, γ to match, b = 0; unconstrained.

    equal: ρ = 0.12 with a little noise, γ = (1, 1, −1, −1). linear: with w the effects of
    `linear_effects`, ρᵈ = ρⁱ = 0.05 + 0.85 w⁺/max w⁺ and ρᶜ the same of w⁻, per event;
    γ = (0.1, 0.1, −2, −1).
    """
    num_atoms, num_events = data.candidates.shape
    if config.start == "linear":
        effects = linear_effects(data, config)
        helps, opposes = _linear_theta(effects), _linear_theta(-effects)
        gammas = (jnp.full(num_events, gamma) for gamma in _LINEAR_GAMMA)
        direct, indirect, counter, explicit = gammas
        params = RoleParams(helps, helps, opposes, direct, indirect, counter, jnp.zeros(num_events))
        return unconstrain(params._replace(gamma_explicit=explicit), data, config)
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


@functools.partial(jax.jit, static_argnames=("config",))
def linear_effects(data: TrainingData, config: RoleConfig) -> jax.Array:
    """What full presence of an atom adds to the logit in a linear model of the labels, [C, E].

    Fits logit P(e|u) = Σ_c w_ce z_c(u) + b_e on z-scores over the training frames, pooled as the
    roles are, with an L2 pull on w; full presence is the atom's largest z less its mean. An atom
    that is no candidate has 0.
    """
    mask = data.mask[..., None]
    count = jnp.sum(mask)
    mean = jnp.sum(data.presence * mask, axis=(0, 1)) / count
    variance = jnp.sum((data.presence - mean) ** 2 * mask, axis=(0, 1)) / count
    std = jnp.maximum(jnp.sqrt(variance), _SMALLEST_STD)
    scores = (data.presence - mean) / std * mask
    rate = jnp.clip(jnp.mean(data.labels, axis=0), _SMALLEST_RATE, 1.0 - _SMALLEST_RATE)
    frame_rate = -jnp.expm1(jnp.log1p(-rate) / config.topk)

    def objective(params: tuple[jax.Array, jax.Array]) -> jax.Array:
        weights, bias = params
        logits = scores @ (weights * data.candidates) + bias
        pool = functools.partial(pool_log_complement, k=config.topk, cooled=config.cooled)
        log_absent = jax.vmap(lambda z, m: pool(z, mask=m))(logits, data.mask)
        log_absent = jnp.minimum(log_absent, _LARGEST_LOG_COMPLEMENT)
        bce = -data.labels * jnp.log(-jnp.expm1(log_absent)) - (1.0 - data.labels) * log_absent
        return jnp.sum(jnp.mean(bce, axis=0)) + _LINEAR_L2 * jnp.sum(weights**2)

    optimizer = optax.adam(optax.cosine_decay_schedule(_LINEAR_RATE, _LINEAR_STEPS))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        params, opt_state = carry
        updates, opt_state = optimizer.update(jax.grad(objective)(params), opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    params = (jnp.zeros(data.candidates.shape), jnp.log(frame_rate) - jnp.log1p(-frame_rate))
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=_LINEAR_STEPS)
    full = jnp.max(jnp.where(mask > 0, scores, -jnp.inf), axis=(0, 1))
    return params[0] * data.candidates * full[:, None]


def prototype_start(data: TrainingData) -> RoleParams:
    """The prototype's start: ρ = 0.02, 0.02 and 0.2, γ = 0, b = logit 0.05."""
    shape = data.candidates.shape
    zeros = jnp.zeros(shape[1])
    return RoleParams(
        jnp.full(shape, _PROTOTYPE_THETA),
        jnp.full(shape, _PROTOTYPE_THETA),
        jnp.full(shape, _PROTOTYPE_THETA_COUNTER),
        gamma_direct=zeros,
        gamma_indirect=zeros,
        gamma_counter=zeros,
        bias=jnp.full(shape[1], _PROTOTYPE_BIAS),
    )


@functools.partial(jax.jit, static_argnames=("config",))
def balance_bias(params: RoleParams, data: TrainingData, config: RoleConfig) -> RoleParams:
    """Sets b so that the mean of S_e over the videos equals each event's base rate.

    b shifts all logits of an event alike, so the top k frames stay the same and bisection on
    mean S_e(b), which grows with b, finds it.
    """
    constrained = constrain(params._replace(bias=jnp.zeros_like(params.bias)), config)
    k = min(config.topk, data.presence.shape[1])

    def top_logits(video: tuple[jax.Array, jax.Array]) -> jax.Array:
        presence, mask = video
        logits = batch_logits(constrained, data, presence[None], config)[0]
        return jax.lax.top_k(jnp.where(mask[:, None] > 0, logits, -jnp.inf).T, k)[0]

    top = jax.lax.map(top_logits, (data.presence, data.mask), batch_size=config.batch_size)
    rate = jnp.clip(jnp.mean(data.labels, axis=0), _SMALLEST_RATE, 1.0 - _SMALLEST_RATE)

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2.0
        log_absent = -jnp.sum(jax.nn.softplus(top + middle[:, None]), axis=-1)
        below = jnp.mean(-jnp.expm1(log_absent), axis=0) < rate
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    bounds = (jnp.full_like(rate, -_LARGEST_BIAS), jnp.full_like(rate, _LARGEST_BIAS))
    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, bounds)
    return params._replace(bias=(low + high) / 2.0)


def batch_logits(
    params: RoleParams, data: TrainingData, presence: jax.Array, config: RoleConfig
) -> jax.Array:
    """Logits [B, T, E] of presences [B, T, C]."""
    logits = functools.partial(
        event_logits, params, candidates=data.candidates, temperature=config.temperature
    )
    return jax.vmap(logits)(presence)


def _linear_theta(effects: jax.Array) -> jax.Array:
    """θ of strengths in proportion to the positive effects of an event, [C, E]."""
    positive = jnp.maximum(effects, 0.0)
    share = positive / jnp.maximum(jnp.max(positive, axis=0), _SMALLEST_STD)
    low, high = _LINEAR_RANGE
    rho = low + (high - low) * share
    return jnp.log(rho) - jnp.log1p(-rho)


def _inverse_softplus(value: jax.Array) -> jax.Array:
    value = jnp.maximum(value, _SMALLEST_GAMMA)
    return value + jnp.log(-jnp.expm1(-value))
