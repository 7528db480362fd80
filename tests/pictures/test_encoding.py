"""From files to scores: which words, which pictures, and what is said of those left out."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import clip, resources
from jaxvlm.data.image_sets import read_image_set
from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError
from jaxvlm.ood.alignment import VARIANTS
from jaxvlm.ood.methods import METHODS
from jaxvlm.ood.words import lists as word_lists
from jaxvlm.pictures import encoding
from jaxvlm.pictures.config import OodConfig, check
from jaxvlm.world.ood_pictures import ID_CLASSES, write_ood_benchmark

COUNT = 20


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ood") / "benchmark"
    write_ood_benchmark(folder, seed=1, count=COUNT, workers=1)
    return folder


def settings(**changes):
    config = OodConfig(split_percentile=30.0, batch_size=COUNT)
    config.negalign.num_groups = 5
    for field, value in changes.items():
        setattr(config if hasattr(config, field) else config.negalign, field, value)
    return check(config)


@pytest.fixture(scope="module")
def prepare(model, benchmark, tmp_path_factory):
    cache = tmp_path_factory.mktemp("texts")

    def prepared(negatives=None, classes=None, **changes):
        names = classes or benchmark / "class_names.txt"
        return encoding.prepare_labels(
            model, names, negatives, *settings(**changes), cache_dir=cache
        )

    return prepared


@pytest.fixture(scope="module")
def labels(prepare):
    return prepare()


def encoder_of(model):
    return clip.make_encoder(model, batch_size=COUNT)


@pytest.fixture(scope="module")
def scored(model, benchmark, labels):
    found, failures = encoding.score_set(
        encoder_of(model), read_image_set(benchmark / "id"), labels, *settings()
    )
    assert failures == []
    return found


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


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(validation_fraction=1.0), "validation_fraction 1.0"),
        (dict(validation_fraction=float("nan")), "validation_fraction nan"),
        (dict(templates=()), "templates"),
        (dict(lambdas=()), "lambdas"),
        (dict(lambdas=(1.0, float("nan"))), "lambdas .*not finite"),
        (dict(batch_size=-1), "batch_size -1"),
        (dict(num_resamples=0), "num_resamples 0"),
        (dict(seed=-1), "seed -1"),
        (dict(convention="neither"), "convention 'neither'"),
        (dict(p_align_variant="v42"), "p_align_variant 'v42'"),
        (dict(num_groups=0), "num_groups 0"),
    ],
)
def test_a_setting_out_of_range_is_named(changes, says):
    with pytest.raises(InputError, match=says):
        settings(**changes)


def test_a_variant_may_be_named_by_its_number():
    _, negalign = settings(p_align_variant="v3")
    assert negalign.p_align_variant == "v3_ratio"


def test_every_picture_has_every_score(scored):
    assert list(scored.scores) == list(METHODS)
    assert set(scored.alignment) == {*VARIANTS, "bg_pos", "bg_neg", "fg_pos"}
    for values in (scored.scores | scored.alignment).values():
        assert values.shape == (COUNT,) and np.isfinite(values).all()
    assert scored.labels == tuple(path.parent.name for path in scored.paths)


def test_a_row_is_the_picture_of_its_path(scored, model, labels):
    for i in (0, 7, COUNT - 1):
        pixels = clip.preprocess(model, [read_image(scored.paths[i])])
        embedding = np.asarray(clip.encode_images(model, pixels))[0]
        unit = embedding / np.linalg.norm(embedding)
        np.testing.assert_allclose(scored.encoded.image[i], unit, atol=1e-5)
        similarity = np.asarray(labels.banks.positive) @ unit
        assert scored.encoded.predicted_class_idx[i] == similarity.argmax()
        assert scored.scores["max_logit"][i] == pytest.approx(100 * similarity.max(), rel=1e-4)


def test_unreadable_pictures_are_reported_and_rows_stay_aligned(
    scored, model, benchmark, labels, tmp_path
):
    order = [*range(7, COUNT), *range(7)]
    good = [scored.paths[i] for i in order]
    (tmp_path / "broken.jpg").write_text("no picture")
    lines = [*good[:3], tmp_path / "broken.jpg", *good[3:9], tmp_path / "gone.png", *good[9:]]
    listed = write_words(tmp_path / "some.txt", *lines)
    found, failures = encoding.score_set(
        encoder_of(model), read_image_set(listed), labels, *settings()
    )
    assert found.paths == tuple(good) and found.labels is None
    assert len(failures) == 2
    assert "broken.jpg" in failures[0] and "gone.png" in failures[1]
    for name, values in found.scores.items():
        expected = scored.scores[name][order]
        np.testing.assert_allclose(values, expected, rtol=2e-4, atol=1e-5, err_msg=name)
    for name, values in found.alignment.items():
        if name not in ("v3_ratio", "v4_log_ratio"):  # their floor blows rounding up
            np.testing.assert_allclose(values, scored.alignment[name][order], atol=1e-4)


def test_a_set_without_a_readable_picture_is_an_error(model, labels, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match="no readable picture; the first: .*a.jpg"):
        encoding.score_set(encoder_of(model), read_image_set(tmp_path), labels, *settings())


def test_embeddings_that_are_not_finite_are_an_error(model, benchmark, labels):
    projection = model.params["visual_projection"]["kernel"]
    broken = model.params | {"visual_projection": {"kernel": projection.at[0, 0].set(np.nan)}}
    with pytest.raises(InputError, match="not finite; check the weights"):
        encoding.score_set(
            encoder_of(dataclasses.replace(model, params=broken)),
            read_image_set(benchmark / "id"),
            labels,
            *settings(),
        )


def test_text_embeddings_that_are_not_finite_are_an_error(model, benchmark, tmp_path):
    words = ("tree", "road", "field", "chair", "beach", "umbrella")
    write_words(tmp_path / "neg_labels_noun.txt", *words)
    split = word_lists.NegativeSplit(words[:5], words[5:], (), dict.fromkeys(words, 0.0))
    word_lists.write_split(tmp_path / "negatives_split", split)
    projection = model.params["text_projection"]["kernel"]
    broken = model.params | {"text_projection": {"kernel": projection.at[0, 0].set(np.nan)}}
    for negatives, says in ((None, "not finite"), (tmp_path, "a row is NaN")):
        with pytest.raises(InputError, match=f"{says}.*check the weights"):
            encoding.prepare_labels(
                dataclasses.replace(model, params=broken),
                benchmark / "class_names.txt",
                negatives,
                *settings(),
            )


def test_pictures_on_both_sides_are_told_by_content(benchmark, tmp_path):
    ids, oods = read_image_set(benchmark / "id"), read_image_set(benchmark / "ood_unseen")
    assert encoding.check_sets([ids], [oods]) == []
    (tmp_path / "copy.jpg").write_bytes(ids.paths[4].read_bytes())
    (tmp_path / "own.jpg").write_bytes(oods.paths[0].read_bytes())
    (line,) = encoding.check_sets([ids], [read_image_set(tmp_path, name="copies")])
    assert str(tmp_path / "copy.jpg") in line and str(ids.paths[4]) in line


def test_sets_need_names_of_their_own_and_both_sides(benchmark):
    ids, oods = read_image_set(benchmark / "id"), read_image_set(benchmark / "ood_empty", name="id")
    with pytest.raises(InputError, match="id: two sets of this name"):
        encoding.check_sets([ids], [oods])
    with pytest.raises(InputError, match="ood_dirs: no OOD set"):
        encoding.check_sets([ids], [])
    with pytest.raises(InputError, match="id_dir: no ID set"):
        encoding.check_sets([], [oods])
