"""Weight files to and from Flax parameters, without PyTorch and without unpickling anything.

PyTorch and Flax name and lay out the same tensors differently: a Dense kernel is the transposed
``weight``, a convolution goes from [out, in, h, w] to [h, w, in, out], a norm's ``weight`` is
``scale``, an embedding's is ``embedding``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.serialization
import numpy as np
import safetensors
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxvlm.data.torch_files import read_torch
from jaxvlm.errors import InputError
from jaxvlm.files import NOT_FOR_NUMPY, read_json

_SAFETENSORS, _PICKLED = "model.safetensors", "pytorch_model.bin"
_MSGPACK = "flax_model.msgpack"
_CURE = "take config.json and weights from the same model"


def read_params(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    left_out: Callable[[str], bool] = lambda path: False,
) -> dict[str, Any]:
    """The float32 parameter tree from a folder's weight file.

    ``shapes``: dotted Flax path -> shape, as ``architecture.expected_shapes`` gives it.
    ``left_out``: the paths that are not wanted; of safetensors they are not read. Looks
    for ``model.safetensors``, ``flax_model.msgpack``, then ``pytorch_model.bin``, which is read
    as data and not unpickled; the first and the last may be sharded. Raises InputError for a
    missing or unreadable file, a missing, superfluous, misshapen or non-finite tensor.
    """
    if files := _torch_files(folder, _SAFETENSORS):
        flat = _read_torch(files, shapes, left_out)
    elif (folder / _MSGPACK).is_file():
        wanted = {path: shape for path, shape in shapes.items() if not left_out(path)}
        flat = _read_msgpack(folder / _MSGPACK, wanted)
    elif files := _torch_files(folder, _PICKLED):
        flat = _read_torch(files, shapes, left_out)
    else:
        raise InputError(
            f"{folder}: no model.safetensors, {_MSGPACK} or pytorch_model.bin; check the folder"
        )
    return unflatten_dict(flat, sep=".")


def projection_dim(folder: Path) -> int | None:
    """The width D of the embeddings that a folder's weights give; None where they do not say."""
    name = "text_projection.weight"
    for stem in (_SAFETENSORS, _PICKLED):
        for file, wanted in _torch_files(folder, stem).items():
            if wanted is None or name in wanted:
                for _, tensor in _tensors(file, [name]):
                    return int(tensor.shape[0])
        if stem == _SAFETENSORS and (folder / _MSGPACK).is_file():
            found = _msgpack_tensors(folder / _MSGPACK).get("text_projection.kernel")
            return None if found is None else int(found.shape[1])
    return None


def torch_tensors(params: Mapping[str, Any], dtype: str = "float32") -> dict[str, np.ndarray]:
    """PyTorch name -> tensor in PyTorch layout, sorted by name; the inverse of reading."""
    tensors = {}
    for path, leaf in flatten_dict(params, sep=".").items():
        array = np.asarray(leaf)
        array = array.transpose(_torch_axes(path, array.ndim)).astype(dtype)
        tensors[torch_name(path)] = array.copy()
    return dict(sorted(tensors.items()))


def torch_name(path: str) -> str:
    """``text_projection.kernel`` -> ``text_projection.weight``."""
    stem, _, last = path.rpartition(".")
    return f"{stem}.weight" if last in ("kernel", "scale", "embedding") else path


def _torch_axes(path: str, ndim: int) -> tuple[int, ...]:
    """The Flax axes in PyTorch's order."""
    if not path.endswith(".kernel"):
        return tuple(range(ndim))
    return (1, 0) if ndim == 2 else (3, 2, 0, 1)


