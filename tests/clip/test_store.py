"""What was encoded once is there for every later run: whole, or not at all."""

import hashlib
import json
import os
import resource

import ml_dtypes
import numpy as np
import pytest
import safetensors

from jaxvlm.clip import store
from jaxvlm.errors import InputError
from tests.clip.store_rows import (
    COLUMNS,
    DESCRIPTION,
    check,
    chunk_file,
    chunk_files,
    digest,
    digests,
    fill,
    open_table,
    read,
    values,
)


def test_rows_come_back(tmp_path):
    table = open_table(tmp_path)
    for numbers in ((5, 1, 9), (2, 8, 7, 3), (4,)):
        fill(table, *numbers)
    for seen in (table, open_table(tmp_path)):
        assert len(seen.rows) == 8 and len({*seen.rows.values()}) == 3
        check(seen, *range(1, 6), 7, 8, 9)
        assert read(seen, []) == {} == read(seen, digests(6))
        assert [int(row["predicted"]) for row in read(seen, digests(8, 8)).values()] == [8]


def test_a_chunk_is_read_once_and_a_few_together(tmp_path, monkeypatch):
    table = open_table(tmp_path)
    for number in range(0, 30, 2):
        fill(table, number, number + 1)
    opened = []
    real = store._read_chunk

    def counted(table, name, wanted):
        opened.append(name)
        return real(table, name, wanted)

    monkeypatch.setattr(store, "_read_chunk", counted)
    keys = digests(*np.random.default_rng(0).permutation(30).tolist())
    parts = [found for found, _ in store.read_rows(table, keys)]
    assert len(opened) == len({*opened}) == 15
    assert [len(part) for part in parts] == [8, 8, 8, 6]


