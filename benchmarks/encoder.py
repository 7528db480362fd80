"""The encoder: text buckets, the cost of the map, and the batched detector against a loop.

The loop has the prototype's cost structure, each part compiled on its own for one picture: a
forward pass for the embedding, a forward and backward pass for the map, a forward pass for the
patches, a softmax per group. Its backward pass is given in two forms: ``activations`` follows the
blocks down to the first; ``weights`` also forms the gradients of the weights, as a framework does
that was not told to freeze them, which is what the prototype did.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import vit
from benchmarks.measuring import FACTORS, Case, Limits, Row, compiled, megabytes, row
from jaxvlm.clip import ClipModel, encode_images, encode_token_ids
from jaxvlm.ood import LabelBanks, NegAlignConfig, score_images
from jaxvlm.ood.encoding import encode

PROMPTS, BUCKET, LONGEST = 8, 16, 77
BATCH, PICTURES, GROUPS = 4, 8, 100  # two CPU cores are fastest in batches of 2 to 4
SHAPE = vit.SHAPES["ViT-B/16"]


def rows(limits: Limits) -> list[Row]:
    rng = np.random.default_rng(0)
    return [_text_buckets(rng, limits), *_pictures(rng, limits)]


def _text_buckets(rng: np.random.Generator, limits: Limits) -> Row:
    """Label-like prompts: at most 15 tokens, so that the shortest bucket holds them."""
    model = vit.text_model()

    def case(prompts: int, length: int) -> Case:
        ids = np.full((prompts, length), 49407, np.int32)
        ids[:, :12] = rng.integers(300, 49406, (prompts, 12))
        args = model.computed, jnp.asarray(ids)
        return compiled(
            lambda p, ids: encode_token_ids(vit.with_params(model, p), ids), *args
        ), args

    return row(
        f"text tower, bucket of {BUCKET}, N={PROMPTS} prompts",
        {factor: case(factor * PROMPTS, BUCKET) for factor in FACTORS},
        naive=(f"length {LONGEST}", case(PROMPTS, LONGEST)),
        needed={"flops": PROMPTS * vit.text_flops(BUCKET), "dtype": "float32"},
        limits=limits,
    )


def _pictures(rng: np.random.Generator, limits: Limits) -> list[Row]:
    model = vit.vision_model(SHAPE)
    banks = vit.random_banks(rng, SHAPE.embedding)
    config = NegAlignConfig(num_groups=GROUPS)
    pixels = jnp.asarray(rng.normal(size=(PICTURES, 3, 224, 224)).astype(np.float32))

    def case(count: int, function: Callable) -> Case:
        args = model.computed, pixels[:count]
        return compiled(lambda params, x: function(vit.with_params(model, params), x), *args), args

    def mapped(model: ClipModel, x: jax.Array):
        return encode(model, banks.positive, x, config.cam)

    def detector(model: ClipModel, x: jax.Array):
        return score_images(model, banks, x, config)

    def needed(count: int) -> dict:
        return {"flops": count * vit.vision_flops(SHAPE), "dtype": "float32"}

    in_batches, _ = case(BATCH, detector)

    def all_in_batches() -> list:
        parts = (pixels[first : first + BATCH] for first in range(0, PICTURES, BATCH))
        return [in_batches(model.computed, part) for part in parts]

    def loop(weights: bool) -> Case:
        score = one_at_a_time(model, banks, weights=weights)
        return lambda: [score(pixels[i : i + 1]) for i in range(PICTURES)], ()

    plain = {factor: case(factor, encode_images) for factor in FACTORS}
    batched = f"detector in batches of {BATCH}, {PICTURES} pictures"
    more = {"needed": needed(PICTURES), "limits": limits, "seconds": 20.0}
    against = [
        row(batched, (all_in_batches, ()), naive=(f"loop, {name}", loop(name == "weights")), **more)
        for name in ("activations", "weights")
    ]
    return [
        row("ViT-B/16 plain forward pass N=1", plain, needed=needed(1), limits=limits),
        *(
            row(
                f"ViT-B/16 with map and masks N={count}",
                case(count, mapped),
                naive=("plain forward pass", case(count, encode_images)),
                needed=needed(count),
                limits=limits,
                seconds=12.0,
            )
            for count in (2, BATCH)
        ),
        *(line._replace(megabytes=megabytes(in_batches)) for line in against),
    ]


def one_at_a_time(model: ClipModel, banks: LabelBanks, *, weights: bool) -> Callable:
    """The loop's function of one picture [1, 3, S, S]; a Python float comes out."""
    module = model.module

    def tower(params, pixels, delta):
        def method(module, pixels, delta):
            vision = module.vision_model
            hidden = vision.pre_layrnorm(vision.embeddings(pixels)) + delta
            *blocks, last = vision.encoder.layers.layers
            for block in blocks:
                hidden = block(hidden, None)[0]
            patches = last(hidden, None)[0]
            pooled = vision.post_layernorm(patches[:, 0])
            return module.visual_projection(pooled)[0], (hidden[0, 1:], patches[0, 1:])

        return module.apply({"params": params}, jnp.moveaxis(pixels, 1, -1), delta, method=method)

    def unit(vector):
        return vector / jnp.linalg.norm(vector)

    zero = jnp.zeros(())

    @jax.jit
    def embed(params, pixels):
        return unit(tower(params, pixels, zero)[0])

    @jax.jit
    def map_of(params, pixels, text):
        def target(params, delta):
            image, (hidden, _) = tower(params, pixels, delta)
            return unit(image) @ text, hidden

        delta = jnp.zeros((1, 197, 768))
        argument = (0, 1) if weights else 1
        gradients, hidden = jax.grad(target, argument, has_aux=True)(params, delta)
        # The sum keeps the weights' gradients alive in the compiled function.
        kept = sum(leaf.sum() for leaf in jax.tree.leaves(gradients))
        cam = jax.nn.relu(hidden @ hidden.mean(0)).reshape(14, 14)
        return cam + 1e-30 * kept

    @jax.jit
    def background(params, pixels, mask):
        _, (_, patches) = tower(params, pixels, zero)
        pooled = mask.ravel() @ patches / mask.sum()
        return unit(pooled @ params["visual_projection"]["kernel"])

    @functools.partial(jax.jit, static_argnames="groups")
    def grouped(positive, negative, groups):
        size = negative.shape[0] // groups
        scores = []
        for g in range(groups):
            both = jnp.concatenate([positive, negative[g * size : (g + 1) * size]])
            scores.append(jax.nn.softmax(both)[: positive.shape[0]].sum())
        return jnp.stack(scores).mean()

    @jax.jit
    def align(embedding, text, bank):
        return embedding @ text - jax.lax.top_k(bank @ embedding, 5)[0].mean()

    def score(pixels) -> float:
        image = embed(model.params, pixels)
        positive = 100.0 * banks.positive @ image
        plain = grouped(positive, 100.0 * banks.negative @ image, GROUPS).item()
        star = grouped(positive, 100.0 * banks.negative_object @ image, GROUPS).item()
        text = banks.positive[int(positive.argmax())]
        cam = np.asarray(map_of(model.params, pixels, text))
        mask = jnp.asarray(cam < np.percentile(cam, 80), jnp.float32)
        behind = background(model.params, pixels, mask)
        return plain + star + align(behind, text, banks.negative_background).item()

    return score
