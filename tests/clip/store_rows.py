"""A small table, and the rows that the tests of the store expect in it."""

import hashlib

import numpy as np

from jaxvlm.clip import store

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


def open_table(folder) -> store.Table:
    return store.open_table(folder, DESCRIPTION, COLUMNS)


def fill(table, *numbers) -> None:
    store.append_rows(table, digests(*numbers), values(*numbers))


def read(table, keys) -> dict[bytes, dict[str, np.ndarray]]:
    """Digest -> its row; every row comes once."""
    rows = {}
    for found, arrays in store.read_rows(table, keys):
        assert {name: len(array) for name, array in arrays.items()} == dict.fromkeys(
            table.columns, len(found)
        )
        assert rows.keys().isdisjoint(found) and len({*found}) == len(found)
        rows |= {
            key: {name: array[i] for name, array in arrays.items()} for i, key in enumerate(found)
        }
    return rows


def check(table, *numbers) -> None:
    """Exactly these numbers have rows, of all that were ever asked for, with the right bits."""
    rows, expected = read(table, digests(*range(100))), values(*numbers)
    assert rows.keys() == {*digests(*numbers)}
    for i, number in enumerate(numbers):
        row = rows[digest(number)]
        assert row.keys() == expected.keys()
        for name, array in expected.items():
            assert row[name].dtype == array.dtype
            np.testing.assert_array_equal(row[name], array[i])


def chunk_file(table, number):
    return table.folder / table.rows[digest(number)]


def chunk_files(folder):
    return sorted(folder.rglob("*.safetensors"))
