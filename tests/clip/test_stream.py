"""Streams: what `test_preprocessing` does not ask: bits, threads, early ends, statistics."""

import dataclasses
import itertools
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np
import pytest

from jaxvlm import clip, parallel
from jaxvlm.clip import stream as stream_module
from jaxvlm.clip.encoder import make_encoder
from jaxvlm.clip.stream import encode_batches, encode_image_stream
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
    settings = model.preprocessing._replace(size=80, mean=(0.5, 0.1, 0.7), std=(0.3, 1.1, 0.017))
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
    failures, encoder = [], make_encoder(model, batch_size=3)
    parts = encode_batches(encoder, range(9), failures=failures, read=read_unless_three)
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
    expected, _ = encode_image_stream(model, IMAGES, batch_size=4)
    encoder = make_encoder(model, batch_size=4, mesh=mesh)
    parts = list(encode_batches(encoder, IMAGES, failures=[]))
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), expected)


@pytest.mark.parametrize("kind", [list, iter])
def test_a_stream_that_is_left_early_leaves_nothing_behind(model, kind):
    before, read = set(threading.enumerate()), []

    def reader(index):
        read.append(index)
        return IMAGES[index % 9]

    encoder = make_encoder(model, batch_size=2)
    statistics = encoder.statistics
    stream = encode_batches(encoder, kind(range(1000)), failures=[], workers=3, read=reader)
    assert next(stream).indices.tolist() == [0, 1]
    stream.close()
    assert ended(before)
    # Two batches encoded, two read ahead, three threads with two each, and one that has no room.
    assert len(read) <= 2 * 2 + 2 * 2 + 2 * 3 + 1
    assert statistics.encoded == 4 and statistics.seconds > 0
    assert statistics.sentence().startswith("4 pictures encoded, ")


def test_frames_are_drawn_while_who_takes_a_batch_works_on_it(model):
    """Two batches on the device, two that wait, two items for each thread, one that has no room."""
    drawn = threading.Semaphore(0)

    def frames():
        for image in itertools.cycle(IMAGES):
            drawn.release()
            yield image

    encoder = make_encoder(model, batch_size=2)
    parts = encode_batches(encoder, frames(), failures=[], workers=3)
    next(parts)
    for _ in range(2 * 2 + 2 * 2 + 2 * 3 + 1):
        assert drawn.acquire(timeout=20)
    assert not drawn.acquire(timeout=0.2)
    parts.close()


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_what_is_no_input_error_comes_through_with_its_place(model, kind, error):
    before = set(threading.enumerate())

    def reader_with_a_bug(index):
        if index == 5:
            raise error
        return IMAGES[index]

    parts, encoder = [], make_encoder(model, batch_size=2)
    with pytest.raises(error) as caught:
        for part in encode_batches(encoder, kind(range(9)), failures=[], read=reader_with_a_bug):
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


class Computed:
    """What a device computes until it is told that it is done: as much of jax.Array as needed."""

    is_fully_addressable = True

    def __init__(self, rows):
        self.rows, self.done = rows, threading.Event()

    def block_until_ready(self):
        self.done.wait()
        return self

    def __array__(self, dtype=None, copy=None):
        self.done.wait()
        return np.zeros(self.rows)


class AtOnce(ThreadPoolExecutor):
    """Does what it is given before it goes on."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


def statistics_of(model, count, read, encode):
    encoder = make_encoder(model, batch_size=1)
    stream = encode_batches(encoder, range(count), failures=[], workers=1, read=read, encode=encode)
    assert len(list(stream)) == count == encoder.statistics.encoded
    return encoder.statistics


def test_a_device_that_is_done_waits_from_then_until_the_next_batch_comes(model, monkeypatch):
    """No matter how busy the machine is: between when a batch was read and when it was given."""
    read_at, given_at, done_at = [], [], []
    finishing_time = stream_module._finishing_time

    def read(index):
        while len(done_at) < index:
            time.sleep(1e-3)
        time.sleep(0.02)
        read_at.append(time.perf_counter())
        return IMAGES[0]

    def encode(model, pixels):
        given_at.append(time.perf_counter())
        computed = Computed(1)
        computed.done.set()
        return computed

    def finished(values):
        done_at.append(finishing_time(values))
        return done_at[-1]

    monkeypatch.setattr(stream_module, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(stream_module, "_finishing_time", finished)
    began = time.perf_counter()
    statistics = statistics_of(model, 8, read, encode)
    least = sum(max(0, r - d) for r, d in zip(read_at[1:], done_at, strict=False))
    most = sum(g - d for g, d in zip(given_at, [began, *done_at], strict=False))
    assert least <= statistics.device_idle_seconds <= most
    assert least >= 7 * 0.02
    record = statistics.record()
    assert record["pictures_per_second"] == pytest.approx(8 / statistics.seconds, abs=1e-3)
    fraction = statistics.device_idle_seconds / statistics.seconds
    assert record["device_waiting_fraction"] == pytest.approx(fraction, abs=1e-4)


def test_a_device_that_is_busy_when_the_next_batch_comes_does_not_wait(model):
    computed, first_given = [], []

    def encode(model, pixels):
        first_given.append(time.perf_counter())
        computed.append(Computed(1))
        for earlier in computed[:-1] if len(computed) < 8 else computed:
            earlier.done.set()
        return computed[-1]

    began = time.perf_counter()
    statistics = statistics_of(model, 8, lambda index: IMAGES[0], encode)
    assert 0 <= statistics.device_idle_seconds <= first_given[0] - began
    assert statistics.seconds >= first_given[-1] - first_given[0]


def test_a_picture_that_the_disk_does_not_give_fails_alone(model):
    def read(index):
        if index == 3:
            raise OSError(5, "Input/output error", f"{index}.png")
        return IMAGES[index]

    pixels, failures = encode_image_stream(model, range(5), batch_size=2, read=read)
    assert len(pixels) == 4
    assert failures == [(3, "3.png: Input/output error; check the disk")]
