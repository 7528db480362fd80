"""Pictures, classes and negatives as embeddings: the same figures as from pictures, or a line."""

import json

import numpy as np
import pytest

import jaxvlm
from jaxvlm.arrays import unit
from jaxvlm.errors import InputError
from jaxvlm.ood.referenced import REFERENCED
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.doubts import prompt_difference
from jaxvlm.pictures.embedded import config_for, embedded_set, read_embedded_set, without_patches
from jaxvlm.pictures.encoding import score_set
from jaxvlm.pictures.evaluating import run_evaluation, write_run
from jaxvlm.pictures.labels import Words, prepare_labels
from jaxvlm.pictures.sets import check_sets, read_set

D, K, M = 24, 5, 40
RNG = np.random.default_rng(1)
CLASSES, NEGATIVES = (unit(RNG.normal(size=(n, D)) + 1).astype(np.float32) for n in (K, M))
WORDS = [f"word {m}" for m in range(M)]


def near(bank, count, noise=0.5):
    rows = bank[RNG.integers(len(bank), size=count)]
    return (rows + noise * RNG.normal(size=rows.shape) / np.sqrt(D)).astype(np.float32)


KNOWN, OTHER = near(CLASSES, 60), near(NEGATIVES, 50)


def compare(**changes):
    given = {"class_embeddings": CLASSES, "negative_embeddings": NEGATIVES} | changes
    return jaxvlm.compare_embeddings(KNOWN, {"other": OTHER}, **given)


@pytest.fixture(scope="module")
def exported(encoder, settings, benchmark, tmp_path_factory):
    """A run on pictures that wrote what it encoded, its run and its folder."""
    folder = tmp_path_factory.mktemp("exported")
    words = Words(benchmark / "class_names.txt")
    sets = [read_set(str(benchmark / name)) for name in ("id", "ood_unseen")]
    run = run_evaluation(encoder, sets[:1], sets[1:], words, settings())
    write_run(folder, run, embeddings=True)
    return run, folder / "embeddings"


def test_what_a_run_saves_gives_the_same_scores_without_an_encoder(exported, settings):
    run, folder = exported
    words = Words(None, None, f"{folder}/classes.safetensors", f"{folder}/negatives.safetensors")
    config = without_patches(settings(), split=False)
    labels = prepare_labels(None, words, config)
    assert labels.names.positive == run.labels.names.positive
    assert labels.names.negative == run.labels.names.negative
    for was in (*run.id_sets, *run.ood_sets):
        read = read_embedded_set(f"{folder}/{was.name}.safetensors")
        assert (read.paths, read.labels) == (was.paths, was.labels)
        again, failures = score_set(None, read, labels, config)
        assert not failures and not again.alignment
        absent = {"gl_mcm", "gl_mcm_output", "foreground_star", "negrefine", "cma"}
        absent |= {name for name in was.scores if name.startswith("neglabel_star")}
        assert again.scores.keys() == was.scores.keys() - absent - {*REFERENCED}
        for name, scores in again.scores.items():
            np.testing.assert_allclose(scores, was.scores[name], rtol=2e-5, atol=1e-6)


def test_with_the_text_tower_the_methods_of_texts_are_there(exported, encoder, settings):
    run, folder = exported
    words = Words(run.labels.names.positive, run.labels.names.negative)
    config = config_for(settings(), encoder, words, embedded=True)
    labels = prepare_labels(encoder, words, config)
    read = read_embedded_set(f"{folder}/{run.id_sets[0].name}.safetensors")
    scores, was = score_set(encoder, read, labels, config)[0].scores, run.id_sets[0].scores
    assert {"neglabel_star", "neglabel_star_soft"} <= scores.keys()
    for method in ("negrefine", "cma"):
        np.testing.assert_allclose(scores[method], was[method], rtol=2e-5, atol=1e-5)


def test_scores_are_the_formulas():
    """MCM and NegLabel with one group, in NumPy; the length of a row means nothing."""
    lengths = RNG.uniform(0.5, 3, (len(OTHER), 1)).astype(np.float32)
    run = jaxvlm.score_embeddings(
        OTHER * lengths, class_embeddings=CLASSES, negative_embeddings=NEGATIVES * 2
    )
    table = run.to_pandas().sort_index()
    v = OTHER / np.linalg.norm(OTHER, axis=1, keepdims=True)
    positive, negative = 100.0 * v @ CLASSES.T, 100.0 * v @ NEGATIVES.T
    softmax = np.exp(positive / 100)  # MCM's temperature is 1, of cosines
    softmax /= softmax.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table["mcm"], softmax.max(axis=1), rtol=1e-4)
    every = np.exp(np.concatenate([positive, negative], axis=1) - positive.max(1, keepdims=True))
    np.testing.assert_allclose(
        table["neglabel_one_group"], every[:, :K].sum(1) / every.sum(1), rtol=1e-3, atol=1e-6
    )
    assert list(table["predicted_class"]) == [f"class {k}" for k in positive.argmax(1)]
    assert any("rows of length" in line for line in run.labels.read)


