"""CLIP's two towers as graphs of OpenVINO, made from the parameters: `flax_clip` in other words.

OpenVINO's own converter reads no program of JAX. Operations are those which its CPU plugin has
fast kernels for, and in the order in which it fuses them: a product with its bias and what follows
it, a norm with its scale, attention as one. The last block is computed for the one token that
reaches the embedding. N is free, and so is a text's length L: a tower is compiled once.

Matrices lie as `laid_out` has them, [out, in]. Constants share the memory of float32 parameters,
which must be kept for as long as a graph, or what is compiled of it, is used; of bfloat16 they are
copies in float32, as the plugin would make them.
"""

from typing import Any

import numpy as np

from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.laid_out import TRANSPOSED
from jaxvlm.clip.openvino_package import openvino, opset
from jaxvlm.errors import InputError

Node = Any  # of a graph

ACTIVATIONS = {
    "gelu": lambda x: opset.gelu(x, "erf"),
    "gelu_new": lambda x: opset.gelu(x, "tanh"),
    "gelu_pytorch_tanh": lambda x: opset.gelu(x, "tanh"),
    "quick_gelu": lambda x: opset.swish(x, np.float32(1.702)),
    "relu": opset.relu,
    "silu": opset.swish,
    "swish": opset.swish,
    "tanh": opset.tanh,
}


def image_graph(params: Any, config: ClipConfig) -> openvino.Model:
    """Pixel values [N, 3, S, S] to image embeddings [N, D], unnormalised."""
    vision = config.vision_config
    pixels, hidden = _below(params, vision, vision.num_hidden_layers - 1)
    token = _last_block(hidden, params["vision_model"], vision, _ints(0))
    pooled = _norm(token, params["vision_model"]["post_layernorm"], vision)
    return _graph(_dense(pooled, params["visual_projection"]), pixels)


def patch_graph(params: Any, config: ClipConfig) -> openvino.Model:
    """Pixel values [N, 3, S, S] to embeddings of the image and its patches, [N, 1 + P, D]."""
    vision = config.vision_config
    pixels, hidden = _below(params, vision, vision.num_hidden_layers)
    tokens = _norm(hidden, params["vision_model"]["post_layernorm"], vision)
    return _graph(_dense(tokens, params["visual_projection"]), pixels)


def hidden_graph(params: Any, config: ClipConfig, block: int) -> openvino.Model:
    """Pixel values [N, 3, S, S] to the input of a block of the vision tower, [N, 1 + P, H]."""
    pixels, hidden = _below(params, config.vision_config, block)
    return _graph(hidden, pixels)


def text_graph(params: Any, config: ClipConfig) -> openvino.Model:
    """Token ids [N, L], int32, to text embeddings [N, D], unnormalised."""
    text, tower = config.text_config, params["text_model"]
    ids = opset.parameter([-1, -1], np.int32, name="token_ids")
    length = opset.gather(opset.shape_of(ids), _ints(1), _scalar(0))
    places = opset.range(_scalar(0), opset.squeeze(length, _ints(0)), _scalar(1), "i32")
    embedded = tower["embeddings"]
    token = opset.gather(_constant(embedded["token_embedding"]["embedding"]), ids, _scalar(0))
    position = _constant(embedded["position_embedding"]["embedding"])
    hidden = opset.add(token, opset.gather(position, places, _scalar(0)))
    row, column = opset.unsqueeze(places, _ints(0)), opset.unsqueeze(places, _ints(1))
    seen = opset.unsqueeze(opset.less_equal(row, column), _ints(0, 1))  # [1, 1, L, L]
    for number in range(text.num_hidden_layers - 1):
        hidden = _block(hidden, _layer(tower, number), text, seen)
    end = _end(ids, row, length, text.eos_token_id)  # [N, 1]
    seen = opset.unsqueeze(opset.less_equal(row, end), _ints(1, 2))  # [N, 1, 1, L]
    token = _last_block(hidden, tower, text, end, seen)
    pooled = _norm(token, tower["final_layer_norm"], text)
    return _graph(_dense(pooled, params["text_projection"]), ids)


def _end(ids: Node, row: Node, length: Node, end: int) -> Node:
    """Where each text ends, [N, 1]: see `flax_clip.TextTower`; 0 where it has no end token."""
    wanted = opset.reduce_max(ids, _ints(-1), True) if end == 2 else _scalar(end)
    length = opset.convert(length, "i32")
    is_end = opset.convert(opset.equal(ids, wanted), "i32")
    left = opset.multiply(is_end, opset.subtract(length, row))  # tokens from an end token on
    most = opset.reduce_max(left, _ints(-1), True)
    return opset.floor_mod(opset.subtract(length, most), length)


