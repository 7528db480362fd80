"""The towers through OpenVINO, on one CPU: `openvino_graph`, compiled once per model and run.

A call computes with all threads that the process may have and comes back when it is done. Calls of
several threads wait for one another: each would have the same cores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.clip import openvino_graph as graphs
from jaxvlm.clip.openvino_package import openvino, require_cpu

if TYPE_CHECKING:
    from jaxvlm.clip.model import ClipModel

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_COMPILING = threading.Lock()


def image_features(model: ClipModel, pixel_values: ArrayLike) -> jax.Array:
    """`embeddings.encode_images`: [N, D]."""
    return jnp.asarray(_run(model, graphs.image_graph, pixel_values))


def patch_features(model: ClipModel, pixel_values: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """`embeddings.encode_patches`: [N, D] and [N, P, D]."""
    tokens = _run(model, graphs.patch_graph, pixel_values)
    return jnp.asarray(tokens[:, 0]), jnp.asarray(tokens[:, 1:])


def hidden_below(model: ClipModel, pixel_values: ArrayLike, block: int) -> jax.Array:
    """`embeddings.hidden_below`: [N, 1 + P, H], in the tower's dtype."""
    hidden = _run(model, graphs.hidden_graph, pixel_values, block)
    return jnp.asarray(hidden, model.architecture.dtype)


def text_features(model: ClipModel, token_ids: ArrayLike) -> jax.Array:
    """`embeddings.encode_token_ids`: [N, D]."""
    return jnp.asarray(_run(model, graphs.text_graph, token_ids))


def _run(model: ClipModel, make: Callable, inputs: ArrayLike, *settings: int) -> np.ndarray:
    if isinstance(inputs, jax.core.Tracer):
        raise ValueError(
            "backend openvino: computes arrays, and this is traced (jit, vmap, grad or "
            'eval_shape); use dataclasses.replace(model, backend="jax") there'
        )
    kind = np.int32 if make is graphs.text_graph else np.float32
    given = np.ascontiguousarray(inputs, kind)
    run, turn = _program(model, make, *settings)
    with turn:
        return run(given)[0]


def _program(model: ClipModel, make: Callable, *settings: int) -> tuple[Any, threading.Lock]:
    """A graph of a model, compiled when it is first asked for, and whose turn it is."""
    name = (make.__name__, *settings)
    with _COMPILING:
        if name not in model.programs:
            require_cpu()
            hints = {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[model.architecture.dtype],
                "PERFORMANCE_HINT": "LATENCY",  # all threads for one batch
                "ENABLE_CPU_PINNING": "NO",  # others read pictures on the same cores
            }
            graph = make(model.computed, model.config, *settings)
            compiled = openvino.Core().compile_model(graph, "CPU", hints)
            model.programs[name] = compiled, threading.Lock()
        return model.programs[name]
