"""Groups of OOD sets, the full spectrum, accuracy and CCR, on made-up scores."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jaxvlm.evaluation.metrics_ood import CCR
from jaxvlm.evaluation.paired import MEAN_OF_SETS
from jaxvlm.pictures.comparison import evaluate
from jaxvlm.pictures.set_names import POOLED
from tests.evaluation.test_paired import slow_rate
from tests.pictures.test_comparison import N, config, noise, of, scored

FULL = "id, full spectrum"


def a_set(name, shift, seed, count=N, group=""):
    made = scored(name, count, seed, neglabel_star=noise(shift, seed + 50, count))
    return made._replace(group=group)


@pytest.fixture(scope="module")
def sets():
    ids = [a_set("id", 1.0, 1)]
    oods = [a_set("ninco", 0.2, 2, group="near"), a_set("sun", -1, 3, 60, "far"),
            a_set("ssb", 0.5, 4, 30, "near"), a_set("own", 0, 5, 130)]  # fmt: skip
    return ids, oods, [a_set("v2", 0.6, 6, 25), a_set("r", 0.0, 7, 35)]


@pytest.fixture(scope="module")
def right(sets):
    rng = np.random.default_rng(0)
    return {own.name: rng.random(len(own.paths)) < 0.7 for own in (*sets[0], *sets[2])}


@pytest.fixture(scope="module")
def found(sets, right):
    ids, oods, shifted = sets
    return evaluate(ids, oods, config(), shifted=shifted, right=right)


def side(found, name):
    return found._replace(results=found.results[found.results["id_set"] == name])


def test_rows_stand_in_the_order_of_a_protocol(found):
    expected = ["ninco", "sun", "mean of far", "ssb", "mean of near", "own", MEAN_OF_SETS, POOLED]
    for id_side in ("id", FULL):
        rows = side(found, id_side).results
        assert list(rows["ood_set"].unique()) == expected
    row = of(side(found, "id"), "mcm", "mean of near")
    assert row["num_ood"] == 32 + 24 and row["chosen_on"] == "" and row["num_id"] == 32


def test_a_groups_mean_is_that_of_its_sets(found):
    for id_side in ("id", FULL):
        for method in ("mcm", "negalign"):
            own = side(found, id_side)
            for metric in ("auroc", "fpr95", "auroc_gain", "ccr_1"):
                parts = [of(own, method, name)[metric] for name in ("ninco", "ssb")]
                mean = of(own, method, "mean of near")[metric]
                assert mean == pytest.approx(np.mean(parts), abs=1e-12)
    assert of(side(found, "id"), "negalign", "mean of near")["chosen_on"] == "other_sets"


def test_the_full_spectrum_counts_shifted_pictures_as_id(sets, found, right):
    (ids,), oods, shifted = sets
    kept = {name: ~mask for name, mask in found.validation.items()}
    assert all(kept[own.name].all() for own in shifted)
    known = np.concatenate([s.scores["mcm"][kept[s.name]] for s in (ids, *shifted)])
    truth = np.concatenate([right[s.name][kept[s.name]] for s in (ids, *shifted)])
    for ood in oods:
        other = ood.scores["mcm"][kept[ood.name]]
        row = of(side(found, FULL), "mcm", ood.name)
        labels = np.repeat([1, 0], [len(known), len(other)])
        assert row["auroc"] == pytest.approx(roc_auc_score(labels, np.append(known, other)))
        assert row["num_id"] == 32 + 25 + 35 and row["id_accuracy"] == truth.mean()
        expected = [slow_rate(known, other, truth, power) for power in (1, 2, 3, 4)]
        np.testing.assert_allclose([row[name] for name in CCR], expected)
    assert not np.isnan(of(side(found, FULL), "mcm", "own")["ccr_2"])  # 104 pictures
    assert np.isnan(of(side(found, FULL), "mcm", "sun")["ccr_2"])  # 48


def test_accuracy_is_of_the_reported_pictures(found, right):
    table = found.accuracy.set_index("set")
    assert list(table.index) == ["id", FULL, "v2", "r"]
    tested = right["id"][~found.validation["id"]]
    assert table.loc["id", "accuracy"] == tested.mean() and table.loc["id", "pictures"] == 32
    assert table.loc["v2", "accuracy"] == right["v2"].mean()
    rows = side(found, "id").results
    assert (rows["id_accuracy"] == tested.mean()).all()
    assert (rows["id_accuracy_low"] == table.loc["id", "accuracy_low"]).all()


def test_shifted_sets_and_groups_change_no_other_row(sets, found, right):
    ids, oods, _ = sets
    plain = evaluate(ids, [own._replace(group="") for own in oods], config())
    rows = side(found, "id").results
    rows = rows[~rows["ood_set"].str.fullmatch("mean of (near|far)")].reset_index(drop=True)
    told = ["id_accuracy", *CCR]
    known = [f"{name}{end}" for name in told for end in ("", "_low", "_high")]
    pd.testing.assert_frame_equal(rows.drop(columns=known), plain.results.drop(columns=known))
    assert plain.results[known].isna().all(axis=None)
    assert plain.choices == found.choices
    pd.testing.assert_frame_equal(plain.sweep, found.sweep)


def test_one_set_without_labels_leaves_its_side_without_a_figure(sets, right):
    ids, oods, shifted = sets
    some = {name: own for name, own in right.items() if name != "r"}
    found = evaluate(ids, oods[:1], config(), methods=["mcm"], shifted=shifted, right=some)
    assert found.accuracy["accuracy"].isna().tolist() == [False, True, False, True]
    assert np.isnan(of(side(found, FULL), "mcm", "ninco")["ccr_1"])
    assert of(side(found, "id"), "mcm", "ninco")["ccr_1"] >= 0
    assert list(found.results["ood_set"].unique()) == ["ninco", "mean of near"]
