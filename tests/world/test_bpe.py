"""The trained tokenizer: any text goes through, and transformers reads it the same way."""

import json

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizerFast

from jaxvlm.world import language
from jaxvlm.world.bpe import BOS, EOS, learn_merges, token_ids, train_tokenizer
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, EVENTS, OBJECTS

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def corpus() -> list[str]:
    return language.corpus(np.random.default_rng(0), 800)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(corpus())


@pytest.fixture(scope="module")
def theirs(tokenizer, tmp_path_factory):
    """transformers' tokenizer, made from vocab.json and merges.txt alone."""
    folder = tmp_path_factory.mktemp("bpe")
    model = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *lines]) + "\n", "utf-8")
    return CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))


def without_space(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example("naïve café — 12:30, 日本語, 🙂🏽, \u0000")
@example("Σίσυφος ſ İ ǅ")
@example("don't we'll it's 'tis")
def test_any_text_survives_encoding_and_decoding(tokenizer, text):
    assume("</w>" not in text and "<|" not in text)
    expected = tokenizer.normalizer.normalize_str(text)
    encoding = tokenizer.encode(text)
    words = tokenizer.decode(encoding.ids, skip_special_tokens=True).replace("</w>", " ")
    assert without_space(words) == without_space(expected)
    assert encoding.ids[0] == tokenizer.token_to_id(BOS)
    assert encoding.ids[-1] == tokenizer.token_to_id(EOS)
    assert set(encoding.ids[1:-1]).isdisjoint({encoding.ids[0], encoding.ids[-1]})


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example("a person's gun, 3 shots!")
def test_transformers_gives_the_same_ids(tokenizer, theirs, text):
    assert theirs(text)["input_ids"] == tokenizer.encode(text).ids


def test_transformers_gives_the_same_ids_for_captions(tokenizer, theirs):
    sentences = language.corpus(np.random.default_rng(1), 500)
    assert theirs(sentences)["input_ids"] == [e.ids for e in tokenizer.encode_batch(sentences)]


def test_case_and_spaces_do_not_matter(tokenizer):
    ids = tokenizer.encode("a dog on a road").ids
    assert tokenizer.encode("  A DOG\n on\ta  Road ").ids == ids
    assert tokenizer.encode("cafe\u0301").ids == tokenizer.encode("caf\u00e9").ids


def test_ids_are_dense_and_training_is_reproducible(tokenizer):
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert {BOS, EOS} <= set(vocabulary)
    assert train_tokenizer(corpus()).to_str() == tokenizer.to_str()


def test_merges_of_a_small_corpus_by_hand():
    """low × 5, lower × 2, new × 6: pairs by frequency, ties in sorted order, to the last pair."""
    words = {
        ("l", "o", "w</w>"): 5,
        ("l", "o", "w", "e", "r</w>"): 2,
        ("n", "e", "w</w>"): 6,
        ("a</w>",): 9,
    }
    expected = [
        ("l", "o"),  # 7
        ("e", "w</w>"),  # 6, before n e
        ("n", "ew</w>"),  # 6
        ("lo", "w</w>"),  # 5
        ("e", "r</w>"),  # 2, before lo w and w e
        ("lo", "w"),  # 2, before w er
        ("low", "er</w>"),
    ]
    assert learn_merges(words, 20) == expected
    assert learn_merges(dict(reversed(words.items())), 4) == expected[:4]
    assert learn_merges(words, 0) == learn_merges({}, 5) == []


def test_a_pair_that_overlaps_itself_is_merged_from_the_left():
    assert learn_merges({("a", "a", "a", "a", "a</w>"): 1}, 2) == [("a", "a"), ("aa", "a</w>")]


def test_the_vocabulary_size_bounds_the_merges():
    small = train_tokenizer(corpus(), vocab_size=600)
    # The two special tokens and 256 bytes, alone and at the end of a word, are always there.
    assert 514 < small.get_vocab_size() <= 600
    assert train_tokenizer(corpus(), vocab_size=10).get_vocab_size() == 514
    assert len(small.encode("a knocked over chair").ids) > 6  # few merges, long words


@pytest.mark.parametrize("names", [ATOMS, OBJECTS, BACKGROUNDS, EVENTS])
def test_names_take_at_most_four_tokens_a_word(tokenizer, names):
    for name in names:
        for word in name.split():
            assert len(tokenizer.encode(word).ids) - 2 <= 4, word


def test_rows_are_padded_and_cut_with_the_end_token(tokenizer):
    texts = ["", "dog", "a dog and a cat on a road"]
    rows = token_ids(tokenizer, texts, 6)
    assert rows.shape == (3, 6) and rows.dtype == np.int32
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    assert rows[0].tolist() == [bos, eos, eos, eos, eos, eos]
    dog = tokenizer.encode("dog").ids[1]
    assert rows[1].tolist() == [bos, dog, eos, eos, eos, eos]
    assert rows[2].tolist() == [*tokenizer.encode(texts[2]).ids[:5], eos]
    assert token_ids(tokenizer, [], 6).shape == (0, 6)
