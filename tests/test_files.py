"""Text, JSON, CSV and arrays: what is written, and one line for what cannot be read."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.outputs import RECORD


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def test_writers_use_it(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, "é"]})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == (
        '{\n  "b": 1,\n  "a": [\n    1.5,\n    "é"\n  ]\n}\n'
    )
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1, 2], "y": [0.123456789, 1e-9]}))
    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n1,0.123457\n2,1e-09\n"
    arrays = {"b": np.arange(6.0).reshape(2, 3).T, "a": np.array([True, False])}
    files.write_arrays(tmp_path / "a.safetensors", arrays)
    read = files.read_arrays(tmp_path / "a.safetensors")
    assert sorted(read) == ["a", "b"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    assert names(tmp_path) == ["a.csv", "a.json", "a.safetensors"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    files.write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == [1]
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("read", "content", "cause"),
    [
        (files.read_json, b"{", "not valid JSON"),
        (files.read_json, b"\xff\xfe", "not valid JSON"),
        (files.read_csv, b"", "not a CSV table"),
        (files.read_csv, b'a,b\n"1,2\n', "not a CSV table"),
        (files.read_csv, b"a\n\xff\n", "not a CSV table"),
        (files.read_csv, b"a,b\n1,2,3\n4,5,6\n", "rows have more cells than the header"),
        (files.read_arrays, b"not an array file", "not a safetensors file"),
        (files.read_arrays, b"", "not a safetensors file"),
        (files.read_json, None, "no such file"),
        (files.read_csv, b"a,fi\x7fe\n1,2\n", r"row 1 holds the control character \\x7f"),
        (files.read_csv, None, "no such file"),
        (files.read_arrays, None, "no such file"),
    ],
)
def test_bad_files_are_one_line_that_names_them(tmp_path, read, content, cause):
    path = tmp_path / "input"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=cause) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and "; " in message


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3_000, "a\0b"], ids=["name", "path", "NUL"])
@pytest.mark.parametrize("read", [files.read_json, files.read_csv, files.read_arrays])
def test_a_path_that_no_file_can_have_is_one_line(read, name):
    with pytest.raises(InputError, match="no such file"):
        read(name)


def test_a_name_that_is_not_utf8_is_written_spelled(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    files.write_json(tmp_path / "a.json", {name: [name, {"b": name}], "c": float("nan")})
    spelled = "caf\\xe9.mp4"
    assert files.read_json(tmp_path / "a.json") == {spelled: [spelled, {"b": spelled}], "c": None}
    files.write_text(tmp_path / "a.txt", f"of {name}\n")
    assert (tmp_path / "a.txt").read_text() == f"of {spelled}\n"


@pytest.mark.parametrize("read", [files.read_json, files.read_csv, files.read_arrays])
def test_a_disk_that_fails_is_one_line(tmp_path, monkeypatch, read):
    files.write_json(tmp_path / "a", {})

    def failing(*arguments, **options):
        raise OSError(5, "Input/output error")

    for place in ("builtins.open", "pandas.read_csv", "safetensors.numpy.load_file"):
        monkeypatch.setattr(place, failing)
    with pytest.raises(InputError, match="a: cannot be read .Input/output error.; check the disk"):
        read(tmp_path / "a")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        files.read_json(tmp_path)
