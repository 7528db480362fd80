"""The towers through OpenVINO, on one CPU: `openvino_graph`, compiled once per model and run.

A call computes with all threads that the process may have and comes back when it is done. Calls of
several threads wait for one another: each would have the same cores.
"""

from __future__ import annotations

import threading
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
    return jnp.asarray(_run(model, "image", pixel_values))


def patch_features(model: ClipModel, pixel_values: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """`embeddings.encode_patches`: [N, D] and [N, P, D]."""
    tokens = _run(model, "patches", pixel_values)
    return jnp.asarray(tokens[:, 0]), jnp.asarray(tokens[:, 1:])


def hidden_below(model: ClipModel, pixel_values: ArrayLike, block: int) -> jax.Array:
    """`tap.encode_below`: [N, 1 + P, H], in the tower's dtype."""
    hidden = _run(model, f"hidden {block}", pixel_values)
    return jnp.asarray(hidden, model.architecture.dtype)


def text_features(model: ClipModel, token_ids: ArrayLike) -> jax.Array:
    """`embeddings.encode_token_ids`: [N, D]."""
    return jnp.asarray(_run(model, "text", token_ids))


def _run(model: ClipModel, name: str, inputs: ArrayLike) -> np.ndarray:
    if isinstance(inputs, jax.core.Tracer):
        raise ValueError(
            "backend openvino: computes arrays, and this is traced (jit, vmap, grad or "
            'eval_shape); use dataclasses.replace(model, backend="jax") there'
        )
    kind = np.int32 if name == "text" else np.float32
    given = np.ascontiguousarray(inputs, kind)
    run, lock = _program(model, name)
    with lock:
        return run(given)[0]


def _program(model: ClipModel, name: str) -> tuple[Any, threading.Lock]:
    """What was compiled of a model, and whose turn it is; compiled when it is first asked for."""
    with _COMPILING:
        if name not in model.programs:
            require_cpu()
            graph = _graph(model, name)
            settings = {
                "INFERENCE_PRECISION_HINT": _PRECISIONS[model.architecture.dtype],
                "PERFORMANCE_HINT": "LATENCY",  # all threads for one batch
                "ENABLE_CPU_PINNING": "NO",  # others read pictures on the same cores
            }
            compiled = openvino.Core().compile_model(graph, "CPU", settings)
            model.programs[name] = compiled, threading.Lock()
        return model.programs[name]


def _graph(model: ClipModel, name: str) -> openvino.Model:
    params, config = model.computed, model.config
    if name == "image":
        return graphs.image_graph(params, config)
    if name == "patches":
        return graphs.patch_graph(params, config)
    if name == "text":
        return graphs.text_graph(params, config)
    return graphs.hidden_graph(params, config, int(name.split()[1]))
