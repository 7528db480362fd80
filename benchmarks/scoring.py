"""The NegLabel family: scores of N unit embeddings against K classes and M negative labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import vit
from benchmarks.measuring import FACTORS, Case, Limits, Row, compiled, row
from jaxvlm.ood import scores

IMAGES, GROUPS, WIDTH, TOP = 64, 100, 512, 10


def rows(limits: Limits) -> list[Row]:
    rng = np.random.default_rng(0)
    positive = vit.unit_rows(rng, vit.CLASSES, WIDTH)
    negatives = {factor: vit.unit_rows(rng, factor * vit.NEGATIVES, WIDTH) for factor in FACTORS}
    images = {factor: vit.unit_rows(rng, factor * IMAGES, WIDTH) for factor in FACTORS}

    def case(score, images: jax.Array, negative: jax.Array) -> Case:
        args = images, positive, negative
        return compiled(jax.vmap(score, (0, None, None)), *args), args

    lse, topk = functools.partial(family, topk=None), functools.partial(family, topk=TOP)
    flops = 2.0 * IMAGES * (vit.CLASSES + vit.NEGATIVES) * WIDTH
    more = {"needed": {"flops": flops, "dtype": "float32"}, "limits": limits}
    softmax = "a softmax per group", case(softmax_per_group, images[1], negatives[1])
    sort = "a sort per group", case(sort_per_group, images[1], negatives[1])
    size = f"K={vit.CLASSES:,} M={vit.NEGATIVES:,} G={GROUPS}"
    by_image = {factor: case(lse, images[factor], negatives[1]) for factor in FACTORS}
    by_label = {factor: case(lse, images[1], negatives[factor]) for factor in FACTORS}
    top = {factor: case(topk, images[factor], negatives[1]) for factor in FACTORS}
    return [
        row(f"NegLabel, G = 100 and 1 N={IMAGES} {size}", by_image, naive=softmax, **more),
        row(f"NegLabel, G = 100 and 1, labels grow N={IMAGES} {size}", by_label, **more),
        row(f"NegLabel M1 (top {TOP}) N={IMAGES} {size}", top, naive=sort, **more),
        row(
            f"approximate top {TOP} of M={vit.NEGATIVES:,} N={IMAGES}",
            _top(rng, approximate=True),
            naive=("exact lax.top_k", _top(rng, approximate=False)),
        ),
    ]


def _top(rng: np.random.Generator, *, approximate: bool) -> Case:
    args = (jnp.asarray(rng.random((IMAGES, vit.NEGATIVES), np.float32)),)
    return compiled(lambda z: scores.topk_mean(z, TOP, approximate=approximate), *args), args


def family(image: jax.Array, positive: jax.Array, negative: jax.Array, *, topk: int | None):
    """NegLabel with G = 100 and G = 1 of one embedding [D], as the library computes them."""
    pos, neg = 100.0 * positive @ image, 100.0 * negative @ image
    return scores.neglabel_score(pos, neg, num_groups=GROUPS, topk=topk), scores.one_group_score(
        pos, neg
    )


def softmax_per_group(image: jax.Array, positive: jax.Array, negative: jax.Array):
    """The same from G softmaxes over K + M/G labels, and one over K + M."""
    pos, neg = 100.0 * positive @ image, 100.0 * negative @ image

    def share(group: jax.Array) -> jax.Array:
        return jax.nn.softmax(jnp.concatenate([pos, group]))[: len(pos)].sum()

    groups = scores.group_negatives(neg, num_groups=GROUPS)
    return jax.vmap(share)(groups).mean(), share(neg)


def sort_per_group(image: jax.Array, positive: jax.Array, negative: jax.Array):
    """M1 and one group with the k largest taken from a full sort."""
    pos, neg = 100.0 * positive @ image, 100.0 * negative @ image

    def top(values: jax.Array) -> jax.Array:
        return jnp.sort(values, axis=-1)[..., -TOP:].mean(axis=-1)

    groups = scores.group_negatives(neg, num_groups=GROUPS)
    return jax.nn.sigmoid(top(pos) - top(groups)).mean(), scores.one_group_score(pos, neg)
