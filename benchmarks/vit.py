"""CLIPs with random weights in the published shapes, and what their towers must compute."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from transformers import CLIPConfig

from jaxvlm.clip import ClipModel, init_params
from jaxvlm.clip.architecture import describe
from jaxvlm.clip.laid_out import shared
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.ood import LabelBanks

CLASSES, NEGATIVES, OBJECT, BACKGROUND = 1000, 6370, 2866, 2866  # NegAlign's published lists
_NO_TEXT = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
_NO_VISION = {**_NO_TEXT, "intermediate_size": 64}


class Shape(NamedTuple):
    """Of a vision tower: an image of S×S, patches of p×p, L blocks d wide, D out."""

    image: int
    patch: int
    blocks: int
    width: int
    heads: int
    embedding: int


SHAPES = {
    "ViT-B/32": Shape(224, 32, 12, 768, 12, 512),
    "ViT-B/16": Shape(224, 16, 12, 768, 12, 512),
    "ViT-L/14": Shape(224, 14, 24, 1024, 16, 768),
    "tiny": Shape(32, 8, 2, 64, 2, 32),
}


def vision_flops(shape: Shape) -> float:
    """Of one image: the matrix products, 2 per multiply-add; n = P + 1 tokens, MLP of 4d.

    2·P·3p²·d + L·(8·n·d² + 4·n²·d + 16·n·d²) + 2·d·D
    """
    patches = (shape.image // shape.patch) ** 2
    stem = 2 * patches * 3 * shape.patch**2 * shape.width
    blocks = _blocks_flops(shape.blocks, patches + 1, shape.width)
    return float(stem + blocks + 2 * shape.width * shape.embedding)


def text_flops(length: int, *, blocks: int = 12, width: int = 512, embedding: int = 512) -> float:
    """Of one text of so many tokens, as `vision_flops` without a stem."""
    return float(_blocks_flops(blocks, length, width) + 2 * width * embedding)


def _blocks_flops(blocks: int, tokens: int, width: int) -> int:
    return blocks * (8 * tokens * width**2 + 4 * tokens**2 * width + 16 * tokens * width**2)


def vision_model(shape: Shape, dtype: str = "float32") -> ClipModel:
    """The vision tower beside a text tower of one layer; matrices stored in ``dtype``."""
    config = CLIPConfig(
        text_config=_NO_TEXT,
        vision_config={
            "image_size": shape.image,
            "patch_size": shape.patch,
            "num_hidden_layers": shape.blocks,
            "hidden_size": shape.width,
            "intermediate_size": 4 * shape.width,
            "num_attention_heads": shape.heads,
        },
        projection_dim=shape.embedding,
    )
    return _model(config, dtype)


def text_model(*, blocks: int = 12, width: int = 512, heads: int = 8) -> ClipModel:
    """A text tower, by default ViT-B/16's, beside a vision tower of one layer."""
    text = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
    }
    return _model(CLIPConfig(text_config=text, vision_config=_NO_VISION), "float32")


def random_banks(rng: np.random.Generator, width: int) -> LabelBanks:
    """Unit rows, as many as the published lists hold, on the device."""
    return LabelBanks(
        *(unit_rows(rng, count, width) for count in (CLASSES, NEGATIVES, OBJECT, BACKGROUND))
    )


def unit_rows(rng: np.random.Generator, count: int, width: int) -> jax.Array:
    """[count, width] random rows of length one."""
    rows = rng.normal(size=(count, width)).astype(np.float32)
    return jnp.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def with_params(model: ClipModel, params: dict) -> ClipModel:
    """So that a model's parameters, as ``computed``, can be an argument of a compiled function."""
    return dataclasses.replace(model, params=params)


def in_dtype(model: ClipModel, dtype: str) -> ClipModel:
    """The same model with its matrices stored, and its towers computed, in another dtype."""
    if dtype == model.architecture.dtype:
        return model
    return dataclasses.replace(
        model, params=_stored(model.params, dtype), architecture=describe(model.config, dtype)
    )


def _model(config: CLIPConfig, dtype: str) -> ClipModel:
    params = init_params(config, jax.random.key(0))
    side = config.vision_config.image_size
    stored = _stored(params, dtype)
    return ClipModel(stored, config, None, Preprocessing(side, side), describe(config, dtype))


def _stored(params: dict, dtype: str) -> dict:
    cast = jax.tree.map(lambda leaf: leaf.astype(dtype) if leaf.ndim > 1 else leaf, params)
    return shared(cast)
