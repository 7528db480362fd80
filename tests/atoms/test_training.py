import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm import files
from jaxvlm.atoms import learned_roles, pooling, role_loss, role_start, roles, training
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.atoms.rules import Rules
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.errors import InputError
from tests.atoms.role_fixtures import (
    GOLDEN,
    SMALL,
    golden_params,
    largest_array,
    random_params,
    small_world,
)

first_gradient = jax.jit(jax.grad(role_loss.role_loss), static_argnames="config")


def assert_trees_equal(left: object, right: object) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(a, b)


def golden_training() -> tuple[TrainingData, RoleConfig]:
    arrays = files.read_arrays(GOLDEN)
    config = RoleConfig(reference=True, epochs=3, freeze_bias_epochs=0)
    videos = [arrays[f"train.pbar.{n}"] for n in range(8)]
    data = training.prepare(
        videos, arrays["train.Y"], config=config, candidates=arrays["role.candidate_mask"]
    )
    return data, config


def test_reference_mode_reproduces_the_prototypes_training() -> None:
    arrays = files.read_arrays(GOLDEN)
    data, config = golden_training()
    state = training.initial_state(data, config, init=golden_params(arrays, "train.init"))
    first = first_gradient(state.params, data, jnp.array([0]), jnp.ones(1), config=config)
    expected_first = jax.tree.leaves(golden_params(arrays, "train.grad0"))
    for got, expected in zip(jax.tree.leaves(first), expected_first, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-7)
    epochs = list(training.train_epochs(state, data, config))
    losses = np.concatenate([loss for _, loss in epochs])
    np.testing.assert_allclose(losses, arrays["train.losses"], rtol=1e-3)
    final = jax.tree.leaves(training.role_params(epochs[-1][0], data, config))
    expected_final = jax.tree.leaves(golden_params(arrays, "train.final"))
    for got, expected in zip(final, expected_final, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_same_seed_gives_the_same_bits_and_another_seed_does_not() -> None:
    videos, labels = small_world()
    first = learned_roles.train_roles(videos, labels, config=SMALL, seed=3)
    second = learned_roles.train_roles(videos, labels, config=SMALL, seed=3)
    other = learned_roles.train_roles(videos, labels, config=SMALL, seed=4)
    assert_trees_equal(first, second)
    assert np.any(np.asarray(first.theta_direct) != np.asarray(other.theta_direct))


def test_gamma_and_bias_stand_still_while_frozen_and_strengths_do_not() -> None:
    videos, labels = small_world()
    data = training.prepare(videos, labels, config=SMALL)
    start = training.initial_state(data, SMALL)
    states = [state for state, _ in training.train_epochs(start, data, SMALL)]
    held = ("gamma_direct", "gamma_indirect", "gamma_counter", "gamma_explicit", "bias")
    for name in held:
        before, frozen = getattr(start.params, name), getattr(states[1].params, name)
        np.testing.assert_array_equal(frozen, before)
        assert np.all(np.asarray(getattr(states[2].params, name)) != np.asarray(before))
    moved = np.asarray(states[0].params.theta_direct) != np.asarray(start.params.theta_direct)
    assert moved.all()


def test_the_first_prediction_is_the_base_rate() -> None:
    videos, labels = small_world()
    data = training.prepare(videos, labels, config=SMALL)
    params = training.role_params(training.initial_state(data, SMALL), data, SMALL)
    pooled = [
        pooling.pool_video(roles.event_probability(params, video), k=SMALL.topk) for video in videos
    ]
    np.testing.assert_allclose(np.mean(pooled, axis=0), labels.mean(axis=0), rtol=1e-3)


def test_the_loss_is_the_mean_over_videos_whatever_their_padding() -> None:
    videos, labels = small_world()
    data = training.prepare(videos, labels, config=SMALL)
    state = training.initial_state(data, SMALL)
    config = dataclasses.replace(SMALL, rho_l1=0.0)
    weight = jnp.array([1.0, 1.0, 1.0, 0.0])
    loss = jax.jit(role_loss.role_loss, static_argnames="config")
    got = loss(state.params, data, jnp.array([0, 1, 2, 0]), weight, config=config)
    params = training.role_params(state, data, SMALL)
    expected = []
    for video, label in zip(videos[:3], labels[:3], strict=True):
        s = pooling.pool_video(roles.event_probability(params, video), k=SMALL.topk)
        s = np.asarray(s, np.float64)
        expected.append(-(label * np.log(s) + (1 - label) * np.log1p(-s)).mean())
    np.testing.assert_allclose(got, np.mean(expected), rtol=1e-4)


def test_learns_direct_and_indirect_atoms_from_video_labels() -> None:
    videos, labels = small_world(48)
    config = dataclasses.replace(SMALL, epochs=60, batch_size=8)
    params = learned_roles.train_roles(videos, labels, config=config)
    present = np.array([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 1, 1, 0, 0]])
    probability = np.asarray(roles.event_probability(params, 0.1 + 0.8 * present))
    assert probability[1, 0] > 0.2 > 10 * np.delete(probability[:, 0], 1).max()
    assert probability[3, 1] > 0.5 > 10 * np.delete(probability[:, 1], 3).max()
    assert np.all(np.asarray(params.gamma_direct) >= 0)
    assert np.all(np.asarray(params.gamma_explicit) <= 0)


