"""Results of others: every shape that NegAlign's files have, NegRefine's log, and our own."""

import json

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.prototypes import results as published_results
from jaxvlm.prototypes.results import COLUMNS, read_results


def metrics(auroc, fpr95=0.25):
    return {"auroc": auroc, "aupr_in": auroc / 2, "aupr_out": auroc / 4, "fpr95": fpr95}


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value))
    return folder / name


def rows(table):
    """(id set, ood set, method, λ, AUROC), with None for what the file does not say."""
    shown = table[["id_set", "ood_set", "method", "lambda", "auroc"]]
    return [
        tuple(None if x is None or x != x else x for x in row)
        for row in shown.itertuples(index=False)
    ]


def test_negaligns_comparison_with_a_sweep_as_a_list(tmp_path):
    table = read_results(
        write(
            tmp_path,
            "comparison_results.json",
            {
                "config": {"dataset": "waterbirds_vs_placesbg", "lambda_values": [0.0, 1.0]},
                "baseline_plain": {
                    "method": "plain NegLabel",
                    "metrics": metrics(0.5),
                    "id_statistics": {"mean": 0.6},
                },
                "method_star": {
                    "method": "star + λ·P_align",
                    "lambda_results": [
                        {"lambda": 0.0, **metrics(0.6)},
                        {"lambda": 1.0, **metrics(0.7)},
                    ],
                    "best_result": {"lambda": 1.0, **metrics(0.7)},
                },
            },
        )
    )
    sets = ("waterbirds", "placesbg")
    assert rows(table) == [
        (*sets, "baseline_plain", None, 0.5),
        (*sets, "method_star", 0.0, 0.6),
        (*sets, "method_star", 1.0, 0.7),
    ]
    assert list(table) == COLUMNS and set(table["source"]) == {"comparison_results.json"}
    assert table["aupr_in"].tolist() == [0.25, 0.3, 0.35]
    assert set(table["convention"]) == {"id_positive"}


def test_negaligns_validation_with_a_level_per_ood_set(tmp_path):
    level = {
        "n_samples": 5000,
        "s_plain_mean": 0.2,
        "baseline_plain": metrics(0.9),
        "star_plus_p_align": {
            "lambda_sweep": [{"lambda": 0.5, **metrics(0.8)}],
            "best_lambda": 0.5,
            "best_auroc": 0.8,
        },
    }
    value = {"id_stats": {"dataset": "imagenet"}, "ood_results": {"ninco": level, "sun": level}}
    assert rows(read_results(write(tmp_path, "v.json", value))) == [
        ("imagenet", name, method, weight, auroc)
        for name in ("ninco", "sun")
        for method, weight, auroc in (
            ("baseline_plain", None, 0.9),
            ("star_plus_p_align", 0.5, 0.8),
        )
    ]


def test_negaligns_experiments_with_scores_beside_metrics(tmp_path):
    experiment = {"method": "base", "metrics": metrics(0.9), "id_scores": [0.1, 0.2]}
    value = {
        "id_dataset": "ImageNet_val",
        "id_samples": 5000,
        "ood_datasets": {"iNaturalist": {"experiments": {"base": experiment}}},
    }
    assert rows(read_results(write(tmp_path, "a.json", value))) == [
        ("ImageNet_val", "iNaturalist", "base", None, 0.9)
    ]
    value = {"id_dataset": "W", "ood_dataset": "P", "experiments": {"soft_only": experiment}}
    assert rows(read_results(write(tmp_path, "b.json", value))) == [
        ("W", "P", "soft_only", None, 0.9)
    ]


def test_negaligns_sweep_with_the_weight_as_a_key(tmp_path):
    value = {
        "experiment": "waterbirds_v3",
        "variant": "v2_sign_flip",
        "component_stats": {"p_align": {"gap": 0.1}},
        "lambda_sweep": {"0.0": metrics(0.7), "10.0": metrics(0.4)},
        "best_metrics": metrics(0.7),
    }
    assert rows(read_results(write(tmp_path, "v3.json", value))) == [
        (None, None, "v2_sign_flip", 0.0, 0.7),
        (None, None, "v2_sign_flip", 10.0, 0.4),
    ]


LOG = """Namespace(in_dataset_name='imagenet', ood_dataset_name_list=['sun'], seed=0)
------------------------------------------

--- Starting predictions on testing images
in (imagenet) - number:  50000

--- Final results

------------------ sun -------------------
score0     auroc: 0.9463867349999999    fpr: 0.2293
score1     auroc: 0.5    fpr: 1e-05

"""


def test_negrefines_log(tmp_path):
    (tmp_path / "result.txt").write_text(LOG)
    table = read_results(tmp_path / "result.txt")
    assert rows(table) == [
        ("imagenet", "sun", "NegRefine", None, 0.9463867349999999),
        ("imagenet", "sun", "NegRefine score1", None, 0.5),
    ]
    assert table["fpr95"].tolist() == [0.2293, 1e-05] and table["aupr_in"].isna().all()


