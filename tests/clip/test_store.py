"""What was encoded once is there for every later run: whole, in order, or not at all."""

import hashlib
import json

import numpy as np
import pytest
import tensorstore

from jaxvlm.clip import store, store_arrays
from jaxvlm.errors import InputError
from tests.clip.store_rows import (
    COLUMNS,
    DESCRIPTION,
    check,
    digest,
    digests,
    fill,
    open_table,
    values,
)


def test_rows_come_back_in_the_order_asked(tmp_path):
    table = open_table(tmp_path)
    for numbers in ((5, 1, 9), (2, 8, 7, 3), (4,)):
        fill(table, *numbers)
    for seen in (table, open_table(tmp_path)):
        assert len(seen.rows) == 8 and len(seen.chunks) == 3
        check(seen, 3, 9, 4, 3, 5, 9, 8)
        check(seen, *range(1, 6))
        only = store.read_rows(seen, digests(7), columns=["predicted"])
        assert list(only) == ["predicted"] and only["predicted"].tolist() == [7]
        empty = store.read_rows(seen, [])
        assert empty["image"].shape == (0, 3) and empty["predicted"].shape == (0,)


def test_missing_names_each_digest_once(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    assert store.missing(table, digests(7, 1, 6, 7, 2, 6, 8)) == [0, 2, 6]
    assert store.missing(table, digests(2, 1)) == [] == store.missing(table, [])
    with pytest.raises(InputError, match=f"no row of {digest(6).hex()}; "):
        store.read_rows(table, digests(1, 6))


def test_a_row_is_never_changed(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    other = {name: -array for name, array in values(2, 3, 3, 1).items()}
    other["image"][2] = 99  # the second of two equal digests
    store.append_rows(table, digests(2, 3, 3, 1), other)
    for seen in (table, open_table(tmp_path)):
        check(seen, 1, 2)
        assert len(seen.rows) == 3
        np.testing.assert_array_equal(
            store.read_rows(seen, digests(3))["image"], -values(3)["image"]
        )


def test_the_same_rows_in_another_order_are_the_same_files(tmp_path):
    for folder, numbers in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        fill(open_table(tmp_path / folder), *numbers)
    a, b = (
        {p.relative_to(tmp_path / f): p.read_bytes() for p in (tmp_path / f).rglob("c.*")}
        for f in ("a", "b")
    )
    assert len(a) == 3 and a == b


@pytest.mark.parametrize("dtype", store_arrays.DTYPES)
@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_every_bit_comes_back(tmp_path, dtype, shape):
    column = store.Column(shape, tensorstore.dtype(dtype).numpy_dtype)
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
    read = store.read_rows(store.open_table(tmp_path, DESCRIPTION, {"x": column}), keys)["x"]
    assert read.dtype == column.dtype and read.shape == (7, *shape)
    assert read.tobytes() == array.tobytes()


def test_a_chunk_of_zeros_is_a_chunk(tmp_path):
    table = open_table(tmp_path)
    zeros = {name: np.zeros_like(array) for name, array in values(1, 2, 3, 4).items()}
    store.append_rows(table, digests(1, 2, 3, 4), zeros)
    read = store.read_rows(open_table(tmp_path), digests(3, 1))
    assert not read["image"].any() and not read["predicted"].any()


def test_tables_do_not_see_each_other(tmp_path):
    other = {**DESCRIPTION, "weights": "5b"}
    fill(open_table(tmp_path), 1, 2)
    table = store.open_table(tmp_path, other, COLUMNS)
    assert store.missing(table, digests(1, 2)) == [0, 1]
    store.append_rows(table, digests(1), values(7))
    assert store.read_rows(table, digests(1))["predicted"].tolist() == [7]
    check(open_table(tmp_path), 1, 2)
    turned = dict(reversed(DESCRIPTION.items()))
    check(store.open_table(tmp_path, turned, COLUMNS), 1, 2)

    summaries = {s.description["weights"]: s for s in store.summarize(tmp_path)}
    assert {weights: s.rows for weights, s in summaries.items()} == {"5a": 2, "5b": 1}
    files = [p for p in summaries["5a"].folder.rglob("*") if p.is_file()]
    assert summaries["5a"].bytes == sum(len(p.read_bytes()) for p in files)
    assert store.summarize(tmp_path / "nothing") == []


def test_the_key_is_the_hash_of_canonical_json():
    expected = hashlib.sha256(b'{"a":[1,2.5,null],"b":{"c":"\\u00e9","d":true}}').hexdigest()
    description = {"b": {"d": True, "c": "é"}, "a": (1, 2.5, None)}
    assert store.table_key(description) == expected[:32]
    with pytest.raises(ValueError):
        store.table_key({"a": float("nan")})


def test_an_old_table_keeps_its_chunks(tmp_path):
    fill(open_table(tmp_path, chunk_rows=2), 1, 2)
    table = open_table(tmp_path, chunk_rows=100)
    assert table.chunk_rows == 2
    check(table, 2, 1)


def test_another_description_in_the_folder(tmp_path):
    folder = open_table(tmp_path).folder
    record = json.loads((folder / "description.json").read_text())
    assert record["description"] == DESCRIPTION and record["chunk_rows"] == 4
    record["description"]["weights"] = "5b"
    (folder / "description.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"^{folder}: holds another description; "):
        open_table(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"description": 1, "columns": {"a": {"dtype": "x"}}}']
)
def test_a_description_that_is_none(tmp_path, text):
    path = open_table(tmp_path).folder / "description.json"
    path.write_text(text)
    for call in (open_table, store.summarize):
        with pytest.raises(InputError, match=f"^{path}: not .*; "):
            call(tmp_path)


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        ({"image": COLUMNS["image"]}, r"'predicted': int32 \[\] in the store, none now"),
        (COLUMNS | {"cam": COLUMNS["image"]}, r"'cam': none in the store, float32 \[3\] now"),
        (
            COLUMNS | {"image": store.Column((4,), np.dtype("f4"))},
            r"\[3\] in .*, float32 \[4\] now",
        ),
        (COLUMNS | {"image": store.Column((3,), np.dtype("f2"))}, r"float32 .*, float16 \[3\] now"),
    ],
)
def test_other_columns_than_stored(tmp_path, columns, cause):
    fill(open_table(tmp_path), 1)
    with pytest.raises(InputError, match=f"^{tmp_path}.*: column .*{cause}; "):
        store.open_table(tmp_path, DESCRIPTION, columns)
    check(open_table(tmp_path), 1)


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"content": COLUMNS["image"]},
        {"../image": COLUMNS["image"]},
        {"image": store.Column((3,), np.dtype("f8"))},
        {"image": store.Column((0,), np.dtype("f4"))},
    ],
)
def test_columns_that_cannot_be_stored(tmp_path, columns):
    with pytest.raises(ValueError):
        store.open_table(tmp_path, DESCRIPTION, columns)
    assert not list(tmp_path.iterdir())