def test_what_is_left_out_is_named_and_asked_for_is_refused():
    run = compare()
    found = " ".join((*run.labels.notes, *run.labels.read))
    for words in (
        "GL-MCM, foreground-star and P_align",
        "NegRefine is left out",
        "CMA is left out",
        "(M2) is left out",
    ):
        assert words in found
    for method in ("gl_mcm", "foreground_star", "negrefine", "cma", "cover"):
        assert method not in set(run.to_pandas()["method"])
        with pytest.raises(InputError, match=method):
            compare(methods=[method])
    for method in ("negalign", "gl_mcm"):
        settings = OodConfig(method=method)
        with pytest.raises(InputError, match="patches"):
            config_for(settings, None, Words(), embedded=True)


def test_a_list_names_the_rows_in_order_and_classes_among_them_are_left_out(tmp_path):
    names = [f"class {k}" for k in range(K)]
    lines = [*WORDS[:-2], "Class_1", WORDS[0]]
    (tmp_path / "words.txt").write_text("\n".join(lines))
    run = compare(class_names=names, negatives=tmp_path / "words.txt")
    assert run.labels.names.negative == tuple(WORDS[:-2])
    np.testing.assert_allclose(run.labels.banks.negative, NEGATIVES[:-2], atol=1e-6)
    assert any("2 of 40 words are left out" in line for line in run.labels.read)
    with pytest.raises(InputError, match="40 rows, 39 words"):
        compare(negatives=WORDS[:39])


def test_rows_are_found_by_the_names_beside_them(tmp_path):
    order = RNG.permutation(M)
    np.save(tmp_path / "negatives.npy", NEGATIVES[order])
    beside = [*(WORDS[m] for m in order[:-2]), "class_1", "word 3" if order[-1] != 3 else "word 4"]
    (tmp_path / "negatives_names.json").write_text(json.dumps(beside))
    given = {"negative_embeddings": f"{tmp_path}/negatives.npy"}
    run = compare(**given, class_names=[f"class {k}" for k in range(K)])
    names, rows = run.labels.names.negative, run.labels.banks.negative
    assert len(names) == M - 2  # one names a class, one stands there twice
    for name, row in zip(names, rows, strict=True):
        np.testing.assert_allclose(row, NEGATIVES[WORDS.index(name)], atol=1e-6)
    assert any("2 of 40 words are left out" in line for line in run.labels.read)
    with pytest.raises(InputError, match="no row for 'unknown'"):
        compare(**given, negatives=["word 1", "unknown"])


def test_dimensions_have_to_fit(encoder):
    with pytest.raises(InputError, match="24 dimensions, other has 23"):
        jaxvlm.compare_embeddings(
            KNOWN, {"other": OTHER[:, :-1]}, class_embeddings=CLASSES, negative_embeddings=NEGATIVES
        )
    with pytest.raises(InputError, match="the classes have 24 dimensions, the negatives 23"):
        compare(negative_embeddings=NEGATIVES[:, :-1])
    wide = [embedded_set(KNOWN, "a")], [embedded_set(OTHER, "b")]
    with pytest.raises(InputError, match="24 dimensions, the encoder --clip has"):
        run_evaluation(encoder, *wide, Words(["cat"]), None)


def test_rows_in_both_sides_are_told():
    both = embedded_set(np.concatenate([KNOWN[:4], OTHER]), "both")
    lines = check_sets([embedded_set(KNOWN, "known")], [both])
    assert lines == ["both: 4 of its rows are in the ID set known too"]


def test_a_common_offset_of_one_bank_is_seen():
    """δ_k all alike: 1; without anything in common: about 1/√K."""
    rows = unit(RNG.normal(size=(200, 64)))
    assert prompt_difference(rows, rows) == 0
    offset = 0.5 * unit(np.ones(64))
    assert prompt_difference(rows, rows + offset) == pytest.approx(1, abs=1e-3)
    noise = rows + 0.01 * RNG.normal(size=rows.shape)
    assert prompt_difference(rows, noise) < 3 / np.sqrt(200)


def test_doubts_are_told_of_other_prompts_other_encoders_and_means():
    rng = np.random.default_rng(2)
    classes = unit(rng.normal(size=(60, D))).astype(np.float32)
    like = classes + 0.1 * rng.normal(size=classes.shape)  # a negative near to each class
    negatives = unit(np.concatenate([like, rng.normal(size=(80, D))])).astype(np.float32)
    prompt = np.zeros(D, np.float32)
    prompt[0] = 1
    rows, others = unit(near(classes, 80, 0.2)), unit(near(negatives, 50, 0.2))

    def doubts(ood_rows=others, id_rows=rows, negatives=negatives, classes=classes):
        banks = {"class_embeddings": classes, "negative_embeddings": negatives}
        return jaxvlm.compare_embeddings(id_rows, {"other": ood_rows}, **banks).doubts

    assert doubts() == []
    (told,) = doubts(negatives=unit(negatives + prompt))
    assert "same templates" in told
    (told,) = doubts(ood_rows=0.9 * others)
    assert "means of several views" in told
    wide = [np.pad(bank, ((0, 0), (0, D))) for bank in (negatives, classes)]
    apart = np.pad(rng.normal(size=(80, D)), ((0, 0), (D, 0))) + 0.01
    (told,) = doubts(apart[:40], apart[40:], *wide)
    assert "two encoders" in told
