"""The frozen CLIP encoder: load, preprocess, tokenise, encode, save."""

from jaxvlm.clip.architecture import Architecture
from jaxvlm.clip.batch_size import measured_batch_size
from jaxvlm.clip.embeddings import (
    embed_prompts,
    encode_images,
    encode_patches,
    encode_texts,
    encode_token_ids,
    hidden_below,
)
from jaxvlm.clip.encoder import (
    Encoder,
    EncodingStatistics,
    encoding_record,
    make_encoder,
    total_statistics,
)
from jaxvlm.clip.identity import (
    clip_record,
    identity,
    identity_difference,
    named_identity,
    unproved,
)
from jaxvlm.clip.model import ClipModel, build_module, init_params, load, weights_hash
from jaxvlm.clip.preprocessing import preprocess, read_rgb
from jaxvlm.clip.saving import FOLDER, save
from jaxvlm.clip.stored_items import encode_all, encode_items, encode_keyed
from jaxvlm.clip.stream import encode_batches, encode_image_stream
from jaxvlm.clip.tap import Tap, encode_below, encode_tapped, lowest_block, project_tokens
from jaxvlm.clip.text_cache import embed_names
from jaxvlm.clip.tokenizer import token_ids

__all__ = [
    "FOLDER",
    "Architecture",
    "ClipModel",
    "Encoder",
    "EncodingStatistics",
    "Tap",
    "build_module",
    "clip_record",
    "embed_names",
    "embed_prompts",
    "encode_all",
    "encode_batches",
    "encode_below",
    "encode_image_stream",
    "encode_images",
    "encode_items",
    "encode_keyed",
    "encode_patches",
    "encode_tapped",
    "encode_texts",
    "encode_token_ids",
    "encoding_record",
    "hidden_below",
    "identity",
    "identity_difference",
    "init_params",
    "load",
    "lowest_block",
    "make_encoder",
    "measured_batch_size",
    "named_identity",
    "preprocess",
    "project_tokens",
    "read_rgb",
    "save",
    "token_ids",
    "total_statistics",
    "unproved",
    "weights_hash",
]