def test_a_chunk_is_a_safetensors_file_under_the_digest_of_its_bytes(tmp_path):
    """So that other programs read it."""
    table = open_table(tmp_path)
    fill(table, 2, 1)
    (path,) = chunk_files(tmp_path)
    assert path.name == f"{hashlib.sha256(path.read_bytes()).hexdigest()}.safetensors"
    with safetensors.safe_open(path, framework="np") as opened:
        assert set(opened.keys()) == {"keys", "image", "predicted"}
        assert opened.get_tensor("keys").tobytes() == digest(2) + digest(1)
        np.testing.assert_array_equal(opened.get_tensor("image"), values(2, 1)["image"])
    other = open_table(tmp_path / "other")
    fill(other, 2, 1)
    assert chunk_file(other, 1).read_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("dtype", store.DTYPES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_every_bit_comes_back(tmp_path, dtype, shape):
    column = store.Column(shape, np.dtype(getattr(ml_dtypes, dtype, dtype)))
    itemsize, rng = column.dtype.itemsize, np.random.default_rng(0)
    # Random bits: not-a-numbers with payloads, infinities, subnormals, negative zeros.
    bits = rng.integers(0, 2 if dtype == "bool" else 256, (7, *shape, itemsize), np.uint8)
    array = bits.view(column.dtype).reshape(7, *shape)
    special = {"float32": np.nan, "float16": -np.inf, "bfloat16": np.nan, "int32": -(2**31)}
    array[3] = special.get(dtype, 1)
    array[4] = 0
    keys = digests(*range(7))
    table = store.open_table(tmp_path, DESCRIPTION, {"x": column})
    store.append_rows(table, keys, {"x": array})
    rows = read(store.open_table(tmp_path, DESCRIPTION, {"x": column}), keys)
    for i, key in enumerate(keys):
        assert rows[key]["x"].dtype == column.dtype and rows[key]["x"].shape == shape
        assert rows[key]["x"].tobytes() == array[i].tobytes()


def test_tables_do_not_see_each_other(tmp_path):
    fill(open_table(tmp_path), 1, 2)
    wider = COLUMNS | {"image": store.Column((4,), np.dtype(np.float32))}
    others = [
        store.open_table(tmp_path, {**DESCRIPTION, "weights": "5b"}, COLUMNS),
        store.open_table(tmp_path, DESCRIPTION, wider),
        store.open_table(tmp_path, DESCRIPTION, {"image": COLUMNS["image"]}),
    ]
    assert len({table.folder for table in others}) == 3
    for table in others:
        assert not table.rows
    store.append_rows(others[0], digests(1), values(7))
    assert read(others[0], digests(1))[digest(1)]["predicted"] == 7
    check(open_table(tmp_path), 1, 2)
    turned = dict(reversed(DESCRIPTION.items())), dict(reversed(COLUMNS.items()))
    check(store.open_table(tmp_path, *turned), 1, 2)


def test_the_folder_says_what_it_holds_and_is_called_by_the_hash_of_that(tmp_path):
    folder = open_table(tmp_path).folder
    record = json.loads((folder / "description.json").read_text())
    assert record["description"] == DESCRIPTION
    assert record["columns"]["predicted"] == {"dtype": "int32", "shape": []}
    canonical = (
        b'{"columns":{"image":{"dtype":"float32","shape":[3]},'
        b'"predicted":{"dtype":"int32","shape":[]}},'
        b'"description":{"size":[32,32],"weights":"5a","what":"image"}}'
    )
    assert folder.name == hashlib.sha256(canonical).hexdigest()[:32]
    (folder / "description.json").unlink()  # it is for people
    fill(open_table(tmp_path), 1)
    assert json.loads((folder / "description.json").read_text()) == record
    with pytest.raises(ValueError):
        store.open_table(tmp_path, {"a": float("nan")}, COLUMNS)


@pytest.mark.parametrize(
    "columns",
    [
        {"keys": COLUMNS["image"]},
        {"image": store.Column((3,), np.dtype("f8"))},
        {"image": store.Column((3,), np.dtype(object))},
    ],
)
def test_columns_that_cannot_be_stored(tmp_path, columns):
    with pytest.raises(ValueError, match="no way to store"):
        store.open_table(tmp_path, DESCRIPTION, columns)
    assert not list(tmp_path.iterdir())


def test_rows_that_are_not_the_tables(tmp_path, monkeypatch):
    table = open_table(tmp_path)
    good = values(1, 2)
    wrong = [
        {"image": good["image"]},
        good | {"more": good["image"]},
        good | {"image": good["image"].astype(np.float64)},
        good | {"image": good["image"][:, :2]},
        good | {"image": good["image"][:1]},
    ]
    for arrays in wrong:
        with pytest.raises(ValueError, match="expected"):
            store.append_rows(table, digests(1, 2), arrays)
    for key in (b"short", digest(1).hex(), bytearray(digest(1))):
        with pytest.raises(ValueError, match="SHA-256"):
            store.append_rows(table, [key, digest(2)], good)
    with pytest.raises(ValueError, match="SHA-256"):
        store.append_rows(table, [], values())
    monkeypatch.setattr(store, "_LARGEST", 200)
    with pytest.raises(ValueError, match="append fewer rows"):
        store.append_rows(table, digests(1, 2), good)
    assert not table.rows and not chunk_files(tmp_path)


def test_a_store_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=rf"^{tmp_path}/file/.*\(Not a directory\); "):
        open_table(tmp_path / "file")


def test_a_folder_that_cannot_be_written(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1)
    table.folder.rename(tmp_path / "away")
    table.folder.write_text("")  # where permissions do not hold, this does
    with pytest.raises(InputError, match=rf"^{table.folder}: .*\(Not a directory\); choose"):
        fill(table, 2)
    assert [*table.rows] == digests(1)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1)
    before = sorted(table.folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be used \(File too large\); choose") as told:
            fill(table, 2, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(told.value)
    assert sorted(table.folder.iterdir()) == before
    for seen in (table, open_table(tmp_path)):
        check(seen, 1)


def test_what_is_written_was_flushed_before_it_had_its_name(tmp_path, monkeypatch):
    """A power cut leaves no half chunk: file, name, folder, in this order."""
    table = open_table(tmp_path)
    calls = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    monkeypatch.setattr(
        os, "fsync", lambda f: (calls.append(os.readlink(f"/proc/self/fd/{f}")), real["fsync"](f))
    )
    monkeypatch.setattr(
        os, "replace", lambda a, b: (calls.append((str(a), str(b))), real["replace"](a, b))
    )
    fill(table, 1)
    temporary, renamed, folder = calls
    assert renamed == (temporary, str(chunk_file(table, 1))) and folder == str(table.folder)