def _read_torch(
    files: Mapping[Path, list[str] | None],
    shapes: Mapping[str, tuple[int, ...]],
    left_out: Callable[[str], bool],
) -> dict[str, np.ndarray]:
    """``files``: file -> the tensors wanted from it, None for all."""
    skipped = {torch_name(path) for path in shapes if left_out(path)}
    shapes = {path: shape for path, shape in shapes.items() if not left_out(path)}
    paths = {torch_name(path): path for path in shapes}
    source = next(iter(files)) if len(files) == 1 else next(iter(files)).parent
    flat: dict[str, np.ndarray] = {}
    for file, wanted in files.items():
        for name, array in _tensors(file, wanted, skipped):
            if name in paths:
                path = paths[name]
                axes = _torch_axes(path, len(shapes[path]))
                array = _checked(file, name, array, tuple(shapes[path][axis] for axis in axes))
                flat[path] = array.transpose(np.argsort(axes).tolist()).copy()
            # position_ids are buffers that older transformers saved; other strangers inside the
            # towers mean that the configuration describes a smaller model than the file holds.
            elif name.startswith(("text_model.", "vision_model.")) and "position_ids" not in name:
                raise InputError(f"{file}: tensor {name} is not in the configuration; {_CURE}")
    _require_all(source, shapes, flat, torch_name)
    return flat


def _torch_files(folder: Path, name: str) -> dict[Path, list[str] | None]:
    """The files of a whole or sharded model and the tensors wanted from each; none: no such."""
    if (folder / name).is_file():
        return {folder / name: None}
    index = folder / f"{name}.index.json"
    return dict(_shards(index)) if index.is_file() else {}


def _tensors(
    file: Path, wanted: list[str] | None, skipped: Collection[str] = ()
) -> Iterator[tuple[str, np.ndarray]]:
    if file.suffix == ".bin":
        state = read_torch(file)
        if not isinstance(state, dict):
            raise InputError(f"{file}: not a state_dict; take the file that came with the model")
        for name in sorted(map(str, state) if wanted is None else set(wanted) & set(state)):
            if name not in skipped:
                yield name, state[name]
        return
    try:
        with safetensors.safe_open(str(file), framework="np") as opened:
            names = sorted(opened.keys())
            for name in names if wanted is None else sorted(set(wanted) & set(names)):
                if name not in skipped:
                    yield name, opened.get_tensor(name)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; download all shards of the model") from None
    except (safetensors.SafetensorError, *NOT_FOR_NUMPY) as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{file}: not a safetensors file ({cause}); download it again") from None


def _shards(index: Path) -> dict[Path, list[str]]:
    value = read_json(index)
    names = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(names, dict) or not names:
        raise InputError(f"{index}: has no weight_map; download it again")
    files: dict[Path, list[str]] = {}
    for name, file in sorted(names.items()):
        # Only the file's own name: an index must not lead out of its folder.
        files.setdefault(index.parent / Path(str(file)).name, []).append(name)
    return files


def _read_msgpack(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    found = _msgpack_tensors(file)
    flat = {
        path: _checked(file, path, found[path], shape)
        for path, shape in shapes.items()
        if path in found
    }
    _require_all(file, shapes, flat, str)
    return flat


def _msgpack_tensors(file: Path) -> dict[str, Any]:
    try:
        return flatten_dict(flax.serialization.msgpack_restore(file.read_bytes()), sep=".")
    # msgpack raises a different class for each way in which bytes can be no msgpack.
    except Exception as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file}: not Flax msgpack ({cause}); download it again") from None


def _checked(file: Path, name: str, array: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        raise InputError(f"{file}: {name} is not a tensor; take an intact copy")
    # Some files hold the scalar logit scale as a vector of one.
    if array.shape != shape and not (shape == () and array.size == 1):
        raise InputError(
            f"{file}: tensor {name} has shape {array.shape}, config.json asks for {shape}; {_CURE}"
        )
    array = array.astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise InputError(f"{file}: tensor {name} holds NaN or infinity; take an intact copy")
    return array


def _require_all(source, shapes, flat, name_of) -> None:
    missing = sorted(name_of(path) for path in shapes if path not in flat)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{source}: tensor {missing[0]}{more} missing; {_CURE}")