def test_an_atom_that_is_no_candidate_is_not_trained() -> None:
    videos, labels = small_world()
    candidates = np.ones((5, 2), np.float32)
    candidates[3, 1] = 0.0
    data = training.prepare(videos, labels, config=SMALL, candidates=candidates)
    start = training.initial_state(data, SMALL)
    end, _ = training.train_epoch(start, data, SMALL)
    changed = np.asarray(end.params.theta_indirect != start.params.theta_indirect)
    np.testing.assert_array_equal(changed, candidates > 0)


def opposed_world() -> tuple[list[np.ndarray], np.ndarray]:
    """Atom 0 means the event unless atom 1 is there; atom 2 is noise, atom 3 no candidate."""
    rng = np.random.default_rng(1)
    videos, labels = [], []
    for n in range(32):
        video = rng.uniform(0.0, 0.1, (6 + n % 3, 4)).astype(np.float32)
        video[2:5, 0] += 0.8 * (n % 2)
        video[:, 1] += 0.8 * (n % 4 == 3)
        video[:, 3] = n % 4 == 1
        videos.append(video)
        labels.append([n % 4 == 1])
    return videos, np.array(labels, np.float32)


def test_a_linear_start_knows_what_helps_and_what_opposes() -> None:
    videos, labels = opposed_world()
    candidates = np.array([[1], [1], [1], [0]])
    data = training.prepare(videos, labels, config=SMALL, candidates=candidates)
    effects = np.asarray(role_start.linear_effects(data, SMALL))[:, 0]
    assert effects[0] > 1.0 > abs(effects[2]) and effects[1] < -1.0 and effects[3] == 0.0
    start = training.initial_state(data, SMALL).params
    rho = 1 / (1 + np.exp(-np.stack([start.theta_direct, start.theta_counter])[..., 0]))
    np.testing.assert_allclose(rho[[0, 1], [0, 1]], 0.9, rtol=1e-5)
    np.testing.assert_allclose(rho[[1, 0], [0, 1]], 0.01, rtol=1e-5)
    equal = dataclasses.replace(SMALL, start="equal")
    data = training.prepare(videos, labels, config=equal, candidates=candidates)
    rho = 1 / (1 + np.exp(-np.asarray(training.initial_state(data, equal).params.theta_direct)))
    assert np.all(np.abs(rho - 0.12) < 0.05)


def test_a_strong_pull_keeps_the_calibration_where_it_started() -> None:
    videos, labels = small_world()
    moved = []
    for pull in (0.0, 100.0):
        config = dataclasses.replace(SMALL, calibration_pull=pull, epochs=10)
        data = training.prepare(videos, labels, config=config)
        params = learned_roles.train_roles(videos, labels, config=config)
        center = (np.asarray(params.presence_center) - data.center) * data.scale
        moved.append(np.abs(center).max())
    assert moved[1] < 0.2 * moved[0]


def test_a_prior_pulls_strengths_towards_the_written_ones() -> None:
    videos, labels = small_world()
    written = [np.zeros((5, 2)) for _ in range(3)]
    written[0][3, 0] = 0.9
    config = dataclasses.replace(SMALL, epochs=40, learning_rate=0.1, prior_weight=1.0)
    params = learned_roles.train_roles(videos, labels, config=config, prior=written)
    rho = 1 / (1 + np.exp(-np.asarray(params.theta_direct)))
    assert rho[3, 0] > 0.5
    # Atom 3 is noise: nothing but the prior lifts it from its start at 0.12.
    assert rho[3, 1] < 0.2


def test_a_heavy_prior_keeps_all_of_what_is_written_and_a_light_one_nothing() -> None:
    videos, labels = small_world()
    tables = [np.zeros((5, 2)) for _ in range(3)]
    tables[0][3, 0] = tables[2][1, 1] = 0.9
    written = roles_from_strengths(*tables)
    names = [name for name in written._fields[:-1] if not name.startswith("theta")]

    def distance(weight: float) -> float:
        config = dataclasses.replace(SMALL, prior_weight=weight)
        params = learned_roles.train_roles(videos, labels, config=config, prior=tables)
        apart = [
            np.abs(np.asarray(getattr(params, name)) - np.asarray(getattr(written, name))).max()
            for name in names
        ]
        return max(apart)

    assert distance(1e4) < 0.02
    assert distance(1e-4) > 1.0


