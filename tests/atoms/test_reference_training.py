"""Reference mode: the prototype's start, its Adam, and its pull on the strengths."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm import files
from jaxvlm.atoms import role_loss, training
from jaxvlm.atoms.role_config import RoleConfig
from tests.atoms.role_fixtures import GOLDEN, golden_params, small_world

# Recorded from the prototype's loop on the golden videos, from the golden start: 8 epochs, γ and b
# frozen in the first 5, k = 10. Rows γ_direct, γ_indirect, γ_counter, b, and the last losses.
FINAL = [
    [0.67116, 1.0, 0.7605, 0.80887, 0.75593, 0.6344],
    [0.66078, 1.0, 0.75467, 0.80569, 0.75158, 0.62404],
    [-0.17323, -0.5, -0.26138, -0.30929, -0.25656, -0.13661],
    [-2.60074, -2.94444, -2.69571, -2.74813, -2.69345, -2.56443],
]
LOSSES = [0.40903, 0.42903, 0.97426, 1.01871, 0.82416, 0.37041, 0.36357, 0.84059]
CONFIG = RoleConfig(reference=True, epochs=8, freeze_bias_epochs=5)


def golden_data():
    arrays = files.read_arrays(GOLDEN)
    videos = [arrays[f"train.pbar.{n}"] for n in range(8)]
    return arrays, training.prepare(videos, arrays["train.Y"], config=CONFIG)


def test_the_start_is_the_prototypes() -> None:
    arrays, data = golden_data()
    start, golden = (
        training.initial_state(data, CONFIG).params,
        golden_params(arrays, "train.init"),
    )
    for name in ("theta_direct", "theta_indirect", "theta_counter", "bias"):
        np.testing.assert_allclose(getattr(start, name), getattr(golden, name), rtol=1e-6)
    np.testing.assert_allclose(jax.nn.sigmoid(start.theta_indirect), 0.01, rtol=1e-6)
    assert not np.any([start.gamma_direct, start.gamma_indirect, start.gamma_counter])


def test_training_after_the_thaw_is_the_prototypes() -> None:
    arrays, data = golden_data()
    state = training.initial_state(data, CONFIG, init=golden_params(arrays, "train.init"))
    *_, (state, last) = training.train_epochs(state, data, CONFIG)
    params = training.role_params(state, data, CONFIG)
    got = params.gamma_direct, params.gamma_indirect, params.gamma_counter, params.bias
    np.testing.assert_allclose(got, FINAL, atol=2e-4)
    np.testing.assert_allclose(last, LOSSES, atol=2e-4)


def test_the_first_step_after_the_thaw_is_the_whole_rate() -> None:
    # Adam's step 1 is rate·sign(gradient) but for ε, if no frozen step has been counted.
    videos, labels = small_world()
    config = RoleConfig(reference=True, epochs=2, freeze_bias_epochs=1, topk=3)
    data = training.prepare(videos[:1], labels[:1], config=config)  # one step an epoch
    init = training.initial_state(data, config).params._replace(gamma_direct=jnp.ones(2))
    start = training.initial_state(data, config, init=init)
    frozen, thawed = (state for state, _ in training.train_epochs(start, data, config))
    np.testing.assert_array_equal(frozen.params.bias, start.params.bias)
    moved = np.abs(np.asarray(thawed.params.bias - frozen.params.bias))
    np.testing.assert_allclose(moved, config.learning_rate, rtol=1e-3)


def test_the_pull_is_the_sum_of_the_roles_means() -> None:
    arrays, data = golden_data()
    params = golden_params(arrays, "train.final")
    without, with_pull = (
        role_loss.role_loss(
            params, data, jnp.array([0]), jnp.ones(1),
            RoleConfig(reference=True, rho_l1=weight),
        )
        for weight in (0.0, 2.0)
    )  # fmt: skip
    names = ("theta_direct", "theta_indirect", "theta_counter")
    pull = 2.0 * sum(np.abs(getattr(params, name)).mean() for name in names)
    np.testing.assert_allclose(with_pull - without, pull, rtol=1e-5)
