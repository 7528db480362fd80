import hashlib
import math

import numpy as np
import pytest

from jaxvlm import clip, files, resources
from jaxvlm.errors import InputError
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.ood.words import mining
from jaxvlm.ood.words.mining import Candidates, MiningRule
from jaxvlm.ood.words.prompts import SUPERCLASSES, PromptSet, conjugate

CLASSES = ("dog", "car", "night street")
NOUNS = (
    "airplane", "beach", "boat", "cat", "chair", "cow", "fireball", "forest", "guitar", "horse",
    "nurse", "patrol car", "police car", "referee", "sheep", "shop", "smoke plume", "table",
)  # fmt: skip
ADJECTIVES = ("bright", "dim", "foggy", "furry", "red")


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


@pytest.fixture(scope="module")
def encoder(model):
    return clip.make_encoder(model)


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def quantile(values, q):
    values = sorted(values)
    place = q * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def slow_similarity(words, classes, q, near):
    out = []
    for word in words:
        cosines = [sum(a * b for a, b in zip(word, name, strict=True)) for name in classes]
        out.append(1.0 if near and max(cosines) > near else quantile(cosines, q))
    return out


@pytest.mark.parametrize("q", [0, 0.3, 0.95, 1])  # a whole number is a quantile too
def test_similarity_equals_a_double_loop(q):
    rng = np.random.default_rng(1)
    words, classes = unit(rng.normal(size=(600, 6))), unit(rng.normal(size=(11, 6)))
    got = mining.class_similarity(words, classes, quantile=q, near=0.95)
    expected = slow_similarity(words, classes, q, 0.95)
    assert expected.count(1.0) > 3  # the rule for near words is at work
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_number_of_words_does_not_compile_again():
    classes = unit(np.eye(3))
    mining.class_similarity(np.eye(3)[:2], classes)
    before = mining._chunk_similarity._cache_size()
    for count in (0, 1, 511, 512, 513, 1500):
        assert mining.class_similarity(np.ones((count, 3)) / 2, classes).shape == (count,)
    assert mining._chunk_similarity._cache_size() == before


PROMPTS = PromptSet(("a photo of a {}", "{}"), ("this is a {} photo",), ("a nice photo of {}",))


# What the published codes do (XueJiang16/NegLabel at 3253db68, MengyuanChen21/NeurIPS2024-CSP at
# 3a7bdabe, ah-ansari/NegRefine at 72e4b82d): quantile, rule of near words, superclasses.
@pytest.mark.parametrize(
    ("name", "q", "near", "adjective_prompt"),
    [
        ("neglabel", 0.95, None, "this is a {} photo"),
        ("csp", 0.95, 0.95, "a nice photo of {}"),
        ("negrefine", 1.0, 0.95, "a nice photo of {}"),
    ],
)
def test_mining_equals_a_double_loop(model, encoder, name, q, near, adjective_prompt):
    rule = mining.RULES[name]
    mined = mining.mine_negatives(
        encoder,
        CLASSES,
        Candidates(NOUNS, ADJECTIVES, {}),
        fraction=0.4,
        rule=rule,
        prompts=PROMPTS,
    )

    def embed(words):
        return unit(
            sum(
                unit(clip.encode_texts(model, [t.format(w) for w in words]))
                for t in ("a photo of a {}", "{}")
            )
        )

    phrases = ADJECTIVES
    if "nice" in adjective_prompt:
        phrases = [conjugate(word, SUPERCLASSES) for word in ADJECTIVES]
    adjectives = unit(clip.encode_texts(model, [adjective_prompt.format(w) for w in phrases]))
    expected = []
    for words, rows in ((NOUNS, embed(NOUNS)), (phrases, adjectives)):
        scores = slow_similarity(rows, embed(CLASSES), q, near)
        ranked = sorted(zip(scores, words, strict=True))
        expected += ranked[: int(0.4 * len(words))]
    assert mined.words == tuple(word for _, word in expected)
    assert mined.kinds == ("noun",) * 7 + ("adjective",) * 2
    np.testing.assert_allclose(mined.similarity, [score for score, _ in expected], atol=1e-5)
    assert mined.removed["noun near a class"].count == len(NOUNS) - 7
    assert mined.sha256 == hashlib.sha256("\n".join(mined.words).encode()).hexdigest()
    assert mined.ties == {} and mined.warnings() == []


def test_a_tie_at_the_cut_is_told_with_its_numbers(encoder):
    """With a near of -1 every word is set to 1, and the alphabet chooses 7 of 18."""
    rule = MiningRule(0.95, -1.0, (), ())
    mined = mining.mine_negatives(
        encoder, CLASSES, Candidates(NOUNS, (), {}), fraction=0.4, rule=rule
    )
    assert mined.words == NOUNS[:7] and mined.ties == {"noun": (7, 18)}
    (line,) = mined.warnings()
    assert line.startswith("nouns: 7 of the 7 kept are as similar") and "as 11 that were" in line


