"""Class lists as data sets publish them, and lists of any system."""

import json

import pytest

from jaxvlm.data.class_lists import read_class_ids, read_class_list
from jaxvlm.data.text_files import read_lines
from jaxvlm.errors import InputError
from jaxvlm.ood.words.lists import read_classes, read_words

NAMES = ["tench", "great white shark"]


@pytest.mark.parametrize(
    "text",
    [
        "tench\ngreat white shark\n",
        "tench\r\ngreat white shark\r\n\r\n",
        "tench\rgreat white shark\r",  # an old Mac
        "n01440764 tench, Tinca tinca\nn01484850 great white shark, white shark\n",
        "n01440764\ttench\nn01484850\tgreat white shark",
        "n01440764 1 tench\nn01484850 2 great_white_shark",
        json.dumps(NAMES),
        json.dumps({"1": "great white shark", "0": "tench"}),
        json.dumps({"0": ["n01440764", "tench"], "1": ["n01484850", "great_white_shark"]}),
        json.dumps({"tench": 0, "great white shark": 1}, indent=1),
    ],
)
def test_every_form_gives_the_names_in_order(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    assert read_classes(path) == tuple(NAMES)
    path.write_bytes(b"\xff\xfe" + text.encode("utf-16-le"))
    if text[0] not in "[{":
        assert read_classes(path) == tuple(NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "n01440764 tench, Tinca tinca\nn01484850 great white shark, white shark\n",
        "n01440764 1 tench\nn01484850 2 great_white_shark",
        json.dumps({"1": ["n01484850", "great_white_shark"], "0": ["n01440764", "tench"]}),
    ],
)
def test_the_ids_are_in_the_order_of_the_names(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    assert read_class_ids(path) == ["n01440764", "n01484850"]
    assert read_classes(path) == tuple(NAMES)


@pytest.mark.parametrize("text", ["tench\nshark\n", json.dumps(NAMES), json.dumps({"tench": 0})])
def test_a_list_without_ids_has_none(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    assert read_class_ids(tmp_path / "classes.txt") is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("n01440764\nn01484850\n", "line 1: 'n01440764' has no name behind its id; write a name"),
        ("n01440764 tench\nshark\n", "line 2: 'shark' has no WordNet id, which others have"),
        ("[1, 2]", "entry 0 is no class name"),
        ('{"0": "tench", "2": "shark"}', "numbers are not 0, 1, 2"),
        ('{"a": "tench"}', "numbers are not 0, 1, 2"),
        ('{"a": 0, "b": 0}', "numbers are not 0, 1, 2"),
        ("[]", "no name in it"),
        ("{}", "no name in it"),
        ("[tench", "not valid JSON"),
    ],
)
def test_other_forms_are_refused_with_the_cure(tmp_path, text, cause):
    path = tmp_path / "classes.json"
    path.write_text(text)
    with pytest.raises(InputError, match=cause):
        read_class_list(path)


def test_underscores_are_blanks_wherever_the_names_come_from(tmp_path):
    (tmp_path / "c.txt").write_text("fire_truck\ncar\n")
    assert read_classes(tmp_path / "c.txt") == ("fire truck", "car")
    assert read_classes(["fire_truck", "car"]) == ("fire truck", "car")


def test_negatives_of_an_old_mac(tmp_path):
    (tmp_path / "w.txt").write_bytes(b"dog\rcat\rdog\r")
    assert read_words(tmp_path / "w.txt") == (("dog", "cat"), 1)


def test_a_line_ends_where_an_editor_ends_it(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("a\u2028b\x0bc\x85d\ne".encode())  # all but the last are in names
    assert read_lines(path, cure="") == ["a\u2028b\x0bc\x85d", "e"]


def test_a_list_that_is_none(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a\nb\nc\xff\n")
    with pytest.raises(InputError, match=r"list\.txt: line 3 is not UTF-8; do this"):
        read_lines(path, cure="do this")
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: takes no disk
    with pytest.raises(
        InputError, match=r"list\.txt: .* more than the 268,435,456 that are read; do this"
    ):
        read_lines(path, cure="do this")


@pytest.mark.parametrize(
    "code, line, character",
    [
        ("ab\ncd\n".encode("utf-16-be"), 1, r"\\x00"),  # without its mark
        (b"ab\ncd\x1b[31m\n", 2, r"\\x1b"),
        (b"ab\r\n\x1a", 2, r"\\x1a"),
        (bytes(20), 1, r"\\x00"),
    ],
)
def test_a_text_with_control_characters_is_no_list(tmp_path, code, line, character):
    path = tmp_path / "list.txt"
    path.write_bytes(code)
    with pytest.raises(InputError, match=f"line {line} holds the control character {character};"):
        read_lines(path, cure="save it anew")


def test_a_name_in_json_with_a_control_character(tmp_path):
    (tmp_path / "c.json").write_text('["a", "b\\u0007"]')
    with pytest.raises(InputError, match=r"entry 1 holds the control character \\x07"):
        read_class_list(tmp_path / "c.json")
