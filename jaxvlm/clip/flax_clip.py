"""CLIP's two towers in Flax.

Names of parameters and modules, what modules take and return, and initial values are those of
FlaxCLIPModule in transformers 4, which has none from 5.0 on. Both towers are the pre-norm
transformers of Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision". Ours are written for XLA's fast products on a CPU (see docs/scaling.md): bfloat16 is
summed in float32, attention is one fused product, matrices may lie transposed (`laid_out`).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn.initializers import constant, normal
from jax.typing import DTypeLike

from jaxvlm.clip.laid_out import KERNEL, TRANSPOSED

_ACTIVATIONS = {
    "gelu": functools.partial(nn.gelu, approximate=False),
    "gelu_new": functools.partial(nn.gelu, approximate=True),
    "gelu_pytorch_tanh": functools.partial(nn.gelu, approximate=True),
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
    "relu": nn.relu,
    "silu": nn.swish,
    "swish": nn.swish,
    "tanh": nn.tanh,
}


class TowerOutput(NamedTuple):
    """last_hidden_state [N, L, H], of the last block; pooler_output [N, H], normalised."""

    last_hidden_state: jax.Array
    pooler_output: jax.Array


class ClipEmbeddings(NamedTuple):
    """image_embeds, text_embeds [N, D]: not normalised."""

    image_embeds: jax.Array
    text_embeds: jax.Array


def sums_in(dtype: DTypeLike) -> jnp.dtype:
    """What products of numbers in ``dtype`` come out in.

    On a CPU float32: XLA multiplies bfloat16 there with the processor's own instructions only if
    float32 comes out, and otherwise turns both sides into float32 first. Accelerators sum in
    float32 whatever comes out, and store half as much.
    """
    return jnp.dtype(jnp.float32 if jax.default_backend() == "cpu" else dtype)


class Dense(nn.Module):
    """x W + b in `sums_in`; W is multiplied in ``dtype`` and lies as ``kernel`` [..., out], whose
    first axes are flattened, or as ``transposed`` [out, in]."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    kernel_init: Callable[..., jax.Array]
    use_bias: bool = True

    @nn.compact
    def __call__(self, inputs):
        if self.has_variable("params", TRANSPOSED):
            kernel, axis = self.get_variable("params", TRANSPOSED), 1
        else:
            kernel = self.param(KERNEL, self.kernel_init, self.shape)
            kernel, axis = kernel.reshape(-1, self.shape[-1]), 0
        outputs = jax.lax.dot_general(
            inputs.astype(self.dtype),
            kernel.astype(self.dtype),
            (((inputs.ndim - 1,), (axis,)), ((), ())),
            preferred_element_type=sums_in(self.dtype),
        )
        if not self.use_bias:
            return outputs
        bias = self.param("bias", nn.initializers.zeros, self.shape[-1:])
        return outputs + bias.astype(outputs.dtype)


class Attention(nn.Module):
    """`mix` of a state with itself, then a projection. Returns a tuple of one."""

    config: Any
    dtype: DTypeLike

    def setup(self):
        width, self.num_heads = self.config.hidden_size, self.config.num_attention_heads
        if width % self.num_heads:
            raise ValueError(f"a width of {width} is no multiple of {self.num_heads} heads")
        project = functools.partial(Dense, (width, width), self.dtype, normal(0.01))
        self.q_proj, self.k_proj, self.v_proj = project(), project(), project()
        self.out_proj = project()

    def __call__(self, hidden, mask=None):
        """mask: [N or 1, 1, L, L], true where a query may look; None: everywhere."""
        mixed = self.mix(self.q_proj(hidden), self.k_proj(hidden), self.v_proj(hidden), mask)
        return (self.out_proj(mixed),)

    def mix(self, query, key, value, mask=None):
        """softmax(q kᵀ / √d) v in each head. query [N, Q, H], key and value [N, L, H]: [N, Q, H].

        The sum of the weights divides what they mix: XLA makes one loop of it all on a CPU, with
        the heads in front of the queries, and never stores the weights.
        """
        query, key, value = (
            projected.astype(self.dtype).reshape(*projected.shape[:2], self.num_heads, -1)
            for projected in (query, key, value)
        )
        product = functools.partial(jnp.einsum, preferred_element_type=sums_in(self.dtype))
        logits = product("nqhd,nkhd->nhqk", query / query.shape[-1] ** 0.5, key)
        if mask is not None:
            logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
        largest = jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True))
        weights = jnp.exp(logits - largest)
        mixed = product("nhqk,nkhd->nhqd", weights.astype(self.dtype), value)
        mixed = mixed / weights.sum(axis=-1, keepdims=True)
        return jnp.moveaxis(mixed, 1, 2).reshape(*query.shape[:2], -1)


class Perceptron(nn.Module):
    config: Any
    dtype: DTypeLike

    def setup(self):
        width, inner = self.config.hidden_size, self.config.intermediate_size
        self.fc1 = Dense((width, inner), self.dtype, normal(0.01))
        self.fc2 = Dense((inner, width), self.dtype, normal(0.01))
        self.activation = _ACTIVATIONS[self.config.hidden_act]

    def __call__(self, hidden):
        return self.fc2(self.activation(self.fc1(hidden)))


class Block(nn.Module):
    """h + attention(norm(h)), then h + MLP(norm(h)). Returns a tuple of one."""

    config: Any
    dtype: DTypeLike

    def setup(self):
        self.self_attn = Attention(self.config, self.dtype)
        self.layer_norm1 = _norm(self)
        self.mlp = Perceptron(self.config, self.dtype)
        self.layer_norm2 = _norm(self)

    def __call__(self, hidden, mask=None):
        hidden = hidden + self.self_attn(self.layer_norm1(hidden), mask)[0]
        return (hidden + self.mlp(self.layer_norm2(hidden)),)


