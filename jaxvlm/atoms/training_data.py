"""What role learning trains on, where it starts, and the coordinates that it moves in."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxvlm.atoms.descent import minimise
from jaxvlm.atoms.members import few_members, logits_of_members
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams, Strengths
from jaxvlm.errors import InputError

# An atom's presence is calibrated to run from σ(−4) = 0.02 at its low quantile to σ(4) = 0.98 at
# its high one. The high quantile lies far out because most atoms are rare.
_LOW_QUANTILE = 0.05
_HIGH_QUANTILE = 0.995
_SPREAD = 8.0
_SMALLEST_SPREAD = 1e-3
_INITIAL_THETA = -2.0  # ρ = 0.12: small enough for clutter, large enough for a gradient in I
_INITIAL_NOISE = 0.1
_PROTOTYPE_THETA = -3.8918202  # ρ = 0.02
_PROTOTYPE_THETA_INDIRECT = -4.5951199  # ρ = 0.01
_PROTOTYPE_THETA_COUNTER = -1.3862944  # ρ = 0.2
_PROTOTYPE_BIAS = -2.944439  # P = 0.05
_LINEAR_RANGE = (0.05, 0.9)  # ρ of an atom without effect, and of the one with the largest
_LINEAR_GAMMA = (0.1, 0.1, -2.0, -1.0)  # D and I as alternatives: both enter through C
_LINEAR_STEPS = 200
_LINEAR_RATE = 0.05
_LINEAR_L2 = 1e-2
_SMALLEST_RATE = 1e-3  # of an event no video, or every video, shows
_SMALLEST_GAMMA = 1e-3
_SMALLEST_STD = 1e-6
_LARGEST_BIAS = 64.0
_BISECTIONS = 40


class TrainingData(NamedTuple):
    """Padded videos. With calibration, presence is stored as scale·(p̄ − center).

    members: see `members.few_members`.
    """

    presence: jax.Array  # [N, T, C]
    mask: jax.Array  # [N, T], 1 for a frame, 0 for padding
    labels: jax.Array  # [N, E], 0 or 1
    candidates: jax.Array  # [C, E], 0 or 1
    scale: jax.Array  # [C]
    center: jax.Array  # [C]
    prior: Strengths | None  # [C, E] each, hand-written strengths in [0, 1]
    members: jax.Array | None = None  # [E, M]


def pack_videos(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    calibrate: bool,
    candidates: ArrayLike | None = None,
    prior: Sequence[ArrayLike] | None = None,
    names: Sequence[str] | None = None,
) -> TrainingData:
    """Checks and pads videos; every check a user's files can fail is here.

    Args:
      videos: N arrays [T_n, C] of p̄.
      labels: [N, E] 0/1.
      calibrate: start each atom's calibration from its own midpoint and spread over all frames.
      candidates: [C, E] 0/1; None: all.
      prior: direct, indirect and counter strengths [C, E] in [0, 1], or None.
      names: what the videos are called in error messages; None: "video 0", "video 1", ….

    Raises:
      InputError: no videos, an empty one, different atom counts, NaN or infinity, labels that are
        no 0/1, shapes that do not fit.
    """
    names = [f"video {n}" for n in range(len(videos))] if names is None else list(names)
    arrays = [np.asarray(video, np.float32) for video in videos]
    labels = np.asarray(labels, np.float32)
    _check_videos(arrays, names)
    _check_labels(labels, len(arrays))
    num_atoms, num_events = arrays[0].shape[1], labels.shape[1]
    if candidates is None:
        candidates = np.ones((num_atoms, num_events))
    candidates = _strength_table("candidates", candidates, (num_atoms, num_events))
    if prior is not None:
        shape = (num_atoms, num_events)
        prior = Strengths(*(_strength_table("prior", table, shape) for table in prior))

    scale, center = np.ones(num_atoms, np.float32), np.zeros(num_atoms, np.float32)
    if calibrate:
        low, high = np.quantile(np.concatenate(arrays), [_LOW_QUANTILE, _HIGH_QUANTILE], axis=0)
        center = ((low + high) / 2.0).astype(np.float32)
        scale = (_SPREAD / np.maximum(high - low, _SMALLEST_SPREAD)).astype(np.float32)
    longest = max(len(array) for array in arrays)
    presence = np.zeros((len(arrays), longest, num_atoms), np.float32)
    mask = np.zeros((len(arrays), longest), np.float32)
    for n, array in enumerate(arrays):
        presence[n, : len(array)] = scale * (array - center)
        mask[n, : len(array)] = 1.0
    members = few_members(candidates)
    data = TrainingData(presence, mask, labels, candidates, scale, center, prior, members)
    return jax.tree.map(jnp.asarray, data)


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
        cost = functools.partial(video_cross_entropy, k=config.topk, cooled=config.cooled)
        bce = jax.vmap(lambda z, y, mask: cost(z, y, mask=mask))(logits, data.labels, data.mask)
        return jnp.sum(jnp.mean(bce, axis=0)) + _LINEAR_L2 * jnp.sum(weights**2)

    start = (jnp.zeros(data.candidates.shape), jnp.log(frame_rate) - jnp.log1p(-frame_rate))
    falling = optax.cosine_decay_schedule(_LINEAR_RATE, _LINEAR_STEPS)
    weights, _ = minimise(objective, start, steps=_LINEAR_STEPS, rate=falling)
    full = jnp.max(jnp.where(mask > 0, scores, -jnp.inf), axis=(0, 1))
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
    sides = {"candidates": data.candidates, "members": data.members}
    return logits_of_members(params, presence, **sides, temperature=config.temperature)


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


def _check_videos(arrays: Sequence[np.ndarray], names: Sequence[str]) -> None:
    if not arrays:
        raise InputError("train_roles: there are no videos to learn from; add runs")
    for array, name in zip(arrays, names, strict=True):
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(f"{name}: presence has shape {array.shape}; give [frames, atoms] ≥ 1")
        if array.shape[1] != arrays[0].shape[1]:
            raise InputError(
                f"{name}: {array.shape[1]} atoms, but {names[0]} has {arrays[0].shape[1]}; "
                "make all runs with one ontology"
            )
        bad = int(np.count_nonzero(~np.isfinite(array).all(axis=1)))
        if bad:
            raise InputError(
                f"{name}: presence holds NaN or infinity in {bad} of {len(array)} frames; "
                "make the run again"
            )


def _check_labels(labels: np.ndarray, num_videos: int) -> None:
    if labels.ndim != 2 or labels.shape[0] != num_videos or labels.shape[1] == 0:
        raise InputError(
            f"labels: shape {labels.shape} does not fit {num_videos} videos; give [videos, events]"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError("labels: a value is neither 0 nor 1; correct the label table")


def _strength_table(name: str, table: ArrayLike, shape: tuple[int, int]) -> np.ndarray:
    table = np.asarray(table, np.float32)
    if table.shape != shape:
        raise InputError(f"{name}: shape {table.shape}, expected {shape}; give [atoms, events]")
    if not ((table >= 0.0) & (table <= 1.0)).all():
        raise InputError(f"{name}: a value is outside [0, 1]; correct it")
    return table