@pytest.mark.parametrize("signed", [True, False])
def test_start_parameters_come_back_unchanged(signed: bool) -> None:
    videos, labels = small_world()
    config = dataclasses.replace(SMALL, signed=signed)
    data = training.prepare(videos, labels, config=config)
    init = random_params(0, 5, 2)
    state = training.initial_state(data, config, init=init)
    back = training.role_params(state, data, config)
    for got, expected in zip(jax.tree.leaves(back), jax.tree.leaves(init), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_rules_to_start_from_are_those_of_the_data() -> None:
    videos, labels = small_world()
    data = training.prepare(videos, labels, config=SMALL)
    rules = Rules(*(np.zeros(shape) for shape in ((2, 1, 2), (2, 1), (2, 1, 0), (2, 1, 0))))
    rules = rules._replace(atoms=rules.atoms.astype(int), unless=rules.unless.astype(int))
    with pytest.raises(ValueError, match="other rules than the data"):
        training.initial_state(data, SMALL, init=random_params(0, 5, 2)._replace(rules=rules))


def test_the_prototypes_start_trains_no_strength() -> None:
    """γ = 0 multiplies every gradient of ρ: why the default starts elsewhere."""
    data, config = golden_training()
    start = training.initial_state(data, config).params
    gradient = first_gradient(start, data, jnp.array([0]), jnp.ones(1), config=config)
    np.testing.assert_array_equal(gradient.theta_direct, 0.0)
    assert np.all(np.asarray(gradient.bias) != 0.0)


def test_no_step_holds_all_pairs() -> None:
    rng = np.random.default_rng(0)
    videos = [rng.uniform(size=(3, 80)).astype(np.float32) for _ in range(4)]
    data = training.prepare(videos, np.eye(4)[:, :2], config=SMALL)
    params = role_start.default_start(data, SMALL, jax.random.key(0))
    step = jax.grad(role_loss.role_loss)
    jaxpr = jax.make_jaxpr(step, static_argnums=4)(params, data, jnp.arange(4), jnp.ones(4), SMALL)
    atoms_once = 4 * data.presence.shape[1] * 80 * 2
    assert atoms_once <= largest_array(jaxpr.jaxpr) <= 4 * atoms_once


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v, y: (v[:-1] + [v[-1] * np.nan], y), "run_9: presence holds NaN"),
        (lambda v, y: (v[:-1] + [v[-1][:, :4]], y), "run_9: 4 atoms, but run_0 has 5"),
        (lambda v, y: (v[:-1] + [v[-1][:0]], y), "run_9: presence has shape"),
        (lambda v, y: (v, y[:-1]), "labels: shape"),
        (lambda v, y: (v, y + 0.5), "labels: a value is neither 0 nor 1"),
        (lambda v, y: ([], y), "no videos"),
    ],
)
def test_bad_input_is_named(spoil: object, message: str) -> None:
    videos, labels = spoil(*small_world())
    names = [f"run_{n}" for n in range(len(videos))]
    with pytest.raises(InputError, match=message) as caught:
        training.prepare(videos, labels, config=SMALL, names=names)
    assert "\n" not in str(caught.value)


def test_tables_of_the_wrong_shape_or_range_are_named() -> None:
    videos, labels = small_world()
    with pytest.raises(InputError, match="candidates: shape"):
        training.prepare(videos, labels, config=SMALL, candidates=np.ones((4, 2)))
    with pytest.raises(InputError, match=r"prior: a value is outside \[0, 1\]"):
        training.prepare(videos, labels, config=SMALL, prior=[np.full((5, 2), 1.5)] * 3)


def test_other_numbers_and_later_epochs_are_the_same_program() -> None:
    """An epoch takes seconds to compile, and is to be compiled once."""
    videos, labels = small_world()
    before = training._train_epoch._cache_size()
    for numbers in ({}, {"epochs": 3, "learning_rate": 0.1}, {"rho_l1": 0.1, "rule_fits": 0}):
        config = dataclasses.replace(SMALL, topk=2, **numbers)  # a size that no other test has
        data = training.prepare(videos, labels, config=config)
        states = training.train_epochs(training.initial_state(data, config), data, config)
        assert len(list(states)) == config.epochs
    assert training._train_epoch._cache_size() == before + 1
