"""Embeddings as others save them: every format gives the same rows, labels and names."""

import json

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st

from jaxvlm.data.embedding_files import UnitRows, read_embeddings
from jaxvlm.data.torch_files import write_torch
from jaxvlm.errors import InputError

N, D = 6, 4
ROWS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LABELS = np.arange(N)[::-1].copy()
NAMES = [f"picture {n}" for n in range(N)]


def npy(folder):
    np.save(folder / "a.npy", ROWS)
    np.save(folder / "a_labels.npy", LABELS)
    (folder / "a_names.txt").write_text("\n".join(NAMES))
    return "a.npy"


def npy_in_columns(folder):
    np.save(folder / "x_features.npy", np.asfortranarray(ROWS))
    np.save(folder / "x_labels.npy", LABELS)
    (folder / "x_names.json").write_text(json.dumps(NAMES))
    return "x_features.npy"


def npz(folder):
    np.savez_compressed(folder / "a.npz", embeddings=ROWS, labels=LABELS, names=np.array(NAMES))
    return "a.npz"


def safetensors_with_key(folder):
    arrays = {"test.features": ROWS, "test.labels": LABELS, "val.features": ROWS[:2]}
    safetensors.numpy.save_file(arrays, folder / "a.safetensors")
    (folder / "a_names.txt").write_text("\n".join(NAMES))
    return "a.safetensors#test"


def torch_dict(folder):
    torch.save({"set": {"features": torch.tensor(ROWS), "names": NAMES}}, folder / "a.pt")
    (folder / "mine.txt").write_text("\n".join(map(str, LABELS)))
    return f"a.pt#set@{folder / 'mine.txt'}"


def torch_pair(folder):
    torch.save((torch.tensor(ROWS), torch.tensor(LABELS)), folder / "a.pth")
    (folder / "a_names.txt").write_text("\r\n".join(NAMES))
    return "a.pth"


def parquet(folder):
    table = {"vector": list(ROWS), "label": LABELS, "path": NAMES}
    pd.DataFrame(table).to_parquet(folder / "a.parquet")
    return "a.parquet"


FORMATS = [npy, npy_in_columns, npz, safetensors_with_key, torch_dict, torch_pair, parquet]


@pytest.mark.parametrize("write", FORMATS, ids=[write.__name__ for write in FORMATS])
def test_every_format_gives_the_same(tmp_path, write):
    found = read_embeddings(f"{tmp_path}/{write(tmp_path)}")
    np.testing.assert_array_equal(found.rows, ROWS)
    assert found.labels == tuple(map(str, LABELS)) and found.names == tuple(NAMES)
    lengths = np.linalg.norm(ROWS.astype(np.float64), axis=1)
    np.testing.assert_allclose(found.norms, [lengths.min(), lengths.max()], rtol=1e-6)
    assert not found.is_unit


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_every_precision_becomes_unit_rows_in_float32(tmp_path, kind):
    stored = ROWS.astype(kind)
    if kind is ml_dtypes.bfloat16:
        write_torch(tmp_path / "a.pt", stored)
        found = read_embeddings(tmp_path / "a.pt")
    else:
        np.save(tmp_path / "a.npy", stored)
        found = read_embeddings(tmp_path / "a.npy")
    exact = stored.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert found.rows.dtype == kind
    whole = np.asarray(found.unit)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole, exact, atol=2e-7)


def test_rows_stay_on_disk(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    safetensors.numpy.save_file({"features": ROWS.astype(np.float16)}, tmp_path / "b.safetensors")
    for name in ("a.npy", "b.safetensors"):
        assert isinstance(read_embeddings(tmp_path / name).rows, np.memmap)


@given(
    start=st.integers(-8, 8),
    stop=st.integers(-8, 8),
    mask=st.lists(st.booleans(), min_size=N, max_size=N),
)
def test_unit_rows_are_indexed_like_an_array(start, stop, mask):
    rows, whole = UnitRows(ROWS), ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    assert len(rows) == N and rows.shape == (N, D)
    for index in (slice(start, stop), np.array(mask), np.flatnonzero(mask), 2):
        np.testing.assert_allclose(rows[index], whole[index], rtol=1e-6)


def changed(rows, at, value):
    rows = rows.copy()
    rows[at] = value
    return rows


@pytest.mark.parametrize(
    ("arrays", "source", "words"),
    [
        ({"features": changed(ROWS, (3, 1), np.nan)}, "a.npz", "row 3 is NaN or infinity"),
        ({"features": changed(ROWS, 2, 0.0)}, "a.npz", "row 2 is zeros"),
        ({"features": ROWS * np.float32(1e30)}, "a.npz", "row 0 is of length [0-9.]+e[+]29"),
        ({"features": ROWS * np.float32(1e-30)}, "a.npz", "row 0 is of length [0-9.]+e-31"),
        ({"features": ROWS[0]}, "a.npz", r"shape \[4\]; embeddings are \[N, D\]"),
        ({"features": ROWS.astype(np.int64)}, "a.npz", "int64; embeddings are floating-point"),
        ({"features": ROWS, "labels": LABELS[:4]}, "a.npz", "6 rows, 4 labels"),
        (
            {"a.features": ROWS, "b": ROWS},
            "a.npz",
            "several arrays; name one as a.npz#KEY",
        ),
        ({"a.features": ROWS}, "a.npz#c", "no array c; name one as a.npz#KEY, of: a"),
        ({"labels": LABELS}, "a.npz", "no array with two axes"),
    ],
)
def test_what_are_no_embeddings_is_refused(tmp_path, arrays, source, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=words):
        read_embeddings(f"{tmp_path}/{source}")


@pytest.mark.parametrize("name", ["none.npy", "a.csv", "a.npz", "a.safetensors", "a.parquet"])
def test_a_file_of_another_kind_is_refused_with_its_name(tmp_path, name):
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=name):
        read_embeddings(tmp_path / name)


def test_a_name_may_hold_the_signs_of_a_source(tmp_path):
    np.savez(tmp_path / "a#1@x.npz", set=ROWS)
    for source in ("a#1@x.npz", "a#1@x.npz#set"):
        np.testing.assert_array_equal(read_embeddings(f"{tmp_path}/{source}").rows, ROWS)
