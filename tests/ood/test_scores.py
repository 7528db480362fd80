"""Scores of one image against float64 loops written from the papers' definitions."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxvlm.errors import InputError
from jaxvlm.ood import scores

few = settings(max_examples=20, deadline=None)


def sims(*shape: int):
    """100 times cosines, as CLIP gives them."""
    return hnp.arrays(np.float32, shape, elements=st.floats(-30, 40, width=32))


def example(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(20.0, 6.0, shape).astype(np.float32)


def softmax(values) -> list[float]:
    powers = [math.exp(float(v) - float(max(values))) for v in values]
    return [power / sum(powers) for power in powers]


def top_mean(values, k: int) -> float:
    chosen = sorted((float(v) for v in values), reverse=True)[:k]
    return sum(chosen) / len(chosen)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def neglabel(pos, neg, num_groups, permutation=None, topk=None) -> float:
    """A softmax over all classes and the labels of one group, group after group."""
    size = len(neg) // num_groups
    order = range(size * num_groups) if permutation is None else permutation
    shuffled = [neg[i] for i in order]
    shares = []
    for g in range(num_groups):
        group = shuffled[g * size : (g + 1) * size]
        if topk:
            shares.append(sigmoid(top_mean(pos, topk) - top_mean(group, topk)))
        else:
            shares.append(sum(softmax([*pos, *group])[: len(pos)]))
    return sum(shares) / num_groups


CASES = [(topk, shuffled) for topk in (None, 1, 4, 50) for shuffled in (False, True)]


class ScoresTest(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True)
    def test_neglabel(self):
        pos, neg = example(0, 7), example(1, 43)  # 43 = 5 · 8 + 3: three labels are dropped
        orders = [
            np.random.default_rng(2).permutation(40) if shuffled else None for _, shuffled in CASES
        ]

        def every_case(pos, neg):
            return [
                scores.neglabel_score(pos, neg, permutation=order, num_groups=5, topk=topk)
                for order, (topk, _) in zip(orders, CASES, strict=True)
            ]

        for order, (topk, _), actual in zip(
            orders, CASES, self.variant(every_case)(pos, neg), strict=True
        ):
            expected = neglabel(pos, neg, 5, order, topk)
            np.testing.assert_allclose(actual, expected, rtol=1e-5, err_msg=str((topk, order)))

    def test_one_side_of_classes(self):
        pos, local = example(3, 9), example(4, 6, 9)
        mcm = max(softmax([v / 100 for v in pos]))
        local_mcm = max(max(softmax([v / 100 for v in row])) for row in local)
        cold = max(softmax([v / 100 / 0.01 for v in pos]))
        energy = math.log(sum(math.exp(float(v)) for v in pos))
        warm = 2.5 * math.log(sum(math.exp(float(v) / 2.5) for v in pos))
        everything = jax.jit(
            lambda p, q: [
                scores.mcm_score(p),
                scores.mcm_score(p, temperature=0.01),
                scores.local_mcm_score(q),
                scores.glmcm_score(p, scores.local_mcm_score(q)),
                scores.glmcm_score(p, scores.local_mcm_score(q), weight=0.25),
                scores.energy_score(p),
                scores.energy_score(p, temperature=2.5),
                scores.max_logit_score(p),
            ]
        )
        expected = [mcm, cold, local_mcm, mcm + local_mcm, mcm + 0.25 * local_mcm]
        expected += [energy, warm, max(pos)]
        np.testing.assert_allclose(everything(pos, local), expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True)
    def test_one_group_and_negrefine(self):
        pos, neg, pairs = example(5, 4), example(6, 11), example(7, 3, 5)
        alone = example(8, 5) + 15
        one_group = sum(softmax([*pos, *neg])[:4])
        matching = -1.0
        for i in range(3):
            for j in range(5):
                matching = max(matching, sigmoid(float(pairs[i, j]) - float(alone[j])))
        np.testing.assert_allclose(
            self.variant(scores.one_group_score)(pos, neg), one_group, rtol=1e-5
        )
        mm = self.variant(scores.multi_matching_score)(pairs, alone)
        np.testing.assert_allclose(mm, matching, rtol=1e-5)
        np.testing.assert_allclose(scores.negrefine_score(0.25, mm), 0.25 + 2 * matching, rtol=1e-5)
        np.testing.assert_allclose(scores.negrefine_score(0.25, 0.5, weight=3.0), 1.75)


def test_numbers_known_without_a_computer():
    # All similarities alike: two classes against groups of three are 2 of 5 shares.
    np.testing.assert_allclose(scores.neglabel_score([7, 7], [7] * 6, num_groups=2), 0.4, rtol=1e-6)
    flat = scores.neglabel_score([7, 7], [7] * 6, num_groups=2, topk=10)
    np.testing.assert_allclose(flat, 0.5, rtol=1e-6)
    np.testing.assert_allclose(scores.one_group_score([0.0], [0.0, 0.0, 0.0]), 0.25, rtol=1e-6)
    np.testing.assert_allclose(scores.mcm_score(100 * np.log([1.0, 2.0, 5.0])), 5 / 8, rtol=1e-6)
    np.testing.assert_allclose(scores.energy_score(np.log([1.0, 2.0, 5.0])), np.log(8), rtol=1e-6)
    np.testing.assert_allclose(scores.topk_mean([1, 9, 4, 5], 3), 6.0)
    np.testing.assert_allclose(scores.topk_mean([[1, 9], [4, 5]], 1, axis=0), [4, 9])


@jax.jit
def topk_means(values: jax.Array) -> list[jax.Array]:
    return [scores.topk_mean(values, k) for k in range(1, 9)]


@few
@given(values=sims(3, 6))
def test_topk_mean(values):
    actual = topk_means(values)
    for k, means in enumerate(actual, 1):
        expected = [top_mean(row, k) for row in values]
        np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(actual[0], values.max(1))


@pytest.mark.parametrize("approximate", [False, True])
def test_the_approximate_top_is_asked_for_only_where_wanted_and_never_too_high(approximate):
    """The tests' CPU answers exactly; an accelerator may miss a twentieth of the largest."""
    values = example(3, 4, 500)
    function = functools.partial(scores.topk_mean, approximate=approximate)
    jaxpr = str(jax.make_jaxpr(lambda v: function(v, 5))(values))
    assert ("approx_top_k" in jaxpr) == approximate == ("recall_target=0.95" in jaxpr)
    for k in (1, 5, 600):
        actual = jax.vmap(lambda row, k=k: function(row, k))(values)
        exact = [top_mean(row, k) for row in values]
        assert (actual <= np.array(exact) + 1e-4).all()
        if jax.default_backend() == "cpu":
            np.testing.assert_allclose(actual, exact, rtol=1e-6)
    np.testing.assert_allclose(function(values, 2, axis=0)[7], top_mean(values[:, 7], 2), rtol=1e-6)
    score = scores.neglabel_score(values[0], values[1], num_groups=5, topk=3, approximate=True)
    if jax.default_backend() == "cpu":
        np.testing.assert_allclose(score, neglabel(values[0], values[1], 5, topk=3), rtol=1e-5)


