"""Our Flax CLIP against transformers' FlaxCLIPModule, where this version of transformers has it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from jax.extend.core import jaxprs_in_params
from transformers import CLIPConfig

from jaxvlm.clip import architecture
from jaxvlm.clip.flax_clip import ClipModule
from jaxvlm.files import read_arrays
from tests.clip import hub_layouts as layouts
from tests.clip.conftest import GOLDEN


def configuration(activation="quick_gelu", end=2):
    """Two blocks for pictures and one for texts."""
    text = layouts.text(num_hidden_layers=1, hidden_act=activation, eos_token_id=end)
    vision = layouts.vision(hidden_act=activation)
    return CLIPConfig.from_dict(layouts.config(text_config=text, vision_config=vision))


def theirs():
    return pytest.importorskip("transformers.models.clip.modeling_flax_clip").FlaxCLIPModule


def inputs():
    pixels, ids = layouts.inputs()
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return np.moveaxis(pixels, 1, -1), ids, (ids != 1).astype(np.int32), positions


def parameters(config):
    """Large enough for details to show."""
    rng = np.random.default_rng(0)
    shapes = architecture.expected_shapes(config)
    flat = {name: 0.35 * rng.normal(size=s) + (len(s) == 1) for name, s in shapes.items()}
    return architecture.weights.unflatten_dict(
        {name: np.asarray(array, np.float32) for name, array in flat.items()}, sep="."
    )


def everything(module, pixels, ids, mask, positions):
    """Features, pooled and hidden states of both towers, and what the tap reads of each block."""
    vision, seen = module.vision_model, []
    hidden = vision.pre_layrnorm(vision.embeddings(pixels))
    for block in vision.encoder.layers.layers:
        attended = block.layer_norm1(hidden)
        value = block.self_attn.out_proj(block.self_attn.v_proj(attended))
        seen += [hidden, attended, value]
        hidden = hidden + block.self_attn(attended)[0]
        hidden = hidden + block.mlp(block.layer_norm2(hidden))
    image = vision(pixels)
    texts = [module.text_model(ids, m, positions, deterministic=True) for m in (None, mask)]
    seen += [hidden, image.last_hidden_state, module.visual_projection(image.pooler_output)]
    for text in texts:
        seen += [text.last_hidden_state, module.text_projection(text.pooler_output)]
    return seen


def computed(cls, config, dtype="float32"):
    """Everything, in float32, of our module or theirs with `parameters`."""
    module = cls(config, dtype=jnp.dtype(dtype))
    run = jax.jit(lambda params: module.apply({"params": params}, *inputs(), method=everything))
    return [np.asarray(array, np.float32) for array in run(parameters(config))]


@pytest.mark.parametrize(("activation", "end"), [("quick_gelu", 2), ("gelu", layouts.END)])
def test_every_hidden_state_is_transformers_own(activation, end):
    config = configuration(activation, end)
    ours, reference = (computed(cls, config) for cls in (ClipModule, theirs()))
    assert len(ours) == 3 * 2 + 7
    for got, want in zip(ours, reference, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * np.abs(want).max())


def test_in_bfloat16_it_is_nearer_to_float32_than_theirs():
    config = configuration("gelu")
    exact = computed(theirs(), config)

    def distance(cls):
        pairs = zip(computed(cls, config, "bfloat16"), exact, strict=True)
        return sum(np.abs(got - want).mean() / np.abs(want).mean() for got, want in pairs)

    assert 0 < distance(ClipModule) < 0.95 * distance(theirs())


def products(jaxpr):
    """Dtypes of (both sides, outcome) of every matrix product."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.append(tuple(str(v.aval.dtype) for v in (*equation.invars, *equation.outvars)))
        assert equation.primitive.name != "conv_general_dilated"
        for inner in jaxprs_in_params(equation.params):
            found += products(inner)
    return found


def test_on_a_cpu_all_products_of_bfloat16_come_out_in_float32():
    """Others are not multiplied by the processor's own instructions."""
    config = configuration()
    module = ClipModule(config, dtype=jnp.bfloat16)
    pixels, ids, mask, positions = inputs()
    traced = jax.make_jaxpr(module.apply)({"params": parameters(config)}, ids, pixels)
    seen = products(traced.jaxpr)
    assert len(seen) == 1 + 3 * (6 + 2) + 2  # patches; three blocks; two projections
    assert set(seen) == {("bfloat16", "bfloat16", "float32")}


def test_the_same_seed_gives_the_same_start():
    config = configuration()
    pixels, ids, mask, positions = inputs()

    def start(module):
        init = jax.jit(lambda key: module.init(key, ids, pixels, mask, positions)["params"])
        return flatten_dict(init(jax.random.key(3)))

    ours, reference = start(ClipModule(config)), start(theirs()(config))
    assert sorted(ours) == sorted(reference)
    for path, array in ours.items():
        np.testing.assert_array_equal(array, reference[path])
        assert array.dtype == reference[path].dtype


def test_it_gives_the_features_that_pytorch_gave():
    """Recorded arrays, so that they hold where transformers has no Flax, too."""
    golden = read_arrays(GOLDEN / "clip_features.safetensors")
    config = architecture.read_config(GOLDEN / "clip-small")
    params = architecture.weights.read_params(
        GOLDEN / "clip-small", architecture.expected_shapes(config)
    )
    pixels = np.moveaxis(golden["pixel_values"], 1, -1)
    got = jax.jit(ClipModule(config).apply)({"params": params}, golden["token_ids"], pixels)
    np.testing.assert_allclose(got.image_embeds, golden["image_features"], atol=1e-4)
    np.testing.assert_allclose(got.text_embeds, golden["text_features"], atol=1e-4)


def test_heads_that_do_not_divide_the_width_are_refused():
    value = layouts.config(vision_config=layouts.vision(num_attention_heads=5))
    with pytest.raises(ValueError, match="24 is no multiple of 5"):
        ClipModule(CLIPConfig.from_dict(value)).init(jax.random.key(0), *inputs()[1::-1])
