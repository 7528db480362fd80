"""Linear and quadratic logits of many frames, of which few need a gradient.

A video's label is fitted by the frames that count in it. Which these are depends on the logits of
all frames, so those are most of the cost of a step.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_MOST_WRITTEN_OUT = 24  # atoms; 276 products


def quadratic(x: jax.Array, weights: jax.Array, pairs: jax.Array) -> jax.Array:
    """Σ_i w_i x_i + Σ_{i<j} W_ij x_i x_j [...] of x [..., M], w [M] and W [M, M]."""
    # As a product of rows, which XLA sums on a CPU twice as fast as the last axis of an array.
    return x @ weights + jnp.einsum("...i,...i->...", x @ jnp.triu(pairs, 1), x)


def quadratic_of_many(x: jax.Array, weights: jax.Array, pairs: jax.Array) -> jax.Array:
    """As `quadratic`, where no gradient is asked for.

    Of few atoms it is written out, so that a compiled loop keeps a frame's sums in registers: half
    the CPU time of a product of matrices with 16 columns. Its gradient would take several times as
    much.
    """
    num_atoms = x.shape[-1]
    if num_atoms > _MOST_WRITTEN_OUT:
        return quadratic(x, weights, pairs)
    total = jnp.zeros(x.shape[:-1], x.dtype)
    for i in range(num_atoms):
        factor = weights[i]
        for j in range(i + 1, num_atoms):
            factor = factor + pairs[i, j] * x[..., j]
        total = total + factor * x[..., i]
    return total


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def as_known(
    function: Callable[[Any, jax.Array], jax.Array], params: Any, x: jax.Array, value: jax.Array
) -> jax.Array:
    """function(params, x), whose value is known already: only its gradient is computed.

    Differentiable in the parameters; x and the value are constants.
    """
    return value


def _forward(function, params, x, value):
    return value, (params, x)


def _backward(function, saved, cotangent):
    params, x = saved
    (of_params,) = jax.vjp(lambda own: function(own, x), params)[1](cotangent)
    return of_params, jnp.zeros_like(x), jnp.zeros_like(cotangent)


as_known.defvjp(_forward, _backward)