def test_rows_that_are_not_the_tables(tmp_path):
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
    with pytest.raises(ValueError, match="up to 4 rows"):
        fill(table, 1, 2, 3, 4, 5)
    for key in (b"short", bytes(32), digest(1).hex()):
        with pytest.raises(ValueError, match="not a SHA-256"):
            store.append_rows(table, [key, digest(2)], good)
    assert not table.rows and not open_table(tmp_path).rows


def test_a_store_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"^{tmp_path}/file/.*; "):
        open_table(tmp_path / "file")


def test_two_chunks_of_one_number(tmp_path, monkeypatch):
    monkeypatch.setattr(store_arrays, "chunk_number", lambda keys: store_arrays.CHUNK_NUMBERS - 1)
    table, before = open_table(tmp_path), open_table(tmp_path)
    fill(table, 1, 2)
    fill(before, 3)  # does not know of the first
    fill(open_table(tmp_path), 4, 5)
    seen = open_table(tmp_path)
    assert sorted(seen.chunks) == [0, 1, store_arrays.CHUNK_NUMBERS - 1]
    check(seen, 1, 2, 3, 4, 5)


def test_a_column_is_a_zarr_array(tmp_path):
    """So that other programs read it: https://zarr-specs.readthedocs.io, version 3."""
    table = open_table(tmp_path)
    fill(table, 1, 2)
    metadata = json.loads((table.folder / "image" / "zarr.json").read_text())
    assert metadata["shape"] == [2**53, 4, 3] and metadata["data_type"] == "float32"
    assert metadata["chunk_grid"]["configuration"]["chunk_shape"] == [1, 4, 3]
    assert [codec["name"] for codec in metadata["codecs"]] == ["bytes", "zstd", "crc32c"]
