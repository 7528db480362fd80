"""The training loop against Adam written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvlm.atoms.descent import gradient_steps, minimise


def adam(slope, x, rates):
    """Kingma and Ba 2015, algorithm 1, with their constants."""
    x, first, second = np.array(x, np.float64), 0.0, 0.0
    for step, rate in enumerate(rates, 1):
        g = slope(x)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        x = x - rate * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return x


def test_minimise_is_adam_from_the_start():
    target = np.array([1.0, -2.0])
    found = minimise(
        lambda x: jnp.sum((x - target) ** 2),
        jnp.array([0.5, 3.0]),
        steps=20,
        rate=optax.linear_schedule(0.3, 0.1, 20),
    )
    rates = 0.3 - 0.01 * np.arange(20)
    expected = adam(lambda x: 2 * (x - target), [0.5, 3.0], rates)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert minimise(lambda x: x**2, jnp.float32(3.0), steps=0, rate=0.1) == 3.0


def test_every_step_sees_its_batch_and_steps_in_two_parts_are_the_same():
    rng = np.random.default_rng(0)
    batches = rng.standard_normal((6, 4)).astype(np.float32)
    optimizer = optax.adam(0.1)
    start = jnp.float32(0.0), optimizer.init(jnp.float32(0.0))

    def gradient(x, batch):
        return jax.value_and_grad(lambda x: jnp.mean((x - batch) ** 2))(x)

    (x, _), losses = gradient_steps(gradient, start, optimizer, batches)
    means = iter(batches.mean(axis=1).astype(np.float64))
    np.testing.assert_allclose(x, adam(lambda x: 2 * (x - next(means)), 0.0, [0.1] * 6), rtol=1e-4)
    np.testing.assert_allclose(losses[0], np.mean(batches[0] ** 2), rtol=1e-5)

    half, first = gradient_steps(gradient, start, optimizer, batches[:2])
    (again, _), second = gradient_steps(gradient, half, optimizer, batches[2:])
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(np.concatenate([first, second]), losses)
