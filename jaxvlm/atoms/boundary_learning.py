"""δ and κ of the boundary, learned from video labels while the roles stand still."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.descent import minimise
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams, check_roles, event_logits
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.atoms.training_data import TrainingData, pack_videos

_RATE = 0.05  # of Adam


class BoundaryParams(NamedTuple):
    """b = σ(κ(d − δ)): the threshold δ and the steepness κ > 0, scalars."""

    delta: ArrayLike
    kappa: ArrayLike


PROTOTYPE = BoundaryParams(0.6, 8.0)


class SegmentSettings(NamedTuple):
    """How p̄ is formed; the keyword arguments of `segment_presence`."""

    window: int = 20
    weighting: str = "running_mean"
    normalize: bool = True
    survival_floor: float = 0.0


def learn_boundary(
    presences: Sequence[ArrayLike],
    labels: ArrayLike,
    roles: RoleParams,
    *,
    start: BoundaryParams = PROTOTYPE,
    candidates: ArrayLike | None = None,
    segments: SegmentSettings | None = None,
    config: RoleConfig | None = None,
    steps: int = 60,
) -> BoundaryParams:
    """Minimises BCE(S_e, y_e) over δ and log κ by Adam on all videos at once.

    S_e = pool_video(P(e|u; p̄(δ, κ))): the roles' loss, seen as a function of the boundary. Training
    alternates: roles on the p̄ of the last boundary, then this.

    Args:
      presences: N arrays [T_n, C] of frame presence p (not p̄).
      labels: [N, E] 0/1.
      roles: held fixed.
      start: where δ and κ begin.
      candidates: [C, E] 0/1, as the roles were trained with.
      segments: how p̄ is formed; None: the defaults.
      config: what the roles were trained with, of which topk, cooled, temperature and reference
        count here; None: RoleConfig().
      steps: of Adam.

    Returns:
      The learned δ and κ.

    Raises:
      InputError: as `pack_videos`.
      ValueError: roles of other shapes than the videos, or a start that is no two numbers.

    Source: docs/mathematics.md, Boundaries and segments.
    """
    data = pack_videos(presences, labels, calibrate=False, candidates=candidates)
    check_roles("learn_boundary", roles, candidates=data.candidates)
    check_shapes("learn_boundary", delta=(start.delta, ""), kappa=(start.kappa, ""))
    free = (jnp.asarray(start.delta, jnp.float32), jnp.log(jnp.asarray(start.kappa, jnp.float32)))
    segments = SegmentSettings() if segments is None else segments
    config = RoleConfig() if config is None else config
    delta, log_kappa = _descend(free, data, roles, segments=segments, config=config, steps=steps)
    return BoundaryParams(delta, jnp.exp(log_kappa))


@functools.partial(jax.jit, static_argnames=("segments", "config", "steps"))
def _descend(
    free: tuple[jax.Array, jax.Array],
    data: TrainingData,
    roles: RoleParams,
    *,
    segments: SegmentSettings,
    config: RoleConfig,
    steps: int,
) -> tuple[jax.Array, jax.Array]:
    """δ and log κ after the steps."""

    def video_loss(boundary: BoundaryParams, presence, mask, label) -> jax.Array:
        b = boundary_probability(divergence(presence), delta=boundary.delta, kappa=boundary.kappa)
        logits = event_logits(
            roles,
            segment_presence(presence, b, **segments._asdict()),
            candidates=data.candidates,
            temperature=config.temperature,
            reference=config.reference,
        )
        cost = video_cross_entropy(logits, label, k=config.topk, mask=mask, cooled=config.cooled)
        return jnp.mean(cost)

    def loss(free: tuple[jax.Array, jax.Array]) -> jax.Array:
        boundary = BoundaryParams(free[0], jnp.exp(free[1]))
        one = jax.checkpoint(functools.partial(video_loss, boundary))
        each = jax.lax.map(lambda video: one(*video), (data.presence, data.mask, data.labels))
        return jnp.mean(each)

    return minimise(loss, free, steps=steps, rate=_RATE)
