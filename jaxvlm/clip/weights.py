"""Weight files to and from Flax parameters, without PyTorch and without unpickling anything.

PyTorch and Flax name and lay out the same tensors differently: a Dense kernel is the transposed
``weight``, a convolution goes from [out, in, h, w] to [h, w, in, out], a norm's ``weight`` is
``scale``, an embedding's is ``embedding``.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import numpy as np
import safetensors
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxvlm.data.torch_files import read_torch
from jaxvlm.errors import InputError
from jaxvlm.files import NOT_FOR_NUMPY, read_json
from jaxvlm.reading import unreadable

_SAFETENSORS, _PICKLED = "model.safetensors", "pytorch_model.bin"
_MSGPACK = "flax_model.msgpack"


class Source(NamedTuple):
    """Where a Flax parameter stands in a file of PyTorch's: the tensor's name, the Flax axes in the
    file's order, and for one of three parameters that lie one above another which one it is."""

    name: str
    axes: tuple[int, ...]
    part: int | None = None


class Layout(NamedTuple):
    """How a library names and stores a CLIP.

    files: of weights, the first that is there is read. source: of a dotted Flax path and its number
    of axes. known_name: a file's own name of a tensor as ``source`` spells it. is_stranger: whether
    a tensor that no parameter comes from means that the configuration is of another model.
    """

    config: str
    files: tuple[str, ...]
    source: Callable[[str, int], Source]
    known_name: Callable[[str], str]
    is_stranger: Callable[[str], bool]


def read_params(
    folder: Path,
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout | None = None,
    *,
    left_out: Callable[[str], bool] = lambda path: False,
) -> dict[str, Any]:
    """The float32 parameter tree from a folder's weight file.

    ``shapes``: dotted Flax path -> shape, as ``architecture.expected_shapes`` gives it. ``layout``:
    Hugging Face's by default, which has ``model.safetensors``, ``flax_model.msgpack`` or
    ``pytorch_model.bin``. ``.bin`` is read as data and not unpickled; all but msgpack may be
    sharded. ``left_out``: the paths that are not wanted; of safetensors they are not read. Raises
    InputError for a missing or unreadable file, a missing, superfluous, misshapen or non-finite
    tensor.
    """
    layout = layout or HUGGING_FACE
    wanted = {path: shape for path, shape in shapes.items() if not left_out(path)}
    for name in layout.files:
        if name == _MSGPACK and (folder / name).is_file():
            return unflatten_dict(_read_msgpack(folder / name, wanted), sep=".")
        if name != _MSGPACK and (files := _torch_files(folder, name)):
            return unflatten_dict(_read_torch(files, shapes, layout, left_out), sep=".")
    *names, last = layout.files
    raise InputError(f"{folder}: no {', '.join(names)} or {last}; check the folder")


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
        array = array.transpose(torch_axes(path, array.ndim)).astype(dtype)
        tensors[torch_name(path)] = array.copy()
    return dict(sorted(tensors.items()))


def torch_name(path: str) -> str:
    """``text_projection.kernel`` -> ``text_projection.weight``."""
    stem, _, last = path.rpartition(".")
    return f"{stem}.weight" if last in ("kernel", "scale", "embedding") else path


def torch_axes(path: str, ndim: int) -> tuple[int, ...]:
    """The Flax axes in PyTorch's order."""
    if not path.endswith(".kernel"):
        return tuple(range(ndim))
    return (1, 0) if ndim == 2 else (3, 2, 0, 1)


HUGGING_FACE = Layout(
    config="config.json",
    files=(_SAFETENSORS, _MSGPACK, _PICKLED),
    source=lambda path, ndim: Source(torch_name(path), torch_axes(path, ndim)),
    known_name=lambda name: name,
    # position_ids are buffers that older transformers saved; other strangers inside the towers
    # mean that the configuration describes a smaller model than the file holds.
    is_stranger=lambda name: (
        name.startswith(("text_model.", "vision_model.")) and "position_ids" not in name
    ),
)


