"""What role learning trains on, and the coordinates that it moves in."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms.members import few_members, logits_of_frames, logits_of_members
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import ROLES, RoleParams, Strengths
from jaxvlm.atoms.rules import Rules, check_rules, rule_strengths
from jaxvlm.errors import InputError

# An atom's presence is calibrated to run from σ(−4) = 0.02 at its low quantile to σ(4) = 0.98 at
# its high one. The high quantile lies far out because most atoms are rare.
_LOW_QUANTILE = 0.05
_HIGH_QUANTILE = 0.995
_SPREAD = 8.0
_SMALLEST_SPREAD = 1e-3
_SMALLEST_GAMMA = 1e-3
WEIGHTS = ("gamma_direct", "gamma_indirect", "gamma_counter", "gamma_explicit", "bias")
NO_STRENGTH = -30.0  # θ of a role that takes no part: ρ = 1e-13


class TrainingData(NamedTuple):
    """Padded videos. With calibration, presence is stored as scale·(p̄ − center).

    members: see `members.few_members`. rules: the rules that there may be, and where they start;
    `rule_start.with_rules` adds those that the labels suggest.
    """

    presence: jax.Array  # [N, T, C]
    mask: jax.Array  # [N, T], 1 for a frame, 0 for padding
    labels: jax.Array  # [N, E], 0 or 1
    candidates: jax.Array  # [C, E], 0 or 1
    scale: jax.Array  # [C]
    center: jax.Array  # [C]
    prior: Strengths | None  # hand-written strengths in [0, 1]
    members: jax.Array | None = None  # [E, M]
    rules: Rules | None = None
    prior_weight: ArrayLike = 0.0  # see `RoleConfig.prior_weight`
    start: Strengths | None = None  # ρ that go with these rules at the start; ρⁱ None: no ρ_i ρ_j
    written: RoleParams | None = None  # the roles of `prior` as they are used without training


def videos_alone(data: TrainingData) -> TrainingData:
    """The data without rules, start and prior: what does not read these is compiled once for all
    that there may be."""
    return TrainingData(*data[:6], prior=None, members=data.members)


def pack_videos(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    calibrate: bool,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    multiple: int = 1,
) -> TrainingData:
    """Checks and pads videos; every check a user's files can fail is here.

    Args:
      videos: N arrays [T_n, C] of p̄.
      labels: [N, E] 0/1.
      calibrate: start each atom's calibration from its own midpoint and spread over all frames.
      candidates: [C, E] 0/1; None: all.
      prior: direct, indirect and counter strengths [C, E] in [0, 1], and perhaps `Rules` of E
        events, written by hand; or None.
      names: what the videos are called in error messages; None: "video 0", "video 1", ….
      multiple: what their padded length is one of.

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
    rules = None
    if prior is not None:
        *tables, rules = prior if len(prior) > len(ROLES) else (*prior, None)
        check_rules("pack_videos", rules, num_events)
        shape = (num_atoms, num_events)
        of_rules = None if rules is None else rule_strengths(rules, candidates)
        prior = Strengths(*(_strength_table("prior", table, shape) for table in tables), of_rules)

    scale, center = np.ones(num_atoms, np.float32), np.zeros(num_atoms, np.float32)
    if calibrate:
        low, high = np.quantile(np.concatenate(arrays), [_LOW_QUANTILE, _HIGH_QUANTILE], axis=0)
        center = ((low + high) / 2.0).astype(np.float32)
        scale = (_SPREAD / np.maximum(high - low, _SMALLEST_SPREAD)).astype(np.float32)
    longest = -(-max(map(len, arrays)) // multiple) * multiple
    presence = np.zeros((len(arrays), longest, num_atoms), np.float32)
    mask = np.zeros((len(arrays), longest), np.float32)
    for n, array in enumerate(arrays):
        presence[n, : len(array)] = scale * (array - center)
        mask[n, : len(array)] = 1.0
    members = few_members(candidates)
    data = TrainingData(presence, mask, labels, candidates, scale, center, prior, members, rules)
    return jax.device_put(data)


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

    Rules without their atoms, which do not move; roles without ρⁱ where pairs are rules.
    Parts that the config has on and `params` lacks start as in `role_start.default_start`. A γ of
    the wrong sign, or 0, starts at the smallest magnitude of the right one.
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
    rules = data.rules if params.rules is None else params.rules
    only_rules = data.start is not None and data.start.indirect is None
    params = params._replace(
        theta_indirect=None if only_rules else params.theta_indirect,
        rules=None if data.rules is None else rules._replace(atoms=None, unless=None),
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


def batch_logits(
    params: RoleParams,
    data: TrainingData,
    presence: jax.Array,
    config: RoleConfig,
    frames: jax.Array | None = None,
) -> jax.Array:
    """Logits [B, T, E] of presences [B, T, C]; [B, K, E] of each event's own frames [B, E, K]."""
    sides = {"candidates": data.candidates, "members": data.members}
    if params.rules is not None:
        params = params._replace(rules=_with_atoms(params.rules, data))
    if frames is not None:
        return logits_of_frames(params, presence, frames, **sides, temperature=config.temperature)
    return logits_of_members(params, presence, **sides, temperature=config.temperature)


def with_atoms(params: RoleParams, data: TrainingData) -> RoleParams:
    """The parameters with what `unconstrain` left out of them."""
    if params.theta_indirect is None:
        none = jnp.full_like(params.theta_direct, NO_STRENGTH)
        params = params._replace(theta_indirect=none)
    if params.rules is None:
        return params
    return params._replace(rules=_with_atoms(params.rules, data))


def without_idle_pairs(params: RoleParams) -> RoleParams:
    """The same logits, without the pairs ρ_i ρ_j where `with_atoms` put ρⁱ that take no part.

    Their exponent is below 1e-20, which no float32 of a logit shows, and costs as much as the
    others together.
    """
    if params.rules is None or np.max(params.theta_indirect, initial=NO_STRENGTH) > NO_STRENGTH:
        return params
    return params._replace(theta_indirect=None)


def _with_atoms(rules: Rules, data: TrainingData) -> Rules:
    return rules._replace(atoms=data.rules.atoms, unless=data.rules.unless)


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
