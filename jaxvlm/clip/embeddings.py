"""Encode pictures and texts. Few static shapes reach jit, and the weights are an argument."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import unit
from jaxvlm.clip.architecture import Architecture, matmul_precision, module_of
from jaxvlm.clip.model import ClipModel
from jaxvlm.clip.tap import encode_below
from jaxvlm.clip.tokenizer import bucket_lengths, end_token_id, pad_rows, tokenize
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore

# One prompt should not cost a full batch, and a thousand should not cost a thousand calls.
_TEXT_BATCHES = (8, 64)
# Logits of a block's attention, over the pictures that a CPU takes at a time: four of ViT-B/16.
_MOST_LOGITS = 2_000_000


def encode_images(model: ClipModel, pixel_values: ArrayLike) -> jax.Array:
    """Image embeddings, unnormalised, as FlaxCLIPModel.get_image_features gives them.

    ``pixel_values``: [N, 3, S, S] from ``preprocess``. Returns float32 [N, D]. Compiles once
    per N. Raises InputError for another shape.
    """
    _check_pixels(model, pixel_values)
    if model.backend == "openvino":
        return _openvino().image_features(model, pixel_values)
    parts = parts_of(model, pixel_values)
    return _image_features(
        model.computed, pixel_values, architecture=model.architecture, parts=parts
    )


def encode_patches(model: ClipModel, pixel_values: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Image embeddings and patch embeddings of preprocessed pictures, in one forward pass.

    A patch takes the image's own way out: the last block's output through post-layernorm and
    projection. GL-MCM's local features are others, see `tap.encode_tapped`.

    ``pixel_values``: [N, 3, S, S] from ``preprocess``. Returns float32 [N, D] and [N, P, D],
    unnormalised, patches row by row. Raises InputError for another shape.
    """
    _check_pixels(model, pixel_values)
    if model.backend == "openvino":
        return _openvino().patch_features(model, pixel_values)
    parts = parts_of(model, pixel_values)
    return _patch_features(
        model.computed, pixel_values, architecture=model.architecture, parts=parts
    )


def hidden_below(model: ClipModel, pixel_values: ArrayLike, block: int) -> jax.Array:
    """The input of a block of the vision tower, [N, 1 + P, H], in the tower's dtype, which
    `tap.encode_tapped` goes on from.

    ``pixel_values``: [N, 3, S, S] from ``preprocess``. Compiles once per N. Raises InputError for
    another shape.
    """
    _check_pixels(model, pixel_values)
    if model.backend == "openvino":
        return _openvino().hidden_below(model, pixel_values, block)
    return _below(model.computed, pixel_values, architecture=model.architecture, block=block)


def encode_token_ids(model: ClipModel, token_ids: ArrayLike) -> jax.Array:
    """Text embeddings, unnormalised, as FlaxCLIPModel.get_text_features gives them.

    ``token_ids``: integers [N, L], L at most the tower's length (77), start and end token
    included, padded behind the first end token with anything (with eos_token_id 2: with
    anything not above it). Returns float32 [N, D]; compiles once per shape. Raises InputError
    for another shape or an id outside the vocabulary.
    """
    shape, text = jnp.shape(token_ids), model.config.text_config
    if len(shape) != 2 or not 1 <= shape[1] <= text.max_position_embeddings:
        raise InputError(
            f"token ids: shape {shape}, the text tower takes (N, L) with L from 1 to "
            f"{text.max_position_embeddings}; shorten the prompts"
        )
    if not isinstance(token_ids, jax.core.Tracer):
        ids = np.asarray(token_ids)
        if ids.size and not (0 <= ids.min() and ids.max() < text.vocab_size):
            raise InputError(
                f"token ids: from {ids.min()} to {ids.max()}, the vocabulary has "
                f"{text.vocab_size}; use the model's own tokenizer"
            )
    if model.backend == "openvino":
        return _openvino().text_features(model, token_ids)
    return _text_features(model.computed, token_ids, architecture=model.architecture)


