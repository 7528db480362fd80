"""Shapes checked by the names of their axes, rows of unit length, and the largest of a row."""

from typing import overload

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

_MOST_PASSES = 16


def check_shapes(function: str, **arrays: tuple[ArrayLike | None, str]) -> dict[str, int]:
    """Checks what a function was given against the axes that its docstring names.

    ``check_shapes("segment_presence", presence=(p, "T C"), boundary=(b, "T"))``: an axis has one
    size in all arrays of a call; a number is a size itself; "..." in front stands for any leading
    axes; "" is a scalar; None, an argument that was not given, fits everything.

    chex compares, and not jaxtyping: it takes lists and NumPy arrays as these functions do, works
    on traced values, and needs no annotation that the reader has to learn. Shapes are static, so a
    compiled function is checked once, when it is traced.

    Returns the size of every named axis.

    Raises:
      ValueError: names the function, the array, its axes and what was found.
    """
    sizes: dict[str, int] = {}
    for name, (array, axes) in arrays.items():
        if array is None:
            continue
        shape = _shape(array)
        names = axes.split()
        expected = [... if axis == "..." else sizes.get(axis, _number(axis)) for axis in names]
        try:
            chex.assert_shape(jax.ShapeDtypeStruct(shape, np.float32), tuple(expected))
        except AssertionError:
            raise ValueError(_message(function, name, shape, names, sizes)) from None
        named = [axis for axis in names if axis != "..."]
        own = shape[len(shape) - len(named) :]
        for axis, size in zip(named, own, strict=True):
            if _number(axis) is None and sizes.setdefault(axis, size) != size:
                raise ValueError(_message(function, name, shape, names, sizes))
    return sizes


def check_same_shape(function: str, **arrays: ArrayLike | None) -> None:
    """Checks arrays that are taken elementwise: all have the shape of the first; None fits.

    Raises ValueError: names the function, the array and both shapes.
    """
    (first, *rest) = [(name, _shape(a)) for name, a in arrays.items() if a is not None]
    for name, shape in rest:
        if shape != first[1]:
            raise ValueError(
                f"{function}: {name} has shape {shape}, needs {first[1]}, the shape of {first[0]}"
            )


@overload
def unit(rows: np.ndarray) -> np.ndarray: ...
@overload
def unit(rows: ArrayLike) -> jax.Array: ...
def unit(rows):
    """Vectors of unit length along the last axis: v/‖v‖, in at least float32.

    A vector of zeros stays zero and has a finite gradient: it has cosine 0 with everything.
    A NumPy array gives a NumPy array, anything else a `jax.Array`.
    """
    if isinstance(rows, np.ndarray):
        rows = rows.astype(np.promote_types(rows.dtype, np.float32), copy=False)
        square = (rows * rows).sum(axis=-1, keepdims=True)
        return rows / np.sqrt(np.where(square > 0, square, 1.0))
    rows = jnp.asarray(rows)
    rows = rows.astype(jnp.promote_types(rows.dtype, jnp.float32))
    square = jnp.sum(rows * rows, axis=-1, keepdims=True)
    return rows * jax.lax.rsqrt(jnp.where(square > 0, square, 1.0))


def top_indices(values: ArrayLike, k: int) -> jax.Array:
    """Where the k largest values of the last axis are, as `jax.lax.top_k` has it: [..., k].

    Largest first, of equal ones the first. On a CPU `top_k` sorts row by row; k passes over all
    rows at once find a few float32 values three to five times as fast. They are of integers, which
    compare as the values do: a maximum that has to mind NaN takes several times as long.
    """
    values = jnp.asarray(values)

    def sort(values: jax.Array) -> jax.Array:
        return jax.lax.top_k(values, k)[1]

    def passes(values: jax.Array) -> jax.Array:
        bits = jnp.moveaxis(jax.lax.bitcast_convert_type(values, jnp.int32), -1, 0)
        keys = jnp.where(bits < 0, bits ^ jnp.iinfo(jnp.int32).max, bits)
        places = jnp.arange(len(keys) - 1, -1, -1, dtype=jnp.int32)
        places = jnp.broadcast_to(places.reshape(-1, *[1] * (keys.ndim - 1)), keys.shape)

        def take(keys: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            first = jnp.max(jnp.where(keys == jnp.max(keys, axis=0), places, -1), axis=0)
            return jnp.where(places == first, jnp.iinfo(jnp.int32).min, keys), first

        return len(keys) - 1 - jnp.moveaxis(jax.lax.scan(take, keys, length=k)[1], 0, -1)

    if k > _MOST_PASSES or values.dtype != jnp.float32:
        return sort(values)
    return jax.lax.platform_dependent(values, cpu=passes, default=sort)


def _shape(array: ArrayLike) -> tuple[int, ...]:
    # A list that went through jit is a list of traced values, which jnp.shape does not take.
    if isinstance(array, list | tuple):
        array = jnp.asarray(array)
    return tuple(array.shape) if hasattr(array, "shape") else jnp.shape(array)


def _number(axis: str) -> int | None:
    return int(axis) if axis.isdigit() else None


def _message(
    function: str, name: str, shape: tuple[int, ...], names: list[str], sizes: dict[str, int]
) -> str:
    wanted = f"[{', '.join(names)}]" if names else "a scalar"
    known = [f"{axis} = {sizes[axis]}" for axis in dict.fromkeys(names) if axis in sizes]
    having = f" with {', '.join(known)}" if known else ""
    more = len(shape) > len(names) and "..." not in names
    cure = "; batch with jax.vmap" if more else ""
    return f"{function}: {name} has shape {shape}, needs {wanted}{having}{cure}"