class Blocks(nn.Module):
    config: Any
    dtype: DTypeLike

    def setup(self):
        self.layers = [
            Block(self.config, self.dtype, name=str(number))
            for number in range(self.config.num_hidden_layers)
        ]

    def __call__(self, hidden, mask=None):
        for layer in self.layers:
            hidden = layer(hidden, mask)[0]
        return hidden


class Encoder(nn.Module):
    """A level that the names of the parameters have: ``encoder.layers.0``."""

    config: Any
    dtype: DTypeLike

    def setup(self):
        self.layers = Blocks(self.config, self.dtype)

    def __call__(self, hidden, mask=None):
        return self.layers(hidden, mask)


class VisionEmbeddings(nn.Module):
    config: Any
    dtype: DTypeLike

    def setup(self):
        width, side = self.config.hidden_size, self.config.patch_size
        self.class_embedding = self.param("class_embedding", normal(0.02), (width,))
        shape = side, side, self.config.num_channels, width
        self.patch_embedding = Dense(shape, self.dtype, normal(), use_bias=False)
        self.num_positions = 1 + (self.config.image_size // side) ** 2
        self.position_embedding = nn.Embed(self.num_positions, width, embedding_init=normal())

    def __call__(self, pixel_values):
        num, _, _, channels = pixel_values.shape
        side, grid = self.config.patch_size, self.config.image_size // self.config.patch_size
        pixels = pixel_values[:, : grid * side, : grid * side]
        pixels = pixels.reshape(num, grid, side, grid, side, channels).swapaxes(2, 3)
        patches = self.patch_embedding(pixels.reshape(num, grid**2, -1))
        token = jnp.tile(self.class_embedding, (num, 1, 1))
        tokens = jnp.concatenate([token, patches], axis=1)
        return tokens + self.position_embedding(jnp.arange(self.num_positions)[None])


class VisionTower(nn.Module):
    """Pictures [N, S, S, 3] to `TowerOutput`: pooled at the class token."""

    config: Any
    dtype: DTypeLike

    def setup(self):
        self.embeddings = VisionEmbeddings(self.config, self.dtype)
        self.pre_layrnorm = _norm(self)  # so spelled in the files
        self.encoder = Encoder(self.config, self.dtype)
        self.post_layernorm = _norm(self)

    def __call__(self, pixel_values, deterministic=True):
        del deterministic  # there is no dropout
        hidden = self.encoder(self.pre_layrnorm(self.embeddings(pixel_values)))
        return TowerOutput(hidden, self.post_layernorm(hidden[:, 0]))


class TextEmbeddings(nn.Module):
    config: Any
    dtype: DTypeLike

    def setup(self):
        text, embed = self.config, functools.partial(nn.Embed, embedding_init=normal())
        self.token_embedding = embed(text.vocab_size, text.hidden_size)
        self.position_embedding = embed(text.max_position_embeddings, text.hidden_size)

    def __call__(self, input_ids, position_ids):
        return self.token_embedding(input_ids) + self.position_embedding(position_ids)


class TextTower(nn.Module):
    """Token ids [N, L] to `TowerOutput`: causal, pooled at the first end token.

    With ``eos_token_id`` 2, which the first configurations of CLIP have by mistake, at the first
    of the highest ids.
    """

    config: Any
    dtype: DTypeLike

    def setup(self):
        self.embeddings = TextEmbeddings(self.config, self.dtype)
        self.encoder = Encoder(self.config, self.dtype)
        self.final_layer_norm = _norm(self)

    def __call__(self, input_ids, attention_mask, position_ids, deterministic=True):
        """attention_mask: [N, L], 0 where nobody may look; None: nowhere."""
        del deterministic
        length, end = input_ids.shape[1], self.config.eos_token_id
        mask = jnp.tril(jnp.ones((length, length), bool))[None, None]
        if attention_mask is not None:
            mask = mask & (attention_mask[:, None, None] > 0)
        hidden = self.encoder(self.embeddings(input_ids, position_ids), mask)
        hidden = self.final_layer_norm(hidden)
        place = (input_ids if end == 2 else input_ids == end).argmax(axis=-1)
        return TowerOutput(hidden, hidden[jnp.arange(len(hidden)), place])


class ClipModule(nn.Module):
    """Both towers and their projections; ``config`` is a CLIPConfig.

    A module of Flax: `embeddings` and `tap` call its parts, ``init`` makes its parameters. There is
    no dropout, whatever a configuration says of it: the encoder is frozen.
    """

    config: Any
    dtype: DTypeLike = jnp.float32

    def setup(self):
        config = self.config
        self.text_model = TextTower(config.text_config, self.dtype)
        self.vision_model = VisionTower(config.vision_config, self.dtype)
        self.visual_projection, self.text_projection = (
            Dense(
                (tower.hidden_size, config.projection_dim),
                self.dtype,
                normal(0.02),
                use_bias=False,
            )
            for tower in (config.vision_config, config.text_config)
        )
        self.logit_scale = self.param("logit_scale", constant(config.logit_scale_init_value), ())

    def __call__(self, input_ids, pixel_values, attention_mask=None, position_ids=None):
        if position_ids is None:
            position_ids = jnp.arange(input_ids.shape[1])[None]
        image = self.vision_model(pixel_values).pooler_output
        text = self.text_model(input_ids, attention_mask, position_ids).pooler_output
        return ClipEmbeddings(self.visual_projection(image), self.text_projection(text))


def _norm(tower: nn.Module) -> nn.Module:
    return nn.LayerNorm(epsilon=tower.config.layer_norm_eps, dtype=tower.dtype)