@few
@given(pos=sims(5), neg=sims(14), topk=st.sampled_from([None, 2]), seed=st.integers(0, 99))
def test_order_inside_a_group_and_of_the_classes_does_not_matter(pos, neg, topk, seed):
    rng = np.random.default_rng(seed)
    inside = np.concatenate([4 * g + rng.permutation(4) for g in range(3)])
    score = functools.partial(scores.neglabel_score, num_groups=3, topk=topk)
    before = score(pos, neg)
    after = score(rng.permutation(pos), neg, permutation=inside)
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)
    assert 0 <= before <= 1


@few
@given(pos=sims(5), neg=sims(14), shift=st.floats(-50, 50))
def test_a_constant_on_all_similarities_changes_nothing(pos, neg, shift):
    shift = np.float32(shift)
    for score in (
        functools.partial(scores.neglabel_score, num_groups=3),
        functools.partial(scores.neglabel_score, num_groups=3, topk=2),
        scores.one_group_score,
    ):
        before = score(pos, neg)
        np.testing.assert_allclose(score(pos + shift, neg + shift), before, rtol=0, atol=1e-5)
        assert 0 <= before <= 1


@few
@given(pos=sims(5), neg=sims(14))
def test_one_group_is_neglabel_with_one_group(pos, neg):
    one_group = scores.neglabel_score(pos, neg, num_groups=1)
    np.testing.assert_allclose(scores.one_group_score(pos, neg), one_group, rtol=1e-5)


