"""Encoded once: what a second run reads, and what it has to encode again."""

import dataclasses
import os
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from jaxvlm import clip
from jaxvlm.clip import store, stored_items
from jaxvlm.clip.encoder import make_encoder
from jaxvlm.clip.stored_items import encode_all, encode_items
from jaxvlm.errors import InputError
from tests.clip.store_rows import chunk_files

COMPUTED = {"name": "image"}
COUNT = 12


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    made = [tmp_path / "pictures" / f"{i:02d}.png" for i in range(COUNT)]
    made[0].parent.mkdir()
    for path in made:
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return made


@pytest.fixture
def encode(model, tmp_path):
    """A run with a new encoder: (values, failures, pictures encoded, pictures from the store)."""

    def run(items, *, folder=tmp_path / "store", computed=COMPUTED, **options):
        encoder = make_encoder(model, batch_size=4, store_dir=folder)
        values, failures = encode_all(encoder, items, computed=computed, **options)
        return values, failures, encoder.statistics.encoded, encoder.statistics.from_store

    return run


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(stored_items, "_CHUNK_ROWS", 4)


def one_by_one(model, paths):
    rows = [clip.preprocess(model, [clip.read_rgb(path)]) for path in paths]
    return np.concatenate([clip.encode_images(model, pixels) for pixels in rows])


def image_and_sign(model, pixels):
    embeddings = clip.encode_images(model, pixels)
    return {"image": embeddings, "positive": embeddings > 0}


def test_a_second_run_encodes_nothing_and_has_the_same_bits(model, encode, paths):
    first, failures, encoded, read = encode(paths, encode=image_and_sign)
    assert (failures, encoded, read) == ([], COUNT, 0)
    np.testing.assert_allclose(first["image"], one_by_one(model, paths), atol=2e-5)
    again, failures, encoded, read = encode(paths[::-1], encode=image_and_sign)
    assert (failures, encoded, read) == ([], 0, COUNT)
    for name in ("image", "positive"):
        assert again[name].dtype == first[name].dtype
        np.testing.assert_array_equal(again[name], first[name][::-1])


def test_a_store_changes_no_bit(encode, paths):
    np.testing.assert_array_equal(encode(paths)[0], encode(paths, folder=None)[0])


def test_what_is_computed_and_by_which_weights_is_told_apart(model, encode, paths, tmp_path):
    first = encode(paths)[0]
    assert encode(paths, computed={"name": "image", "tap": 3})[2:] == (COUNT, 0)
    params = jax.tree.map(lambda leaf: leaf * 1.01, model.params)
    other = dataclasses.replace(model, params=params)
    encoder = make_encoder(other, batch_size=4, store_dir=tmp_path / "store")
    values, _ = encode_all(encoder, paths, computed=COMPUTED)
    assert encoder.statistics.encoded == COUNT and np.abs(values - first).max() > 1e-3
    assert encode(paths)[2:] == (0, COUNT)


def test_only_new_files_are_encoded_whatever_they_are_called(encode, paths, tmp_path):
    first = encode(paths[:7])[0]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for i, path in enumerate(paths[:7]):
        shutil.move(path, moved / f"{6 - i}.png")
    values, _, encoded, read = encode([*paths[7:], *sorted(moved.iterdir())])
    assert (encoded, read) == (COUNT - 7, 7)
    np.testing.assert_array_equal(values[COUNT - 7 :], first[::-1])


def test_of_equal_files_one_is_encoded(model, encode, paths):
    paths[5].write_bytes(paths[2].read_bytes())
    paths[9].write_bytes(paths[2].read_bytes())
    values, _, encoded, read = encode(paths)
    assert (encoded, read) == (COUNT - 2, 2)
    np.testing.assert_allclose(values, one_by_one(model, paths), atol=2e-5)


def test_what_cannot_be_read_is_told_every_time_under_its_own_number(encode, paths):
    paths[1].write_text("no picture")
    paths[6].write_text("no picture")  # a copy, byte for byte
    paths[8].unlink()
    for encoded in (COUNT - 3, 0):
        values, failures, *counts = encode(paths)
        assert counts == [encoded, COUNT - 3 - encoded]
        assert [index for index, _ in failures] == [1, 6, 8]
        assert all(str(paths[index]) in message for index, message in failures)
        assert len(values) == COUNT - 3


