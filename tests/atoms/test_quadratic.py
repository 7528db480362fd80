"""A value that is known already has the gradient of the function that gave it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvlm.atoms.quadratic import as_known


def test_the_gradient_is_of_the_function_and_the_value_is_the_known_one():
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=3).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    known = np.float32([10, 20, 30, 40])

    def cost(w):
        z = as_known(lambda w, x: jnp.square(x @ w), w, jnp.asarray(x), jnp.asarray(known))
        return jnp.sum(jnp.square(z))

    value, slope = jax.value_and_grad(cost)(jnp.asarray(w))
    assert float(value) == pytest.approx(100 + 400 + 900 + 1600)
    # Σ_f 2 z_f · 2 (x_f w) x_f, with the known z
    expected = sum(4 * known[f] * float(x[f] @ w) * x[f] for f in range(4))
    np.testing.assert_allclose(slope, expected, rtol=1e-5)
