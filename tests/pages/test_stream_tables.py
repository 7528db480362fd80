"""The gains of methods that adapt on the page: which number stands where, and which is a loss."""

import html

import pandas as pd
import pytest

from jaxvlm.ood.streams import ADAPTIVE
from jaxvlm.pages import style
from jaxvlm.pages.picture_page import write_picture_page
from jaxvlm.pages.stream_tables import stream_tables
from jaxvlm.pages.style import Gain


def row(method, ood_set, gain, *, order="shuffled", share=0.5, skew=0.0, least=-0.02):
    return {
        "method": method,
        "ood_set": ood_set,
        "order": order,
        "ood_share": share,
        "class_skew": skew,
        "repeats": 5,
        "auroc": 0.9 + gain,
        "gain": gain,
        "gain_sd": 0.004,
        "gain_low": least,
        "id_set": "known",
    }


ROWS = [
    row("steady", "near", 0.02),
    row("steady", "far", 0.01, least=-0.03),
    row("oodd_mcm", "near", -0.4, least=-0.5),
    row("oodd_mcm", "far", 0.1),
    row("steady", "near", -0.0004, share=0.02, skew=1.0),
    row("oodd_mcm", "near", -0.0006, share=0.02, skew=1.0),
    row("steady", "near", 0.05, order="id_first"),
]


def test_a_cell_is_the_mean_of_the_ood_sets_and_the_least_of_all():
    ((title, table),) = stream_tables(pd.DataFrame(ROWS)).items()
    assert title == "Methods that adapt, ID: known" and "5 streams" in table.note
    skewed = "shuffled, class skew 1"
    assert list(table.views) == ["shuffled", skewed, "all ID pictures first"]
    shuffled = table.views["shuffled"].table
    assert list(shuffled) == ["static base", "50 % OOD"]
    assert list(table.views[skewed].table) == ["static base", "2 % OOD"]
    assert list(shuffled.index) == ["Steady (ours)", "OODD on MCM"]
    assert list(shuffled["static base"]) == ["NegLabel", "MCM"]
    assert shuffled["50 % OOD"].iloc[0] == pytest.approx(Gain(1.5, 0.4, 91.5, -3.0))
    assert shuffled["50 % OOD"].iloc[1] == pytest.approx(Gain(-15.0, 0.4, 75.0, -50.0))
    (only,) = table.views["all ID pictures first"].table["50 % OOD"]
    assert only == pytest.approx(Gain(5.0, 0.4, 95.0, -2.0))


def test_every_method_has_a_base_with_a_name_and_no_streams_have_no_table():
    rows = [row(method, "near", 0.0) for method in ADAPTIVE]
    (table,) = stream_tables(pd.DataFrame(rows)).values()
    assert len(table.views["shuffled"].table) == len(ADAPTIVE)
    assert stream_tables(None) == {}


def test_a_loss_has_a_minus_and_a_mark_and_what_rounds_to_nothing_has_none(tmp_path):
    gained, lost, even, little = (
        style.cell(Gain(value, 0.3, 90.0, -1.0)) for value in (1.26, -1.26, -0.04, -0.06)
    )
    assert gained == ("+1.3 ± 0.3", "90.0, least −1.0", True, False)
    assert (lost.text, lost.is_loss) == ("−1.3 ± 0.3", True)
    assert (even.text, even.is_loss) == ("0.0 ± 0.3", False)
    assert (little.text, little.is_loss) == ("−0.1 ± 0.3", True)
    tables = stream_tables(pd.DataFrame(ROWS))
    write_picture_page(tmp_path / "page.html", title="t", tables=tables)
    text = (tmp_path / "page.html").read_text()
    assert text.count('<strong class="loss">') == 2  # −15.0 and −0.1 of OODD on MCM
    assert tables["Methods that adapt, ID: known"].note in html.unescape(text)
    assert ".loss { color: var(--loss); }" in text and text.count("--loss: #") == 2
