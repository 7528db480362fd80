import os
import pickle

import pytest

from jaxvlm.errors import InputError
from jaxvlm.ood.words import lists as word_lists


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def test_classes_keep_their_order(tmp_path):
    write(tmp_path, classes="\ufeffzebra\r\nblack_bear \nÄpfel\n\n")
    assert word_lists.read_classes(tmp_path / "classes.txt") == ("zebra", "black bear", "Äpfel")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dog\ncat\nDog\n", "line 3, 'Dog', repeats line 1"),
        ("black bear\nblack_ Bear\n", "line 2, 'black_ Bear', repeats line 1"),
        ("dog\n\ncat\n", "line 2 is empty"),
        ("\ndog\n", "line 1 is empty"),
        ("\n \n", "no line in it"),
        ("", "no line in it"),
        ("dog\ncaf\u00e9\n".encode("latin-1"), "line 2 is not UTF-8"),
    ],
)
def test_a_bad_class_list_names_the_line(tmp_path, text, says):
    write(tmp_path, classes=text)
    with pytest.raises(InputError) as caught:
        word_lists.read_classes(tmp_path / "classes.txt")
    message = str(caught.value)
    assert "classes.txt" in message and says in message and "\n" not in message


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match="gone.txt: no such file"):
        word_lists.read_words(tmp_path / "gone.txt")


def test_repeated_words_of_published_lists_are_counted(tmp_path):
    # Written without a newline at the end, as the prototype does.
    write(
        tmp_path,
        neg_labels_noun="red\nvase\n\nvase\nTurkey\nturkey",
        neg_labels_adj="furry\nred\nfurry",
    )
    negatives = word_lists.read_negatives(tmp_path)
    assert negatives.nouns == ("red", "vase", "Turkey", "turkey")
    assert negatives.adjectives == ("furry",)
    assert negatives.words == ("red", "vase", "Turkey", "turkey", "furry")
    assert negatives.repeated == 3
    alone = word_lists.read_negatives(tmp_path / "neg_labels_adj.txt")
    assert alone == (("furry", "red"), (), 1)


def test_adjectives_may_be_missing_or_none(tmp_path):
    write(tmp_path, neg_labels_noun="vase\n")
    assert word_lists.read_negatives(tmp_path).words == ("vase",)
    tmp_path = tmp_path / "written"
    word_lists.write_negatives(tmp_path, ["vase", "urn"], [])
    assert (tmp_path / "neg_labels_adj.txt").read_bytes() == b""
    assert word_lists.read_negatives(tmp_path).words == ("vase", "urn")


SPLIT = word_lists.NegativeSplit(
    object=("null", "a, b"),
    background=("sky",),
    ambiguous=(),
    r_scores={"null": 0.25, "sky": -0.125, "a, b": 0.0625},
)


def test_a_split_is_read_as_it_was_written(tmp_path):
    cosines = {"cos_obj": [0.5, 0.25, 0.75], "cos_bg": [0.25, 0.375, 0.6875]}
    word_lists.write_split(tmp_path / "negatives_split", SPLIT, cosines)
    assert (tmp_path / "negatives_split" / "neg_word_scores.csv").read_text() == (
        "word,r_score,category,cos_obj,cos_bg\n"
        "null,0.25,object,0.5,0.25\n"
        "sky,-0.125,background,0.25,0.375\n"
        '"a, b",0.0625,object,0.75,0.6875\n'
    )
    assert word_lists.read_split(tmp_path / "negatives_split") == SPLIT
    assert word_lists.read_split(tmp_path) == SPLIT


def test_a_published_split_is_read(tmp_path):
    # A word of both published lists has two rows; by percentile they may fall into two groups.
    (tmp_path / "neg_word_scores.csv").write_text(
        "word,r_score,category\r\nvase,0.1,object\r\nurn,0.05,object\r\nurn,0.05,ambiguous\r\n"
        "nan,-0.1,background\r\n"
    )
    write(tmp_path, neg_object="vase\nurn", neg_background="nan", neg_ambiguous="urn")
    split = word_lists.read_split(tmp_path)
    assert split == (("vase", "urn"), ("nan",), (), {"vase": 0.1, "urn": 0.05, "nan": -0.1}, 1)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("neg_word_scores.csv", "word,r_score\nnull,0.25\na b,\n", "line 3, 'a b', has no finite"),
        ("neg_word_scores.csv", "word,score\nnull,0.25\n", "no column r_score"),
        ("neg_object.txt", "vase\n", "'vase' has no score"),
        ("neg_background.txt", "", "no line in it"),
    ],
)
def test_a_broken_split_is_refused(tmp_path, name, text, says):
    word_lists.write_split(tmp_path, SPLIT)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        word_lists.read_split(tmp_path)
    assert name in str(caught.value)


def test_a_split_without_scores_is_refused(tmp_path):
    word_lists.write_split(tmp_path, SPLIT)
    (tmp_path / "neg_word_scores.csv").unlink()
    with pytest.raises(InputError, match="neg_word_scores.csv: no such file"):
        word_lists.read_split(tmp_path)


