import dataclasses

import jax
import pytest

from jaxvlm import clip, files
from jaxvlm.clip import batch_size
from jaxvlm.clip.batch_size import fastest_size, measured_batch_size
from jaxvlm.errors import InputError


@pytest.mark.parametrize(
    ("rates", "best", "timed"),
    [
        ([5.0] * 11, 1, 3),  # flat
        ([2.0**n for n in range(11)], 1024, 11),  # twice as fast each time: the largest
        ([7.0, 8.0, 10.3, 8.0, 6.7, 99.0], 4, 5),  # two without gain end it
        ([1.0, 2.0, 3.9, 3.8, 8.0, 8.1, 8.2], 16, 7),  # one does not
        ([5.0, 5.1, 5.2, 9.0], 8, 4 + 2),  # 2 and 4 % more than 1: the first is no gain
        ([10.0, 10.2, 10.29, 50.0], 1, 3),  # less than 3 % each, of the best
        ([3.0, 5.0, 8.0, None], 4, 4),  # 8 do not fit
        ([3.0, None], 1, 2),
    ],
)
def test_the_fastest_size_of_a_curve(rates, best, timed):
    sizes = []

    def throughput(size):
        sizes.append(size)
        return rates[len(sizes) - 1] if len(sizes) <= len(rates) else 1.0

    assert fastest_size(throughput) == best
    assert sizes == [2**n for n in range(timed)]


def test_not_even_one_picture_fits():
    with pytest.raises(InputError, match="not even one picture"):
        fastest_size(lambda size: None)


@pytest.fixture
def timed(monkeypatch):
    """The sizes that were timed; 4 is the fastest."""
    sizes = []

    def throughput(model, size):
        sizes.append(size)
        return 10.0 - abs(size - 4)

    monkeypatch.setattr(batch_size, "_throughput", throughput)
    return sizes


def test_the_answer_is_kept(model, tmp_path, timed):
    assert measured_batch_size(model, cache_dir=tmp_path / "new") == 4
    assert timed == [1, 2, 4, 8, 16]
    timed.clear()
    assert measured_batch_size(model, cache_dir=tmp_path / "new") == 4
    assert timed == []
    half = model.architecture._replace(dtype="bfloat16")
    measured_batch_size(dataclasses.replace(model, architecture=half), cache_dir=tmp_path / "new")
    assert timed == [1, 2, 4, 8, 16] and len(list((tmp_path / "new").iterdir())) == 2


def test_without_a_folder_it_is_measured_anew(model, tmp_path, timed, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [measured_batch_size(model), measured_batch_size(model)] == [4, 4]
    assert timed == [1, 2, 4, 8, 16] * 2 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "3", '{"batch_size": 0}', '{"batch_size": "8"}', '{"batch_size": true}'],
)
def test_a_damaged_answer_is_measured_anew(model, tmp_path, timed, text):
    measured_batch_size(model, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    timed.clear()
    assert measured_batch_size(model, cache_dir=tmp_path) == 4
    assert timed and files.read_json(path)["batch_size"] == 4


def test_sizes_that_do_not_fit_are_passed_over_and_other_errors_are_not(model, monkeypatch):
    monkeypatch.setattr(batch_size, "_SECONDS", 0.0)
    error = "RESOURCE_EXHAUSTED: Out of memory allocating 7 bytes."

    def encode_images(model, pixels):
        if len(pixels) > 1:
            raise jax.errors.JaxRuntimeError(error)
        return clip.encode_images(model, pixels)

    monkeypatch.setattr(batch_size, "encode_images", encode_images)
    assert measured_batch_size(model) == 1
    error = "INTERNAL: the device fell off the bus"
    with pytest.raises(jax.errors.JaxRuntimeError, match="fell off"):
        measured_batch_size(model)


def test_every_size_is_timed_on_whole_batches_after_it_was_compiled(model, monkeypatch):
    sizes = []

    def encode_images(model, pixels):
        sizes.append(pixels.shape)
        return clip.encode_images(model, pixels)

    monkeypatch.setattr(batch_size, "_SECONDS", 0.0)
    monkeypatch.setattr(batch_size, "encode_images", encode_images)
    assert batch_size._throughput(model, 3) > 0
    assert sizes == [(3, 3, 64, 64)] * (1 + 4)
