"""The shape of a CLIP: its configuration, its Flax module, the parameters the module expects."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.traverse_util import flatten_dict

from jaxvlm.clip import config as configs
from jaxvlm.clip import weights
from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.flax_clip import ClipModule
from jaxvlm.errors import InputError
from jaxvlm.files import read_json

USE_EMBEDDINGS = "use embeddings (--id_embeddings, --features_root; see docs/formats.md)"


class Architecture(NamedTuple):
    """A hashable description of the towers: what jit needs to know besides the parameters.

    The configuration travels as its JSON text, which a store and a cache can keep; two models of
    one architecture share their compiled functions.
    """

    config_json: str
    dtype: str = "float32"
    # What float32 is multiplied in: accelerators would by themselves take TF32 or bfloat16.
    float32_products: str = "float32"


def describe(config: ClipConfig, dtype: str = "float32") -> Architecture:
    """The Architecture of a configuration, computed in ``dtype``."""
    own = configs.from_dict(config.to_dict())  # of a CLIPConfig what the towers know
    return Architecture(json.dumps(own.to_dict(), sort_keys=True, default=str), dtype)


def build_module(config: ClipConfig, dtype: str = "float32") -> nn.Module:
    """The towers without parameters; use with ``module.apply({"params": params}, …)``."""
    return ClipModule(config=config, dtype=jnp.dtype(dtype))


def matmul_precision(architecture: Architecture) -> str:
    """What JAX is to multiply the towers' matrices in."""
    return architecture.float32_products if architecture.dtype == "float32" else "default"


def module_of(architecture: Architecture) -> nn.Module:
    """The module an Architecture describes."""
    config = configs.from_dict(json.loads(architecture.config_json))
    return build_module(config, architecture.dtype)


def init_params(config: ClipConfig, key: jax.Array) -> dict[str, Any]:
    """Random float32 parameters, for training from nothing and for tests."""
    return jax.jit(_initializer(build_module(config)))(key)


def expected_shapes(config: ClipConfig) -> dict[str, tuple[int, ...]]:
    """Dotted parameter path -> shape in the Flax layout; nothing is computed."""
    return dict(_shapes(describe(config)))


@functools.lru_cache(maxsize=8)
def _shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    key = jax.eval_shape(jax.random.key, 0)
    tree = jax.eval_shape(_initializer(module_of(architecture)), key)
    return {path: leaf.shape for path, leaf in flatten_dict(tree, sep=".").items()}


def _initializer(module: nn.Module) -> Callable[[jax.Array], dict[str, Any]]:
    vision = module.config.vision_config
    ids = np.zeros((1, 2), np.int32)
    pixels = np.zeros((1, vision.image_size, vision.image_size, vision.num_channels), np.float32)
    inputs = ids, pixels, np.ones_like(ids), np.arange(2)[None]
    return lambda key: module.init(key, *inputs)["params"]


def read_config(folder: Path) -> ClipConfig:
    """Reads ``config.json``; a projection_dim that it lacks is what the weights beside it have.

    Raises InputError if it describes no CLIP with a ViT.
    """
    path = folder / "config.json"
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; take the config.json of a CLIP model")
    _require_vit(path, value)
    if value.get("projection_dim") is None:  # else 512, whatever the weights are
        found = weights.projection_dim(folder)
        value = {key: each for key, each in value.items() if key != "projection_dim"}
        value |= {} if found is None else {"projection_dim": found}
    return build_config(path, value)


def build_config(path: Path, value: dict[str, Any]) -> ClipConfig:
    """The configuration of Hugging Face's mapping, which ``path`` asked for.

    Raises InputError, which names the file, if no towers can be built from it.
    """
    try:
        with np.errstate(over="raise"):  # numbers that no float32 holds
            config = configs.from_dict(value)
            expected_shapes(config)
    # The module is built here once so that whatever a configuration can be wrong in comes out
    # as a complaint about this file, not as a traceback from inside the towers.
    except Exception as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: the towers cannot be built from it ({type(error).__name__}: {cause}); "
            f"take the {path.name} that belongs to the weights"
        ) from None
    return config


def _require_vit(path: Path, value: dict[str, Any]) -> None:
    vision = value.get("vision_config") or value.get("vision_config_dict") or {}
    kind = vision.get("model_type", "clip_vision_model") if isinstance(vision, dict) else vision
    layers = vision.get("layers") if isinstance(vision, dict) else None
    if value.get("model_type") != "clip" or kind != "clip_vision_model" or layers is not None:
        raise InputError(
            f"{path}: model type {value.get('model_type')!r:.60} with vision tower {kind!r:.60} is "
            "no CLIP with a ViT; use a ViT checkpoint such as openai/clip-vit-base-patch16, or "
            f"{USE_EMBEDDINGS}"
        )
