"""Learning roles from video-level labels: which atoms, alone or in pairs, mean which event."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jax.sharding import Mesh
from jax.typing import ArrayLike

from jaxvlm import parallel
from jaxvlm.atoms.role_choice import choose
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.training import initial_state, prepare, role_params, train_epoch


def train_roles(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig | None = None,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    init: RoleParams | None = None,
    seed: int = 0,
    mesh: Mesh | None = None,
) -> RoleParams:
    """Learns role parameters from videos and video-level labels.

    Minimises BCE(S_e, y_e) + rho_l1·Σ_c ρ_ce, the mean over videos and events,
    + calibration_pull·Σ_c (log² s_c + m_c²)/E with s and m in units of each atom's own spread,
    + prior_weight·`distance_from_written`/E, with Adam; S_e is `pool_video` of P(e|u). Same data,
    seed and order give the same parameters bit for bit. To save and resume, use `prepare`,
    `initial_state`, `train_epochs` and `role_params`, as this function does.

    Args:
      videos: N arrays [T_n, C] of p̄, finite.
      labels: [N, E] 0/1.
      config: None: RoleConfig().
      candidates: [C, E] 0/1; None: every atom is a candidate for every event.
      prior: direct, indirect and counter strengths [C, E] in [0, 1], and perhaps `Rules`: what a
        person wrote. The training starts and stays the nearer to it the larger prior_weight is.
      init: where to start; None: as `config.start` says, and b at each event's base rate, moved
        towards the prior.
      seed: of the order of videos, and of the noise of an equal start.
      mesh: devices over whose ``data`` axis the videos of a step are split; every process has all
        videos. None: one device.

    Raises:
      InputError: as `pack_videos`.
      ValueError: `init` is of other shapes than the data, or has other rules.

    Source: docs/mathematics.md, Training.
    """
    asked = RoleConfig() if config is None else config
    sides = {"candidates": candidates, "prior": prior}
    config, effects = choose(videos, labels, config=asked, seed=seed, **sides)
    data = prepare(videos, labels, config=config, effects=effects, **sides)
    config = dataclasses.replace(config, prior_weight=None)  # data has it: no program for each
    state = initial_state(data, config, seed=seed, init=init)
    state, data = parallel.replicate((state, data), mesh)
    while state.epoch < config.epochs:
        state, _ = train_epoch(state, data, config, mesh)
    return role_params(state, data, config)
