"""What is damaged, half written or left over in a store is not there, and made again."""

import pytest

from jaxvlm.clip import store, store_arrays
from jaxvlm.errors import InputError
from tests.clip.store_rows import COLUMNS, check, chunk_file, digest, digests, fill, open_table


def flip(path, position) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def cut(path, size) -> None:
    path.write_bytes(path.read_bytes()[:size])


def damages(size):
    """Every byte flipped, every length cut to, something added, zeros, and the file gone."""
    yield from (lambda path, i=i: flip(path, i) for i in range(size))
    yield from (lambda path, i=i: cut(path, i) for i in range(size))
    yield lambda path: path.write_bytes(path.read_bytes() + b"\0")
    yield lambda path: path.write_bytes(bytes(size))
    yield lambda path: path.unlink()


@pytest.mark.parametrize("name", ["image", "predicted", "content"])
def test_a_damaged_chunk_is_made_again(tmp_path, name):
    table = open_table(tmp_path)
    fill(table, 1, 2, 3)
    fill(table, 4, 5)
    number = table.rows[digest(2)][0]
    path = chunk_file(table, name, number)
    whole = path.read_bytes()
    for damage in damages(len(whole)):
        damage(path)
        table = open_table(tmp_path)
        if digest(2) in table.rows:  # seen when the chunk is read
            with pytest.raises(InputError, match=f"^{path}: damaged .*; "):
                store.read_rows(table, digests(4, 2))
            assert store.forget_damaged(table, digests(4, 2, 2, 9)) == 3
        assert store.missing(table, digests(1, 2, 3, 4, 5)) == [0, 1, 2]
        check(table, 4, 5)
        fill(table, 1, 2, 3)
        check(table, *range(1, 6))
        assert path.read_bytes() == whole
    check(open_table(tmp_path), *range(1, 6))


def test_a_chunk_that_lacks_a_file_is_not_there(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    fill(table, 3)
    path = chunk_file(table, "predicted", table.rows[digest(1)][0])
    path.unlink()
    with pytest.raises(InputError, match=f"^{path}: .* is missing.*; "):
        store.read_rows(table, digests(1))
    assert store.missing(open_table(tmp_path), digests(1, 2, 3)) == [0, 1]


def test_a_row_that_is_also_in_a_whole_chunk_is_not_lost(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2, 3)
    first = table.rows[digest(1)][0]
    blind = open_table(tmp_path)
    blind.rows.clear()  # as a process sees it that opened the table before
    fill(blind, 3, 4)
    for number in table.chunks | blind.chunks:
        path = chunk_file(table, "image", number)
        whole = path.read_bytes()
        flip(path, 9)
        seen = open_table(tmp_path)
        lost = 2 if number == first else 1
        assert store.forget_damaged(seen, digests(1, 2, 3, 4)) == lost
        check(seen, 3)
        path.write_bytes(whole)


def test_left_over_files_are_nothing(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1, 2)
    number = table.rows[digest(1)][0]
    for name in (*COLUMNS, "content"):
        folder = table.folder / name
        whole = chunk_file(table, name, number).read_bytes()
        zeros = ".0" * (table.arrays[name].rank - 1)
        (folder / f"c.{number + 1}{zeros}_0123456789abcdef.__lock").write_bytes(whole[:7])
        (folder / f"c.{number + 2}{zeros}.__lock").write_bytes(whole)
        (folder / f"c.{number + 3}{zeros}.tmp").write_bytes(whole)
        (folder / "c.x.0").write_bytes(whole)
    (table.folder / ".description-abc").mkdir()
    seen = open_table(tmp_path)
    assert list(seen.chunks) == [number]
    fill(seen, 3, 4)
    check(open_table(tmp_path), 1, 2, 3, 4)


def test_a_chunk_that_fails_is_not_there(tmp_path):
    table = open_table(tmp_path)
    fill(table, 1)
    number = store_arrays.chunk_number(sorted(digests(2, 3)))
    blocked = chunk_file(table, "predicted", number)
    blocked.mkdir()  # a rename onto a folder fails
    with pytest.raises(InputError, match=f"^{table.folder}: the store cannot be used .*; "):
        fill(table, 2, 3)
    assert not chunk_file(table, "content", number).exists()
    for seen in (table, open_table(tmp_path)):
        assert list(seen.rows) == digests(1)
    blocked.rmdir()
    fill(table, 2, 3)
    check(open_table(tmp_path), 3, 1, 2)
