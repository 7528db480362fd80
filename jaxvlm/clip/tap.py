"""One forward pass that also gives the gradient of an objective at taps inside the vision tower."""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxvlm.arrays import check_shapes
from jaxvlm.clip.architecture import Architecture, matmul_precision, module_of

PatchFeatures = Literal["output", "value_block", "value_only"]


class Tap(NamedTuple):
    """A place in the vision tower: of block ``block`` (0 is the first), the attention's input
    (after layer_norm1) or the block's output."""

    place: Literal["attention_input", "output"]
    block: int


class Tapped(NamedTuple):
    """What one pass gives for N images.

    image [N, D]: embedding, unnormalised, as ``encode_images`` gives it.
    patches: one [N, P, H] per kind of features asked for, before post-layernorm and projection.
    activations, gradients: one [N, P, H] per tap; ∂objective/∂activation, patches only.
    """

    image: jax.Array
    patches: tuple[jax.Array, ...]
    activations: tuple[jax.Array, ...]
    gradients: tuple[jax.Array, ...]


def encode_tapped(
    params: Any,
    pixel_values: jax.Array,
    objective: Callable[[jax.Array], jax.Array],
    *,
    architecture: Architecture,
    taps: tuple[Tap, ...],
    patch_features: tuple[PatchFeatures, ...] = ("output",),
    hidden: jax.Array | None = None,
) -> Tapped:
    """Embeds images and differentiates ``objective`` of each embedding at the taps.

    A zero is added to each tap's patches and the pass is differentiated in those zeros, so that
    backwards runs through the blocks above the lowest tap and nothing below. In the last block
    only the class token reaches the embedding; backwards follows its query alone, which costs
    two projections of the patches instead of the block.

    Args:
      params: of the CLIP. pixel_values: [N, 3, S, S], preprocessed.
      objective: [N, D] → [N], what each image's gradient is of; images must not mix.
      patch_features: of the last block, h its input and a = out_proj(v_proj(layer_norm1(h))) the
        value path of its attention. ``output``: the block's output. ``value_block``: the block
        with a in the attention's place, v + MLP(layer_norm2(v)), v = h + a; a patch then looks at
        no other. These are the local features of GL-MCM's code (Miyai et al. 2023) and of
        MaskCLIP's for a ViT (Zhou et al. 2022). ``value_only``: a alone, MaskCLIP's form for a
        ResNet, which has neither residual nor MLP there.
      hidden: [N, 1 + P, H] from `encode_below` at `lowest_block`, instead of pixel_values.

    Pure; call it under jit. Everything comes out as float32. Raises ValueError for another shape.
    """
    module = module_of(architecture)
    vision = module.config.vision_config
    num_patches = (vision.image_size // vision.patch_size) ** 2
    check_shapes("encode_tapped", hidden=(hidden, f"N {1 + num_patches} {vision.hidden_size}"))
    if hidden is None:
        hidden = encode_below(
            params, pixel_values, architecture=architecture, block=lowest_block(taps)
        )
    shape = len(hidden), num_patches, vision.hidden_size

    def forward(zeros):
        return module.apply(
            {"params": params},
            hidden,
            zeros,
            method=functools.partial(_above, taps=taps, patch_features=patch_features),
        )

    with jax.default_matmul_precision(matmul_precision(architecture)):
        zeros = tuple(jnp.zeros(shape, architecture.dtype) for _ in taps)
        image, pull, (patches, activations) = jax.vjp(forward, zeros, has_aux=True)
        (gradients,) = pull(jax.grad(lambda v: objective(v).sum())(image))
    return jax.tree.map(
        lambda array: array.astype(jnp.float32), Tapped(image, patches, activations, gradients)
    )


def lowest_block(taps: tuple[Tap, ...]) -> int:
    """The block below which nothing depends on what is differentiated."""
    return min(tap.block for tap in taps)


def encode_below(
    params: Any, pixel_values: jax.Array, *, architecture: Architecture, block: int
) -> jax.Array:
    """The input of a block of the vision tower, [N, 1 + P, H], in the tower's dtype.

    pixel_values: [N, 3, S, S], preprocessed. Pure; call it under jit. Raises ValueError for another
    shape.
    """
    module = module_of(architecture)
    side = module.config.vision_config.image_size
    check_shapes("encode_below", pixel_values=(pixel_values, f"N 3 {side} {side}"))

    def forward(module, pixels):
        vision = module.vision_model
        hidden = vision.pre_layrnorm(vision.embeddings(pixels))
        for layer in vision.encoder.layers.layers[:block]:
            hidden = _rest_of_block(layer, hidden, layer.self_attn(layer.layer_norm1(hidden))[0])
        return hidden.astype(architecture.dtype)

    pixels = jnp.moveaxis(jnp.asarray(pixel_values, jnp.float32), 1, -1)
    with jax.default_matmul_precision(matmul_precision(architecture)):
        return module.apply({"params": params}, pixels, method=forward)


def project_tokens(
    params: Any, tokens: jax.Array, *, architecture: Architecture, layernorm: bool = True
) -> jax.Array:
    """Token features [..., H] through (post-layernorm and) the visual projection, [..., D].

    Raises ValueError for another width.
    """
    module = module_of(architecture)
    width = module.config.vision_config.hidden_size
    check_shapes("project_tokens", tokens=(tokens, f"... {width}"))

    def project(module, tokens):
        if layernorm:
            tokens = module.vision_model.post_layernorm(tokens)
        return module.visual_projection(tokens)

    with jax.default_matmul_precision(matmul_precision(architecture)):
        projected = module.apply({"params": params}, tokens, method=project)
    return projected.astype(jnp.float32)


def _above(module, hidden, zeros, *, taps, patch_features):
    vision = module.vision_model
    added = dict(zip(taps, zeros, strict=True))
    seen: dict[Tap, jax.Array] = {}

    def tapped(hidden, tap):
        if tap not in added:
            return hidden
        seen[tap] = hidden[:, 1:]
        return hidden.at[:, 1:].add(added[tap])

    *blocks, last = vision.encoder.layers.layers
    for number, block in list(enumerate(blocks))[lowest_block(taps) :]:
        attended = tapped(block.layer_norm1(hidden), Tap("attention_input", number))
        hidden = _rest_of_block(block, hidden, block.self_attn(attended)[0])
        hidden = tapped(hidden, Tap("output", number))
    plain = last.layer_norm1(hidden)
    attended = tapped(plain, Tap("attention_input", len(blocks)))
    token = _rest_of_block(last, hidden[:, :1], _class_attention(last.self_attn, attended))
    output = _rest_of_block(last, hidden, last.self_attn(plain)[0])[:, 1:]
    tapped(jnp.concatenate([token, output], axis=1), Tap("output", len(blocks)))
    value = last.self_attn.out_proj(last.self_attn.v_proj(plain[:, 1:]))
    patches = {  # what nobody asks for is not computed: under jit it has no user
        "output": output,
        "value_block": _rest_of_block(last, hidden[:, 1:], value),
        "value_only": value,
    }
    image = module.visual_projection(vision.post_layernorm(token[:, 0]))
    wanted = tuple(patches[name] for name in patch_features)
    return image.astype(jnp.float32), (wanted, tuple(seen[tap] for tap in taps))


def _rest_of_block(block, hidden, attention):
    hidden = hidden + attention
    return hidden + block.mlp(block.layer_norm2(hidden))


def _class_attention(attention, hidden):
    """The class token's row of the attention's output, [N, 1, H]."""
    query = attention.q_proj(hidden[:, :1])
    mixed = attention.mix(query, attention.k_proj(hidden), attention.v_proj(hidden))
    return attention.out_proj(mixed)
