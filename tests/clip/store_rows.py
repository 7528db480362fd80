"""A small table, and the rows that the tests of the store expect in it."""

import hashlib

import numpy as np

from jaxvlm.clip import store, store_arrays

DESCRIPTION = {"what": "image", "weights": "5a", "size": [32, 32]}
COLUMNS = {
    "image": store.Column((3,), np.dtype(np.float32)),
    "predicted": store.Column((), np.dtype(np.int32)),
}


def digest(name) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def digests(*names) -> list[bytes]:
    return [digest(name) for name in names]


def values(*numbers) -> dict[str, np.ndarray]:
    """The rows that the tests expect for items that are called by a number."""
    n = np.array(numbers)
    return {
        "image": (n[:, None] + np.array([0, 0.25, 0.5])).astype(np.float32),
        "predicted": n.astype(np.int32),
    }


def open_table(folder, **options) -> store.Table:
    return store.open_table(folder, DESCRIPTION, COLUMNS, **{"chunk_rows": 4, **options})


def fill(table, *numbers) -> None:
    store.append_rows(table, digests(*numbers), values(*numbers))


def check(table, *numbers) -> None:
    rows, expected = store.read_rows(table, digests(*numbers)), values(*numbers)
    assert set(rows) == set(expected)
    for name in rows:
        assert rows[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(rows[name], expected[name])


def chunk_file(table, name, number):
    return store_arrays.chunk_path(table.folder, table.arrays[name], name, number)