def _below(params: Any, vision: Any, block: int) -> tuple[Node, Node]:
    """Pixel values, and the hidden state [N, 1 + P, H] behind so many blocks."""
    tower, side, width = params["vision_model"], vision.patch_size, vision.hidden_size
    embedded = tower["embeddings"]
    shape = vision.num_channels, vision.image_size, vision.image_size
    pixels = opset.parameter([-1, *shape], np.float32, name="pixel_values")
    kernel = np.asarray(embedded["patch_embedding"][TRANSPOSED])
    kernel = kernel.reshape(width, side, side, shape[0]).transpose(0, 3, 1, 2)
    stride, nothing = [side, side], [0, 0]
    patches = opset.convolution(pixels, _constant(kernel), stride, nothing, nothing, [1, 1])
    patches = opset.reshape(patches, _ints(0, width, -1), True)
    patches = opset.transpose(patches, _ints(0, 2, 1))
    count = opset.gather(opset.shape_of(pixels), _ints(0), _scalar(0))
    token = np.asarray(embedded["class_embedding"]).reshape(1, 1, width)
    token = opset.broadcast(_constant(token), opset.concat([count, _ints(1, width)], 0))
    position = _constant(embedded["position_embedding"]["embedding"])
    hidden = opset.add(opset.concat([token, patches], 1), position)
    hidden = _norm(hidden, tower["pre_layrnorm"], vision)
    for number in range(block):
        hidden = _block(hidden, _layer(tower, number), vision)
    return pixels, hidden


def _block(hidden: Node, layer: Any, tower: Any, seen: Node | None = None) -> Node:
    normed = _norm(hidden, layer["layer_norm1"], tower)
    return _rest(hidden, _attention(normed, normed, layer["self_attn"], tower, seen), layer, tower)


def _last_block(
    hidden: Node, params: Any, tower: Any, place: Node, seen: Node | None = None
) -> Node:
    """The last block's output of one token a row, [N, H]. place: which, [1], or [N, 1] one each."""
    layer = _layer(params, tower.num_hidden_layers - 1)
    each = len(place.get_output_partial_shape(0)) - 1

    def token(x: Node) -> Node:
        return opset.gather(x, place, _scalar(1), each)

    normed = _norm(hidden, layer["layer_norm1"], tower)
    mixed = _attention(token(normed), normed, layer["self_attn"], tower, seen)
    return opset.squeeze(_rest(token(hidden), mixed, layer, tower), _ints(1))


def _rest(hidden: Node, attention: Node, layer: Any, tower: Any) -> Node:
    if tower.hidden_act not in ACTIVATIONS:
        raise InputError(
            f"backend openvino: has no activation {tower.hidden_act!r}; take backend jax"
        )
    hidden = opset.add(hidden, attention)
    inner = _dense(_norm(hidden, layer["layer_norm2"], tower), layer["mlp"]["fc1"])
    inner = ACTIVATIONS[tower.hidden_act](inner)
    return opset.add(hidden, _dense(inner, layer["mlp"]["fc2"]))


def _attention(asking: Node, hidden: Node, params: Any, tower: Any, seen: Node | None) -> Node:
    """[N, Q, H] of states [N, Q, H] that look at states [N, L, H], where ``seen`` says so."""
    heads, width = tower.num_attention_heads, tower.hidden_size
    split, swapped = _ints(0, 0, heads, width // heads), _ints(0, 2, 1, 3)
    query, key, value = (
        opset.transpose(opset.reshape(_dense(x, params[name]), split, True), swapped)
        for x, name in ((asking, "q_proj"), (hidden, "k_proj"), (hidden, "v_proj"))
    )
    mixed = opset.scaled_dot_product_attention(query, key, value, seen)
    mixed = opset.reshape(opset.transpose(mixed, swapped), _ints(0, 0, width), True)
    return _dense(mixed, params["out_proj"])


def _norm(hidden: Node, params: Any, tower: Any) -> Node:
    scaled = opset.mvn(hidden, _ints(-1), True, float(tower.layer_norm_eps), "INSIDE_SQRT")
    scaled = opset.multiply(scaled, _constant(params["scale"]))
    return opset.add(scaled, _constant(params["bias"]))


def _dense(hidden: Node, params: Any) -> Node:
    product = opset.matmul(hidden, _constant(params[TRANSPOSED]), False, True)
    return opset.add(product, _constant(params["bias"])) if "bias" in params else product


def _layer(tower: Any, number: int) -> Any:
    return tower["encoder"]["layers"][str(number)]


def _graph(output: Node, given: Node) -> openvino.Model:
    return openvino.Model([output], [given])


def _constant(values: Any) -> Node:
    array = np.asarray(values)
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return opset.constant(openvino.Tensor(array, array.shape, openvino.Type.f32))
    return opset.constant(array.astype(np.float32, "C"))  # a copy, which the graph keeps


def _ints(*values: int) -> Node:
    return opset.constant(np.array(values, np.int64))


def _scalar(value: int) -> Node:
    return opset.constant(np.int32(value))
