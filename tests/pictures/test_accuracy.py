"""Whether ĉ is right, for labels of every kind."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from jaxvlm.pictures.accuracy import accuracy_table, right_pictures
from jaxvlm.pictures.labels import Words

NAMES = ("tench", "Great white_shark", "goldfish")
IDS = ("n01440764", "n01484850", "n01443537")  # not sorted: goldfish lies between


def a_set(name, labels, predicted):
    encoded = SimpleNamespace(predicted_class_idx=np.array(predicted))
    return SimpleNamespace(name=name, labels=labels, encoded=encoded)


def right(sets, class_names=None):
    return right_pictures(sets, Words(class_names), NAMES)


@pytest.mark.parametrize(
    "labels",
    [
        ("tench", "great white shark", "Goldfish", "tench"),
        ("0", "1", "2", "0"),
        ("00", "1", "2", "0"),
    ],
)
def test_names_and_numbers_are_classes(labels):
    found, notes = right([a_set("id", labels, [0, 1, 0, 2])])
    assert found["id"].tolist() == [True, True, False, False] and notes == []


def test_wordnet_ids_are_those_of_the_class_file(tmp_path):
    path = tmp_path / "synset_words.txt"
    path.write_text("".join(f"{wnid} {name}\n" for wnid, name in zip(IDS, NAMES, strict=True)))
    sets = [a_set("id", IDS, [0, 1, 2]), a_set("r", IDS[2:], [1])]
    found, notes = right(sets, path)
    assert found["id"].all() and not found["r"].any() and notes == []


def test_without_a_class_file_their_order_is_that_of_the_classes_and_it_is_said(tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    sets = [a_set("r", IDS[1:2], [1]), a_set("id", IDS, [0, 1, 2])]
    found, notes = right(sets, tmp_path / "names.txt")
    # Sorted: tench, goldfish's id, the shark's; so the third picture's class is the second.
    assert found["id"].tolist() == [True, False, False] and not found["r"].any()
    assert notes == ["accuracy: the 3 WordNet ids, sorted, are taken for the classes"]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (None, "r: accuracy and CCR are not known, for its pictures have no labels: give class"),
        (("0", "3"), "its label 3 is the number of none of the classes"),
        (("0", "9" * 5000), "its label 9+ is the number of none"),
        (("n01440764",), "WordNet ids: give --class_names with an id before each name"),
        (("0", "-1"), "its labels are no classes"),
        (("tench", "1"), "its labels are no classes"),
    ],
)
def test_where_the_truth_is_not_known_it_is_said_why(labels, says):
    count = 1 if labels is None else len(labels)
    found, (note,) = right([a_set("r", labels, [0] * count)])
    assert found == {}
    assert re.search(says, note) and len(note) < 220


def test_an_id_that_no_class_has_is_named():
    sets = [a_set("id", IDS, [0, 1, 2]), a_set("r", ("n09999999",), [0])]
    found, notes = right(sets)
    assert set(found) == {"id"} and "its label n09999999 is the WordNet id of none" in notes[0]


def test_the_table_is_of_what_is_reported():
    truth = {"id": np.array([True, False, True, True]), "v2": np.array([False, True])}
    chosen = {"id": np.array([True, True, False, True]), "v2": np.ones(2, bool)}
    sides = {
        "id": {"id": chosen["id"]},
        "both": chosen,
        "unknown": chosen | {"r": np.ones(1, bool)},
    }
    table = accuracy_table(truth, sides).set_index("set")
    assert table["pictures"].tolist() == [3, 5, 6]
    assert table.loc["id", "accuracy"] == 2 / 3 and table.loc["both", "accuracy"] == 3 / 5
    assert table.loc["unknown"].isna().sum() == 3
    assert (table["accuracy_low"] < table["accuracy"]).sum() == 2