def test_our_own_and_all_of_them_below_each_other(tmp_path):
    own = {"method": "csp", "variant": "", "lambda": None, "id_set": "id", "ood_set": "SUN"}
    own["convention"] = "openood"
    path = write(tmp_path, "results.json", {"results": [own | metrics(0.75)], "seed": 0})
    (tmp_path / "result.txt").write_text(LOG)
    table = published_results.read_all([path, tmp_path / "result.txt"])
    assert table["method"].tolist() == ["csp", "NegRefine", "NegRefine score1"]
    assert np.isnan(table["lambda"]).all()
    chosen = published_results.read_all([path, tmp_path / "result.txt"], ood_set="sun")
    assert len(chosen) == 3
    text = published_results.terminal_table(chosen.head(2)).splitlines()
    assert text[0].split()[-4:] == ["auroc", "aupr_in", "aupr_out", "fpr95"]
    assert text[1].split() == [
        "results.json",
        "id",
        "SUN",
        "csp",
        "openood",
        "75.00",
        "37.50",
        "18.75",
        "25.00",
    ]
    assert text[2].split() == [
        *("result.txt", "imagenet", "sun", "NegRefine", "closest_recall", "94.64", "22.93")
    ]
    with pytest.raises(InputError, match="ood_set dogs: in none of the files; they have SUN"):
        published_results.read_all([path], ood_set="dogs")


@pytest.mark.parametrize("value", [{}, {"config": {"auroc": "high"}}, {"results": []}, [1], "x"])
def test_files_without_results(tmp_path, value):
    with pytest.raises(InputError, match="r.json: ") as error:
        read_results(write(tmp_path, "r.json", value))
    assert "\n" not in str(error.value) and ";" in str(error.value)


def test_files_that_are_something_else(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"\xff nothing here")
    with pytest.raises(InputError, match="no AUROC in it"):
        read_results(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "gone.txt")
    with pytest.raises(InputError, match="without auroc"):
        read_results(write(tmp_path, "r.json", {"results": [{"method": "x"}]}))


@pytest.mark.parametrize(
    ("auroc", "says"),
    [
        ("-1", "auroc is -1"),
        ("1.5", "auroc is 1.5"),
        ('"high"', "auroc is 'high'"),
        ("true", "auroc is True"),
        ("1" + "0" * 50, "auroc is 1000"),
    ],
)
@pytest.mark.parametrize("form", ['{"results": [{"auroc": %s}]}', '{"a": {"auroc": %s}}'])
def test_an_auroc_that_is_none_is_refused(tmp_path, auroc, says, form):
    path = tmp_path / "r.json"
    path.write_text(form % auroc)
    with pytest.raises(InputError, match=rf"r\.json: {says}.*, no number in \[0, 1\]") as error:
        read_results(path)
    assert len(str(error.value)) < 150 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        ("NaN", "NaN, which JSON does not have"),
        ("1e400", "the number 1e400, which is too large"),
        ("1" + "0" * 400, "a whole number of 401 digits"),
    ],
)
@pytest.mark.parametrize("field", ["auroc", "lambda"])
def test_a_number_that_no_float_holds(tmp_path, number, says, field):
    path = tmp_path / "r.json"
    path.write_text(f'{{"results": [{{"auroc": 0.5, "{field}": {number}}}]}}')
    with pytest.raises(InputError, match=says):
        read_results(path)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('"auroc": 0.5, "lambda": 1e301', "lambda is 1e.301, no finite number"),
        ('"auroc": 0.5, "convention": [1]', r"convention is \[1\], no name"),
        ('"auroc": 0.5, "method": [1]', r"method is \[1\], no name"),
        ('"auroc": 0.5, "fpr95": "low"', "fpr95 is 'low', no number"),
    ],
)
def test_other_fields_are_checked_too(tmp_path, row, says):
    path = tmp_path / "r.json"
    path.write_text('{"results": [{' + row + "}]}")
    with pytest.raises(InputError, match=says):
        read_results(path)


def test_text_of_negrefine_that_is_no_number(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("--- sun ---\nscore0 auroc: 1.2.3 fpr: 0.1\n")
    with pytest.raises(InputError, match="auroc is '1.2.3', no number"):
        read_results(path)


def test_a_table_without_a_name_in_a_whole_column(tmp_path):
    """Pandas warned of it on the terminal."""
    own = {"method": "csp", "lambda": None, "id_set": None, "ood_set": None}
    table = read_results(write(tmp_path, "r.json", {"results": [own | metrics(0.75)]}))
    table["variant"] = np.nan
    assert "csp" in published_results.terminal_table(table)
