"""Label banks: every row is the word that it is named after, and too few words are an error."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.errors import InputError
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.words import label_banks
from jaxvlm.ood.words.lists import NegativeSplit
from jaxvlm.ood.words.prompts import SUPERCLASSES, PromptSet, conjugate, same_for_all

CLASSES = ("dog", "traffic light")
NEGATIVES = ("tree", "road", "field", "red", "chair", "beach", "umbrella")
R = dict(zip(NEGATIVES, (0.02, 0.01, -0.09, -0.03, 0.11, -0.06, 0.07), strict=True))
SPLIT = NegativeSplit(
    object=("umbrella", "chair", "not listed"),
    background=("beach", "field"),
    ambiguous=("red", "tree", "road"),
    r_scores=R | {"not listed": 0.5},
)
TEMPLATES = ("a photo of a {}", "{} seen from afar")
CONFIG = NegAlignConfig(num_groups=2)


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


@pytest.fixture
def build(model, cache):
    encoder = clip.make_encoder(model, cache_dir=cache)

    def built(
        classes=CLASSES,
        negatives=NEGATIVES,
        split=SPLIT,
        adjectives=(),
        prompts=same_for_all(TEMPLATES),  # noqa: B008 (immutable)
        **changes,
    ):
        config = dataclasses.replace(CONFIG, **changes)
        return label_banks.build_banks(
            encoder, classes, negatives, split, config, prompts=prompts, adjectives=adjectives
        )

    return built


def by_hand(model, word, templates=TEMPLATES):
    """The unit mean over templates of unit embeddings, one prompt at a time."""
    rows = [clip.encode_texts(model, [template.format(word)])[0] for template in templates]
    mean = np.mean([row / np.linalg.norm(row) for row in rows], axis=0)
    return mean / np.linalg.norm(mean)


def test_rows_are_the_words_that_they_are_named_after(build, model):
    banks, names = build()
    assert names.positive == CLASSES and names.negative == NEGATIVES
    assert names.negative_object == ("umbrella", "chair")
    assert names.negative_background == ("beach", "field")
    for bank, words in zip(banks[:4], names[:4], strict=True):
        expected = np.stack([by_hand(model, word) for word in words])
        np.testing.assert_allclose(bank, expected, atol=1e-5)
    for k, name in enumerate(CLASSES):
        for row, template in enumerate(TEMPLATES):
            expected = by_hand(model, name, [template])
            np.testing.assert_allclose(banks.positive_prompts[k, row], expected, atol=1e-5)
    assert banks.object_weights is None and banks.background_weights is None


def test_csp_has_its_own_words_where_there_are_adjectives(build, model):
    banks, names = build()
    assert banks.conjugated is None and banks.conjugated_rows is None and names.conjugated == ()
    banks, names = build(adjectives=("red",))
    place = NEGATIVES.index("red")
    phrase = conjugate("red")
    assert phrase.startswith("red ") and phrase.split()[1] in SUPERCLASSES
    assert names.conjugated == (*NEGATIVES[:place], phrase, *NEGATIVES[place + 1 :])
    rows = [row if row != place else -1 for row in range(len(NEGATIVES))]
    assert banks.conjugated_rows.tolist() == rows
    expected = np.stack([by_hand(model, word) for word in names.conjugated])
    np.testing.assert_allclose(banks.conjugated, expected, atol=1e-5)


def test_words_that_are_csp_s_already_stay_what_they_are(build):
    negatives = (*NEGATIVES[:3], "furry creature", *NEGATIVES[4:])
    banks, names = build(negatives=negatives, adjectives=("furry creature",))
    assert names.conjugated == negatives == names.negative
    assert banks.conjugated_rows.tolist() == list(range(len(negatives)))
    np.testing.assert_array_equal(banks.conjugated, banks.negative)


def test_each_kind_of_word_has_its_own_prompts(build, model):
    prompts = PromptSet(("{} one",), ("a {} two", "{}"), ("{} three",), raw_mean=True)
    negatives = ("tree", "red", "furry creature", "chair", "beach", "umbrella", "field")
    banks, _ = build(negatives=negatives, adjectives=("red", "furry creature"), prompts=prompts)
    raw = clip.encode_texts(model, ["a red two", "red"])
    expected = {
        0: by_hand(model, "tree", ["{} one"]),
        1: raw.mean(0) / np.linalg.norm(raw.mean(0)),
        2: by_hand(model, "furry creature", ["{} three"]),
    }
    for row, wanted in expected.items():
        np.testing.assert_allclose(banks.negative[row], wanted, atol=1e-5)
    np.testing.assert_allclose(banks.positive[0], by_hand(model, "dog", ["{} one"]), atol=1e-5)
    phrase = by_hand(model, conjugate("red"), ["{} three"])
    np.testing.assert_allclose(banks.conjugated[1], phrase, atol=1e-5)


def test_ambiguous_words_can_count_as_objects(build):
    hard, _ = build()
    banks, names = build(neg_use_ambiguous_in_obj=True)
    assert names.negative_object == ("umbrella", "chair", "red", "tree", "road")
    assert names.negative_background == ("beach", "field")
    np.testing.assert_array_equal(banks.negative_object[:2], hard.negative_object)
    rows = [NEGATIVES.index(word) for word in ("red", "tree", "road")]
    np.testing.assert_array_equal(banks.negative_object[2:], np.asarray(banks.negative)[rows])


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, float)))


def test_soft_weights_of_the_ambiguous_words(build):
    banks, names = build(soft_weighting="ambiguous", soft_beta=7.0)
    assert names.negative_object == ("umbrella", "chair", "red", "tree", "road")
    assert names.negative_background == ("beach", "field", "red", "tree", "road")
    r = np.array([-0.03, 0.02, 0.01])
    np.testing.assert_allclose(banks.object_weights, [1, 1, *sigmoid(7 * r)], rtol=1e-6)
    np.testing.assert_allclose(banks.background_weights, [1, 1, *sigmoid(-7 * r)], rtol=1e-6)
    negative = np.asarray(banks.negative)
    for bank, words in (
        (banks.negative_object, names.negative_object),
        (banks.negative_background, names.negative_background),
    ):
        rows = [NEGATIVES.index(word) for word in words]
        np.testing.assert_array_equal(bank, negative[rows])


def test_soft_weights_of_all_words(build):
    banks, names = build(soft_weighting="all", soft_weight_scale=30.0)
    assert names.negative_object == names.negative_background == NEGATIVES
    r = np.array([R[word] for word in NEGATIVES])
    np.testing.assert_allclose(banks.object_weights, sigmoid(30 * r), rtol=1e-5)
    np.testing.assert_allclose(banks.background_weights, sigmoid(-30 * r), rtol=1e-5)
    np.testing.assert_array_equal(banks.negative_object, banks.negative)
    np.testing.assert_array_equal(banks.negative_background, banks.negative)


def test_soft_weights_need_no_hard_split(build):
    none = NegativeSplit((), (), NEGATIVES, R)
    for kind in ("all", "ambiguous"):
        _, names = build(split=none, soft_weighting=kind, num_groups=7)
        assert names.negative_object == names.negative_background == NEGATIVES


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(classes=("dog", "car", "Dog")), "'Dog' repeats 'dog'"),
        (dict(classes=()), "classes: there is none"),
        (dict(negatives=(*NEGATIVES, "traffic_light")), "'traffic_light' also names a class"),
        (dict(negatives=(*NEGATIVES, "tree")), "negative labels: one stands there twice"),
        (dict(num_groups=8), "7 cannot fill 8 groups; set num_groups to at most 7"),
        (dict(num_groups=3), "object-leaning negatives: 2 cannot fill 3 groups.*num_groups lower"),
        (dict(split=SPLIT._replace(background=("desert",))), "background-leaning negatives: none"),
        (dict(soft_weighting="all", negatives=(*NEGATIVES, "moss")), "soft_weighting: 'moss'"),
        (
            dict(soft_weighting="ambiguous", neg_use_ambiguous_in_obj=True),
            "neg_use_ambiguous_in_obj: soft_weighting='ambiguous' places these words too",
        ),
    ],
)
def test_words_that_do_not_do_are_an_error(build, arguments, says):
    with pytest.raises(InputError, match=says) as caught:
        build(**arguments)
    assert "\n" not in str(caught.value)


def test_the_cures_that_the_errors_name_help(build):
    _, names = build(num_groups=3, use_role_aware_negatives=False)
    assert len(names.negative_object) == 2
    banks, _ = build(split=SPLIT._replace(background=()), use_p_align=False)
    assert banks.negative_background.shape == (0, banks.negative.shape[1])


@pytest.mark.parametrize(("count", "groups", "length"), [(10, 5, 10), (13, 5, 10), (7, 7, 7)])
def test_group_permutation_reorders_what_fills_the_groups(count, groups, length):
    order = label_banks.group_permutation(count, groups, seed=3)
    assert sorted(order) == list(range(length))
    np.testing.assert_array_equal(order, label_banks.group_permutation(count, groups, seed=3))
    others = [label_banks.group_permutation(count, groups, seed=s) for s in range(4, 8)]
    assert any((order != other).any() for other in others)


def test_nearest_labels_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    embeddings, bank = rng.normal(size=(4, 6)), rng.normal(size=(9, 6))
    bank[7] = bank[2]  # of equals the first one listed comes first
    names = [f"w{m}" for m in range(9)]
    found = label_banks.nearest_labels(embeddings, bank, names, 5)
    for embedding, row in zip(embeddings, found, strict=True):
        ranked = sorted(range(9), key=lambda m: (-float(embedding @ bank[m]), m))[:5]
        assert [word for word, _ in row] == [names[m] for m in ranked]
        assert [c for _, c in row] == pytest.approx([embedding @ bank[m] for m in ranked])
    assert len(label_banks.nearest_labels(embeddings, bank, names, 99)[0]) == 9


def test_nearest_labels_of_many_pictures_and_of_equals(monkeypatch):
    """Few values, so that ties at the last place are the rule; several blocks."""
    rng = np.random.default_rng(1)
    embeddings, bank = rng.integers(0, 3, (11, 4)) / 2, rng.integers(0, 3, (30, 4)) / 2
    names = [f"w{m}" for m in range(30)]
    monkeypatch.setattr(label_banks, "_BLOCK", 4)
    found = label_banks.nearest_labels(embeddings, bank, names, 3)
    for embedding, row in zip(embeddings, found, strict=True):
        ranked = sorted(range(30), key=lambda m: (-float(embedding @ bank[m]), m))[:3]
        assert row == [(names[m], float(embedding @ bank[m])) for m in ranked]


@pytest.mark.parametrize(
    "rows", [[0, 1], [4, 7], [-3, 4], [4], [6.0, 4.0], [[6, 4]]], ids=lambda rows: str(rows)
)
def test_object_rows_that_are_not_those_of_the_objects_are_refused(build, rows):
    banks, names = build()
    expected = [NEGATIVES.index(word) for word in names.negative_object]
    assert list(banks.object_rows) == expected == [6, 4]
    label_banks.check_banks(banks, CONFIG)
    with pytest.raises(InputError, match="label bank object_rows: not the rows of negative"):
        label_banks.check_banks(banks._replace(object_rows=np.array(rows)), CONFIG)
