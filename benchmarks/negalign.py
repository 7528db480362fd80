"""What the batched detector saves: pictures per second against one picture at a time.

Both score the same random pictures with the same random ViT-B/16, 1,000 classes and 6,370
negative labels in 100 groups, P_align on, in one process.

The loop has the prototype's cost structure, each part compiled on its own for one picture: a
forward pass for the embedding, a forward and backward pass for the map, a forward pass for the
patches, a softmax per group. Its backward pass is given in two forms: ``activations`` follows the
blocks down to the first; ``weights`` also forms the gradients of the weights, as a framework does
that was not told to freeze them, which is what the prototype did.

Prints medians over repeats and the memory that XLA asks for beside the weights; asserts nothing.
Run: python -m benchmarks.negalign
"""

import functools
import json
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from transformers import CLIPConfig

from jaxvlm.clip import ClipModel, encode_images, init_params
from jaxvlm.clip.architecture import describe
from jaxvlm.clip.images import Preprocessing
from jaxvlm.ood import LabelBanks, NegAlignConfig, encoding, score_images

CLASSES, NEGATIVES, OBJECT, BACKGROUND, GROUPS = 1000, 6370, 2866, 2866, 100
PICTURES, REPEATS, BATCH = 8, 5, 4  # two CPU cores are fastest in batches of 2 to 4


def vit_b16() -> ClipModel:
    """ViT-B/16's vision tower beside a text tower of one layer, random weights."""
    config = CLIPConfig(
        text_config={"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1},
        vision_config={"patch_size": 16},
    )
    params = init_params(config, jax.random.key(0))
    return ClipModel(params, config, None, Preprocessing(224, 224), describe(config))


def random_banks(rng: np.random.Generator, width: int) -> LabelBanks:
    def bank(count: int) -> jax.Array:
        rows = rng.normal(size=(count, width)).astype(np.float32)
        return jnp.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return LabelBanks(*map(bank, (CLASSES, NEGATIVES, OBJECT, BACKGROUND)))


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


def seconds_per_picture(step: Callable, pictures: np.ndarray, batch: int) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for first in range(0, len(pictures), batch):
            jax.block_until_ready(step(pictures[first : first + batch]))
        times.append(time.perf_counter() - start)
    return statistics.median(times) / len(pictures)


def main() -> None:
    rng = np.random.default_rng(0)
    model = vit_b16()
    banks = random_banks(rng, model.config.projection_dim)
    config = NegAlignConfig(num_groups=GROUPS)
    pictures = rng.normal(size=(PICTURES, 3, 224, 224)).astype(np.float32)
    steps = {
        "plain forward pass": (lambda pixels: encode_images(model, pixels), BATCH),
        "batched detector": (lambda pixels: score_images(model, banks, pixels, config), BATCH),
        "loop, activations": (one_at_a_time(model, banks, weights=False), 1),
        "loop, weights": (one_at_a_time(model, banks, weights=True), 1),
    }
    taken = {}
    for name, (step, batch) in steps.items():
        jax.block_until_ready(step(pictures[:batch]))
        taken[name] = seconds_per_picture(step, pictures, batch)
    detector = taken["batched detector"]
    for name, value in taken.items():
        print(
            f"{name:20} {1 / value:7.2f} pictures/s, {value / detector:5.2f} x the detector's time"
        )
    memory = encoding._encode.lower(
        model.params,
        pictures[:BATCH],
        banks.positive,
        architecture=model.architecture,
        cam=config.cam,
        num_blocks=12,
    ).compile()
    megabytes = memory.memory_analysis().temp_size_in_bytes / 2**20
    print(f"detector's temporary memory in batches of {BATCH}: {megabytes:.0f} MiB")
    print(json.dumps({name: 1 / value for name, value in taken.items()}))


if __name__ == "__main__":
    main()