def encode_texts(
    model: ClipModel,
    texts: Sequence[str],
    *,
    truncate: bool = False,
    on_progress: Progress = ignore,
) -> np.ndarray:
    """Text embeddings of prompts, unnormalised, in their order. Returns float32 [N, D].

    Each prompt is tokenised once and encoded at the shortest of 16, 32 and 77 tokens that holds
    it, or through OpenVINO, which compiles nothing for a shape, at its own length. That is exact:
    the tower is causal and pooled at the end token, so nothing behind the end token can matter.
    Raises InputError for a prompt of more than 77 tokens (unless ``truncate``) and for a model
    without a tokenizer.
    """
    if isinstance(texts, str):
        raise TypeError("texts is a sequence of strings, not one string")
    if model.tokenizer is None:
        raise InputError(
            "texts: the model came without a tokenizer; put tokenizer.json, or vocab.json and "
            f"merges.txt, into its folder{_whose(model)}"
        )
    length = model.config.text_config.max_position_embeddings
    on_progress("encode texts", 0, len(texts))
    rows = tokenize(model.tokenizer, texts, length, truncate=truncate)
    embeddings = np.empty((len(rows), model.config.projection_dim), np.float32)
    end = end_token_id(model.tokenizer)
    done, lengths = 0, [len(ids) for ids in rows]
    shapes = bucket_lengths(length), _TEXT_BATCHES
    if model.backend == "openvino":
        shapes = range(1, length + 1), range(1, _TEXT_BATCHES[-1] + 1)
    for indices, shape in _text_batches(lengths, *shapes):
        on_progress("encode texts", done, len(rows))
        padded = pad_rows([rows[i] for i in indices], shape, end)
        features = encode_token_ids(model, padded)
        embeddings[indices] = np.asarray(features)[: len(indices)]
        done += len(indices)
    on_progress("encode texts", max(done, 1), max(done, 1))
    return embeddings


def embed_prompts(
    model: ClipModel,
    names: Sequence[str],
    templates: Sequence[str],
    *,
    renormalize: bool = True,
    raw_mean: bool = False,
    on_progress: Progress = ignore,
) -> np.ndarray:
    """One embedding per name: the mean over templates of unit text embeddings, unit again.

    t_c = m_c/‖m_c‖, m_c = mean_k u(template_k with name_c), u a text embedding over its norm.

    ``templates`` hold ``{}`` where the name goes. Returns float32 [C, D].
    ``renormalize=False`` gives m_c, the prototype's plain mean. ``raw_mean``: m_c is the mean of
    the embeddings as the tower gives them, as in the codes of CSP and NegRefine; they differ in
    length by a few percent. Raises InputError for no template, a template without ``{}``, or a
    prompt that is too long.
    """
    if not templates:
        raise InputError("prompt templates: there is none; give at least one, such as 'a {}'")
    for template in templates:
        if "{}" not in template:
            raise InputError(f"prompt template {template!r}: has no {{}} for the name; add it")
    prompts = [template.replace("{}", name) for name in names for template in templates]
    rows = encode_texts(model, prompts, on_progress=on_progress)
    rows = rows if raw_mean else unit(rows)
    means = rows.reshape(len(names), len(templates), rows.shape[1]).mean(axis=1)
    return unit(means) if renormalize else means


def _openvino() -> Any:
    from jaxvlm.clip import openvino_towers  # an extra

    return openvino_towers


def _whose(model: ClipModel) -> str:
    """Whose tokenizer it is: nearly every CLIP, of whatever maker, has OpenAI's vocabulary."""
    same = model.config.text_config.vocab_size == 49_408
    return ": those of openai/clip-vit-base-patch32 are of the same vocabulary" if same else ""


def _check_pixels(model: ClipModel, pixel_values: ArrayLike) -> None:
    if not model.has_vision:
        raise InputError(
            f"{model.source or 'the model'}: loaded without its vision tower, so it encodes no "
            'picture; load it with towers="both"'
        )
    side = model.config.vision_config.image_size
    shape = jnp.shape(pixel_values)
    if len(shape) != 4 or shape[1:] != (3, side, side):
        raise InputError(
            f"pixel values: shape {shape}, the vision tower takes (N, 3, {side}, {side}); "
            "use jaxvlm.clip.preprocess"
        )


