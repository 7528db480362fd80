"""Multi-matching against a loop that embeds "p and n" picture by picture."""

import itertools

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.ood import LabelBanks, multi_matching_score, neglabel_score, negrefine_score
from jaxvlm.ood.words import pairs
from jaxvlm.ood.words.label_banks import LabelNames

CLASSES = ("dog", "car", "boat", "bus")
NEGATIVES = ("tree", "road", "field", "chair", "beach", "umbrella")
TEMPLATES = ("a photo of a {}", "{} seen from afar")
SCALE = 12.0


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


def embed(model, text, templates=TEMPLATES):
    rows = [clip.encode_texts(model, [template.format(text)])[0] for template in templates]
    mean = np.mean([row / np.linalg.norm(row) for row in rows], axis=0)
    return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def labels(model):
    positive = np.stack([embed(model, name) for name in CLASSES])
    negative = np.stack([embed(model, name) for name in NEGATIVES])
    banks = LabelBanks(positive, negative, negative[:2], negative[2:])
    return banks, LabelNames(CLASSES, NEGATIVES, NEGATIVES[:2], NEGATIVES[2:])


@pytest.fixture(scope="module")
def images(model):
    drawn = np.random.default_rng(1).normal(size=(9, model.config.projection_dim))
    drawn[5] = drawn[2]
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def texts(model):
    """Every pair, embedded by hand."""
    return {(p, n): embed(model, f"{p} and {n}") for p in CLASSES for n in NEGATIVES}


def by_loop(images, banks, texts, topk):
    found, used = [], set()
    for v in images:
        classes = np.argsort(-(banks.positive @ v))[:topk]
        negatives = np.argsort(-(banks.negative @ v))[:topk]
        best = -np.inf
        for k, m in itertools.product(classes, negatives):
            pair = CLASSES[k], NEGATIVES[m]
            used.add("{} and {}".format(*pair))
            best = max(best, SCALE * (texts[pair] @ v) - SCALE * (banks.negative[m] @ v))
        found.append(1 / (1 + np.exp(-best)))
    return np.array(found), used


# 3: some of the words. 5: all classes, some negatives. 99: more than there are of either.
@pytest.mark.parametrize(("topk", "chunk"), [(1, 4096), (3, 4096), (3, 4), (5, 4096), (99, 4096)])
def test_agrees_with_a_loop_over_pictures(
    model, labels, images, texts, topk, chunk, monkeypatch, tmp_path
):
    monkeypatch.setattr(pairs, "_CHUNK", chunk)
    asked = []
    embed_all = pairs.embed_names

    def counted(encoder, names, templates, **options):
        asked.extend(names)
        return embed_all(encoder, names, templates, **options)

    monkeypatch.setattr(pairs, "embed_names", counted)
    banks, names = labels
    found = pairs.multi_matching_scores(
        clip.make_encoder(model),
        images,
        banks,
        names,
        templates=TEMPLATES,
        logit_scale=SCALE,
        topk=topk,
    )
    expected, used = by_loop(images, banks, texts, topk)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[2] == found[5]
    assert sorted(asked) == sorted(used)  # each pair that is needed, once


def test_no_pictures_ask_for_no_texts(model, labels, monkeypatch):
    monkeypatch.setattr(pairs, "embed_names", None)
    nothing = np.empty((0, model.config.projection_dim), np.float32)
    encoder = clip.make_encoder(model)
    found = pairs.multi_matching_scores(encoder, nothing, *labels, templates=TEMPLATES)
    assert found.shape == (0,) and found.dtype == np.float32


def test_a_picture_near_its_text_overflows_nothing():
    """exp(100·cosine) is infinite in float32 above a cosine of 0.887, where NegRefine's own code
    gives inf/inf = NaN; its formula in float64 is what is meant."""
    pairs_of, alone = np.array([[90.0, 97.5], [93.0, 88.0]]), np.array([91.0, 99.0])
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.exp(pairs_of.astype(np.float32)) / (
            np.exp(pairs_of.astype(np.float32)) + np.exp(alone.astype(np.float32))
        )
    assert np.isnan(single).any()
    expected = (np.exp(pairs_of) / (np.exp(pairs_of) + np.exp(alone))).max()
    found = multi_matching_score(pairs_of.astype(np.float32), alone.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    whole = negrefine_score(neglabel_score(np.full(3, 97.0), np.full(4, 96.0), num_groups=2), found)
    # σ(LSE(97, 97, 97) − LSE(96, 96)) = σ(1 + log(3/2)) in both groups.
    np.testing.assert_allclose(whole, 1 / (1 + np.exp(-1) * 2 / 3) + 2 * expected, rtol=1e-5)
