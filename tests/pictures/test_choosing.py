"""Leave one set out: what is reported on an OOD set has not seen its pictures."""

import numpy as np
import pytest

from jaxvlm.evaluation.paired import MEAN_OF_SETS
from jaxvlm.pictures import tables as picture_tables
from jaxvlm.pictures.choosing import title
from jaxvlm.pictures.comparison import evaluate
from jaxvlm.pictures.set_names import POOLED
from tests.pictures.test_comparison import N, config, noise, of, scored


@pytest.fixture(scope="module")
def opposed():
    """v5 tells ID from "one" and is wrong on "two", v6 the other way round."""
    ids = scored("id", neglabel_star=np.zeros(N), v5_neg_only=np.ones(N), v6_pos_only=np.ones(N))
    one = scored("one", neglabel_star=np.zeros(N), v6_pos_only=2 * np.ones(N))
    two = scored("two", neglabel_star=np.zeros(N), v5_neg_only=2 * np.ones(N))
    return [ids], [one, two]


def test_a_set_is_reported_with_what_the_others_chose(opposed):
    found = evaluate(*opposed, config())
    assert found.choices["one"]["negalign"].variant == "v6_pos_only"
    assert found.choices["two"]["negalign"].variant == "v5_neg_only"
    assert of(found, "negalign", "one")["auroc"] == of(found, "negalign", "two")["auroc"] == 0.0
    assert of(found, "negalign", "one")["variant"] == "v6_pos_only"
    mean = of(found, "negalign", MEAN_OF_SETS)
    assert mean["auroc"] == 0.0 and mean["variant"] == "" and np.isnan(mean["lambda"])
    for ood_set, how in (
        ("one", "other_sets"),
        (MEAN_OF_SETS, "other_sets"),
        (POOLED, "same_sets"),
    ):
        for method in ("negalign", "v5_neg_only", "negalign_learned"):
            assert of(found, method, ood_set)["chosen_on"] == how
        assert of(found, "mcm", ood_set)["chosen_on"] == ""
    assert title("negalign", found.choices) == "NegAlign (variant, λ per OOD set)"


def test_the_same_sets_flatter_and_are_marked(opposed):
    found = evaluate(*opposed, config(), choose_on="same_sets")
    # Each variant is right on one set and wrong on the other: none beats the base, AUROC ½.
    assert of(found, "negalign", MEAN_OF_SETS)["auroc"] == 0.5
    assert of(found, "negalign", "one")["chosen_on"] == "same_sets"
    (note,) = picture_tables.notes(found)
    assert note.startswith("** ") and "same OOD sets" in note
    assert picture_tables.terminal_lines(found)[-1] == note
    table = picture_tables.method_table(found, "id", "auroc")
    assert "NegAlign, learned weights **" in table.index and "MCM" in table.index
    flattering = evaluate(*opposed, config(), choose_on="test")
    assert picture_tables.notes(flattering)[0].startswith("*** ")
    assert "NegAlign, learned weights ***" in picture_tables.method_table(
        flattering, "id", "auroc"
    ).index  # fmt: skip


def test_weights_are_learned_without_the_set_they_are_reported_on():
    # bg_pos tells ID from "one" the right way round and from "two" the wrong way.
    rng = np.random.default_rng(0)
    sets = {
        name: scored(name, 200, seed=i, bg_pos=rng.normal(shift, size=200))
        for i, (name, shift) in enumerate({"id": 0.0, "one": -3.0, "two": 3.0}.items())
    }
    found = evaluate([sets["id"]], [sets["one"], sets["two"]], config())
    assert of(found, "negalign_learned", "one")["auroc"] < 0.1
    alone = evaluate([sets["id"]], [sets["one"]], config())
    assert of(alone, "negalign_learned", "one")["auroc"] > 0.9
    assert of(alone, "negalign_learned", "one")["chosen_on"] == "same_sets"


def test_a_list_of_methods_without_negalign_has_seen_nothing():
    ids, ood = scored("id", neglabel=noise(1, 0)), scored("ood", neglabel=noise(0, 1))
    found = evaluate([ids], [ood], config(), methods=["mcm"])
    assert set(found.results["chosen_on"]) == {""} and picture_tables.notes(found) == []
    assert list(found.results["variant"].unique()) == [""]
