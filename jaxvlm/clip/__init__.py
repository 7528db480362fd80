"""The frozen CLIP encoder: load, preprocess, tokenise, encode, save."""

from jaxvlm.clip.encode import (
    embed_prompts,
    encode_image_stream,
    encode_images,
    encode_patches,
    encode_texts,
    encode_token_ids,
)
from jaxvlm.clip.images import preprocess, read_rgb
from jaxvlm.clip.model import ClipModel, build_module, init_params, load, weights_hash
from jaxvlm.clip.saving import save

__all__ = [
    "ClipModel",
    "build_module",
    "embed_prompts",
    "encode_image_stream",
    "encode_images",
    "encode_patches",
    "encode_texts",
    "encode_token_ids",
    "init_params",
    "load",
    "preprocess",
    "read_rgb",
    "save",
    "weights_hash",
]
