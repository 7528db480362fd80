"""Encoders: when a batch size is measured, and what a run writes down."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvlm import clip
from jaxvlm.clip import encoder as encoder_module


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    made = [tmp_path / f"{i}.png" for i in range(7)]
    for path in made:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return made


@pytest.fixture
def measured(monkeypatch):
    """The models whose batch size was measured; it is 3."""
    models = []

    def measure(model, *, cache_dir):
        models.append(model)
        return 3

    monkeypatch.setattr(encoder_module, "measured_batch_size", measure)
    return models


def test_a_given_batch_size_is_never_measured(model, paths, measured):
    encoder = clip.make_encoder(model, batch_size=5)
    clip.encode_all(encoder, paths, computed={})
    assert encoder.batch_size == 5 and measured == []


def test_a_batch_size_is_measured_once_and_only_when_pictures_are_encoded(
    model, speaking_model, paths, tmp_path, measured
):
    texts = clip.make_encoder(speaking_model)
    clip.embed_prompts(texts.model, ["cat"], ["a {}"])
    assert clip.encoding_record(texts, texts.statistics)["batch_size"] is None
    clip.encode_images(texts.model, clip.preprocess(model, [np.zeros((8, 8, 3), np.uint8)]))
    assert measured == []  # texts and single frames, as of a live source
    encoder = clip.make_encoder(model, store_dir=tmp_path / "store")
    for part in (paths[:6], paths):
        clip.encode_all(encoder, part, computed={})
    assert measured == [model] and encoder.batch_size == 3
    assert clip.encoding_record(encoder, encoder.statistics)["batch_size"] == 3
    again = clip.make_encoder(model, store_dir=tmp_path / "store")
    clip.encode_all(again, paths, computed={})  # all of it is there
    assert measured == [model] and again.statistics.from_store == len(paths)
    assert dataclasses.replace(encoder, given_batch_size=7).batch_size == 7


def test_what_a_run_writes_down(model, paths, tmp_path):
    encoder = clip.make_encoder(model, batch_size=4, store_dir=tmp_path / "store")
    clip.encode_all(encoder, paths, computed={})
    again = clip.make_encoder(model, batch_size=4, store_dir=str(tmp_path / "store"))
    clip.encode_all(again, paths, computed={})
    statistics = clip.total_statistics(again)
    assert statistics == again.statistics and isinstance(again.store_dir, Path)
    record = clip.encoding_record(again, statistics)
    expected = {"dtype": "float32", "batch_size": 4, "mesh": None, "encoded": 0, "from_store": 7}
    assert {name: record[name] for name in expected} == expected
    assert statistics.sentence() == "7 pictures from the store: no forward pass"


def test_what_statistics_say():
    assert clip.EncodingStatistics().record()["device_waiting_fraction"] is None
    stored = clip.EncodingStatistics(from_store=7, seconds=0.25)
    assert stored.sentence() == "7 pictures from the store: no forward pass"
    assert stored.record()["pictures_per_second"] == 0
    mixed = clip.EncodingStatistics(30, 7, 2.0, 0.5)
    later = clip.EncodingStatistics(40, 7, 2.5, 0.5)
    assert later.since(mixed) == clip.EncodingStatistics(10, 0, 0.5, 0.0)
    assert mixed.sentence() == (
        "30 pictures encoded, 15.0 a second, the device waited 25 % of the time; 7 from the store"
    )
