"""Files of torch.save against PyTorch itself, and files that are not what they say."""

import io
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch

from jaxvlm.data import torch_files
from jaxvlm.data.torch_files import read_torch, write_torch
from jaxvlm.errors import InputError

DTYPES = "float32 float64 float16 bfloat16 int8 uint8 int16 int32 int64 bool".split()
NEWER = "uint16 uint32 uint64 float8_e4m3fn float8_e5m2".split()


def failure(path):
    with pytest.raises(InputError) as caught:
        read_torch(path)
    message = str(caught.value)
    assert str(path) in message and ";" in message and "\n" not in message
    return message


def as_numpy(tensor):
    """By way of PyTorch's own exact conversion to float64."""
    return tensor.detach().to(torch.float64).numpy()


def rewritten(path, change):
    """The file with its records changed: name below the root -> content, None leaves it out."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(records)).split("/")[0]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            content = change(name.removeprefix(f"{root}/"), content)
            if content is not None:
                archive.writestr(name, content)


@pytest.mark.parametrize("name", [*DTYPES, *NEWER])
def test_every_type_is_read_exactly(tmp_path, name):
    tensor = (torch.arange(-6, 6).reshape(3, 4).abs() / 2).to(getattr(torch, name))
    torch.save(tensor, tmp_path / "a.pt")
    array = read_torch(tmp_path / "a.pt")
    assert array.dtype == np.dtype(getattr(ml_dtypes, name, None) or name)
    np.testing.assert_array_equal(array.astype(np.float64), as_numpy(tensor))


def test_views_of_one_storage(tmp_path):
    base = torch.arange(24.0)
    saved = {
        "transposed": base[3:15].reshape(3, 4).t(),
        "every second": base[1::2],
        "tail": base[20:],
        "repeated": base[:1].expand(5, 7),
        "scalar": base[9],
        "empty": base[:0].reshape(0, 3),
        "diagonal": base.reshape(4, 6).diagonal(),
    }
    torch.save(saved, tmp_path / "a.pt")
    arrays = read_torch(tmp_path / "a.pt")
    assert list(arrays) == list(saved)
    for name, tensor in saved.items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy(), err_msg=name)
    assert np.shares_memory(arrays["tail"], arrays["every second"])
    with pytest.raises(ValueError, match="read-only"):
        arrays["tail"][0] = 1


def test_what_surrounds_tensors(tmp_path):
    saved = {
        "epoch": 3,
        "nested": {"deep": [torch.ones(2), (None, True, 2.5, "é")], 7: torch.Size([2, 3])},
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "same": torch.zeros(1),
    }
    saved["again"] = saved["same"]
    torch.save(saved, tmp_path / "a.pt")
    value = read_torch(tmp_path / "a.pt")
    assert value["epoch"] == 3 and value["nested"][7] == (2, 3)
    assert value["nested"]["deep"][1] == (None, True, 2.5, "é")
    np.testing.assert_array_equal(value["parameter"], [1, 1])
    assert value["again"] is value["same"]


def test_a_modules_state_dict(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).half()
    torch.save(module.state_dict(), tmp_path / "a.pt")
    arrays = read_torch(tmp_path / "a.pt")
    assert sorted(arrays) == sorted(module.state_dict())
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_a_file_of_a_big_endian_machine(tmp_path):
    saved = {name: torch.arange(1, 6).to(getattr(torch, name)) for name in DTYPES}
    path = tmp_path / "a.pt"
    torch.save(saved, path)
    widths = {str(i): tensor.element_size() for i, tensor in enumerate(saved.values())}

    def swap(name, content):
        if name == "byteorder":
            return b"big"
        if not name.startswith("data/"):
            return content
        width = widths[name.removeprefix("data/")]
        return np.frombuffer(content, f"u{width}").byteswap().tobytes()

    rewritten(path, swap)
    expected = torch.load(path, weights_only=True)
    for name, array in read_torch(path).items():
        np.testing.assert_array_equal(array.astype(np.float64), as_numpy(expected[name]))
        np.testing.assert_array_equal(array.astype(np.float64), as_numpy(saved[name]))


def test_files_from_before_the_byteorder_record(tmp_path):
    torch.save(torch.arange(3.0), tmp_path / "a.pt")
    rewritten(tmp_path / "a.pt", lambda name, content: None if name == "byteorder" else content)
    np.testing.assert_array_equal(read_torch(tmp_path / "a.pt"), [0, 1, 2])


@pytest.mark.parametrize("name", DTYPES)
def test_what_is_written_is_read_by_pytorch(tmp_path, name):
    dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
    array = np.arange(12).reshape(3, 4).astype(dtype)
    value = {"a": array.T, "nested": [(array[1:, ::2], 2**40, None)], "scalar": array[2, 3]}
    write_torch(tmp_path / "b.pt", value)
    loaded = torch.load(tmp_path / "b.pt", weights_only=True)
    assert loaded["a"].dtype == getattr(torch, name) and loaded["nested"][0][1:] == (2**40, None)
    np.testing.assert_array_equal(as_numpy(loaded["a"]), array.T.astype(np.float64))
    np.testing.assert_array_equal(as_numpy(loaded["nested"][0][0]), array[1:, ::2].astype(float))
    assert loaded["scalar"].shape == () and loaded["scalar"] == 11 or name == "bool"
    write_torch(tmp_path / "c" / "b.pt", value)
    assert (tmp_path / "c" / "b.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    np.testing.assert_array_equal(read_torch(tmp_path / "b.pt")["a"], array.T)


def test_what_pytorch_lacks_is_not_written(tmp_path):
    for value in ({"a": object()}, np.array(["text"]), np.zeros(2, np.complex64)):
        with pytest.raises(TypeError):
            write_torch(tmp_path / "b.pt", value)
    assert list(tmp_path.iterdir()) == []


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_code_in_a_file_is_not_run(tmp_path):
    path, mark = tmp_path / "a.pt", tmp_path / "ran"
    torch.save({"pbar": torch.ones(2, 2), "labels": Evil(f"touch '{mark}'")}, path)
    assert f"names '{os.system.__module__}.system', which is no data" in failure(path)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # the file is as bad as it should be
    assert mark.exists()


def test_objects_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.nn.Linear(2, 2), path)
    assert "torch.nn.modules.linear.Linear" in failure(path) and "state_dict" in failure(path)
    torch.save({"a": np.ones(2)}, path)
    assert "numpy" in failure(path)
    torch.save(torch.ones(2).to_sparse(), path)
    assert "_rebuild_sparse_tensor" in failure(path)
    program = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    program.save(path)
    assert "TorchScript" in failure(path)


def test_files_that_are_no_zip_of_torch_save(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    assert "from before 1.6; load it in PyTorch and torch.save it again" in failure(path)
    torch.save({"a": torch.ones(3)}, path)
    whole = path.read_bytes()
    for size in (len(whole) - 30, len(whole) // 2, 40):
        path.write_bytes(whole[:size])
        assert "truncated" in failure(path)
    path.write_bytes(b"")
    assert "not a file of torch.save" in failure(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "not a file of torch.save" in failure(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "hello")
    assert "not of torch.save" in failure(path)
    assert "no such file" in failure(tmp_path / "gone.pt")


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a.pt"
    torch.save(torch.full((1000,), 7.0), path)
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(7).tobytes() * 10) + 2000] ^= 1
    path.write_bytes(content)
    assert "damaged" in failure(path)


def patched(path, old, new, count=1):
    def change(name, content):
        if name == "data.pkl":
            assert content.count(old) >= count
            return content.replace(old, new)
        return content

    rewritten(path, change)


def test_declared_sizes_are_not_believed(tmp_path):
    path = tmp_path / "a.pt"

    def save():
        torch.save({"a": torch.ones(5, 7)}, path)

    save()
    patched(path, b"K#", b"J\xff\xff\xff\x7f")  # 35 elements in the storage: 2 billion
    assert "declares more than it holds in storage 0" in failure(path)
    save()
    patched(path, b"K\x05K\x07", b"K\x06K\x07")  # 6 rows of 35 elements
    assert "reaches beyond its storage" in failure(path)
    save()
    patched(path, b"K\x05K\x07", b"J\xff\xff\xff\xffK\x07")
    assert "without a sensible shape" in failure(path)
    torch.save(torch.ones(1).expand(3, 5), path)
    patched(path, b"K\x03K\x05\x86", b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86")
    assert "declares more than it holds" in failure(path)
    save()
    rewritten(path, lambda name, content: None if name == "data/0" else content)
    assert "lacks the storage 0" in failure(path)


def test_a_zip_bomb_is_not_inflated(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"a": torch.zeros(10)}, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in records.items():
            archive.writestr(name, b"\0" * 10**8 if name.endswith("data/0") else content)
    path.write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 10**6
    assert "declares more than it holds" in failure(path)


def test_a_directory_of_millions_of_entries_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    write_torch(path, {"a": np.arange(3)})
    size = torch_files._directory_size(path)
    with zipfile.ZipFile(path) as archive:  # the bytes between its start and the record of its end
        assert size == path.stat().st_size - archive.start_dir - 22
    monkeypatch.setattr(torch_files, "_MAX_DIRECTORY", size - 1)
    with pytest.raises(InputError, match="a.pt: is a zip with a directory of over"):
        read_torch(path)


def test_a_view_that_repeats_its_storage_is_bounded(tmp_path):
    torch.save(torch.zeros(1).expand(2**26 + 1), tmp_path / "a.pt")
    with pytest.raises(InputError, match="declares more than it holds"):
        read_torch(tmp_path / "a.pt")
