import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from jaxvlm import clip
from jaxvlm.clip import embeddings
from jaxvlm.clip.tokenizer import clean_text
from jaxvlm.errors import InputError
from tests.clip.conftest import edit_json, vocabulary, write_tokenizer


def letters(count, seed=0):
    """A prompt of ``count`` tokens between start and end: single letters are words here."""
    return " ".join(np.random.default_rng(seed).choice(list("bdefghij"), count))


def reference_ids(texts, length=77, padding=0):
    """Token ids of prompts made of single-letter words and "cat", worked out by hand."""
    ids = vocabulary()
    rows = np.full((len(texts), length), padding, np.int32)
    for row, text in zip(rows, texts, strict=True):
        words = [998, *(ids[word + "</w>"] for word in text.split()), 999]
        row[: len(words)] = words
    return rows


def test_buckets_equal_length_77_and_keep_the_order(speaking_model):
    # On both sides of every bucket's edge (14, 30 and 75 tokens between start and end), shuffled,
    # more than fit into one batch of the shortest bucket.
    counts = [1, 13, 14, 15, 29, 30, 31, 74, 75] + [3] * 70
    counts = np.random.default_rng(1).permutation(counts)
    texts = [letters(count, seed) for seed, count in enumerate(counts)] + ["cat", "a cat b"]
    expected = np.asarray(clip.encode_token_ids(speaking_model, reference_ids(texts)))
    got = clip.encode_texts(speaking_model, texts)
    assert got.dtype == np.float32
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, atol=1e-5)


def test_only_few_shapes_are_compiled(speaking_model):
    for count in (1, 2, 7, 8, 30, 64, 100):
        clip.encode_texts(speaking_model, [letters(1 + i % 70, i) for i in range(count)])
    before = embeddings._text_features._cache_size()
    clip.encode_texts(speaking_model, [letters(1 + i % 75, i) for i in range(90)])
    assert embeddings._text_features._cache_size() == before


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("rock ’n’ roll", "rock 'n' roll"),
        ("“quoted” dog", '"quoted" dog'),
        ("ﬁre truck", "fire truck"),
        ("cafÃ©", "café"),
        ("AT&amp;amp;T", "AT&T"),
        ("caf&eacute; &lt;b&gt;", "café <b>"),
        ("a\x07b", "ab"),
        (" café  au lait ", "café  au lait"),
        ("R&D", "R&D"),
        (" a cat (tabby)! ", "a cat (tabby)!"),
    ],
)
def test_texts_are_cleaned_as_clip_s_own_tokenizer_cleans_them(text, cleaned):
    """By hand from what openai/CLIP's basic_clean is: ftfy.fix_text, html.unescape twice, strip."""
    assert clean_text(text) == cleaned


def test_a_cleaned_text_has_the_tokens_of_what_it_stands_for(speaking_model):
    expected = clip.encode_texts(speaking_model, ["cat b"])
    for odd in ("cat&nbsp;b", "ｃat b", "cat\x07 b", "&#99;at b"):
        np.testing.assert_array_equal(clip.encode_texts(speaking_model, [odd]), expected)


def test_no_texts_give_no_rows(speaking_model):
    assert clip.encode_texts(speaking_model, []).shape == (0, 32)
    assert clip.embed_prompts(speaking_model, [], ["a {}"]).shape == (0, 32)


def test_a_long_prompt_is_named_or_cut(speaking_model):
    with pytest.raises(InputError) as caught:
        clip.encode_texts(speaking_model, ["cat", letters(75), "smoke\nplume " + letters(76)])
    message = str(caught.value)
    assert "'smoke plume" in message
    assert "88 tokens" in message  # 5 letters of smoke, 5 of plume, 76 more, start and end
    assert "\n" not in message


def test_truncation_keeps_start_and_end(speaking_model):
    cut = clip.encode_texts(speaking_model, [letters(100)], truncate=True)
    whole = clip.encode_texts(speaking_model, [" ".join(letters(100).split()[:75])])
    np.testing.assert_array_equal(cut, whole)


def test_legacy_pooling_gives_the_same_embeddings(folder, speaking_model):
    write_tokenizer(folder)
    edit_json(folder / "config.json", lambda c: c["text_config"].update(eos_token_id=2))
    texts = ["cat", letters(20), letters(60)]
    legacy = clip.encode_texts(clip.load(folder), texts)
    np.testing.assert_allclose(legacy, clip.encode_texts(speaking_model, texts), atol=1e-5)


def test_a_model_without_tokenizer_says_so(model):
    assert model.tokenizer is None
    with pytest.raises(InputError, match="tokenizer.json"):
        clip.encode_texts(model, ["cat"])


def test_a_tokenizer_json_needs_no_framing_step_and_loses_its_truncation(folder):
    tokenizer = Tokenizer(
        models.BPE(vocabulary(), [("c", "a"), ("ca", "t</w>")], end_of_word_suffix="</w>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = clip.load(folder).tokenizer.encode("b cat d e f").ids
    assert ids == reference_ids(["b cat d e f"], length=7)[0].tolist()


def test_tokenizers_that_do_not_fit_are_refused(folder):
    def failure():
        with pytest.raises(InputError) as caught:
            clip.load(folder)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    write_tokenizer(folder)
    edit_json(folder / "vocab.json", lambda v: v.update({"zebra</w>": 1000}))
    assert "vocab_size of 1000" in failure()
    write_tokenizer(folder)
    edit_json(folder / "config.json", lambda c: c["text_config"].update(eos_token_id=500))
    assert "pools at id 500" in failure()
    edit_json(folder / "config.json", lambda c: c["text_config"].update(eos_token_id=2))
    edit_json(folder / "vocab.json", lambda v: v.update({"<|endoftext|>": 997}))
    assert "id 997" in failure()
    (folder / "tokenizer.json").write_text("{}")
    assert "tokenizer.json" in failure()


def test_prompts_average_over_templates(speaking_model):
    names, templates = ["cat", "b"], ["a {}", "{} d", "c {} f"]
    unit, plain = [], []
    for name in names:
        mean = np.zeros(32)
        for template in templates:
            ids = reference_ids([template.format(name)])
            vector = np.asarray(clip.encode_token_ids(speaking_model, ids), np.float64)[0]
            mean += vector / np.sqrt((vector**2).sum()) / 3
        plain.append(mean)
        unit.append(mean / np.sqrt((mean**2).sum()))
    got = clip.embed_prompts(speaking_model, names, templates)
    np.testing.assert_allclose(got, unit, atol=1e-5)
    got = clip.embed_prompts(speaking_model, names, templates, renormalize=False)
    np.testing.assert_allclose(got, plain, atol=1e-5)


def test_templates_must_hold_the_name(speaking_model):
    with pytest.raises(InputError, match="at least one"):
        clip.embed_prompts(speaking_model, ["cat"], [])
    with pytest.raises(InputError, match="'a photo'"):
        clip.embed_prompts(speaking_model, ["cat"], ["a photo"])