def _read_torch(
    files: Mapping[Path, list[str] | None],
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    left_out: Callable[[str], bool],
) -> dict[str, np.ndarray]:
    """``files``: file -> the tensors wanted from it, None for all."""
    sources = {path: layout.source(path, len(shape)) for path, shape in shapes.items()}
    skipped = {source.name for path, source in sources.items() if left_out(path)}
    sources = {path: source for path, source in sources.items() if not left_out(path)}
    paths: dict[str, list[str]] = {}
    for path, source in sources.items():
        paths.setdefault(source.name, []).append(path)
    flat: dict[str, np.ndarray] = {}
    for file, wanted in files.items():
        for name, array in _tensors(file, wanted, lambda name: layout.known_name(name) in skipped):
            found = paths.get(layout.known_name(name), [])
            if not found and layout.is_stranger(name):
                raise InputError(
                    f"{file}: tensor {name} is not in the configuration; {_cure(layout.config)}"
                )
            for path in found:
                _, axes, part = sources[path]
                shape = tuple(shapes[path][axis] for axis in axes)
                if path == found[0]:
                    whole = shape if part is None else (len(found) * shape[0], *shape[1:])
                    array = _checked(file, name, array, whole, layout.config)
                own = array if part is None else array[part * shape[0] : (part + 1) * shape[0]]
                flat[path] = own.transpose(np.argsort(axes).tolist()).copy()
    place = next(iter(files)) if len(files) == 1 else next(iter(files)).parent
    missing = {source.name for path, source in sources.items() if path not in flat}
    _require_none_missing(place, missing, layout.config)
    return flat


def _torch_files(folder: Path, name: str) -> dict[Path, list[str] | None]:
    """The files of a whole or sharded model and the tensors wanted from each; none: no such."""
    if (folder / name).is_file():
        return {folder / name: None}
    index = folder / f"{name}.index.json"
    return dict(_shards(index)) if index.is_file() else {}


def _tensors(
    file: Path, wanted: list[str] | None, skipped: Callable[[str], bool] = lambda name: False
) -> Iterator[tuple[str, np.ndarray]]:
    if file.suffix == ".bin":
        state = read_torch(file)
        if not isinstance(state, dict):
            raise InputError(f"{file}: not a state_dict; take the file that came with the model")
        for name in sorted(map(str, state) if wanted is None else set(wanted) & set(state)):
            if not skipped(name):
                yield name, state[name]
        return
    try:
        with safetensors.safe_open(str(file), framework="np") as opened:
            names = sorted(opened.keys())
            for name in names if wanted is None else sorted(set(wanted) & set(names)):
                if not skipped(name):
                    yield name, opened.get_tensor(name)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; download all shards of the model") from None
    except OSError as error:  # a folder, say
        raise unreadable(file, error) from None
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
        path: _checked(file, path, found[path], shape, HUGGING_FACE.config)
        for path, shape in shapes.items()
        if path in found
    }
    _require_none_missing(file, set(shapes) - set(flat), HUGGING_FACE.config)
    return flat


def _msgpack_tensors(file: Path) -> dict[str, Any]:
    try:
        return flatten_dict(flax.serialization.msgpack_restore(file.read_bytes()), sep=".")
    # msgpack raises a different class for each way in which bytes can be no msgpack.
    except Exception as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file}: not Flax msgpack ({cause}); download it again") from None


def _checked(file: Path, name: str, array: Any, shape: tuple[int, ...], config: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        raise InputError(f"{file}: {name} is not a tensor; take an intact copy")
    # Some files hold the scalar logit scale as a vector of one.
    if array.shape != shape and not (shape == () and array.size == 1):
        raise InputError(
            f"{file}: tensor {name} has shape {array.shape}, {config} asks for {shape}; "
            f"{_cure(config)}"
        )
    array = array.astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise InputError(f"{file}: tensor {name} holds NaN or infinity; take an intact copy")
    return array


def _require_none_missing(place: Path, missing: set[str], config: str) -> None:
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{place}: tensor {min(missing)}{more} missing; {_cure(config)}")


def _cure(config: str) -> str:
    return f"take {config} and weights from the same model"
