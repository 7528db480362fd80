"""Which methods are best and level, and a λ that a user gave: on scores whose answer is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.pictures.choosing import title
from jaxvlm.pictures.comparison import evaluate, with_given
from tests.pictures.test_comparison import config, noise, of, scored


def test_the_best_and_what_is_level_with_it():
    # a: apart by 3 deviations; b: a with a hair of noise; c: no better than chance.
    ids = scored("id", 200, mcm=noise(3, 1, 200), neglabel=noise(3, 1, 200) + noise(0, 2, 200) / 9)
    oods = scored("ood", 200, seed=3, mcm=noise(0, 4, 200),
                  neglabel=noise(0, 4, 200) + noise(0, 5, 200) / 9)  # fmt: skip
    ids, oods = (s._replace(alignment={}) for s in (ids, oods))
    results = evaluate([ids], [oods], config()).results.set_index("method")
    assert list(results.index) == list(results["auroc"].sort_values(ascending=False).index)
    best, level, last = results.index
    assert {best, level} == {"mcm", "neglabel"} and last == "neglabel_star"
    assert list(results["rank"]) == ["best", "level", ""]
    behind = results["auroc_behind"]
    assert behind[best] == results["auroc_behind_high"][best] == 0
    for method in (level, last):
        assert behind[method] == pytest.approx(results["auroc"][method] - results["auroc"][best])
    assert results["auroc_behind_low"][level] < behind[level] < 0
    assert results["auroc_behind_high"][level] >= 0 > results["auroc_behind_high"][last]


def test_what_was_given_is_a_row_of_its_own():
    ids = scored("id", seed=1, neglabel_star=noise(1.0, 2), v6_pos_only=noise(0.8, 3))
    oods = [scored("near", seed=4), scored("far", 25, seed=7)]
    found = evaluate([ids], oods, config())
    negalign = NegAlignConfig(lambda_bg=0.25, p_align_variant="v6_pos_only")
    given = evaluate([ids], oods, config(negalign=negalign), methods=["all", "negalign_given"])
    for ood in oods:
        row = of(given, "negalign_given", ood.name)
        assert (row["variant"], row["lambda"], row["chosen_on"]) == ("v6_pos_only", 0.25, "")
        sides = [
            (s.scores["neglabel_star"] + 0.25 * s.alignment["v6_pos_only"])[
                ~given.validation[s.name]
            ]
            for s in (ids, ood)
        ]
        truth = np.repeat([1, 0], [len(side) for side in sides])
        assert row["auroc"] == pytest.approx(roc_auc_score(truth, np.concatenate(sides)))
        assert of(given, "negalign", ood.name)["chosen_on"] == "other_sets"
    rest = given.results[given.results["method"] != "negalign_given"]
    others = found.results.merge(rest, on=["method", "ood_set"])
    assert (others["auroc_x"] == others["auroc_y"]).all() and len(others) == len(found.results)
    assert title("negalign_given", given.choices) == "NegAlign (v6_pos_only, λ = 0.25, as given)"
    alone = evaluate([ids], oods, config(negalign=negalign), methods=["negalign_given"])
    assert {"neglabel", "negalign", "negalign_given"} <= set(alone.results["method"])


def test_a_given_lambda_or_variant_asks_for_its_row():
    assert with_given(["all"], {"negalign.lambda_bg", "seed"}) == ["all", "negalign_given"]
    assert with_given(["mcm"], {"negalign.p_align_variant"}) == ["mcm", "negalign_given"]
    assert with_given(["all"], {"negalign.num_groups"}) == ["all"]
