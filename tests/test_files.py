"""Files appear whole or not at all."""

import json
import stat

import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.errors import InputError


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_on_success_and_not_before(tmp_path):
    target = tmp_path / "sub" / "a.txt"
    with files.atomic_path(target) as temporary:
        assert temporary.parent.parent == target.parent  # one disk, so that a rename is atomic
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new" and names(tmp_path / "sub") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_an_exception_where_there_was_nothing_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), files.atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert names(tmp_path) == []


def test_a_file_is_replaced(tmp_path):
    for text in ("one", "two"):
        files.write_text(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_text() == "two" and names(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "run"
    (target / "deep").mkdir(parents=True)
    (target / "deep" / "stale.txt").write_text("old")
    with files.atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "fresh.txt").write_text("new")
        assert names(target) == ["deep"]
    assert names(target) == ["fresh.txt"] and names(tmp_path) == ["run"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    target = tmp_path / "run"
    target.mkdir()
    (target / "a.txt").write_text("old")
    with pytest.raises(ValueError), files.atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "a.txt").write_text("half")
        raise ValueError
    assert (target / "a.txt").read_text() == "old" and names(tmp_path) == ["run"]


def test_a_body_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "a.txt"):
        pass
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_others_may_read_what_a_writer_made_private(tmp_path):
    with files.atomic_path(tmp_path / "a.txt") as temporary:
        temporary.touch(mode=0o600)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) & 0o044 == 0o044


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
        (files.read_arrays, b"not an array file", "not a safetensors file"),
        (files.read_arrays, b"", "not a safetensors file"),
        (files.read_json, None, "no such file"),
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


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        files.read_json(tmp_path)