def test_the_last_labels_are_dropped_before_the_permutation():
    pos, neg = example(9, 5), example(10, 14)
    changed = neg.copy()
    changed[12:] = 1e3
    permutation = np.random.default_rng(0).permutation(12)
    for order in (None, permutation):
        score = functools.partial(scores.neglabel_score, pos, num_groups=3, permutation=order)
        assert score(neg) == score(changed)
    groups = scores.group_negatives(np.arange(14), permutation=permutation, num_groups=3)
    np.testing.assert_array_equal(groups, permutation.reshape(3, 4))


SCORES = {
    "neglabel": functools.partial(scores.neglabel_score, num_groups=3),
    "star": functools.partial(scores.neglabel_score, num_groups=3, topk=2),
    "one_group": scores.one_group_score,
    "mcm": lambda pos, neg: scores.mcm_score(pos),
    "max_logit": lambda pos, neg: scores.max_logit_score(pos),
    "energy": lambda pos, neg: scores.energy_score(pos),
    "local_mcm": lambda pos, neg: scores.local_mcm_score(jnp.stack([pos, pos[::-1]])),
    "multi_matching": lambda pos, neg: scores.multi_matching_score(
        jnp.broadcast_to(pos[:, None], (len(pos), len(neg))), neg
    ),
}


def test_vmapped_equals_looped():
    @jax.jit
    def every_score(pos, neg):
        return {name: score(pos, neg) for name, score in SCORES.items()}

    pos, neg = example(11, 4, 5), example(12, 4, 14)
    batched = jax.vmap(every_score)(pos, neg)
    looped = [every_score(p, n) for p, n in zip(pos, neg, strict=True)]
    for name, values in batched.items():
        expected = [float(single[name]) for single in looped]
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=name)
        assert len(set(expected)) > 2


@jax.jit
def every_score_and_its_gradients(pos: jax.Array, neg: jax.Array) -> dict:
    return {
        name: jax.value_and_grad(score, argnums=(0, 1))(pos, neg) for name, score in SCORES.items()
    }


@pytest.mark.parametrize("pos", ["high", "low", "mixed"])
@pytest.mark.parametrize("neg", ["high", "low", "mixed"])
def test_large_similarities_stay_finite(pos, neg):
    signs = {"high": 1.0, "low": -1.0}
    mixed = np.random.default_rng(13)

    def values(kind, count):
        return (
            1e4
            * np.float32(signs.get(kind) or 1)
            * (mixed.choice([-1, 1], count) if kind == "mixed" else np.ones(count)).astype(
                np.float32
            )
        )

    found = every_score_and_its_gradients(values(pos, 5), values(neg, 14))
    chex.assert_tree_all_finite(found)
    if "mixed" not in (pos, neg):
        # The larger side takes all; alike, 5 classes have 5 shares beside 4 or 14 labels.
        ends = {("high", "low"): (1, 1, 1), ("low", "high"): (0, 0, 0)}
        expected = ends.get((pos, neg), (5 / 9, 1 / 2, 5 / 19))
        actual = [found[name][0] for name in ("neglabel", "star", "one_group")]
        # One step of float32 at 1e4 is 1e-3, so the shares cannot be sharper.
        np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_too_few_labels_for_the_groups():
    with pytest.raises(InputError, match="7 cannot fill 100 groups.*at most 7"):
        scores.neglabel_score(np.zeros(3), np.zeros(7))
    with pytest.raises(InputError, match="3 cannot fill 0 groups"):
        scores.neglabel_score(np.zeros(3), np.zeros(3), num_groups=0)
    scores.neglabel_score(np.zeros(3), np.zeros(7), num_groups=7)


@pytest.mark.parametrize("length", [11, 13, 14])
def test_a_permutation_of_another_length(length):
    with pytest.raises(InputError, match=rf"\[{length}\], 12 of the 14.*give 12 indices"):
        scores.neglabel_score(
            np.zeros(3), np.zeros(14), permutation=np.arange(length), num_groups=3
        )


def test_no_top_of_nothing():
    with pytest.raises(InputError, match="k is 0"):
        scores.topk_mean(np.zeros(3), 0)
    with pytest.raises(InputError, match="k is -2"):
        scores.neglabel_score(np.zeros(3), np.zeros(4), num_groups=2, topk=-2)
