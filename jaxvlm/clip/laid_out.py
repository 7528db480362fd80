"""How the towers' matrices lie in memory: on a CPU as [out, in], transposed once, when loaded.

XLA's products on a CPU read a matrix row by row of its outputs, and rearrange one that lies
otherwise in every call. Of few rows, such as one picture of 50 tokens, that is a third of the time.
"""

from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

KERNEL, TRANSPOSED = "kernel", "transposed"


def laid_out(params: Any) -> Any:
    """A Flax tree with every ``kernel`` W [..., out] as ``transposed`` [out, in], in which a CPU
    multiplies fastest; on other devices, and where it is so already, the tree as it is."""
    flat = flatten_dict(params)
    if jax.default_backend() != "cpu" or not any(path[-1] == KERNEL for path in flat):
        return params
    with jax.ensure_compile_time_eval():  # arrays, also where a function is being traced
        lying = {
            (*path[:-1], TRANSPOSED): jax.device_put(_transposed(leaf))
            for path, leaf in flat.items()
            if path[-1] == KERNEL
        }
    return unflatten_dict(lying | {path: x for path, x in flat.items() if path[-1] != KERNEL})


def shared(params: Any) -> Any:
    """The same tree with kernels as NumPy's views of what `laid_out` makes of it, which then copies
    nothing; on other devices the tree as it is."""
    flat = flatten_dict(params)
    return unflatten_dict({path: shared_leaf(path[-1], leaf) for path, leaf in flat.items()})


def shared_leaf(name: str, leaf: Any) -> Any:
    """`shared` of one parameter, called ``name`` in its module."""
    if name != KERNEL or jax.default_backend() != "cpu":
        return leaf
    lying = jax.device_put(np.ascontiguousarray(_transposed(leaf)))
    return np.asarray(lying).T.reshape(leaf.shape)


def _transposed(kernel: Any) -> np.ndarray:
    """[out, in] of [..., out]: a view."""
    array = np.asarray(kernel)
    return array.reshape(-1, array.shape[-1]).T
