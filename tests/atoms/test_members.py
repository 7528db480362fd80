"""An event's few candidates alone give the logits, and the gradients, of all atoms with a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms.members import few_members
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.roles import RoleParams, event_logits
from jaxvlm.atoms.training_data import batch_logits, pack_videos

C, E, N, T = 12, 3, 4, 7
CANDIDATES = np.zeros((C, E), np.float32)
CANDIDATES[[0, 1, 5, 7], 0] = CANDIDATES[[2, 5], 1] = CANDIDATES[[11], 2] = 1


def params(calibrated, explicit):
    rng = np.random.default_rng(0)
    thetas = rng.normal(size=(3, C, E))
    gammas = rng.uniform(0.5, 1.5, size=(3, E))
    return RoleParams(
        *thetas,
        *gammas,
        bias=rng.normal(size=E),
        gamma_explicit=-np.ones(E) if explicit else None,
        presence_scale=rng.uniform(1, 3, C) if calibrated else None,
        presence_center=rng.uniform(0, 1, C) if calibrated else None,
    )


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("explicit", [True, False])
def test_they_are_those_of_all_atoms_with_a_mask(calibrated, explicit):
    rng = np.random.default_rng(1)
    videos = list(rng.uniform(size=(N, T, C)).astype(np.float32))
    data = pack_videos(videos, np.eye(N, E), calibrate=False, candidates=CANDIDATES)
    np.testing.assert_array_equal(data.members, [[0, 1, 5, 7], [2, 5, -1, -1], [11, -1, -1, -1]])
    config, weights = RoleConfig(), rng.normal(size=(N, T, E))

    def alone(own):
        return jnp.sum(weights * batch_logits(own, data, data.presence, config))

    def masked(own):
        logits = functools.partial(
            event_logits, own, candidates=CANDIDATES, temperature=config.temperature
        )
        return jnp.sum(weights * jax.vmap(logits)(data.presence))

    own = jax.tree.map(jnp.asarray, params(calibrated, explicit))
    found, expected = (jax.value_and_grad(f)(own) for f in (alone, masked))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_where_candidates_are_many_there_are_none():
    assert few_members(np.ones((C, E), np.float32)) is None
    assert few_members(np.zeros((C, E), np.float32)) is None
    half = np.zeros((C, E), np.float32)
    half[: C // 2] = 1
    np.testing.assert_array_equal(few_members(half), [list(range(C // 2))] * E)