def parts_of(model: ClipModel, pixel_values: ArrayLike) -> int:
    """Into how many equal parts a batch is divided, which are encoded one after the other.

    On one CPU device the fewest in which the logits of a block's attention, heads·(P + 1)² a
    picture, are at most 2,000,000 (or one picture's): beyond that they leave the caches, and 32
    pictures of ViT-B/16 take half as long again. Elsewhere 1.
    """
    devices = getattr(getattr(pixel_values, "sharding", None), "device_set", (None,))
    if jax.default_backend() != "cpu" or len(devices) > 1:
        return 1
    vision, count = model.config.vision_config, len(pixel_values)
    length = (vision.image_size // vision.patch_size) ** 2 + 1
    most = max(1, _MOST_LOGITS // (vision.num_attention_heads * length**2))
    return next(n for n in range(1, max(count, 1) + 1) if count % n == 0 and count <= n * most)


@functools.partial(jax.jit, static_argnames=("architecture", "parts"))
def _image_features(
    params: Any, pixel_values: jax.Array, *, architecture: Architecture, parts: int
):
    def features(module, pixels):
        return module.visual_projection(module.vision_model(pixels).pooler_output)

    return _of_pictures(params, architecture, features, pixel_values, parts)


@functools.partial(jax.jit, static_argnames=("architecture", "block"))
def _below(params: Any, pixel_values: jax.Array, *, architecture: Architecture, block: int):
    return encode_below(params, pixel_values, architecture=architecture, block=block)


@functools.partial(jax.jit, static_argnames=("architecture", "parts"))
def _patch_features(
    params: Any, pixel_values: jax.Array, *, architecture: Architecture, parts: int
):
    def features(module, pixels):
        hidden = module.vision_model(pixels).last_hidden_state
        return module.visual_projection(module.vision_model.post_layernorm(hidden))

    outputs = _of_pictures(params, architecture, features, pixel_values, parts)
    return outputs[:, 0], outputs[:, 1:]


def _of_pictures(
    params: Any, architecture: Architecture, features: Callable, pixel_values: Any, parts: int
) -> jax.Array:
    pixels = jnp.moveaxis(jnp.asarray(pixel_values, jnp.float32), 1, -1)
    encode = functools.partial(_apply, params, architecture, features)
    if parts == 1:
        return encode(pixels)
    outputs = jax.lax.map(encode, pixels.reshape(parts, -1, *pixels.shape[1:]))
    return outputs.reshape(-1, *outputs.shape[2:])


@functools.partial(jax.jit, static_argnames="architecture")
def _text_features(params: Any, token_ids: jax.Array, *, architecture: Architecture):
    def features(module, ids, positions):
        # No attention mask: the tower is causal, and what follows the end token is not read.
        return module.text_projection(module.text_model(ids, None, positions).pooler_output)

    ids = jnp.asarray(token_ids, jnp.int32)
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
    return _apply(params, architecture, features, ids, positions)


def _apply(params: Any, architecture: Architecture, method: Callable, *inputs: jax.Array):
    with jax.default_matmul_precision(matmul_precision(architecture)):
        output = module_of(architecture).apply({"params": params}, *inputs, method=method)
    return output.astype(jnp.float32)


def _text_batches(
    lengths: Sequence[int], buckets: Sequence[int], sizes: Sequence[int]
) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """(row indices, padded shape) for each call of the text tower: a size and a bucket."""
    fits = np.searchsorted(buckets, lengths)
    for number, length in enumerate(buckets):
        indices = np.flatnonzero(fits == number).tolist()
        for start in range(0, len(indices), sizes[-1]):
            part = indices[start : start + sizes[-1]]
            yield part, (next(size for size in sizes if size >= len(part)), length)
