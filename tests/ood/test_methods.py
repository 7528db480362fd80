"""Every method against its formula, written out in NumPy for one picture at a time."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import ood
from jaxvlm.ood import Encoded, LabelBanks, methods
from jaxvlm.ood.alignment import align_score
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.methods import METHODS, alignment_scores, base_method, method_scores
from jaxvlm.ood.placing import Permutations, place_banks

N, K, M, D, G = 6, 5, 17, 8, 4
OBJECT, BACKGROUND = 9, 6  # how many of the negatives lean to each side
CONFIG = NegAlignConfig(num_groups=G, logit_scale=9.0, topk_aggregation_k=3, pos_topk=2, neg_topk=3)


def units(rng, *shape):
    drawn = rng.normal(size=shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    negative = units(rng, M, D)
    banks = LabelBanks(
        units(rng, K, D),
        negative,
        negative[:OBJECT],
        negative[-BACKGROUND:],
        positive_prompts=units(rng, K, 3, D),
        # Nouns are rows of the negatives, the phrases of the two adjectives are not.
        conjugated=np.concatenate([negative[2:], units(rng, 2, D)]),
        conjugated_rows=np.array([*range(2, M), -1, -1]),
        agents=units(rng, 3, D),
    )
    soft = rng.uniform(size=M).astype(np.float32)
    encoded = Encoded(
        image=units(rng, N, D),
        foreground=units(rng, N, D),
        background=units(rng, N, D),
        predicted_class_idx=rng.integers(K, size=N).astype(np.int32),
        local_mcm=rng.uniform(size=N).astype(np.float32),
        cam=np.zeros((N, 2, 2), np.float32),
        cam_valid=np.ones(N, bool),
        local_mcm_output=rng.uniform(size=N).astype(np.float32),
        foreground_layernorm=units(rng, N, D),
    )
    orders = Permutations(
        rng.permutation(M - M % G), rng.permutation(OBJECT - OBJECT % G), rng.permutation(M - M % G)
    )
    return encoded, banks, soft, orders, rng.uniform(size=N).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lse(z):
    return np.log(np.sum(np.exp(z)))


def top(z, k):
    return np.sort(z)[::-1][:k].mean()


def grouped(z, order):
    return z[: len(z) - len(z) % G][order].reshape(G, -1)


def neglabel(positive, negative, order):
    return np.mean([sigmoid(lse(positive) - lse(g)) for g in grouped(negative, order)])


def neglabel_topk(positive, negative, order, k=3):
    return np.mean([sigmoid(top(positive, k) - top(g, k)) for g in grouped(negative, order)])


def by_hand(data, n):
    encoded, banks, soft, orders, multi_matching = data
    v, foreground = (np.asarray(e[n], float) for e in (encoded.image, encoded.foreground_layernorm))
    cosine = np.asarray(banks.positive, float) @ v
    z, z_negative, z_object = (
        9 * cosine,
        9 * (banks.negative @ v),
        9 * (banks.negative_object @ v),
    )
    plain = neglabel(z, z_negative, orders.negative)
    mcm = np.exp(cosine.max()) / np.exp(cosine).sum()
    e, e_negative = np.exp(cosine), np.exp(z_negative / 9)
    known, groups = np.exp(z).sum(), np.exp(grouped(z_negative, orders.negative))
    return {
        "mcm": mcm,
        "max_logit": z.max(),
        "energy": lse(z),
        "eoe": (e.max() - 0.25 * e_negative.max()) / (e.sum() + e_negative.sum()),
        "cma": e.max() / (e.sum() + np.exp(banks.agents @ v).sum()),
        "gl_mcm": mcm + encoded.local_mcm[n],
        "gl_mcm_output": mcm + encoded.local_mcm_output[n],
        "neglabel": plain,
        "neglabel_one_group": np.exp(z).sum() / (np.exp(z).sum() + np.exp(z_negative).sum()),
        "size_free": np.mean([known / (known + K * group.mean()) for group in groups]),
        "neglabel_m1": neglabel_topk(z, z_negative, orders.negative),
        "neglabel_star": neglabel(z, z_object, orders.negative_object),
        "neglabel_star_m1": neglabel_topk(z, z_object, orders.negative_object),
        "neglabel_star_soft": neglabel(z, soft * z_negative, orders.negative),
        "foreground_star": neglabel(
            9 * (banks.positive @ foreground),
            9 * (banks.negative_object @ foreground),
            orders.negative_object,
        ),
        "csp": neglabel(z, 9 * (banks.conjugated @ v), orders.conjugated),
        "negrefine": plain + 2 * multi_matching[n],
    }


def place(data, config=CONFIG, **changes):
    _, banks, soft, orders, _ = data
    options = dict(permutations=orders, soft_weights=soft) | changes
    return place_banks(options.pop("banks", banks), config, **options)


def score(data, config=CONFIG, **changes):
    return method_scores(data[0], place(data, config, **changes), config, multi_matching=data[4])


def test_every_method_is_its_formula(data):
    found = score(data)
    assert list(found) == list(METHODS)
    rows = [by_hand(data, n) for n in range(N)]
    for name, values in found.items():
        expected = [row[name] for row in rows]
        np.testing.assert_allclose(values, expected, rtol=2e-5, err_msg=name)
        assert values.shape == (N,) and len(set(values.tolist())) == N


@pytest.mark.parametrize("asked", [["mcm"], ["csp", "energy"], ["negrefine"], ["gl_mcm"]])
def test_some_methods_have_the_numbers_that_they_have_among_all(data, asked):
    some = method_scores(data[0], place(data), CONFIG, multi_matching=data[4], methods=asked)
    assert list(some) == [name for name in METHODS if name in asked]
    for name, values in some.items():
        np.testing.assert_allclose(values, score(data)[name], rtol=1e-6, err_msg=name)


def test_the_settings_of_negalign_do_not_reach_the_plain_methods(data):
    off = dataclasses.replace(CONFIG, use_role_aware_negatives=False, use_neglabel_star=False)
    for name, values in score(data, off).items():
        np.testing.assert_array_equal(values, score(data)[name], err_msg=name)


def test_m1_without_a_k_takes_ten(data):
    found = score(data, dataclasses.replace(CONFIG, topk_aggregation_k=0))
    wide = score(data, dataclasses.replace(CONFIG, topk_aggregation_k=10))
    for name in METHODS:
        np.testing.assert_array_equal(found[name], wide[name])
    assert (found["neglabel_m1"] != score(data)["neglabel_m1"]).any()


def test_the_logit_scale_leaves_mcm_alone(data):
    before, after = score(data), score(data, dataclasses.replace(CONFIG, logit_scale=50.0))
    for name in METHODS:
        same = np.array_equal(before[name], after[name])
        assert same == (name in ("mcm", "gl_mcm", "gl_mcm_output", "eoe", "cma")), name
    np.testing.assert_allclose(after["max_logit"], 50 / 9 * before["max_logit"], rtol=1e-6)


def test_what_a_method_needs_decides_whether_it_is_there(data):
    without = method_scores(data[0], place(data, soft_weights=None), CONFIG)
    assert list(without) == [m for m in METHODS if m not in ("negrefine", "neglabel_star_soft")]
    _, banks, _, orders, _ = data
    few = banks._replace(negative_object=banks.negative_object[: G - 1])
    found = score(data, banks=few, permutations=orders._replace(negative_object=None))
    lacking = ("neglabel_star", "neglabel_star_m1", "foreground_star")
    assert list(found) == [m for m in METHODS if m not in lacking]
    for name, fields in (("csp", ("conjugated", "conjugated_rows")), ("cma", ("agents",))):
        without = banks._replace(**dict.fromkeys(fields))
        assert list(score(data, banks=without)) == [m for m in METHODS if m != name]


def test_csp_on_words_that_are_its_own_is_neglabel_on_them(data):
    """Its published code has NegLabel's score, with 100 groups; only its words are others."""
    _, banks, _, orders, _ = data
    own = banks._replace(conjugated=banks.negative, conjugated_rows=np.arange(M))
    found = score(data, banks=own, permutations=orders._replace(conjugated=orders.negative))
    np.testing.assert_allclose(found["csp"], found["neglabel"], rtol=1e-6)
    assert (found["csp"] != found["neglabel_one_group"]).all()


