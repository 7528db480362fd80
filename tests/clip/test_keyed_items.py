"""Pictures that are no files through the store: each is asked for once, in all runs together."""

import hashlib

import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 20, 24, 3), np.uint8)


def keys_of(places):
    return [hashlib.sha256(b"%d" % place).digest() for place in places]


def run(model, folder, places, drawn):
    """Rows in the order of ``places``, and the statistics; ``drawn`` gets what was asked for."""
    encoder = clip.make_encoder(model, batch_size=2, store_dir=folder)

    def draw(wanted):
        for i in wanted:
            drawn.append(places[i])
            yield IMAGES[places[i]]

    parts = list(clip.encode_keyed(encoder, keys_of(places), draw, computed={"name": "test"}))
    rows = np.full((len(places), model.config.projection_dim), np.nan, np.float32)
    for part in parts:
        rows[part.indices] = part.values
    return rows, encoder.statistics


def test_what_the_store_knows_is_not_asked_for(model, tmp_path):
    drawn = []
    rows, statistics = run(model, tmp_path, [0, 2, 2, 4], drawn)
    assert drawn == [0, 2, 4] and (statistics.encoded, statistics.from_store) == (3, 0)
    expected = np.stack(
        [
            np.asarray(clip.encode_images(model, clip.preprocess(model, [IMAGES[i]])))[0]
            for i in range(7)
        ]
    )
    np.testing.assert_allclose(rows, expected[[0, 2, 2, 4]], rtol=1e-4, atol=1e-5)
    more, statistics = run(model, tmp_path, [0, 1, 2, 3, 4], drawn)
    assert drawn[3:] == [1, 3] and (statistics.encoded, statistics.from_store) == (2, 3)
    assert (more[[0, 2, 4]] == rows[[0, 1, 3]]).all()
    again, statistics = run(model, tmp_path, [4, 3, 1], drawn)
    assert len(drawn) == 5 and statistics.encoded == 0
    assert (again == more[[4, 3, 1]]).all()


def test_a_picture_that_cannot_be_read_ends_it(model, tmp_path):
    encoder = clip.make_encoder(model, batch_size=2, store_dir=tmp_path)

    def draw(wanted):
        yield from IMAGES[:4]
        raise InputError("v.mp4: damaged")

    with pytest.raises(InputError, match="damaged"):
        list(clip.encode_keyed(encoder, keys_of(range(6)), draw, computed={"name": "test"}))
    rows, statistics = run(model, tmp_path, list(range(6)), [])
    assert statistics.encoded + statistics.from_store == 6 and np.isfinite(rows).all()
