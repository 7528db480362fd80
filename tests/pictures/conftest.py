"""A tiny rendered benchmark, the embedded encoder, and settings for both."""

import pytest

from jaxvlm import clip, resources
from jaxvlm.pictures.config import OodSettings, check
from jaxvlm.pictures.labels import Words, prepare_labels
from jaxvlm.world.ood_pictures import write_ood_benchmark

COUNT = 20


@pytest.fixture(scope="module")
def model():
    return clip.load(resources.path("checkpoints/clip"))


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ood") / "benchmark"
    write_ood_benchmark(folder, seed=1, count=COUNT, workers=1)
    return folder


@pytest.fixture(scope="module")
def settings(model):
    def checked(**changes):
        config = OodSettings(split_percentile=30.0)
        config.negalign.num_groups = 5
        for field, value in changes.items():
            setattr(config if hasattr(config, field) else config.negalign, field, value)
        return check(config, model)

    return checked


@pytest.fixture(scope="module")
def encoder(model, tmp_path_factory):
    return clip.make_encoder(model, batch_size=COUNT, cache_dir=tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def prepare(encoder, settings, benchmark):
    def prepared(negatives=None, classes=None, **changes):
        words = Words(classes or benchmark / "class_names.txt", negatives)
        return prepare_labels(encoder, words, settings(**changes))

    return prepared


@pytest.fixture(scope="module")
def labels(prepare):
    return prepare()
