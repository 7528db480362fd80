"""Files of `torch.save` read and written without PyTorch, as NumPy arrays; no code is run.

The format (PyTorch 1.6 and newer, `torch/serialization.py`): an uncompressed zip whose one folder
holds ``data.pkl``, a pickle in which a tensor is a call of `torch._utils._rebuild_tensor_v2` on a
storage, offset, size and stride; ``data/KEY``, the bytes of each storage; ``byteorder``.
"""

import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from jaxvlm import bounds, outputs
from jaxvlm.data import plain_pickle
from jaxvlm.data.plain_pickle import PickleError
from jaxvlm.errors import InputError
from jaxvlm.reading import BROKEN_ZIP

_STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "ShortStorage": np.dtype(np.int16),
    "IntStorage": np.dtype(np.int32),
    "LongStorage": np.dtype(np.int64),
    "BoolStorage": np.dtype(np.bool_),
}
# Written with a storage of bytes and the tensor's own type.
_TYPES = {
    f"torch.{name}": np.dtype(getattr(ml_dtypes, name, None) or name)
    for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2")
}
_LARGEST_VIEW = bounds.REPEATED_BYTES
_MAX_DIRECTORY = bounds.ZIP_DIRECTORY
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of PyTorch before 1.6
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Storage(NamedTuple):
    """The bytes of a storage and their type, None for plain bytes."""

    data: np.ndarray  # uint8
    dtype: np.dtype | None


def read_torch(path: str | os.PathLike) -> Any:
    """What `torch.save` wrote: dicts, lists, tuples, numbers and text, tensors as NumPy arrays.

    Arrays are read-only and share memory where the tensors shared a storage; bfloat16 and float8
    come as `ml_dtypes`. Whether a tensor was a parameter, and where it lay, is not kept.

    Raises:
      InputError: no such file; truncated, or not of torch.save; from before PyTorch 1.6; it holds
        something else than tensors and plain values.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file; check the path")
    try:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{path}: {_not_a_zip(path)}")
        if _directory_size(path) > _MAX_DIRECTORY:
            raise PickleError(f"is a zip with a directory of over {_MAX_DIRECTORY:,} bytes")
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path.stat().st_size)
    except PickleError as error:
        raise InputError(
            f"{path}: {error}; save a dict of tensors in it, such as a state_dict"
        ) from None
    except BROKEN_ZIP as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: damaged or truncated ({cause}); copy it again") from None


def write_torch(path: str | os.PathLike, value: Any) -> None:
    """Writes plain values and arrays as `torch.load(path, weights_only=True)` reads them.

    Arrays become tensors on the CPU, each with its own storage. Same value, same bytes. Atomic.
    Raises TypeError for what is neither plain nor an array of a type that PyTorch has.
    """
    arrays: list[np.ndarray] = []
    code = b"\x80\x02" + _emit(value, arrays) + b"."
    folder = Path(path).stem or "archive"
    records = {
        "data.pkl": code,
        "byteorder": b"little",
        **{f"data/{key}": array.tobytes() for key, array in enumerate(arrays)},
        "version": b"3\n",
    }
    with outputs.output_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in records.items():
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}", _EPOCH), content)


def _not_a_zip(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(len(_LEGACY))
    if start == _LEGACY:
        return "PyTorch's format from before 1.6; load it in PyTorch and torch.save it again"
    if start.startswith(b"PK"):
        return "a truncated zip file; copy it again"
    return "not a file of torch.save; check the path"


def _directory_size(path: Path) -> int:
    """Bytes of the zip's directory as its end says; `zipfile` makes 500 of each entry's 50.

    Source: APPNOTE.TXT of PKWARE, 4.3.14 and 4.3.16.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16 - 100))
        tail = file.read()
    found = [(b"PK\x05\x06", 12, "<I"), (b"PK\x06\x06", 40, "<Q")]
    sizes = [0]
    for start, offset, form in found:
        place = tail.rfind(start) + offset
        if place >= offset and place + struct.calcsize(form) <= len(tail):
            sizes += struct.unpack_from(form, tail, place)
    return max(size for size in sizes if size != 0xFFFFFFFF)  # which stands for the longer form


