"""Tables that a spreadsheet opens without running what they hold, and that read back exactly."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvlm import files
from jaxvlm.terminal import control_character

# Few characters, so that the ones that matter meet; then any text. NUL ends pandas' fields.
CELL = st.text("'=+-@\t\r\n\",;a ＝1", max_size=6) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=8
)


def cells(path):
    """Every cell as another reader of CSV sees it."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    "text, written",
    [
        ("=HYPERLINK('http://x')", "'=HYPERLINK('http://x')"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
        ("'a", "'a"),  # no formula, so nothing is added
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_a_text_that_is_a_formula_gets_an_apostrophe(tmp_path, text, written):
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({text: ["x", text], "n": [1, 2]}))
    assert cells(tmp_path / "a.csv") == [[written, "n"], ["x", "1"], [written, "2"]]


def test_numbers_stay_numbers(tmp_path):
    table = pd.DataFrame({"x": [-1.5, np.nan], "n": [-3, 4], "b": [True, False]})
    files.write_csv(tmp_path / "a.csv", table)
    assert (tmp_path / "a.csv").read_bytes() == b"x,n,b\n-1.5,-3,True\n,4,False\n"
    pd.testing.assert_frame_equal(files.read_csv(tmp_path / "a.csv"), table)
    mixed = pd.DataFrame({"value": [-1.5, "-1.5", None]}, dtype=object)
    files.write_csv(tmp_path / "b.csv", mixed)
    assert (tmp_path / "b.csv").read_bytes() == b'value\n-1.5\n\'-1.5\n""\n'


NAME = CELL.filter(lambda text: text and not control_character(text))  # else it is refused


@settings(max_examples=200, deadline=None)
@given(
    header=st.lists(NAME, min_size=2, max_size=3, unique=True),
    rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=4),
)
def test_every_text_is_read_back(tmp_path_factory, header, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    table = pd.DataFrame([row[: len(header)] for row in rows], columns=header, dtype=str)
    files.write_csv(path, table)
    read = files.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    assert read.columns.tolist() == header
    assert read.to_numpy().tolist() == table.to_numpy().tolist()
    first = [cell[:1] for row in cells(path) for cell in row]
    assert not set(first) & set("=+-@\t\r＝")


def test_numbers_that_no_float_holds_are_none(tmp_path):
    """Pandas keeps them as Python's whole numbers, on which NumPy trips."""
    digits = "9" * 400
    (tmp_path / "a.csv").write_text(f"a,b\n1,x\n{digits},2.5\n{2**70},-{digits}\n")
    expected = np.array([[1, np.nan], [np.nan, 2.5], [2.0**70, np.nan]])
    for options in ({}, {"dtype": str}):
        table = files.read_csv(tmp_path / "a.csv", **options)
        np.testing.assert_array_equal(files.numbers(table), expected)
