"""What is chosen, on what, and what is reported: on scores made up so that the answer is known."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from jaxvlm.errors import InputError
from jaxvlm.evaluation.paired import MEAN_OF_SETS
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.pictures.choosing import title
from jaxvlm.pictures.comparison import evaluate
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.set_names import POOLED

N = 40
PARTS = ("bg_pos", "bg_neg", "fg_pos")


def config(**changes):
    return OodConfig(num_resamples=20, lambdas=(10.0, 0.1, 1.0), **changes)


def scored(name, count=N, seed=0, **columns):
    """A set of made-up scores: noise, except for the columns given."""
    rng = np.random.default_rng(seed)
    methods = ("mcm", "neglabel", "neglabel_star")
    scores = {m: columns.get(m, rng.normal(size=count)) for m in methods}
    alignment = {v: columns.get(v, np.zeros(count)) for v in (*VARIANTS, *PARTS)}
    paths = tuple(Path(f"/pictures/{i}.png") for i in range(count))
    return ScoredSet(name, Path("/pictures"), paths, None, None, scores, alignment)


def noise(shift, seed, count=N):
    return np.random.default_rng(seed).normal(shift, size=count)


@pytest.fixture(scope="module")
def masks():
    """Which pictures are for validation, of a first and of a second set."""
    return list(evaluate([scored("id")], [scored("ood")], config()).validation.values())


@pytest.fixture(scope="module")
def ordinary():
    ids = scored("id", seed=1, neglabel_star=noise(1.0, 2), v1_original=noise(0.8, 3))
    near = scored("near", seed=4, neglabel_star=noise(0.0, 5), v1_original=noise(0.0, 6))
    far = scored("far", 25, seed=7, neglabel_star=noise(-1, 8, 25), v1_original=noise(0, 9, 25))
    return [ids], [near, far]


@pytest.fixture(scope="module")
def found(ordinary):
    return evaluate(*ordinary, config())


def chosen(evaluation, method="negalign", ood_set=None):
    """What was chosen for an OOD set; None: for all of them together."""
    if ood_set is None:
        ood_set = POOLED if POOLED in evaluation.choices else next(iter(evaluation.choices))
    return evaluation.choices[ood_set][method]


def of(evaluation, method, ood_set="ood"):
    rows = evaluation.results
    (row,) = rows[(rows["method"] == method) & (rows["ood_set"] == ood_set)].to_dict("records")
    return row


def test_a_fifth_of_every_set_is_for_choosing(masks, ordinary, found):
    assert [mask.sum() for mask in masks] == [N // 5, N // 5]
    assert (masks[0] != masks[1]).any()
    assert {name: mask.sum() for name, mask in found.validation.items()} == {
        "id": 8, "near": 8, "far": 5,
    }  # fmt: skip
    other = evaluate(*ordinary, config(seed=1)).validation["id"]
    assert (other != found.validation["id"]).any()


def test_the_variant_follows_validation_unless_test_is_asked_for(masks):
    # v5 tells ID from OOD on the validation part alone, v6 on the test part alone.
    ids = scored("id", neglabel_star=np.zeros(N), v5_neg_only=1.0 * masks[0],
                 v6_pos_only=1.0 * ~masks[0])  # fmt: skip
    oods = scored("ood", neglabel_star=np.zeros(N))
    honest = evaluate([ids], [oods], config())
    assert chosen(honest).variant == "v5_neg_only" and chosen(honest).auroc == 1.0
    assert of(honest, "negalign")["auroc"] == 0.5
    assert of(honest, "negalign")["chosen_on"] == "same_sets"  # of a single one there is no other
    assert of(honest, "v6_pos_only")["auroc"] == 1.0
    flattering = evaluate([ids], [oods], config(), choose_on="test")
    assert chosen(flattering).variant == "v6_pos_only" and chosen(flattering).auroc == 1.0
    assert of(flattering, "negalign")["auroc"] == 1.0
    for method in ("negalign", "v1_original", "negalign_learned"):
        assert of(flattering, method)["chosen_on"] == "test"
    assert of(flattering, "neglabel")["chosen_on"] == ""
    with pytest.raises(InputError, match="choose_on 'training'"):
        evaluate([ids], [oods], config(), choose_on="training")


def test_lambda_follows_validation_and_of_equals_the_smaller_is_taken(masks):
    # Base: right by 1 on the test part, wrong by 1 on validation. v7: the other way, by 0.5. So
    # validation needs λ > 2, and on the test part λ = 10 is wrong and 0.1 as good as 1.
    ids = scored("id", neglabel_star=1.0 * ~masks[0], v7_normalized=0.5 * masks[0])
    oods = scored("ood", neglabel_star=1.0 * masks[1], v7_normalized=0.5 * ~masks[1])
    honest = evaluate([ids], [oods], config())
    assert chosen(honest) == ("neglabel_star", "v7_normalized", 10.0, 1.0)
    assert of(honest, "negalign")["auroc"] == 0.0 and of(honest, "negalign")["lambda"] == 10
    flattering = evaluate([ids], [oods], config(), choose_on="test")
    assert chosen(flattering, "v7_normalized").weight == 0.1
    assert of(flattering, "v7_normalized")["auroc"] == 1.0
    aurocs = honest.sweep.set_index(["variant", "lambda"])["auroc"]
    assert aurocs["none", 0.0] == aurocs["v7_normalized", 1.0] == 0.0
    assert aurocs["v7_normalized", 10.0] == 1.0
    assert len(aurocs) == 1 + len(VARIANTS) * 3


def test_the_choice_is_for_the_mean_over_all_pairs_of_sets(masks):
    # v2 is perfect on one OOD set and useless on the other, v3 good on both.
    ids = scored("id", neglabel_star=np.zeros(N), v2_sign_flip=np.ones(N), v3_ratio=np.ones(N))
    easy = scored("easy", neglabel_star=np.zeros(N), v3_ratio=np.where(np.arange(N) % 4, 0.0, 1.0))
    hard = scored("hard", neglabel_star=np.zeros(N), v2_sign_flip=np.ones(N),
                  v3_ratio=np.where(np.arange(N) % 4, 0.0, 1.0))  # fmt: skip
    found = evaluate([ids], [easy, hard], config(), choose_on="same_sets")
    assert len({own["negalign"] for own in found.choices.values()}) == 1
    assert chosen(found, "v2_sign_flip").auroc == 0.75
    assert chosen(found).variant == "v3_ratio" and chosen(found).auroc > 0.75


def test_results_are_the_metrics_of_the_test_part(ordinary, found):
    (ids,), oods = ordinary

    def aligned(s, name):
        choice = chosen(found, ood_set=name)
        if choice.variant == "none":
            return s.scores[choice.base]
        return s.scores[choice.base] + choice.weight * s.alignment[choice.variant]

    own = {
        "mcm": lambda s, _: s.scores["mcm"],
        "neglabel_star": lambda s, _: s.scores["neglabel_star"],
        "negalign": aligned,
    }
    for method, score in own.items():
        for name, members in (*((s.name, [s]) for s in oods), (POOLED, oods)):
            positive = score(ids, name)[~found.validation["id"]]
            negative = np.concatenate([score(s, name)[~found.validation[s.name]] for s in members])
            truth = np.repeat([1, 0], [len(positive), len(negative)])
            both = np.append(positive, negative)
            row = of(found, method, name)
            assert row["auroc"] == pytest.approx(roc_auc_score(truth, both))
            assert row["aupr_in"] == pytest.approx(average_precision_score(truth, both))
            threshold = np.sort(positive)[::-1][int(np.ceil(0.95 * len(positive))) - 1]
            assert row["fpr95"] == np.mean(negative >= threshold)
            assert (row["num_id"], row["num_ood"]) == (len(positive), len(negative))
            assert row["convention"] == "id_positive"
            assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        mean = np.mean([of(found, method, s.name)["auroc"] for s in oods])
        row = of(found, method, MEAN_OF_SETS)
        assert row["auroc"] == pytest.approx(mean) and row["num_ood"] == 32 + 20
        assert row["auroc_low"] < mean < row["auroc_high"]
    np.testing.assert_array_equal(found.scores["near"]["negalign"], aligned(oods[0], POOLED))


def test_a_gain_is_the_difference_to_the_base(ordinary, found):
    for ood_set in ("near", "far", POOLED, MEAN_OF_SETS):
        base = of(found, "neglabel_star", ood_set)
        for method in found.results["method"].unique():
            row = of(found, method, ood_set)
            for metric in ("auroc", "fpr95"):
                assert row[f"{metric}_gain"] == pytest.approx(row[metric] - base[metric])
                assert row[f"{metric}_gain_low"] <= row[f"{metric}_gain_high"]
        assert base["auroc_gain_low"] == base["auroc_gain_high"] == 0
    other = evaluate(*ordinary, config(), base="mcm")
    assert of(other, "mcm", "near")["auroc_gain"] == 0 and chosen(other).base == "mcm"


def test_sets_are_pooled_only_where_there_are_two(ordinary, found):
    (ids,), oods = ordinary
    assert set(found.results["ood_set"]) == {"near", "far", POOLED, MEAN_OF_SETS}
    alone = evaluate([ids], oods[:1], config())
    assert set(alone.results["ood_set"]) == {"near"}
    second = scored("rare", seed=20)
    both = evaluate([ids, second], oods, config())
    assert set(both.results["id_set"]) == {"id", "rare"}
    assert len(both.results) == 2 * len(found.results)


def test_learned_weights_find_what_the_base_misses():
    rng = np.random.default_rng(0)
    make = {"id": (1.0, -1.0), "ood": (-1.0, 1.0)}
    sets = {
        name: scored(name, 200, seed=i, bg_pos=rng.normal(pos, size=200),
                     bg_neg=rng.normal(neg, size=200))
        for i, (name, (pos, neg)) in enumerate(make.items())
    }  # fmt: skip
    found = evaluate([sets["id"]], [sets["ood"]], config())
    # Two unit normals apart by 2 along each of two axes: AUROC = Φ(2√2/√2) = Φ(2) = 0.977.
    assert of(found, "negalign_learned")["auroc"] == pytest.approx(0.977, abs=0.03)
    assert of(found, "neglabel_star")["auroc"] < 0.65


def test_learned_weights_of_constant_features_are_no_trouble():
    found = evaluate([scored("id", neglabel_star=np.ones(N))],
                     [scored("ood", neglabel_star=np.ones(N))], config())  # fmt: skip
    assert of(found, "negalign_learned")["auroc"] == 0.5


def test_m3_standardises_the_base_and_keeps_its_order(ordinary, found):
    stabilized = evaluate(*ordinary, config(negalign=NegAlignConfig(use_scale_stabilization=True)))
    known = stabilized.scores["id"]["neglabel_star"][found.validation["id"]]
    assert known.mean() == pytest.approx(0, abs=1e-6)
    assert known.std(ddof=1) == pytest.approx(1, abs=1e-6)
    for ood_set in ("near", "far"):
        stable, before = (of(e, "neglabel_star", ood_set) for e in (stabilized, found))
        assert stable["auroc"] == before["auroc"] and stable["fpr95"] == before["fpr95"]
    np.testing.assert_array_equal(stabilized.scores["id"]["mcm"], found.scores["id"]["mcm"])


def test_methods_can_be_named(ordinary, found):
    one = evaluate(*ordinary, config(), methods=["mcm"])
    assert set(one.results["method"]) == {"neglabel", "mcm"}
    assert one.choices == {} and len(one.sweep) == 0 and "auroc_gain" not in one.results
    aligned = evaluate(*ordinary, config(), methods=["negalign"])
    assert {"neglabel", "neglabel_star", "negalign", "negalign_learned", *VARIANTS} == set(
        aligned.results["method"]
    )
    every = evaluate(*ordinary, config(), methods=["all"])
    assert every.results.equals(found.results)


@pytest.mark.parametrize(
    ("methods", "says"),
    [(["mcm", "msp"], "method 'msp': unknown"), (["csp"], "method 'csp': not scored")],
)
def test_a_method_that_is_not_there_is_an_error(ordinary, methods, says):
    with pytest.raises(InputError, match=says):
        evaluate(*ordinary, config(), methods=methods)


def test_without_p_align_there_is_no_negalign(ordinary):
    (ids,), oods = ([s._replace(alignment={}) for s in group] for group in ordinary)
    found = evaluate([ids], oods, config())
    assert set(found.results["method"]) == {"mcm", "neglabel", "neglabel_star"}
    assert of(found, "mcm", "near")["auroc_gain"] != 0
    with pytest.raises(InputError, match="method 'negalign': not scored.*P_align off"):
        evaluate([ids], oods, config(), methods=["negalign"])


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.5), (3, 0.1), (3, 0.9)])
def test_a_set_too_small_to_be_split_is_named(count, fraction):
    small = scored("tiny", count)
    with pytest.raises(InputError, match=f"tiny: {count} pictures, . of them for validation"):
        evaluate([scored("id")], [small], config(validation_fraction=fraction))


def test_the_same_input_gives_the_same_tables(ordinary, found):
    first, second = found, evaluate(*ordinary, config())
    assert first.results.to_csv() == second.results.to_csv()
    assert first.sweep.to_csv() == second.sweep.to_csv()
    resampled = evaluate(*ordinary, config(seed=5))
    assert resampled.results.to_csv() != first.results.to_csv()


def test_no_variant_is_chosen_where_none_helps():
    # v4 hurts, the others change nothing.
    ids = scored("id", neglabel_star=noise(0.5, 1), v4_log_ratio=-np.ones(N))
    found = evaluate([ids], [scored("ood", neglabel_star=noise(0.0, 2))], config())
    assert chosen(found).variant == "none" and chosen(found).weight == 0
    assert of(found, "negalign")["auroc"] == of(found, "neglabel_star")["auroc"]
    assert title("negalign", found.choices) == "NegAlign (no P_align: none helped)"
    assert chosen(found, "v4_log_ratio").weight == 0.1


def test_titles_say_what_was_chosen(ordinary):
    choices = evaluate(*ordinary, config(), choose_on="same_sets").choices
    best = choices[POOLED]["negalign"]
    assert title("negalign", choices) == f"NegAlign ({best.variant}, λ = {best.weight:g})"
    weight = choices["near"]["v3_ratio"].weight
    assert title("v3_ratio", choices) == f"P_align v3_ratio (λ = {weight:g})"
    assert title("mcm", choices) == "MCM"
    other = {"v3_ratio": choices["near"]["v3_ratio"]._replace(weight=weight + 1)}
    assert title("v3_ratio", choices | {"near": other}) == "P_align v3_ratio (λ per OOD set)"
