"""JSON of others: what is too long, too deep or too large a number is one line, and quickly."""

import json

import pytest

from jaxvlm import bounded_json, files
from jaxvlm.errors import InputError

NESTED = bounded_json.MAX_DEPTH


def nested(levels, opening="[", closing="]", core=""):
    return opening * levels + core + closing * levels


@pytest.mark.parametrize(
    "text, cause",
    [
        (nested(NESTED + 1), "nested deeper than 100 levels"),
        (nested(NESTED + 1, '{"a":', "}", "1"), "nested deeper"),
        (nested(1_000_000), "nested deeper"),
        (nested(1_000_000, '{"a":', "}", "1"), "nested deeper"),
        ("[" * 1_000_000, "nested deeper"),
        ("1" * 5_000, "whole number of 500. digits"),
        ('{"a": -' + "1" * 5_000 + "}", "whole number of 500. digits"),
        ("1" * 400, "whole number of 400 digits"),  # which no float holds
        ("", "not valid JSON"),
        ("[1,", "not valid JSON"),
        ('{"a": NaN}', "NaN, which JSON does not have"),
        ("[-Infinity]", "-Infinity, which JSON does not have"),
        ("[1e400]", "the number 1e400, which is too large"),
        ("[-1.5e" + "9" * 500 + "]", "which is too large"),
    ],
)
def test_what_is_out_of_bounds_is_one_line(tmp_path, text, cause):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    for read in (lambda: files.read_json(path), lambda: bounded_json.parse(text, path)):
        with pytest.raises(InputError, match=cause) as caught:
            read()
        message = str(caught.value)
        assert message.startswith(f"{path}: ") and message.endswith("; correct the file")
        assert "\n" not in message and len(message) < 300


def test_bytes_are_bounded(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="11 bytes, more than the 10 that are read"):
        bounded_json.parse(b'"123456789"', "a server", max_bytes=10)
    assert bounded_json.parse(b'"12345678"', "a server", max_bytes=10) == "12345678"
    monkeypatch.setattr(bounded_json, "MAX_BYTES", 10)
    (tmp_path / "a.json").write_text("[" + " " * 100 + "]")
    with pytest.raises(InputError, match="more than the"):
        files.read_json(tmp_path / "a.json")


def test_all_else_is_as_json_reads_it():
    deep = nested(NESTED)
    assert bounded_json.parse(deep, "a") == json.loads(deep)
    wide = {"a": [{"b": [1, None, "é", 1.5]}] * 1_000, "c": {}, "d": []}
    assert bounded_json.parse(json.dumps(wide).encode(), "a") == wide
    for marked in ("\ufeff[1e308]", "\ufeff[1e308]".encode()):  # as Windows' editors write it
        assert bounded_json.parse(marked, "a") == [1e308]
    for value in (None, 3, "x", [], {}):
        assert bounded_json.parse(json.dumps(value), "a") == value
