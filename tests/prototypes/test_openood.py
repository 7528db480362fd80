"""Tables of OpenOOD, of both its versions."""

import json

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.prototypes import results as published_results
from jaxvlm.prototypes.results import COLUMNS, read_results

V15 = """,FPR@95,AUROC,AUPR_IN,AUPR_OUT,ACC
ssb_hard,74.49,72.09,75.04,68.52,76.18
ninco,56.88,79.95,96.61,27.57,76.18
nearood,65.68,76.02,85.83,48.05,76.18
textures,46.10,82.43,98.68,36.51,76.18
farood,51.47,85.23,96.20,58.34,76.18
"""
SETS = ["ssb_hard", "ninco", "mean of near", "textures", "mean of far"]
AUROC = [0.7209, 0.7995, 0.7602, 0.8243, 0.8523]


def test_openoods_table_with_the_means_of_near_and_far(tmp_path):
    (tmp_path / "msp.csv").write_text(V15)
    table = read_results(tmp_path / "msp.csv")
    assert list(table) == COLUMNS and table[["id_set", "lambda"]].isna().all(axis=None)
    assert table["ood_set"].tolist() == SETS and set(table["method"]) == {"msp"}
    assert table["auroc"].tolist() == pytest.approx(AUROC)
    row = table.iloc[1]
    expected = pytest.approx((0.5688, 0.9661, 0.2757))
    assert (row["fpr95"], row["aupr_in"], row["aupr_out"]) == expected
    assert table["id_accuracy"].tolist() == pytest.approx([0.7618] * 5)
    assert table["ccr_1"].isna().all()
    assert set(table["convention"]) == {"openood"} and set(table["source"]) == {"msp.csv"}
    shown = published_results.terminal_table(table).splitlines()
    assert shown[0].split()[-2:] == ["fpr95", "id_accuracy"]
    assert shown[1].split()[-5:] == ["72.09", "75.04", "68.52", "74.49", "76.18"]


def test_openoods_older_tables_have_ccr_and_the_fpr_of_id_positives(tmp_path):
    (tmp_path / "ood.csv").write_text(
        "dataset,FPR@95,AUROC,AUPR_IN,AUPR_OUT,CCR_4,CCR_3,CCR_2,CCR_1,ACC\n"
        "ninco,76.59,81.91,97.15,31.95,2.83,7.99,23.36,52.16,76.19\n"
        "mean,80.00,70.00,1.00,2.00,nan,0.00,0.10,100.00,76.19\n"
    )
    table = read_results(tmp_path / "ood.csv")
    assert set(table["convention"]) == {"id_positive"}
    rates = table[["ccr_1", "ccr_2", "ccr_3", "ccr_4"]].to_numpy()
    np.testing.assert_allclose(rates[0], [0.5216, 0.2336, 0.0799, 0.0283])
    np.testing.assert_allclose(rates[1], [1.0, 0.001, 0.0, np.nan])
    assert table["ood_set"].tolist() == ["ninco", "mean of sets"]


def test_openoods_full_spectrum_over_several_trainings(tmp_path):
    (tmp_path / "fsood").mkdir()
    text = V15.replace("76.02", "76.02 ± 0.31").replace("79.95", "79.95 ± nan")
    (tmp_path / "fsood" / "msp.csv").write_text(text)
    table = read_results(tmp_path / "fsood" / "msp.csv")
    assert table["auroc"].tolist() == pytest.approx(AUROC)
    assert set(table["id_set"]) == {"full spectrum"} and set(table["source"]) == {"fsood/msp.csv"}


def test_openoods_means_stand_beside_ours(tmp_path):
    own = {"method": "mcm", "id_set": "id", "ood_set": "mean of near", "id_accuracy": 0.7}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": [own | {"auroc": 0.75}]}))
    (tmp_path / "msp.csv").write_text(V15)
    table = published_results.read_all([path, tmp_path / "msp.csv"], ood_set="mean of near")
    assert table["method"].tolist() == ["mcm", "msp"]
    assert table["id_accuracy"].tolist() == pytest.approx([0.7, 0.7618])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (V15.replace("79.95", "101"), "row 3: AUROC is '101', no percentage"),
        (V15.replace("79.95", "high"), "row 3: AUROC is 'high', no percentage"),
        (V15.replace("56.88", "-5"), "row 3: FPR@95 is '-5', no percentage"),
        (V15.replace("79.95", "9" * 400), "row 3: AUROC is '9+', no percentage"),
        (V15.replace("ninco", ""), "row 3: names no OOD set"),
        (V15.replace("AUROC", "ROC"), "no column AUROC; give a table of OpenOOD"),
        ("dataset,AUROC\nimagenet_v2,-\n", "no AUROC in it"),
        ("AUROC\n1\n", "no column AUROC"),
        ("method,ood_set,auroc\nmcm,sun,0.9\n", "no column AUROC"),  # our own results.csv
        ("", "not a CSV table"),
    ],
)
def test_what_is_no_table_of_openood(tmp_path, text, says):
    (tmp_path / "msp.csv").write_text(text)
    with pytest.raises(InputError, match=f"msp.csv: {says}") as error:
        read_results(tmp_path / "msp.csv")
    assert "\n" not in str(error.value) and len(str(error.value)) < 150 + len(str(tmp_path))
