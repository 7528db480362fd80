"""The study of queries, on made embeddings whose answer is known."""

import numpy as np
import pytest

from benchmarks import query_study as study
from benchmarks.query_sets import Library, halves, imagenet
from jaxvlm.arrays import unit
from tests.benchmarks.test_real_clip_study import D, write_world

CLASSES, PICTURES = 24, 3


@pytest.fixture(scope="module")
def library():
    """Every picture is its class's text; the words are axes of their own."""
    texts = np.eye(2 * CLASSES, dtype=np.float32)[:CLASSES]
    labels = np.repeat(np.arange(CLASSES), PICTURES)
    words = np.eye(2 * CLASSES, dtype=np.float32)[CLASSES:]
    return Library(
        texts[labels],
        labels,
        texts,
        labels[:, None] == np.arange(CLASSES),
        words,
        np.zeros((CLASSES, CLASSES), bool),
        np.arange(CLASSES) % 4 == 3,
        unit(words.mean(axis=0)),
    )


def test_where_every_score_separates_all_figures_are_full(library, monkeypatch):
    monkeypatch.setattr(study, "CLASSES", 5)
    table, thresholds = study.table(library)
    assert set(thresholds) == set(study.ROWS)
    for row in study.ROWS:
        own = table.loc[row]
        assert own["f1"] == own["fine"] == own["coarse"] == pytest.approx(100)
        if "z-scored" not in row:  # a mean over few pictures knows whether it shows there
            assert own["auroc"] == own["found"] == pytest.approx(100) and own["false"] == 0
    again, _ = study.table(library, thresholds)
    assert again.loc[study.OURS, "threshold"] == thresholds[study.OURS]


def test_what_is_chosen_on_is_not_reported(library):
    first, second = halves(library)
    assert not set(first) & set(second) and len(first) + len(second) == CLASSES
    for half in (first, second):
        assert library.coarse[half].sum() == library.coarse.sum() / 2


def test_f1_at_thresholds():
    """Scores 4, 3, 2, 1 of which 4 and 2 are right: F1 = 2·hits/(called + 2)."""
    scores, truth = np.array([[4.0], [3.0], [2.0], [1.0]]), np.array([[1], [0], [1], [0]], bool)
    found = study.f1_curves(scores, truth, np.array([0.0, 1.5, 2.0, 3.5, 5.0]))
    np.testing.assert_allclose(found[0], [4 / 6, 4 / 5, 4 / 5, 2 / 3, 0])


def test_the_rows_are_their_formulas(library):
    rng = np.random.default_rng(0)
    own = library._replace(
        images=unit(rng.normal(size=library.images.shape)),
        texts=unit(rng.normal(size=library.texts.shape)),
    )
    z = study.SCALE * own.images @ own.texts.T
    words = study.SCALE * own.images @ own.words.T
    share = np.exp(z - z.max(1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    kept = (share > 1e-10) & (share < 1 - 1e-6)
    logit = np.log(share[kept] / (1 - share[kept]))
    np.testing.assert_allclose(study.other_texts(own)[kept], logit, rtol=1e-3)
    one = z - np.log(np.exp(words).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(study.log_odds(own, 2.0, 0.0), one, rtol=1e-3, atol=1e-2)
    alone = 100 - np.log(np.exp(study.SCALE * own.texts @ own.words.T).sum(axis=1))
    np.testing.assert_allclose(
        study.log_odds(own, 2.0, 0.5), one - 0.5 * alone, rtol=1e-3, atol=2e-2
    )


def test_imagenet_has_fine_and_coarse_texts_and_words_of_the_classes(tmp_path):
    write_world(tmp_path, np.random.default_rng(0))
    world = study.real.read_world(tmp_path)
    world.words["lvis"][1], world.words["lvis"][2] = "dog", "cat"
    library = imagenet(world, 0.5)
    assert library.texts.shape == (1002, D) and library.coarse.sum() == 2
    assert library.truth[:, :1000].sum() == 1000 and library.truth[:, 1000].sum() == 118  # dogs
    assert len(library.words) == 20 + 500
    assert library.same[1000, 1] and library.same[:1000, 20:].sum() == 500
