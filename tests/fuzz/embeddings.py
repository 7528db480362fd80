"""Readers of embeddings that others made."""

import json
from pathlib import Path

import numpy as np
import pyarrow
import safetensors.numpy
from pyarrow import parquet

from jaxvlm.data import embedding_files
from tests.fuzz.case import Reader


def _make_npz(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.savez(folder / "a.npz", features=rows, labels=np.arange(4))
    (folder / "a_names.json").write_text(json.dumps(["one", "two", "three", "four"]))


def _make_rows(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
    arrays = {"set.features": rows, "set.labels": np.arange(4)}
    (folder / "a.safetensors").write_bytes(safetensors.numpy.save(arrays))
    (folder / "a_names.txt").write_text("one\ntwo\nthree\nfour\n")


def _make_pair(folder: Path) -> None:
    np.save(folder / "a.npy", np.random.default_rng(0).normal(size=(4, 3)))
    np.save(folder / "a_labels.npy", np.arange(4))


def _make_parquet(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    features = pyarrow.FixedSizeListArray.from_arrays(rows.ravel(), 3)
    table = pyarrow.table({"features": features, "labels": np.arange(4)})
    parquet.write_table(table, folder / "a.parquet")


def _rows(source: str):
    return lambda folder: embedding_files.read_embeddings(folder / source)


def _check_rows(found) -> None:
    rows = np.asarray(found.unit)
    assert rows.shape == found.rows.shape and len(rows)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    for texts in (found.labels, found.names):
        assert texts is None or len(texts) == len(rows)


READERS = {
    "embeddings npz": Reader(_make_npz, _rows("a.npz"), _check_rows),
    "embeddings rows": Reader(_make_rows, _rows("a.safetensors#set"), _check_rows),
    "embeddings pair": Reader(_make_pair, _rows("a.npy"), _check_rows),
    "embeddings parquet": Reader(_make_parquet, _rows("a.parquet"), _check_rows),
}