def test_the_weight_of_the_local_part_is_that_of_gl_mcm(data):
    found = score(data, dataclasses.replace(CONFIG, glmcm_weight=0.5))
    expected = found["mcm"] + 0.5 * data[0].local_mcm
    np.testing.assert_allclose(found["gl_mcm"], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "neglabel_star"),
        ({"topk_aggregation_k": 10}, "neglabel_star_m1"),
        ({"use_role_aware_negatives": False}, "neglabel"),
        ({"use_role_aware_negatives": False, "topk_aggregation_k": 1}, "neglabel_m1"),
        ({"use_neglabel_star": False, "topk_aggregation_k": 10}, "neglabel"),
    ],
)
def test_the_base_is_the_star_score_as_configured(settings, name):
    assert base_method(NegAlignConfig(**settings)) == name and name in METHODS


def test_alignment_is_that_of_its_parts(data):
    encoded, banks, _, _, _ = data
    found = alignment_scores(encoded, place(data), CONFIG)
    assert list(found) == [*VARIANTS, "bg_pos", "bg_neg", "fg_pos"]
    for n in range(N):
        prompts = banks.positive_prompts[encoded.predicted_class_idx[n]]
        background, foreground = encoded.background[n], encoded.foreground[n]
        expected = {
            "bg_pos": top(prompts @ background, 2),
            "bg_neg": top(banks.negative_background @ background, 3),
            "fg_pos": top(prompts @ foreground, 2),
        }
        for part, value in expected.items():
            assert found[part][n] == pytest.approx(value, abs=1e-6)
        for variant in VARIANTS:
            value = align_score(
                expected["bg_pos"], expected["bg_neg"], variant=variant, fg_pos=expected["fg_pos"]
            )
            assert found[variant][n] == pytest.approx(float(value), rel=1e-3, abs=1e-5)
    weights = np.random.default_rng(1).uniform(size=BACKGROUND).astype(np.float32)
    placed = place(data, banks=banks._replace(background_weights=weights))
    weighted = alignment_scores(encoded, placed, CONFIG)
    expected = [top(weights * (banks.negative_background @ v), 3) for v in encoded.background]
    np.testing.assert_allclose(weighted["bg_neg"], expected, rtol=1e-5)
    np.testing.assert_array_equal(weighted["bg_pos"], found["bg_pos"])