def pickled(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickled_lists_are_read_as_text_would_be(tmp_path, protocol):
    words = ["external carotid artery", "Ænigma", " urn ", "urn", ""]
    expected = ("external carotid artery", "Ænigma", "urn"), 1
    for value in (words, tuple(words)):
        assert word_lists.read_words(pickled(tmp_path / "a.pkl", value, protocol)) == expected
    if protocol >= 4:  # an order of its own, whatever Python's hashes are
        words, _ = word_lists.read_words(pickled(tmp_path / "a.pkl", {"b", "c", "a"}, protocol))
        assert words == ("a", "b", "c")


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_of_anything_else_is_refused_and_not_run(tmp_path):
    path, mark = tmp_path / "neg_labels_noun.pkl", tmp_path / "ran"

    def refused():
        with pytest.raises(InputError) as caught:
            word_lists.read_negatives(tmp_path)
        message = str(caught.value)
        assert "neg_labels_noun.pkl" in message and ";" in message and "\n" not in message
        return message

    for value, says in (
        ([Evil(f"touch '{mark}'"), "vase"], "which is no data"),
        (["vase", 3], "not a list of words"),
        ([["vase"]], "not a list of words"),
        ({"vase": 1}, "not a list of words"),
        ("vase", "not a list of words"),
        ([], "no word in it"),
        (["vase", "u\x1b[2Jrn"], r"word 2 holds the control character \x1b"),
        (["vase", "\u202eurn"], "holds the control character"),
        (["vase", "u\0rn"], "holds the control character"),
    ):
        pickled(path, value)
        assert says in refused()
    path.write_bytes(pickle.dumps(["vase", "urn"])[:-5])
    assert "vase" not in refused()
    path.write_text("vase")
    refused()
    assert not mark.exists()


def test_the_output_folder_of_negrefine(tmp_path):
    # What its run leaves: before and after the filter, each as text and as a pickle.
    for stem, words in (
        ("initial_neg_labels_noun", ["vase", "Paris", "urn"]),
        ("initial_neg_labels_adj", ["furry thing"]),
        ("neg_labels_noun", ["vase", "urn"]),
        ("neg_labels_adj", ["furry thing", "urn"]),
    ):
        write(tmp_path, **{stem: "".join(f"{word}\n" for word in words)})
        pickled(tmp_path / f"{stem}.pkl", words)
    write(tmp_path, llm_process_noun="vase | jar | \n", result="Namespace(...)\n")
    refined = (("vase", "urn"), ("furry thing",), 1)
    assert word_lists.read_negatives(tmp_path) == refined
    for name in ("neg_labels_noun.txt", "neg_labels_adj.txt"):
        (tmp_path / name).unlink()
    assert word_lists.read_negatives(tmp_path) == refined
    (tmp_path / "neg_labels_noun.pkl").unlink()
    assert word_lists.read_negatives(tmp_path) == (("vase", "Paris", "urn"), ("furry thing",), 0)


def test_the_data_folder_of_negalign(tmp_path):
    # Published without neg_labels_*: the words of the split are the negatives, all of its csv.
    write(tmp_path, initial_neg_labels_noun="vase\nParis\n", initial_neg_labels_adj="furry\n")
    split = tmp_path / "negatives_split"
    split.mkdir()
    (split / "neg_word_scores.csv").write_text(
        "word,r_score\nvase,0.2\nmoss,0.01\nfog,-0.2\nvase,0.2\n"
    )
    write(split, neg_object="vase\n", neg_background="fog\n")
    for folder in (tmp_path, split):
        assert word_lists.find_split(folder) == split
        assert word_lists.read_negatives(folder) == (("vase", "moss", "fog"), (), 1)
        # By percentile no word is ambiguous, and the list of these is not written.
        assert word_lists.read_split(folder) == (
            ("vase",), ("fog",), (), {"vase": 0.2, "fog": -0.2}, 1
        )  # fmt: skip
    assert word_lists.find_split(tmp_path / "nowhere") is None


def test_the_prompts_of_neglabels_list_are_taken_off(tmp_path):
    write(
        tmp_path,
        selected="the nice bird's-foot trefoil\nthe nice urn\nThis is a igneous photo\n"
        "This is a urn photo\nthe nice urn\n",
        mixed="the nice urn\nvase\n",
    )
    found = word_lists.read_negatives(tmp_path / "selected.txt")
    assert found == (("bird's-foot trefoil", "urn"), ("igneous",), 2)
    assert word_lists.read_negatives(tmp_path / "mixed.txt").words == ("the nice urn", "vase")


def test_a_folder_without_any_list(tmp_path):
    with pytest.raises(InputError, match="neg_labels_noun.txt: no such file; give a word list"):
        word_lists.read_negatives(tmp_path)


def test_an_underscore_in_a_class_name_is_told(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("Fire_truck\ncar\nstop_sign\n")
    assert word_lists.read_classes(path) == ("Fire truck", "car", "stop sign")
    told = word_lists.underscore_note(path)
    assert told == f"{path}: an underscore is a blank, as in 'Fire truck', and 1 more"
    assert word_lists.underscore_note(["a", "b_c"]) == (
        "class_names: an underscore is a blank, as in 'b c'"
    )
    path.write_text("fire truck\ncar\n")
    assert word_lists.underscore_note(path) is None
