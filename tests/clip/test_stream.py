"""Streams of pictures; what `test_images` does not ask: bits, threads, early ends, statistics."""

import dataclasses
import threading
import time
import traceback

import jax
import numpy as np
import pytest

from jaxvlm import clip, parallel
from jaxvlm.clip.stream import EncodingStatistics, encode_batches, encode_image_stream
from jaxvlm.errors import InputError

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (60 + i, 70 + 2 * i, 3), np.uint8) for i in range(9)]


def pixels_themselves(model, pixels):
    return pixels


def read_unless_three(index):
    if index == 3:
        raise InputError("number 3: is missing")
    return IMAGES[index]


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_the_device_gets_the_bits_of_preprocess(model, batch_size):
    """Also with a mean, a standard deviation and a crop that are not CLIP's."""
    settings = model.preprocessing._replace(
        short_side=80, mean=(0.5, 0.1, 0.7), std=(0.3, 1.1, 0.017)
    )
    for other in (model, dataclasses.replace(model, preprocessing=settings)):
        pixels, failures = encode_image_stream(
            other, IMAGES, batch_size=batch_size, encode=pixels_themselves
        )
        assert failures == []
        np.testing.assert_array_equal(pixels, clip.preprocess(other, IMAGES))


def test_sequences_and_iterators_give_the_same(model):
    options = {"batch_size": 4, "read": read_unless_three}
    listed, of_list = encode_image_stream(model, list(range(9)), **options)
    drawn, of_iterator = encode_image_stream(model, iter(range(9)), **options)
    np.testing.assert_array_equal(drawn, listed)
    assert of_list == of_iterator == [(3, "number 3: is missing")]
    kept = [image for i, image in enumerate(IMAGES) if i != 3]
    expected = [clip.encode_images(model, clip.preprocess(model, [image]))[0] for image in kept]
    np.testing.assert_allclose(listed, np.stack(expected), atol=2e-5)


def test_batches_say_which_items_they_hold(model):
    failures = []
    parts = encode_batches(model, range(9), failures=failures, batch_size=3, read=read_unless_three)
    assert [part.indices.tolist() for part in parts] == [[0, 1, 2], [4, 5, 6], [7, 8]]


@pytest.mark.parametrize("kind", [list, iter])
def test_no_readable_item_gives_no_rows(model, kind):
    def encode(model, pixels):
        return {"image": clip.encode_images(model, pixels), "first": pixels[:, 0, 0, 0] > 0}

    for numbers in ([], [3], [3] * 9):
        values, failures = encode_image_stream(
            model, kind(numbers), batch_size=2, read=read_unless_three, encode=encode
        )
        assert [index for index, _ in failures] == list(range(len(numbers)))
        assert values["image"].shape == (0, model.config.projection_dim)
        assert values["first"].shape == (0,) and values["first"].dtype == bool


def test_items_can_be_anything(model):
    """None too, which grain takes for "no item" in its own pipelines."""
    pixels, _ = encode_image_stream(
        model, [None, 1, None], batch_size=2, read=lambda item: IMAGES[item or 0],
        encode=pixels_themselves,
    )  # fmt: skip
    np.testing.assert_array_equal(pixels, clip.preprocess(model, [IMAGES[0], IMAGES[1], IMAGES[0]]))


def test_a_mesh_of_one_device_changes_no_bit(model):
    mesh = parallel.make_mesh(devices=jax.devices()[:1])
    placed = dataclasses.replace(model, params=parallel.replicate(model.params, mesh))
    expected, _ = encode_image_stream(model, IMAGES, batch_size=4)
    found, _ = encode_image_stream(placed, IMAGES, batch_size=4, mesh=mesh)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [list, iter])
def test_a_stream_that_is_left_early_leaves_nothing_behind(model, kind):
    before, read = set(threading.enumerate()), []

    def reader(index):
        read.append(index)
        return IMAGES[index % 9]

    statistics = EncodingStatistics()
    stream = encode_batches(
        model, kind(range(1000)), failures=[], batch_size=2, workers=3, read=reader,
        statistics=statistics,
    )  # fmt: skip
    assert next(stream).indices.tolist() == [0, 1]
    stream.close()
    assert ended(before)
    assert len(read) <= 2 * 2 + 2 * 2 + 3  # two batches encoded, two read ahead, three threads
    assert statistics.encoded == 4 and statistics.seconds > 0
    assert statistics.sentence().startswith("4 pictures encoded, ")


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_what_is_no_input_error_comes_through_with_its_place(model, kind, error):
    before = set(threading.enumerate())

    def reader_with_a_bug(index):
        if index == 5:
            raise error
        return IMAGES[index]

    parts = []
    with pytest.raises(error) as caught:
        for part in encode_batches(
            model, kind(range(9)), failures=[], batch_size=2, read=reader_with_a_bug
        ):
            parts.append(part)
    assert "reader_with_a_bug" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert [part.indices.tolist() for part in parts] == [[0, 1]]  # and [2, 3] was on the device
    assert ended(before)


def ended(before):
    """Whether no thread is left but these; a thread that was told to end takes a moment."""
    deadline = time.monotonic() + 20
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not left


class Slow:
    """What a device computes until a moment: as much of jax.Array as a stream looks at."""

    is_fully_addressable = True
    device_is_free_at = 0.0  # it computes one batch after the other

    def __init__(self, rows, seconds):
        self.rows = rows
        self.ready = max(time.perf_counter(), Slow.device_is_free_at) + seconds
        Slow.device_is_free_at = self.ready

    def block_until_ready(self):
        time.sleep(max(0, self.ready - time.perf_counter()))
        return self

    def __array__(self, dtype=None, copy=None):
        self.block_until_ready()
        return np.zeros(self.rows)


@pytest.mark.parametrize(("reading", "computing"), [(0.04, 0.0), (0.0, 0.04)])
def test_the_time_that_devices_wait(model, reading, computing):
    def read(index):
        time.sleep(reading)
        return IMAGES[0]

    def run(count):
        statistics = EncodingStatistics()
        stream = encode_batches(
            model,
            range(count),
            failures=[],
            batch_size=1,
            workers=1,
            read=read,
            encode=lambda model, pixels: Slow(len(pixels), computing),
            statistics=statistics,
        )
        assert len(list(stream)) == count
        return statistics

    run(1)  # compiles
    statistics = run(20)
    record = statistics.record()
    assert statistics.seconds >= 20 * max(reading, computing)
    assert 0 <= statistics.device_idle_seconds <= statistics.seconds
    if reading:
        assert record["device_waiting_fraction"] > 0.8
    else:
        assert record["device_waiting_fraction"] < 0.4
    assert record["pictures_per_second"] == pytest.approx(20 / statistics.seconds, abs=1e-3)


def test_what_statistics_say():
    assert EncodingStatistics().record()["device_waiting_fraction"] is None
    stored = EncodingStatistics(from_store=7, seconds=0.25)
    assert stored.sentence() == "7 pictures from the store: no forward pass"
    assert stored.record()["pictures_per_second"] == 0
    mixed = EncodingStatistics(30, 7, 2.0, 0.5)
    assert EncodingStatistics(40, 7, 2.5, 0.5).since(mixed) == EncodingStatistics(10, 0, 0.5, 0.0)
    assert mixed.sentence() == (
        "30 pictures encoded, 15.0 a second, the device waited 25 % of the time; 7 from the store"
    )
