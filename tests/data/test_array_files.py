""".npy files: every order and type of numbers, and headers that lie."""

import struct

import numpy as np
import pytest

from jaxvlm.data.array_files import read_array
from jaxvlm.errors import InputError


@pytest.mark.parametrize("dtype", ["?", "i1", "<i8", ">i4", "u2", "<f2", "f4", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_come_back(tmp_path, dtype, shape, order):
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), order=order)
    np.save(tmp_path / "a.npy", array)
    found = read_array(tmp_path / "a.npy")
    assert found.dtype == array.dtype and found.flags.c_contiguous and found.flags.writeable
    np.testing.assert_array_equal(found, array)


def npy(header, data=b"", version=1, length=None):
    text = header.encode()
    field = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes((version, 0)) + field + text + data


def numbers(shape, descr="'<f8'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "it is empty"),
        (b"PK\3\4" + bytes(60), "magic string"),
        (npy(numbers("(500000000000,)"), bytes(8)), "needs 4,000,000,000,000 bytes, the file has"),
        (npy(numbers("(3,)"), bytes(23)), "needs 24 bytes, the file has 23"),
        (npy(numbers("(3,)"), bytes(32)), "needs 24 bytes, the file has 32"),
        (npy(numbers("(-3, -1)"), bytes(24)), "shape"),
        (npy(numbers("(2**40,)"), bytes(24)), ""),
        (npy(numbers("(1,)", "'|O'"), bytes(8)), "Python objects"),
        (npy(numbers("(1,)", "[('a', '|O')]"), bytes(8)), "Python objects"),
        (npy(numbers("(1,)", "[('a', '<f8')]"), bytes(8)), "in it"),
        (npy(numbers("(1,)", "'<U4'"), bytes(16)), "<U4 in it"),
        (npy(numbers("(1,)") + " " * 100_000, bytes(8), 2), "a header of over 4,096 bytes"),
        (npy("{", b"", 2, 2**32 - 1), "a header of over 4,096 bytes"),
        (npy("-" * 4000 + "1"), ""),
        (npy(numbers("(1,)", r"'<\8'"), bytes(8)), "Cannot parse header"),
        (npy("(" * 4000), ""),
        (npy(numbers("(1,)"), bytes(8), 3), "version 3.0"),
    ],
)
def test_a_header_that_lies_is_one_line(tmp_path, content, cause):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.npy: no array of numbers \(.*{cause}") as error:
        read_array(tmp_path / "a.npy")
    assert len(str(error.value)) < 250 + len(str(tmp_path)) and "\n" not in str(error.value)


def test_python_objects_are_not_loaded(tmp_path):
    path = tmp_path / "gt.npy"
    # Written with a pickle in it, to see that reading refuses it.
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no array of numbers"):
        read_array(path)
    with pytest.raises(InputError, match="no such file"):
        read_array(tmp_path / "none.npy")


def test_an_array_beyond_what_is_needed_is_not_read(tmp_path):
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        file.write(npy(numbers(f"({2**28},)")))
        file.truncate(file.tell() + 2**31)  # a hole: takes no disk
    with pytest.raises(InputError, match="over 1,073,741,824 bytes"):
        read_array(path)
