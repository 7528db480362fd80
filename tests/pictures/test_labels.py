"""From words to label banks: which words, in which roles, and which words do not do."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.errors import InputError
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words.prompts import PROMPT_SETS, conjugate
from jaxvlm.pictures.labels import Words, prepare_labels
from jaxvlm.world.ood_pictures import ID_CLASSES


def write_words(path, *words):
    path.write_text("".join(f"{word}\n" for word in words))
    return path


def test_default_negatives_are_the_world_words_without_the_classes(labels):
    listed, _ = word_lists.read_words(resources.path("configs/ood/world_words.txt"))
    assert set(ID_CLASSES) < set(listed)
    assert set(labels.names.negative) == set(listed) - set(ID_CLASSES)
    assert labels.names.positive == ID_CLASSES
    share = int(len(labels.names.negative) * 0.3)
    assert len(labels.names.negative_object) == len(labels.names.negative_background) == share
    assert not set(labels.names.negative_object) & set(labels.names.negative_background)
    negatives = labels.placed.negatives
    assert negatives.rows.shape[1] == len(labels.names.negative)
    assert negatives.star.shape == (1, 5, share // 5)
    assert len(set(negatives.star.ravel().tolist())) == share // 5 * 5
    assert negatives.soft.min() > 0


def test_a_split_beside_the_words_is_read(prepare, tmp_path):
    words = ("tree", "road", "field", "chair", "beach", "umbrella", "ball", "cat")
    write_words(tmp_path / "neg_labels_noun.txt", *words)
    stored = word_lists.NegativeSplit(
        words[:5], words[5:7], words[7:], dict.fromkeys(words, 0.0) | {"ball": -0.5}
    )
    word_lists.write_split(tmp_path / "negatives_split", stored)
    read = prepare(tmp_path)
    assert read.names.negative == words
    assert read.names.negative_object == words[:5] and read.names.negative_background == words[5:7]
    again = prepare(tmp_path, neg_split_recompute=True, num_groups=2)
    assert len(again.names.negative_object) == len(again.names.negative_background) == 2
    alone = prepare(tmp_path / "neg_labels_noun.txt", num_groups=2)
    assert alone.names == again.names


def test_the_csp_row_has_its_words_or_is_named_as_left_out(prepare, labels, tmp_path):
    assert labels.placed.negatives.conjugated is None
    assert "CSP is left out: there is no adjective" in labels.notes[1]
    nouns = ("tree", "road", "field", "chair", "beach", "umbrella", "ball", "cat")
    write_words(tmp_path / "neg_labels_noun.txt", *nouns)
    write_words(tmp_path / "neg_labels_adj.txt", "red", "furry creature")
    groups = {"num_groups": 3}
    found = prepare(tmp_path, **groups)
    assert found.names.conjugated == (*nouns, conjugate("red"), "furry creature")
    assert found.placed.negatives.conjugated.shape == (1, 3, 3)
    assert found.notes[1].startswith("CSP: 1 of 2 adjectives got a superclass here")
    write_words(tmp_path / "neg_labels_adj.txt", "red object", "furry creature")
    found = prepare(tmp_path, **groups)
    assert found.names.conjugated == found.names.negative
    assert "NegLabel (G groups) on them is its row" in found.notes[1]


def test_the_prompts_of_a_publication(prepare, tmp_path, model):
    write_words(tmp_path / "neg_labels_noun.txt", *"tree road field chair beach".split())
    own = prepare(tmp_path, prompts="neglabel", split_percentile=50.0, num_groups=2)
    expected = clip.encode_texts(model, ["the nice tree"])[0]
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(own.banks.negative[0], expected, atol=1e-5)
    other = prepare(tmp_path, prompts="csp", split_percentile=50.0, num_groups=2)
    prompts = [t.replace("{}", "tree") for t in PROMPT_SETS["csp"].nouns]
    assert len(prompts) == 8
    expected = clip.encode_texts(model, prompts).mean(0)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(other.banks.negative[0], expected, atol=1e-5)


def test_words_without_an_r_score_have_no_soft_weights(prepare, tmp_path):
    words = ("tree", "road", "field", "chair", "beach", "umbrella")
    write_words(tmp_path / "neg_labels_noun.txt", *words, "ball")
    split = word_lists.NegativeSplit(words[:5], words[5:], (), dict.fromkeys(words, 0.0))
    word_lists.write_split(tmp_path / "negatives_split", split)
    found = prepare(tmp_path)
    assert found.placed.negatives.soft is None and found.names.negative == (*words, "ball")
    with pytest.raises(InputError, match="soft_weighting: 'ball' has no r-score"):
        prepare(tmp_path, soft_weighting="all")


def test_too_few_objects_matter_only_where_they_are_asked_for(prepare):
    with pytest.raises(InputError, match=r"object-leaning negatives: \d+ cannot fill 100 groups"):
        prepare(num_groups=100)
    labels = prepare(num_groups=100, use_role_aware_negatives=False)
    assert labels.placed.num_groups == 100 and labels.placed.negatives.star is None


@pytest.mark.parametrize(
    ("words", "changes", "says"),
    [
        (("tree", "Dog", "field"), {}, "'Dog' also names a class"),
        (("tree",) * 3, dict(split_percentile=50.0), "split_percentile: percentile 50"),
        (None, dict(split_percentile=0.0, neg_split_tau=0.9), "neg_split_tau: tau_obj 0.9"),
        (("tree", "road", "chair", "beach"), dict(split_percentile=50.0), "4 cannot fill 5 groups"),
    ],
)
def test_words_that_do_not_do_are_an_error(prepare, tmp_path, words, changes, says):
    negatives = None if words is None else write_words(tmp_path / "words.txt", *words)
    with pytest.raises(InputError, match=says):
        prepare(negatives, **changes)


def test_text_embeddings_that_are_not_finite_are_an_error(model, benchmark, settings, tmp_path):
    words = ("tree", "road", "field", "chair", "beach", "umbrella")
    write_words(tmp_path / "neg_labels_noun.txt", *words)
    split = word_lists.NegativeSplit(words[:5], words[5:], (), dict.fromkeys(words, 0.0))
    word_lists.write_split(tmp_path / "negatives_split", split)
    projection = np.array(model.params["text_projection"]["kernel"])
    projection[0, 0] = np.nan
    broken = model.params | {"text_projection": {"kernel": projection}}
    for negatives, says in ((None, "not finite"), (tmp_path, "a row is NaN")):
        with pytest.raises(InputError, match=f"{says}.*check the weights"):
            prepare_labels(
                clip.make_encoder(dataclasses.replace(model, params=broken)),
                Words(benchmark / "class_names.txt", negatives),
                settings(),
            )


def test_words_may_be_given_as_lists(encoder, settings, labels, prepare, benchmark, tmp_path):
    """The same banks as from files; a list has no split beside it."""
    classes = list(labels.names.positive)
    words = ["tree", "road", "field", "chair", "beach", "umbrella", "ball", "tree"]
    found = prepare_labels(encoder, Words(classes, words), settings(num_groups=2))
    write_words(tmp_path / "words.txt", *words)
    expected = prepare(tmp_path / "words.txt", num_groups=2)
    assert found.names == expected.names and found.names.negative == tuple(words[:-1])
    np.testing.assert_array_equal(found.banks.negative, expected.banks.negative)
    default = prepare_labels(encoder, Words(classes), settings())
    assert default.names == labels.names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (Words(["dog", " ", "car"]), "class_names: word 2 is empty"),
        (Words(["dog", "car", "Dog"]), "class_names: word 3, 'Dog', repeats word 1"),
        (Words([]), "class_names: no word in it"),
        (Words(["dog", 3]), "class_names: word 2 is 3, no text"),
        (Words(["dog"], []), "negatives: no word in it"),
        (Words(["dog"], ["tree", None]), "negatives: word 2 is None, no text"),
        (Words(["dog"], ["tree", "DOG"]), "'DOG' also names a class"),
    ],
)
def test_a_list_that_does_not_do_is_named(encoder, settings, words, says):
    with pytest.raises(InputError, match=says):
        prepare_labels(encoder, words, settings())


def test_the_text_tower_is_asked_once_for_each_bank(encoder, settings, benchmark, monkeypatch):
    """Three lists of prompts for the split; negatives, classes, classes by each template,
    and CMA's five agents."""
    asked = []
    embed = clip.encode_texts

    def counted(model, texts, **options):
        asked.append(len(texts))
        return embed(model, texts, **options)

    monkeypatch.setattr("jaxvlm.clip.embeddings.encode_texts", counted)
    without = dataclasses.replace(encoder, cache_dir=None)
    labels = prepare_labels(without, Words(benchmark / "class_names.txt"), settings())
    count, classes = len(labels.names.negative), len(labels.names.positive)
    split = [count, 2 * count, 3 * count]
    assert asked == [*split, 2 * count, classes, classes, 2 * classes, 5]


def test_the_banks_are_on_the_devices_once(labels):
    """Object-leaning negatives are columns of the bank of negatives, not a bank of their own."""
    placed, names = labels.placed, labels.names
    assert placed.negatives.rows.shape[:2] == (1, len(names.negative))
    assert bool(placed.negatives.is_negative.all())
    assert isinstance(labels.banks.negative, np.ndarray)
