"""Gradient descent in one `lax.scan`: the only training loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

State = tuple[Any, optax.OptState]  # parameters, and what the optimizer remembers


def gradient_steps(
    gradient: Callable[[Any, Any], tuple[jax.Array, Any]],
    state: State,
    optimizer: optax.GradientTransformation,
    batches: Any,
) -> tuple[State, jax.Array]:
    """One step of the optimizer for each batch.

    Args:
      gradient: (parameters, batch) -> (loss, gradient), as of `jax.value_and_grad`.
      state: parameters and the optimizer's state.
      batches: arrays [steps, ...]; a step sees one row of each.

    Returns:
      The last state, and the loss before every step [steps].
    """

    def step(state: State, batch: Any) -> tuple[State, jax.Array]:
        params, remembered = state
        loss, slope = gradient(params, batch)
        updates, remembered = optimizer.update(slope, remembered, params)
        return (optax.apply_updates(params, updates), remembered), loss

    return jax.lax.scan(step, state, batches)


def minimise(
    loss: Callable[[Any], jax.Array], start: Any, *, steps: int, rate: float | optax.Schedule
) -> Any:
    """The parameters after so many steps of Adam on one loss, from `start`."""
    optimizer = optax.adam(rate)
    state = start, optimizer.init(start)

    def gradient(params: Any, _: jax.Array) -> tuple[jax.Array, Any]:
        return jax.value_and_grad(loss)(params)

    return gradient_steps(gradient, state, optimizer, jnp.arange(steps))[0][0]