def test_published_rules_have_the_files_that_they_leave_out():
    assert mining.RULES["neglabel"].excluded == ()
    excluded = {"noun.person", "noun.quantity", "noun.group", "adj.pert"}
    assert all(set(mining.RULES[name].excluded) == excluded for name in ("csp", "negrefine"))


def test_words_near_a_class_come_last():
    classes = unit([[1, 0], [-1, 0], [-1, 0.1], [-1, -0.1]])
    almost_the_first, across = unit([[1, 0.01], [0, 1]])
    # The median cosine of the one is about -1, of the other 0: without the rule it came first.
    words = np.stack([almost_the_first, across])
    got = mining.class_similarity(words, classes, quantile=0.5, near=0.95)
    assert got[0] == 1.0 and got[1] == pytest.approx(0.0, abs=1e-6)
    assert mining.class_similarity(words, classes, quantile=0.5)[0] < -0.98  # NegLabel's


def test_order_of_candidates_and_repetitions_do_not_matter(encoder):
    settings = {"fraction": 0.3, "prompts": PROMPTS}
    candidates = mining.list_candidates([*NOUNS, "Dog", "cow"], CLASSES)
    assert candidates == (NOUNS, (), {"class": (1, ("Dog",))})
    once = mining.mine_negatives(encoder, CLASSES, candidates, **settings)
    turned = Candidates((*NOUNS[::-1], "Cow", "night_street"), (), {})
    again = mining.mine_negatives(encoder, CLASSES, turned, **settings)
    assert once.words == again.words and once.sha256 == again.sha256
    assert again.removed["noun seen before"] == (2, ("Cow", "night_street"))


def test_a_word_that_no_prompt_holds_is_left_out(encoder):
    candidates = Candidates((*NOUNS, "q x " * 60), (), {})
    mined = mining.mine_negatives(encoder, CLASSES, candidates, fraction=1.0)
    assert set(mined.words) == set(NOUNS)
    assert mined.removed["noun too long"].count == 1


def test_superclasses_follow_from_the_word_alone():
    phrases = [conjugate(f"adjective{i}") for i in range(300)]
    assert {phrase.split()[1] for phrase in phrases} == set(SUPERCLASSES)
    # int of the first 8 bytes of sha256("furry"), big-endian, modulo 2
    first = int(hashlib.sha256(b"furry").hexdigest()[:16], 16) % 2
    assert conjugate("furry", ("x", "y")) == f"furry {'xy'[first]}"


def test_two_runs_write_the_same_bytes(encoder, tmp_path):
    for name in ("one", "two"):
        mined = mining.mine_negatives(
            encoder, CLASSES, Candidates(NOUNS, ADJECTIVES, {}), fraction=0.4
        )
        mining.write_mined(tmp_path / name, mined, encoder, {"fraction": 0.4})
    for file in ("neg_labels_noun.txt", "neg_labels_adj.txt", "mining.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert word_lists.read_negatives(tmp_path / "one").words == mined.words
    record = files.read_json(tmp_path / "one" / "mining.json")
    assert record["kept"] == {"noun": 7, "adjective": 2}
    assert record["words_sha256"] == mined.sha256
    assert record["clip_sha256"] == clip.weights_hash(encoder.model)
    assert record["removed"]["noun near a class"]["count"] == 11


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fraction": 0.0}, "fraction 0: outside"),
        ({"fraction": 0.01}, "fraction 0.01 of 18 words keeps none"),
        ({"rule": MiningRule(1.5, None, (), ())}, "quantile 1.5: outside"),
        ({"classes": ()}, "there is none"),
        ({"classes": ("dog", "DOG")}, "'DOG' repeats 'dog'"),
    ],
)
def test_what_cannot_be_mined_is_refused(encoder, change, says):
    arguments = {"classes": CLASSES, "candidates": Candidates(NOUNS, (), {})} | change
    with pytest.raises(InputError, match=says):
        mining.mine_negatives(encoder, **arguments)


def test_broken_embeddings_are_refused():
    with pytest.raises(InputError, match="not finite"):
        mining.class_similarity([[math.nan, 0.0]], [[1.0, 0.0]])


def test_a_class_among_the_negatives_is_named():
    mining.check_banks_words(("black bear", "cat"), ("bear", "dog"))
    with pytest.raises(InputError, match="'Black_Bear' and 1 more also names a class") as caught:
        mining.check_banks_words(("black bear", "cat"), ("dog", "Black_Bear", "cat "))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="has no name"):
        mining.check_banks_words(("cat", " "), ())