def test_object_rows_spare_a_product_and_change_nothing(data):
    """The object-leaning negatives are rows of all negatives, here in another order."""
    _, banks, _, _, _ = data
    rows = np.random.default_rng(2).permutation(M)[:OBJECT]
    own = banks._replace(negative_object=banks.negative[rows])
    known = own._replace(object_rows=rows)
    assert place(data, banks=known).negatives.rows.shape[1] == M + 2  # CSP's two phrases
    expected, found = score(data, banks=own), score(data, banks=known)
    for name in METHODS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)
    assert (found["neglabel_star"] != score(data)["neglabel_star"]).all()


def test_weights_of_the_objects_multiply_their_similarities(data):
    encoded, banks, _, orders, _ = data
    weights = np.random.default_rng(3).uniform(size=OBJECT).astype(np.float32)
    found = score(data, banks=banks._replace(object_weights=weights))
    for n in range(N):
        z = 9 * (banks.positive @ encoded.image[n])
        z_object = 9 * weights * (banks.negative_object @ encoded.image[n])
        expected = neglabel(z, z_object, orders.negative_object)
        assert found["neglabel_star"][n] == pytest.approx(expected, rel=2e-5)


def test_the_block_of_all_methods_agrees_with_each_method_by_itself():
    """As they were computed before: a product of embeddings and labels for every method."""
    rng = np.random.default_rng(4)
    count, negatives = 60, units(rng, 400, 16)
    rows = rng.permutation(400)[:170]
    banks = LabelBanks(
        units(rng, 30, 16), negatives, negatives[rows], negatives[:5], object_rows=rows
    )
    encoded = Encoded(
        *units(rng, 3, count, 16), np.zeros(count, int), np.zeros(count), None,
        np.ones(count, bool), np.zeros(count), units(rng, count, 16),
    )  # fmt: skip
    orders = Permutations(rng.permutation(400), rng.permutation(160))
    config = NegAlignConfig(num_groups=20, topk_aggregation_k=4, logit_scale=30.0)
    found = method_scores(encoded, place_banks(banks, config, permutations=orders), config)
    alone = {
        "neglabel": (dict(topk_aggregation_k=0), encoded.image, "negative", False),
        "neglabel_m1": (dict(use_role_aware_negatives=False), encoded.image, "negative", True),
        "neglabel_star": (dict(topk_aggregation_k=0), encoded.image, "negative_object", True),
        "neglabel_star_m1": ({}, encoded.image, "negative_object", True),
        "foreground_star": (
            dict(topk_aggregation_k=0), encoded.foreground_layernorm, "negative_object", True
        ),
        "neglabel_one_group": (dict(num_groups=1), encoded.image, None, False),
    }  # fmt: skip
    for name, (changes, embeddings, order, star) in alone.items():
        expected = ood.neglabel_scores(
            embeddings,
            banks,
            dataclasses.replace(config, **changes),
            permutation=order and getattr(orders, order),
            star=star,
        )
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, atol=1e-7, err_msg=name)


def test_blocks_compile_once_whatever_the_number_of_pictures(data, monkeypatch):
    monkeypatch.setattr(methods, "_BLOCK", 4)
    encoded, placed = data[0], place(data)

    def run(count):
        part = type(encoded)(*(rows[:count] for rows in encoded))
        return method_scores(part, placed, CONFIG) | alignment_scores(part, placed, CONFIG)

    whole = run(6)
    before = [f._cache_size() for f in (methods._method_scores, methods._alignment_parts)]
    for count in (5, 4, 3):
        for name, values in run(count).items():
            np.testing.assert_allclose(values, whole[name][:count], rtol=1e-6, err_msg=name)
    assert [f._cache_size() for f in (methods._method_scores, methods._alignment_parts)] == before


def test_banks_placed_for_other_groups_are_refused(data):
    other = dataclasses.replace(CONFIG, num_groups=2)
    orders = Permutations(None, None)
    with pytest.raises(ValueError, match="banks placed for 2 groups, num_groups is 4; place"):
        method_scores(data[0], place(data, other, permutations=orders), CONFIG)
