"""The model of ordinary footage: one pass however it is cut, bounded, kept on disk, refused where
it does not fit."""

import dataclasses
import json

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.video import ordinary_learning
from jaxvlm.video.ordinary_learning import learn
from jaxvlm.video.ordinary_model import (
    PARTS,
    check_fits,
    load_ordinary,
    new_model,
    save_ordinary,
)
from tests.video.ordinary_world import FPS, MADE_BY, footage, roles


def learned(frames=900, **options):
    model = new_model("gate", MADE_BY, roles(), 8, FPS)
    return learn(model, *footage(0, frames), continues=False, **options)


def assert_same(one, two):
    for a, b in zip(one, two, strict=True):
        if isinstance(a, tuple) and hasattr(a, "_fields"):
            assert_same(a, b)
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        else:
            assert a == b


def test_stretches_of_two_minutes_are_learned_from_and_held_out_in_turn():
    model = learned(900)
    assert model.frames == (480, 420)  # frames 0-119, 240-359, 480-599, 720-839; and the rest
    assert (model.counts.sum(axis=(0, 2)) == 480).all()
    own = ~model.held.leads
    assert own.sum() == 420 and sorted(set(model.held.stretch[own])) == [1, 3, 5, 7]
    # The window's frames lead up to each, and they are those before it.
    assert (np.bincount(model.held.stretch[~own], minlength=8)[1::2] == model.window).all()
    presence, _ = footage(0, 900)
    first = model.held.margins[model.held.leads][: model.window].astype(float)
    given = np.log(presence / (1 - presence))[120 - model.window : 120]
    np.testing.assert_allclose(first, given, rtol=2e-3)


def test_how_the_footage_is_cut_changes_nothing():
    presence, embeddings = footage(0, 900)
    parts = new_model("gate", MADE_BY, roles(), 8, FPS)
    for start, stop in ((0, 1), (1, 60), (60, 431), (431, 900)):
        parts = learn(parts, presence[start:stop], embeddings[start:stop], continues=start > 0)
    assert_same(parts, learned(900))


def test_other_footage_begins_a_stretch_and_an_occasion_of_its_own():
    model = learned(90)
    more = learn(model, *footage(1, 90), continues=False)
    assert more.frames == (90, 90) and not more.held.leads.any()
    assert more.place.occasion == model.place.occasion + 2


def test_memory_is_bounded_and_keeps_what_stands_out(monkeypatch):
    monkeypatch.setattr(ordinary_learning, "_HELD_BYTES", 0)  # 1,024 frames, the least
    presence, embeddings = footage(0, 6000)
    presence[130:140, 1] = 0.99  # in the first stretch that is held out
    model = learn(
        new_model("gate", MADE_BY, roles(), 8, FPS), presence, embeddings, continues=False
    )
    assert len(model.held.stretch) <= 1024 and sum(model.frames) == 6000
    assert model.held.stretch[0] == 1 and model.held_hours == pytest.approx(3000 / 3600)
    assert len(model.memory.rows) <= 512


def test_parts_of_the_day_have_a_zero_where_they_have_enough():
    presence, embeddings = footage(0, 6000)
    presence[3000:] = 1 / (1 + np.exp(-(np.log(presence[3000:] / (1 - presence[3000:])) + 4)))
    clock = np.where(np.arange(6000) < 3000, 5 * 3600.0, 22 * 3600.0)
    model = learn(
        new_model("gate", MADE_BY, roles(), 8, FPS),
        presence,
        embeddings,
        continues=False,
        second_of_day=clock,
    )
    assert model.daily == (2, 8)
    location = model.zeros().location
    assert location.shape == (1 + PARTS, 3)
    np.testing.assert_allclose(location[8] - location[2], 4, atol=0.5)
    assert (location[1] == location[0]).all() and (location[0] > location[2]).all()
    assert "3–6, 21–24 o'clock" in " ".join(model.sentences())
    assert learned(3000).daily == () and "one zero" in learned(3000).sentences()[1]


def test_it_comes_back_from_disk_as_it_was_and_goes_on(tmp_path):
    model = learned(500)
    save_ordinary(tmp_path / "m", model)
    again = load_ordinary(tmp_path / "m")
    assert_same(again._replace(source=None), model)
    both = [learn(m, *footage(3, 300), continues=True) for m in (model, again)]
    assert_same(both[1]._replace(source=None), both[0])
    save_ordinary(tmp_path / "m", both[0])  # in its own place
    assert sum(load_ordinary(tmp_path / "m").frames) == 800


def test_what_does_not_fit_is_refused_with_one_line():
    model, own = learned(300), roles()
    check_fits(model, MADE_BY, own, FPS)
    cosine = dataclasses.replace(own.config.presence, kind="cosine")
    cases = [
        ({**MADE_BY, "logit_scale": 50.0}, own, FPS, "another encoder .logit_scale is 50"),
        (MADE_BY, own._replace(atoms=("gun", "smoke", "tank")), FPS, "other atoms"),
        (MADE_BY, own._replace(templates=("a {}",)), FPS, "other settings of presence"),
        (
            MADE_BY,
            own._replace(config=dataclasses.replace(own.config, presence=cosine)),
            FPS,
            "kind is cosine, was contrast",
        ),
        (MADE_BY, own, 5.0, "learned at 1 frames per second, these are 5"),
    ]
    for made_by, other, fps, cause in cases:
        with pytest.raises(InputError, match=cause):
            check_fits(model, made_by, other, fps)


def test_a_folder_that_is_none_or_was_changed_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_ordinary(tmp_path / "none")
    save_ordinary(tmp_path / "m", learned(300))
    metadata = json.loads((tmp_path / "m" / "metadata.json").read_text())
    for field, value, cause in (
        ("kind", "role_model", "not a model of ordinary footage"),
        ("frames", [1, 2], "other frames"),
        ("fps", "1", "fps is no number"),
        ("atoms", ["gun"], "is missing or is none"),
        ("arrays_sha256", "0", "not what metadata.json tells of"),
    ):
        (tmp_path / "m" / "metadata.json").write_text(json.dumps({**metadata, field: value}))
        with pytest.raises(InputError, match=cause):
            load_ordinary(tmp_path / "m")
