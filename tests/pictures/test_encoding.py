"""Sets of pictures to scores: which row is which, and what is said of those left out."""

import dataclasses

import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.data.image_sets import read_image_set
from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.methods import METHODS
from jaxvlm.ood.versions import encode_versions
from jaxvlm.pictures.encoding import score_set
from tests.pictures.conftest import COUNT


@pytest.fixture(scope="module")
def scored(encoder, benchmark, labels, settings):
    image_set = read_image_set(benchmark / "id")
    found, failures = score_set(encoder, image_set, labels, settings())
    assert failures == []
    return found


def write_words(path, *words):
    path.write_text("".join(f"{word}\n" for word in words))
    return path


def test_every_picture_has_every_score(scored):
    # Of the world's words none is an adjective, so that there are no words of CSP.
    assert list(scored.scores) == [method for method in METHODS if method != "csp"]
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
    scored, encoder, settings, labels, tmp_path
):
    order = [*range(7, COUNT), *range(7)]
    good = [scored.paths[i] for i in order]
    (tmp_path / "broken.jpg").write_text("no picture")
    lines = [*good[:3], tmp_path / "broken.jpg", *good[3:9], tmp_path / "gone.png", *good[9:]]
    listed = write_words(tmp_path / "some.txt", *lines)
    told = []
    found, failures = score_set(
        encoder,
        read_image_set(listed),
        labels,
        settings(),
        on_progress=lambda *progress: told.append(progress),
    )
    assert told[0] == ("some", 0, COUNT + 2) and told[-1] == ("some", COUNT, COUNT + 2)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert found.paths == tuple(good) and found.labels is None
    assert len(failures) == 2
    assert "broken.jpg" in failures[0] and "gone.png" in failures[1]
    for name, values in found.scores.items():
        expected = scored.scores[name][order]
        np.testing.assert_allclose(values, expected, rtol=2e-4, atol=1e-5, err_msg=name)
    for name, values in found.alignment.items():
        if name not in ("v3_ratio", "v4_log_ratio"):  # their floor blows rounding up
            np.testing.assert_allclose(values, scored.alignment[name][order], atol=1e-4)


def test_cover_is_encoded_where_it_is_named_and_rows_stay_aligned(
    scored, encoder, settings, labels, tmp_path
):
    """A row is the mean MCM of its own picture's versions; the store has them for other words."""
    few = [*scored.paths[:2], tmp_path / "broken.jpg", *scored.paths[2:4]]
    (tmp_path / "broken.jpg").write_text("no picture")
    listed = read_image_set(write_words(tmp_path / "some.txt", *few))
    kept = dataclasses.replace(encoder, store_dir=tmp_path / "store")
    found, failures = score_set(kept, listed, labels, settings(), methods=["mcm"], more=["cover"])
    assert list(found.scores) == ["mcm", "cover"] and len(failures) == 1
    for path, value in zip(found.paths, found.scores["cover"], strict=True):
        pixels = clip.preprocess(encoder.model, [read_image(path)])
        versions = np.asarray(encode_versions(encoder.model, pixels, seed=settings().seed))[0]
        e = np.exp(versions @ np.asarray(labels.banks.positive).T)
        assert value == pytest.approx((e.max(axis=1) / e.sum(axis=1)).mean(), rel=1e-4)
    before = kept.statistics.encoded
    positive = np.asarray(labels.banks.positive)[:3]
    fewer = labels._replace(banks=labels.banks._replace(positive=positive))
    again, _ = score_set(kept, listed, fewer, settings(), methods=["mcm"], more=["cover"])
    assert (again.scores["cover"] > found.scores["cover"]).all()
    assert kept.statistics.encoded - before == 4  # the map of the nearest class alone


def test_a_set_without_a_readable_picture_is_an_error(encoder, settings, labels, tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match="no readable picture; the first: .*a.jpg"):
        score_set(encoder, read_image_set(tmp_path), labels, settings())


def test_embeddings_that_are_not_finite_are_an_error(model, benchmark, settings, labels):
    projection = np.array(model.params["visual_projection"]["kernel"])
    projection[0, 0] = np.nan
    broken = model.params | {"visual_projection": {"kernel": projection}}
    with pytest.raises(InputError, match="not finite; check the weights"):
        encoder = clip.make_encoder(dataclasses.replace(model, params=broken), batch_size=COUNT)
        score_set(encoder, read_image_set(benchmark / "id"), labels, settings())