def _read(archive: zipfile.ZipFile, size: int) -> Any:
    entries = {entry.filename: entry for entry in archive.infolist()}
    roots = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise PickleError("is a zip file, but not of torch.save")
    (root,) = roots
    if f"{root}constants.pkl" in entries:
        raise PickleError("is a TorchScript program, which is code")
    # torch.save never compresses: nothing can be larger than the file, alone or in sum.
    if sum(entry.file_size for entry in entries.values()) > size:
        raise PickleError("declares more than it holds")
    order = f"{root}byteorder"
    swapped = order in entries and archive.read(order) == b"big"
    storages: dict[str, np.ndarray] = {}

    def storage(identity: Any) -> _Storage:
        kind, dtype, key, _location, count = identity
        name = f"{root}data/{key}"
        if kind != "storage" or not (dtype is None or isinstance(dtype, np.dtype)):
            raise PickleError("refers to something else than a storage")
        if name not in entries:
            raise PickleError(f"lacks the storage {key}")
        if key not in storages:
            storages[key] = np.frombuffer(archive.read(name), np.uint8)
        width = 1 if dtype is None else dtype.itemsize
        if type(count) is not int or count < 0 or count * width > storages[key].size:
            raise PickleError(f"declares more than it holds in storage {key}")
        return _Storage(storages[key][: count * width], dtype)

    def tensor(store: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> np.ndarray:
        return _view(store, offset, shape, stride, store.dtype, swapped)

    def typed_tensor(
        store: Any, offset: Any, shape: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest
    ) -> np.ndarray:
        return _view(store, offset, shape, stride, dtype, swapped)

    if entries[f"{root}data.pkl"].file_size > plain_pickle.MAX_BYTES:
        raise PickleError(f"is a pickle of over {plain_pickle.MAX_BYTES:,} bytes")
    # Our own reader: of these names alone it makes values, and nothing in the file is run.
    return plain_pickle.loads(
        archive.read(f"{root}data.pkl"),
        functions={
            "collections.OrderedDict": dict,
            "torch.Size": tuple,
            "torch._utils._rebuild_tensor_v2": tensor,
            "torch._utils._rebuild_tensor_v3": typed_tensor,
            "torch._utils._rebuild_parameter": lambda data, *rest: data,
        },
        constants={
            **{f"torch.{name}": dtype for name, dtype in _STORAGES.items()},
            **_TYPES,
            "torch.storage.UntypedStorage": None,
        },
        persistent=storage,
    )


def _view(
    store: Any, offset: Any, shape: Any, stride: Any, dtype: Any, swapped: bool
) -> np.ndarray:
    """The strided view of a storage that a tensor is, after checking that it stays inside."""
    if not isinstance(store, _Storage) or not isinstance(dtype, np.dtype):
        raise PickleError("makes a tensor of something else than a storage")
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
        raise PickleError("holds a tensor without a sensible shape")
    flat = store.data[: store.data.size // dtype.itemsize * dtype.itemsize]
    flat = _swapped(flat, dtype) if swapped else flat.view(dtype)
    elements = int(np.prod([int(n) for n in shape], dtype=object))
    last = offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True))
    if elements and last >= flat.size:
        raise PickleError("holds a tensor that reaches beyond its storage")
    if elements > flat.size and elements * dtype.itemsize > _LARGEST_VIEW:
        raise PickleError("declares more than it holds")
    if not elements:
        return np.zeros(shape, dtype)
    steps = [s * dtype.itemsize for s in stride]
    # Through integers, because as_strided does not know all types of ml_dtypes.
    plain = flat[offset:].view(f"u{dtype.itemsize}")
    return np.lib.stride_tricks.as_strided(plain, shape, steps, writeable=False).view(dtype)


def _swapped(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    # Through integers, because the types of ml_dtypes have no other byte order.
    return data.view(f"u{dtype.itemsize}").byteswap().view(dtype)


def _emit(value: Any, arrays: list[np.ndarray]) -> bytes:
    """The protocol 2 opcodes of a value; arrays are collected, their index is their key."""
    if isinstance(value, np.ndarray | np.generic):
        return _emit_tensor(np.asarray(value), arrays)
    if value is None or isinstance(value, bool | int | float | str):
        return pickle.dumps(value, protocol=2)[2:-1]
    if isinstance(value, Mapping):
        items = [part for pair in value.items() for part in pair]
        return b"}(" + b"".join(_emit(item, arrays) for item in items) + b"u"
    if isinstance(value, list | tuple):
        start, end = (b"](", b"e") if isinstance(value, list) else (b"(", b"t")
        return start + b"".join(_emit(item, arrays) for item in value) + end
    raise TypeError(f"a {type(value).__name__} is neither a plain value nor an array")


def _emit_tensor(array: np.ndarray, arrays: list[np.ndarray]) -> bytes:
    names = {dtype: name for name, dtype in _STORAGES.items()}
    array = array.astype(array.dtype.newbyteorder("=")) if not array.dtype.isnative else array
    if array.dtype not in names:
        raise TypeError(f"no tensor of PyTorch is of type {array.dtype}")
    key = str(len(arrays))
    arrays.append(np.ascontiguousarray(array))
    stride = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
    storage = (
        b"("
        + _emit("storage", arrays)
        + f"ctorch\n{names[array.dtype]}\n".encode()
        + _emit(key, arrays)
        + _emit("cpu", arrays)
        + _emit(array.size, arrays)
        + b"tQ"
    )
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + _emit(0, arrays)
        + _emit(tuple(array.shape), arrays)
        + _emit(tuple(stride), arrays)
        + _emit(False, arrays)
        + b"ccollections\nOrderedDict\n)RtR"
    )
