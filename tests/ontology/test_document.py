"""YAML and JSON within bounds: no alias bomb, no depth and no number ends but in one line."""

import pytest

from jaxvlm.errors import InputError
from jaxvlm.ontology import document
from jaxvlm.ontology.document import read_document

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)


@pytest.mark.parametrize(
    "name, text, cause",
    [
        ("a.yaml", BOMB, "aliases are written out"),
        ("a.yaml", BOMB + "? *a29\n: 1\n", "aliases are written out"),
        ("a.yaml", "[" * 200 + "]" * 200, "nested too deep"),
        ("a.yaml", "[" * 50_000, "nested too deep"),
        ("a.yaml", "- " * 5_000 + "x", "nested too deep"),
        ("a.yaml", "{a: " * 5_000, "nested too deep"),
        ("a.yaml", "a: " + "1" * 5_000, "not valid"),
        ("a.yaml", "a: 0x" + "f" * 5_000, "whole number of 20000 bits"),
        ("a.yaml", "a: 2001-13-45", "not valid"),
        ("a.yaml", "a: !!python/object/apply:os.getcwd []", "not valid"),
        ("a.json", "[" * 200 + "]" * 200, "nested deeper"),
        ("a.json", '{"a": ' * 50_000, "nested deeper"),
        ("a.json", '{"a": 1' + "0" * 500 + "}", "whole number of 501 digits"),
        ("a.yaml", '{"a": ' * 50_000, "nested too deep"),  # JSON by its look
        ("a.yaml", "#" * 2**20 + "#", "1,048,577 bytes, more than the 1,048,576"),
    ],
)
def test_what_is_out_of_bounds_is_one_line(tmp_path, name, text, cause):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=cause) as caught:
        read_document(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message and len(message) < 500


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("a.yaml", "a:\n " + "[" * 150 + "]" * 150, "line 2: nested too deep"),
        ("a.yaml", "a:\n\n" + " [\n" * 50_000, "line 102: nested too deep"),  # a is a level
        ("a.yaml", "a: 1\nb:\n" + "- " * 5_000 + "x", "line 3: nested too deep"),
        ("a.json", '{"a": "[[\\"[",\n"b":\n' + "[" * 150 + "]" * 150 + "}", "at line 3 column 100"),
        ("a.json", "\n" + "[\n" * 50_000, "at line 102 column 1"),
        ("a.yaml", "first: 1\n" + BOMB, "line 8: more than"),
    ],
)
def test_where_it_is_out_of_bounds_is_told(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=told):
        read_document(tmp_path / name)


def test_aliases_within_bounds_are_what_they_stand_for(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [x, y]\nb: {c: *a, d: *a}\ne: &e [*e]\n")
    read = read_document(path)
    assert read.content["b"] == {"c": ["x", "y"], "d": ["x", "y"]}
    assert read.line(("b", "c")) == 2


def test_the_bound_is_of_parts_not_of_aliases(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [x, y]\nb: [*a, *a]\n")
    # The whole, two keys, the list of two, and the list of two lists of two: 1+1+3+1+(1+3+3).
    monkeypatch.setattr(document, "MAX_PARTS", 13)
    assert read_document(path).content["b"] == [["x", "y"], ["x", "y"]]
    monkeypatch.setattr(document, "MAX_PARTS", 12)
    with pytest.raises(InputError, match="more than 12 parts"):
        read_document(path)
