"""δ and κ of the boundary, learned from video labels while the roles stand still."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from jaxvlm.atoms.boundary import boundary_probability, divergence
from jaxvlm.atoms.pooling import pool_log_complement
from jaxvlm.atoms.roles import RoleParams, event_logits
from jaxvlm.atoms.segments import segment_presence
from jaxvlm.atoms.training_data import pack_videos

_LARGEST_LOG_ABSENT = -1e-6  # keeps log(1 − exp(·)) finite for a video without any evidence


class BoundaryParams(NamedTuple):
    """b = σ(κ(d − δ)): the threshold δ and the steepness κ > 0, scalars."""

    delta: ArrayLike
    kappa: ArrayLike


PROTOTYPE = BoundaryParams(0.6, 8.0)


def learn_boundary(
    presences: Sequence[ArrayLike],
    labels: ArrayLike,
    roles: RoleParams,
    *,
    start: BoundaryParams = PROTOTYPE,
    candidates: ArrayLike | None = None,
    window: int = 20,
    weighting: str = "running_mean",
    normalize: bool = True,
    survival_floor: float = 0.0,
    topk: int = 10,
    temperature: float = 2.0,
    steps: int = 60,
    learning_rate: float = 0.05,
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
      window, weighting, normalize, survival_floor: of `segment_presence`.
      topk, temperature: as the roles were trained with.
      steps, learning_rate: of Adam.

    Returns:
      The learned δ and κ.

    Raises:
      InputError: as `pack_videos`.

    Source: DESIGN §3, Boundary ("learned with κ").
    """
    data = pack_videos(presences, labels, calibrate=False, candidates=candidates)
    segments = functools.partial(
        segment_presence,
        window=window,
        weighting=weighting,
        normalize=normalize,
        survival_floor=survival_floor,
    )

    def video_loss(boundary: BoundaryParams, presence, mask, label) -> jax.Array:
        b = boundary_probability(divergence(presence), delta=boundary.delta, kappa=boundary.kappa)
        logits = event_logits(
            roles, segments(presence, b), candidates=candidates, temperature=temperature
        )
        log_absent = pool_log_complement(logits, k=topk, mask=mask)
        log_absent = jnp.minimum(log_absent, _LARGEST_LOG_ABSENT)
        return jnp.mean(-label * jnp.log(-jnp.expm1(log_absent)) - (1 - label) * log_absent)

    def loss(free: tuple[jax.Array, jax.Array]) -> jax.Array:
        boundary = BoundaryParams(free[0], jnp.exp(free[1]))
        one = jax.checkpoint(functools.partial(video_loss, boundary))
        each = jax.lax.map(lambda video: one(*video), (data.presence, data.mask, data.labels))
        return jnp.mean(each)

    optimizer = optax.adam(learning_rate)
    free = (jnp.asarray(start.delta, jnp.float32), jnp.log(jnp.asarray(start.kappa, jnp.float32)))

    @jax.jit
    def descend(free: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        def step(carry: tuple, _: None) -> tuple[tuple, None]:
            values, opt_state = carry
            updates, opt_state = optimizer.update(jax.grad(loss)(values), opt_state, values)
            return (optax.apply_updates(values, updates), opt_state), None

        return jax.lax.scan(step, (free, optimizer.init(free)), None, length=steps)[0][0]

    delta, log_kappa = descend(free)
    return BoundaryParams(delta, jnp.exp(log_kappa))
