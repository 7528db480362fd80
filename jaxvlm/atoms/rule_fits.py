"""Which rules come back when roles are learned again from other samples of the same videos."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms import training
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.rules import Rules
from jaxvlm.atoms.short_training import start_run, take, train_short


def refit_rules(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    fits: int = 10,
    seed: int = 0,
) -> list[Rules]:
    """The rules of as many trainings, each of a bootstrap sample of the videos and another seed.

    Short trainings, see `short_training.SHORT_EPOCHS`. Arguments and errors as of
    `train_roles`; the config says its form and its prior's weight. No fits, or a form without
    rules and no written ones: an empty list.
    """
    packed = training.pack(videos, labels, config=config, candidates=candidates, prior=prior)
    if not fits or config.reference or (config.form == "product" and packed.rules is None):
        return []
    samples = np.random.default_rng(seed).integers(len(videos), size=(fits, len(videos)))
    runs = [
        start_run(take(packed, np.sort(sample)), config, seed=seed + 1 + n)
        for n, sample in enumerate(samples)
    ]
    return [
        jax.tree.map(
            np.asarray,
            run.data.rules._replace(
                theta=run.params.rules.theta, theta_unless=run.params.rules.theta_unless
            ),
        )
        for run in train_short(runs, config)
    ]
