"""A CLIP, ready to encode."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict, unflatten_dict
from tokenizers import Tokenizer

from jaxvlm.clip import hub, open_clip, weights
from jaxvlm.clip.architecture import (
    Architecture,
    build_module,
    describe,
    expected_shapes,
    init_params,
    read_config,
)
from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.familiarity import Familiar, load_familiar
from jaxvlm.clip.image_processor import read_preprocessing
from jaxvlm.clip.laid_out import laid_out, shared_leaf
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.clip.tokenizer import read_tokenizer
from jaxvlm.errors import InputError

__all__ = ["ClipModel", "build_module", "init_params", "load", "weights_hash"]

Backend = Literal["jax", "openvino"]
_TEXT = ("text_model", "text_projection", "logit_scale")  # what texts need of the parameters


@dataclasses.dataclass(frozen=True, eq=False)
class ClipModel:
    """A frozen CLIP: parameters in the Flax layout and all that is static about it.

    ``tokenizer`` is None for a model that came without one; ``params`` can be replaced by
    ``dataclasses.replace`` without compiling anything again.
    """

    params: dict[str, Any]
    config: ClipConfig
    tokenizer: Tokenizer | None
    preprocessing: Preprocessing
    architecture: Architecture
    source: str | None = None  # the folder or hub id that it was loaded from, as given
    familiar: Familiar | None = None  # what it was made on, where its folder says it
    backend: Backend = "jax"  # what the towers run through; a tail with its gradient is JAX's

    def __repr__(self) -> str:
        """One line: the weights are 150 million numbers."""
        vision = self.config.vision_config
        return (
            f"ClipModel({vision.image_size} px, patches of {vision.patch_size}, "
            f"{vision.num_hidden_layers} blocks of width {vision.hidden_size}, D = "
            f"{self.config.projection_dim}, {self.architecture.dtype}"
            f"{'' if self.backend == 'jax' else f', {self.backend}'})"
        )

    @property
    def logit_scale(self) -> float:
        """s = exp(logit_scale) of the weights, by which CLIP multiplies cosines; about 100."""
        return float(np.exp(np.float32(self.params["logit_scale"])))

    @property
    def has_vision(self) -> bool:
        """False where only the text tower was loaded: no picture can be encoded then."""
        return "vision_model" in self.params

    @property
    def module(self) -> nn.Module:
        """The stateless Flax module, for whoever wants more than the embeddings."""
        return build_module(self.config, self.architecture.dtype)

    @functools.cached_property
    def computed(self) -> dict[str, Any]:
        """``params`` as this device multiplies them fastest (`laid_out`): what encodes takes these.
        Of a model that was loaded they are no copy."""
        return laid_out(self.params)

    @functools.cached_property
    def programs(self) -> dict[str, Any]:
        """What `openvino_towers` has compiled of these parameters, which it shares memory with."""
        return {}

    @functools.cached_property
    def _weights_hash(self) -> str:
        return _hash(self.params)

    @functools.cached_property
    def _rounded_hash(self) -> str:
        return _hash(_stored(self.params, "bfloat16"))

    @functools.cached_property
    def _tower_hash(self) -> str:
        text = {name: part for name, part in self.params.items() if name in _TEXT}
        return _hash(_stored(text, "bfloat16"))

    @functools.cached_property
    def _text_hash(self) -> str:
        tokenizer = None if self.tokenizer is None else self.tokenizer.to_str()
        parts = (self._weights_hash, *self.architecture, tokenizer)
        if self.backend != "jax":
            parts = (*parts, self.backend)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load(
    path_or_hub_id: str | Path,
    *,
    dtype: str = "float32",
    towers: str = "both",
    backend: Backend = "jax",
) -> ClipModel:
    """Loads a CLIP from a folder or, cached, from the hub: in the layout of Hugging Face, or of
    open_clip (`open_clip`) where a folder has no config.json of a model.

    ``dtype``: "float32" or "bfloat16", what the towers compute in; embeddings come out as
    float32 either way. In bfloat16 the matrices are stored as bfloat16 too. Weights may be
    ``model.safetensors`` in PyTorch layout (whole or sharded; float32, float16, bfloat16) or
    ``flax_model.msgpack``; nothing is unpickled. ``towers="text"``: without the vision tower, whose
    weights are not read; texts are encoded as ever, and a picture is an error. ``backend``:
    "openvino" runs the towers through OpenVINO on one CPU device (`openvino_towers`). Raises
    InputError, naming file, tensor or id, for whatever is missing or does not fit together.
    """
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"dtype {dtype!r}: not one the towers run in; use float32 or bfloat16")
    folder = hub.resolve(path_or_hub_id)
    if towers not in ("both", "text"):
        raise InputError(f"towers {towers!r}: not what can be loaded; use both or text")
    if backend not in get_args(Backend):
        raise InputError(f"backend {backend!r}: not what towers run through; use jax or openvino")
    if backend == "openvino":
        from jaxvlm.clip import openvino_package  # an extra

        openvino_package.require_cpu()
    left_out = (lambda path: False) if towers == "both" else _of_pictures
    if hub.is_open_clip(folder):
        config = open_clip.read_config(folder)
        layout = open_clip.LAYOUT
        preprocessing = open_clip.read_preprocessing(folder, config)
    else:
        config, layout = read_config(folder), None
        preprocessing = read_preprocessing(folder, config)
    params = weights.read_params(folder, expected_shapes(config), layout, left_out=left_out)
    return ClipModel(
        params=_stored(params, dtype),
        config=config,
        tokenizer=read_tokenizer(folder, config),
        preprocessing=preprocessing,
        architecture=describe(config, dtype),
        source=str(path_or_hub_id),
        familiar=load_familiar(folder),
        backend=backend,
    )


def weights_hash(model: ClipModel) -> str:
    """SHA-256 over the parameters, sorted by name, with shapes and dtypes: a cache key.

    Computed once per model object: a ViT-L/14 has 1.7 GB of them.
    """
    return model._weights_hash


def rounded_hash(model: ClipModel) -> str:
    """`weights_hash` of the parameters as ``dtype="bfloat16"`` stores them: the same for a model in
    float32. Computed once per model object."""
    return model._rounded_hash


def tower_hash(model: ClipModel) -> str:
    """`rounded_hash` of the text tower alone, its projection and the logit scale: the same for a
    model that was loaded without the vision tower. Computed once per model object."""
    return model._tower_hash


def text_hash(model: ClipModel) -> str:
    """SHA-256 over all that text embeddings depend on but the prompts: weights, configuration,
    dtype, tokenizer. Computed once per model object."""
    return model._text_hash


def _of_pictures(path: str) -> bool:
    return path.partition(".")[0] not in _TEXT


def _hash(params: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for path, leaf in sorted(flatten_dict(params, sep=".").items()):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _stored(params: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Matrices in ``dtype``, as `shared_leaf` has them; vectors and the logit scale stay float32,
    norms are computed so."""
    stored = {}
    for path, array in flatten_dict(params).items():
        # By NumPy: JAX would compile something for every shape.
        kind = jnp.dtype(dtype if array.ndim > 1 else jnp.float32)
        leaf = jax.device_put(np.asarray(array).astype(kind, copy=False))
        stored[path] = shared_leaf(path[-1], leaf)
    return unflatten_dict(stored)