def test_failures_of_another_set_may_stand_in_the_list(model, paths, tmp_path):
    encoder = make_encoder(model, batch_size=4, store_dir=tmp_path / "store")
    failures = [(0, "of another set")]
    parts = encode_items(encoder, paths, computed=COMPUTED, failures=failures)
    found = np.concatenate([part.indices for part in parts])
    assert sorted(found) == list(range(COUNT)) and failures == [(0, "of another set")]


@pytest.mark.parametrize("all_of_them", [False, True])
def test_damaged_chunks_are_encoded_again(encode, paths, tmp_path, small_chunks, all_of_them):
    first = encode(paths)[0]
    chunks = chunk_files(tmp_path / "store")
    assert len(chunks) == COUNT // 4
    damaged = chunks if all_of_them else chunks[:1]
    for path in damaged:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    lost = COUNT if all_of_them else 4
    with pytest.warns(UserWarning, match="damaged .* encoded again") as told:
        again, failures, encoded, read = encode(paths)
    assert len(told) == len(damaged)
    assert (failures, encoded, read) == ([], lost, COUNT - lost)
    np.testing.assert_allclose(again, first, atol=2e-5)
    assert encode(paths)[2:] == (0, COUNT)


def test_rows_come_in_the_order_of_the_items(encode, model, paths, small_chunks):
    encode([paths[i] for i in (10, 3, 7, 0, 4)])
    values, _, encoded, read = encode(paths)
    assert (encoded, read) == (COUNT - 5, 5)
    np.testing.assert_allclose(values, one_by_one(model, paths), atol=2e-5)


@pytest.mark.parametrize("chunk_rows", [4, 256])
def test_what_was_handed_out_is_kept_when_the_stream_is_left(
    model, encode, paths, tmp_path, monkeypatch, chunk_rows
):
    monkeypatch.setattr(stored_items, "_CHUNK_ROWS", chunk_rows)
    encoder = make_encoder(model, batch_size=4, store_dir=tmp_path / "store")
    stream = encode_items(encoder, paths, computed=COMPUTED, failures=[])
    next(stream)
    stream.close()
    assert encode(paths)[2:] == (COUNT - 4, 4)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_is_there_is_kept_when_the_run_breaks_off(encode, paths, error):
    done = 0

    def advance(count):
        nonlocal done
        done += count
        if done == 8:
            raise error

    with pytest.raises(error):
        encode(paths, advance=advance)
    assert encode(paths)[2:] == (COUNT - 8, 8)


def test_a_full_disk_is_said_as_such(encode, paths, monkeypatch):
    monkeypatch.setattr(stored_items, "_CHUNK_ROWS", 3)  # less than a batch

    def append_rows(table, digests, arrays):
        assert len(digests) <= 3
        raise InputError("store: no space left on device")

    monkeypatch.setattr(store, "append_rows", append_rows)
    with pytest.raises(InputError, match="no space left"):
        encode(paths)


def test_long_rows_make_short_chunks(encode, paths, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_items, "_CHUNK_BYTES", 1000)
    width = encode(paths)[0].shape[1]
    chunks = chunk_files(tmp_path / "store")
    rows = 1000 // (4 * width)  # of float32
    assert len(chunks) == -(-COUNT // rows) > 1
    assert encode(paths)[2:] == (0, COUNT)


def test_no_item_gives_no_row(encode):
    values, failures, encoded, read = encode([])
    assert len(values) == 0 and (failures, encoded, read) == ([], 0, 0)


def test_items_are_not_all_held_at_once(model):
    """Without a store they may be arrays that are made when they are asked for."""

    class Made(list):
        def __getitem__(self, index):
            asked.append(index)
            return np.zeros((8, 8, 3), np.uint8)

    asked: list[int] = []
    encoder = make_encoder(model, batch_size=1)
    items = Made([None] * 50)
    stream = encode_items(encoder, items, computed={}, failures=[])
    next(stream)
    assert len(asked) <= 2 + 2 + os.cpu_count()
    stream.close()
