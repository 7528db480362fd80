"""What is damaged, half written, foreign or left over in a store is not there, and made again."""

import hashlib
import json
import os

import numpy as np
import pytest
import safetensors.numpy

from jaxvlm.errors import InputError
from tests.clip.store_rows import (
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


def flip(path, position) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def damages(size):
    """Every byte flipped, every length cut to, something added, zeros."""
    yield from (lambda path, i=i: flip(path, i) for i in range(size))
    yield from (lambda path, i=i: os.truncate(path, i) for i in range(size))
    yield lambda path: path.write_bytes(path.read_bytes() + b"\0")
    yield lambda path: path.write_bytes(bytes(size))


def test_a_damaged_chunk_is_told_once_and_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # hundreds of times, and no power is cut
    table = open_table(tmp_path)
    fill(table, 1, 2, 3)
    fill(table, 4, 5)
    path = chunk_file(table, 2)
    whole = path.read_bytes()
    for damage in damages(len(whole)):
        damage(path)
        with pytest.warns(
            UserWarning, match=rf"^{path}: damaged \(.*\); its rows are encoded"
        ) as w:
            table = open_table(tmp_path)
            check(table, 4, 5)
        assert len(w) == 1 and "\n" not in str(w[0].message)
        path.with_suffix(".damaged").unlink()
        check(open_table(tmp_path), 4, 5)
        fill(table, 1, 2, 3)
        assert path.read_bytes() == whole
    check(open_table(tmp_path), *range(1, 6))


def test_a_chunk_that_holds_anothers_bytes(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    fill(table, 3, 4)
    one, other = (chunk_file(table, number) for number in (1, 3))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    table = open_table(tmp_path)
    with pytest.warns(UserWarning, match="damaged") as told:
        check(table)
    assert len(told) == 2
    check(open_table(tmp_path))


def test_a_chunk_that_is_gone_while_the_table_is_open(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    fill(table, 3)
    path = chunk_file(table, 1)
    path.unlink()
    with pytest.warns(UserWarning, match=rf"^{path}: cannot be read \(No such file"):
        check(table, 3)
    check(table, 3)  # forgotten, and told once


def test_a_store_that_may_only_be_read(tmp_path, monkeypatch):
    table = open_table(tmp_path)
    fill(table, 1)
    fill(table, 2)
    path = chunk_file(table, 1)
    flip(path, 9)

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    for _ in range(2):
        with pytest.warns(UserWarning, match=f"^{path}: damaged"):
            check(open_table(tmp_path), 2)


def forged(table, tensors, metadata=None) -> None:
    """A file that no table wrote, under the digest of its content."""
    content = tensors
    if not isinstance(tensors, bytes):
        content = safetensors.numpy.save(tensors, metadata)
    (table.folder / f"{hashlib.sha256(content).hexdigest()}.safetensors").write_bytes(content)


def headed(header: str | bytes, data: bytes = b"") -> bytes:
    header = header.encode() if isinstance(header, str) else header
    return len(header).to_bytes(8, "little") + header + data


KEYS = np.frombuffer(digest(1) + digest(2), np.uint8).reshape(2, 32)
FOREIGN = {
    "empty": b"",
    "text": b"this is no chunk, whatever it is called\n",
    "a header of 2^63 bytes": b"\xff" * 7 + b"\x7f{}",
    "a header that is cut": headed('{"keys"')[:12],
    "deep JSON": headed("[" * 100_000),
    "deep JSON in a tensor": headed('{"keys":' + '{"a":' * 50_000 + "1" + "}" * 50_001),
    "no object": headed("[1]"),
    "keys of a million terabytes": headed(
        json.dumps({"keys": {"dtype": "U8", "shape": [2**60, 32], "data_offsets": [0, 2**65]}})
    ),
    "keys that lie outside": headed(
        json.dumps({"keys": {"dtype": "U8", "shape": [2, 32], "data_offsets": [0, 64]}}), b"1"
    ),
    "no tensors": {},
    "no keys": values(1, 2),
    "short keys": values(1, 2) | {"keys": KEYS[:, :31]},
    "flat keys": values(1, 2) | {"keys": KEYS.ravel()},
    "keys of another type": values(1, 2) | {"keys": KEYS.view(np.int8)},
    "no column": {"keys": KEYS},
    "one column more": values(1, 2) | {"keys": KEYS, "more": KEYS},
    "more rows than keys": values(1, 2, 3) | {"keys": KEYS},
    "a column of another type": values(1, 2) | {"keys": KEYS, "predicted": np.zeros(2, np.float32)},
    "a column of another width": values(1, 2)
    | {"keys": KEYS, "image": np.zeros((2, 4), np.float32)},
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_file_under_a_chunks_name_is_passed_over(tmp_path, content):
    table = open_table(tmp_path)
    fill(table, 3)
    forged(table, content)
    with pytest.warns(UserWarning, match="damaged") as told:
        check(open_table(tmp_path), 3)
    assert len(told) == 1
    check(open_table(tmp_path), 3)


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path):
    """A terabyte of nothing, as a sparse file, with a header that fits it."""
    table = open_table(tmp_path)
    rows = 2**40 // 32
    header = {"keys": {"dtype": "U8", "shape": [rows, 32], "data_offsets": [0, 2**40]}}
    path = table.folder / f"{'0' * 64}.safetensors"
    path.write_bytes(headed(json.dumps(header)))
    try:
        os.truncate(path, path.stat().st_size + 2**40)
    except OSError:
        os.truncate(path, path.stat().st_size + 2**32)  # what this disk takes
    with pytest.warns(UserWarning, match="too large for a chunk"):
        assert not open_table(tmp_path).rows


def test_rows_of_a_key_that_comes_twice_come_once(tmp_path):
    """In one chunk, which only somebody else writes, and in two, which is ordinary."""
    table, blind = open_table(tmp_path), open_table(tmp_path)
    fill(table, 1, 2, 3)
    fill(blind, 3, 4)
    check(open_table(tmp_path), 1, 2, 3, 4)
    forged(table, values(5, 5) | {"keys": np.stack([KEYS[0], KEYS[0]])})
    assert len(read(open_table(tmp_path), digests(1, 2, 3, 4))) == 4


def test_what_else_is_in_the_folder_is_left_alone(tmp_path):
    """Leftovers of killed processes, an older store, folders and pipes."""
    table = open_table(tmp_path)
    fill(table, 1, 2)
    content = chunk_file(table, 1).read_bytes()
    name = "ab" * 32
    for other in (f".{'0' * 32}.part", "notes.txt", f"{name}.damaged", f"{name} (1).safetensors",
                  f"{name.upper()}.safetensors"):  # fmt: skip
        (table.folder / other).write_bytes(content[:50])
    (table.folder / "image").mkdir()
    (table.folder / "image" / "zarr.json").write_text("{}")
    (table.folder / f"{name}.safetensors").mkdir()
    os.mkfifo(table.folder / f"{'cd' * 32}.safetensors")  # opening it would wait for ever
    before = sorted(table.folder.rglob("*"))
    seen = open_table(tmp_path)
    check(seen, 1, 2)
    assert sorted(table.folder.rglob("*")) == before
    fill(seen, 3, 4)
    check(open_table(tmp_path), 1, 2, 3, 4)


def test_a_chunk_whose_name_is_taken_by_a_folder_is_an_error_and_not_there(tmp_path):
    table = open_table(tmp_path)
    other = open_table(tmp_path / "other")
    fill(other, 2, 3)
    blocked = table.folder / chunk_file(other, 2).name
    blocked.mkdir()  # a rename onto a folder fails
    fill(table, 1)
    with pytest.raises(InputError, match=f"^{table.folder}: the store cannot be used .*; "):
        fill(table, 2, 3)
    assert [p.name for p in table.folder.iterdir() if p.name.startswith(".")] == []
    for seen in (table, open_table(tmp_path)):
        check(seen, 1)
    blocked.rmdir()
    fill(table, 2, 3)
    check(open_table(tmp_path), 1, 2, 3)
    assert len(chunk_files(tmp_path / table.folder.name)) == 2
