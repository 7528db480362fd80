"""Frames that do not count and pairs that take no part are left out, and change no number."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms import learned_roles, pooling, role_loss, roles, training
from jaxvlm.atoms.rules import Rules
from jaxvlm.atoms.training_data import NO_STRENGTH, batch_logits, constrain, without_idle_pairs
from tests.atoms.role_fixtures import SMALL, small_world

gradient = jax.jit(jax.grad(role_loss.role_loss), static_argnames="config")


@pytest.mark.parametrize("cooled", [False, True])
def test_the_gradient_is_that_of_all_frames(cooled: bool) -> None:
    """Though only the frames that count are differentiated: rules, own atoms and padding."""
    videos, labels = small_world()
    candidates = np.zeros((videos[0].shape[1], labels.shape[1]))
    candidates[:4] = 1.0
    config = dataclasses.replace(SMALL, form="specific", cooled=cooled, topk=2, rho_l1=0.0)
    data = training.prepare(videos, labels, config=config, candidates=candidates)
    state = training.initial_state(data, config)
    index, weight = jnp.arange(3), jnp.ones(3)

    def of_all_frames(params):
        logits = batch_logits(constrain(params, config), data, data.presence[index], config)
        cost = [
            pooling.video_cross_entropy(
                logits[n], data.labels[n], k=2, mask=data.mask[n], cooled=cooled
            )
            for n in range(3)
        ]
        return jnp.mean(jnp.stack(cost))

    expected = jax.grad(of_all_frames)(state.params)
    found = gradient(state.params, data, index, weight, config=config)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected.rules)) > 1e-4
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("form", ["product", "specific"])
def test_pairs_that_take_no_part_are_not_computed(form: str) -> None:
    videos, labels = small_world()
    config = dataclasses.replace(SMALL, form=form, epochs=3)
    params = learned_roles.train_roles(videos, labels, config=config)
    scored = without_idle_pairs(params)
    assert (scored.theta_indirect is None) == (form == "specific")
    for video in videos[:3]:
        before = roles.event_logits(params, video)
        np.testing.assert_allclose(roles.event_logits(scored, video), before, rtol=1e-6)


def one_rule(theta_indirect: np.ndarray) -> roles.RoleParams:
    """Three atoms, an event, one rule of two."""
    rules = Rules(
        np.array([[[0, 1]]]), np.zeros((1, 1)), np.zeros((1, 1, 0), int), np.zeros((1, 1, 0))
    )
    weights = [np.ones(1)] * 4
    return roles.RoleParams(
        np.zeros((3, 1)), theta_indirect, np.zeros((3, 1)), *weights, rules=rules
    )


def test_pairs_that_one_atom_may_be_in_are() -> None:
    none = np.full((3, 1), NO_STRENGTH)
    one = none.copy()
    one[1] = -4.0
    idle, used = (one_rule(theta) for theta in (none, one))
    assert without_idle_pairs(idle).theta_indirect is None
    assert without_idle_pairs(used) is used
