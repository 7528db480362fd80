"""What the stages of a start are counted by."""

import json

import pytest

from benchmarks import start, start_inside


def test_a_moment_of_several_stages_is_the_foremost_ones():
    spans = {
        "import": [(1.0, 2.0), (6.0, 6.5)],
        "compile": [(1.5, 3.0), (2.5, 4.0), (9.0, 12.0)],  # what is traced in what is traced
        "load": [(3.5, 7.0)],
    }
    # By hand: loading loses 3.5 to 4 to compiling and 6 to 6.5 to importing; 10 is the end.
    expected = {"import": 1.5, "compile": 3.0, "load": 2.5}
    assert start_inside.exclusive(spans, 10.0) == pytest.approx(expected)


def test_nested_calls_are_one_span():
    def down(n):
        return n and noted(n - 1)

    noted = start_inside.spanned("load", down)
    before = len(start_inside.spans["load"])
    assert noted(3) == 0
    assert len(start_inside.spans["load"]) == before + 1


def test_a_start_is_measured_in_a_process_of_its_own(tmp_path):
    found = start.start(start.ROOT, ["--version"], tmp_path)
    assert found == json.loads((tmp_path / "measured.json").read_text())
    parts = found["import"] + found["load"] + found["compile"] + found["rest"]
    assert parts == pytest.approx(found["seconds"]) and found["cpu"] > 0
    assert found["load"] == found["compile"] == found["compiled"] == 0
    row = {**found, "start": "jaxvlm --version", "checkout": "here", "cold": 1.0}
    header, line, cells = start.table([row]).splitlines()
    assert header.count("|") == line.count("|") == cells.count("|") == 12
