"""Texts that are looked for: how a list is read, what is a sentence, and what each is beside."""

import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.errors import InputError
from jaxvlm.pictures.labels import Words
from jaxvlm.pictures.query_texts import embed_queries, is_sentence, read_queries

WORDS = ["tree", "road", "field", "chair", "beach", "umbrella", "kite", "cloud"]


def test_a_list_is_read_in_order_and_empty_lines_are_passed_over(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_text("\n  a  dog on grass \n\nRed car\n# 1 fan\n\n", encoding="utf-8")
    assert read_queries(path) == ("a dog on grass", "Red car", "# 1 fan")
    assert read_queries(["cat", " ", "dog"]) == ("cat", "dog")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "queries.txt: no text in it"),
        ("\n \n", "queries.txt: no text in it"),
        ("dog\n\nDOG\n", "line 3, 'DOG', repeats line 1"),
        ("red_car\nred car", "line 2, 'red car', repeats line 1"),
        ("dog\x1b[31m", "control character"),
    ],
)
def test_what_is_no_list_is_one_line(tmp_path, content, says):
    (tmp_path / "queries.txt").write_text(content)
    with pytest.raises(InputError, match=says):
        read_queries(tmp_path / "queries.txt")


def test_texts_in_python_are_checked_alike(tmp_path):
    for texts, says in (
        (["a", "A"], "text 2, 'A', repeats text 1"),
        ([3], "text 1 is no"),
        ([], "no text"),
    ):
        with pytest.raises(InputError, match=says):
            read_queries(texts)
    with pytest.raises(InputError, match="gone.txt"):
        read_queries(tmp_path / "gone.txt")


def test_names_go_into_templates_and_sentences_do_not():
    names = "dog", "red car", "New York skyline", "another dog"
    sentences = "a dog", "The sea", "photo of dogs", "two men on bicycles"
    assert not any(map(is_sentence, names)) and all(map(is_sentence, sentences))


def rows_of(bank) -> np.ndarray:
    return np.concatenate([np.asarray(bank.shared), np.asarray(bank.own)])


def test_either_form_stands_beside_words_of_its_own(encoder, settings):
    texts = embed_queries(
        encoder, ["dog", "a dog on a beach", "car"], Words(None, WORDS), settings()
    )
    (names, of_names), (sentences, of_sentences) = texts.forms
    assert names.tolist() == [0, 2] and sentences.tolist() == [1]
    templates = settings().prompt_set.nouns
    assert texts.prompts[1] == ("a dog on a beach",)
    assert texts.prompts[2] == tuple(text.replace("{}", "car") for text in templates)
    for bank, queries, prompts, form in (
        (of_names, ["dog", "car"], templates, templates),
        (of_sentences, ["a dog on a beach"], ["{}"], ["a {}"]),
    ):
        expected = clip.embed_prompts(encoder.model, queries, prompts)
        np.testing.assert_allclose(bank.queries, expected, atol=1e-5)
        beside = clip.embed_prompts(encoder.model, WORDS, form)
        similar = rows_of(bank) @ beside.T
        np.testing.assert_allclose(similar.max(axis=1), 1, atol=1e-4)
        assert sorted(similar.argmax(axis=1)) == list(range(len(WORDS)))


def test_a_negative_label_that_is_the_query_is_no_alternative(encoder, settings):
    texts = embed_queries(encoder, ["Kite", "dog"], Words(None, WORDS), settings())
    assert texts.left_out[0, WORDS.index("kite")] and not texts.left_out[1, WORDS.index("kite")]
    with pytest.raises(InputError, match="none that a query does not say itself"):
        embed_queries(encoder, ["kite"], Words(None, ["Kite"]), settings())


def test_rows_of_negatives_may_be_given(encoder, settings):
    templates = settings().prompt_set.nouns
    rows = clip.embed_prompts(encoder.model, WORDS, templates)
    given = embed_queries(encoder, ["dog"], Words(None, WORDS, None, rows), settings())
    made = embed_queries(encoder, ["dog"], Words(None, WORDS), settings())
    np.testing.assert_allclose(rows_of(given.forms[0][1]), rows_of(made.forms[0][1]), atol=1e-5)
    with pytest.raises(InputError, match="the negatives have 3 dimensions"):
        embed_queries(encoder, ["dog"], Words(None, WORDS, None, rows[:, :3]), settings())


def test_negations_and_texts_that_the_encoder_does_not_know_are_told(encoder, settings):
    texts = embed_queries(encoder, ["no people", "car without wheels", "boat"], Words(), settings())
    assert "'no people', 'car without wheels'; say what is to be seen" in texts.doubts[0]
    assert any("the rendered world's words" in line for line in texts.told)
    rows = np.repeat(clip.embed_prompts(encoder.model, ["boat"], ["{}"]), 20, axis=0)
    rows[15:] = np.eye(rows.shape[1])[:5]
    same = Words(None, [f"w{n}" for n in range(20)], None, rows)
    config = settings(templates=("{}",))
    assert any(
        "can hardly tell 'boat'" in line
        for line in embed_queries(encoder, ["boat"], same, config).doubts
    )
