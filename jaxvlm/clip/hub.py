"""From a folder or a Hugging Face hub id to a folder on this machine."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download

from jaxvlm.errors import InputError

_SMALL_FILES = [
    "config.json",
    "familiar.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
]
_SAFETENSORS = [
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
]
_PICKLED = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*-of-*.bin",
]


def resolve(path_or_hub_id: str | Path) -> Path:
    """The folder itself, or the hub's snapshot of the id: from the cache where the hub is away.

    Flax msgpack weights are fetched only where the repository has no safetensors, and PyTorch's
    own, which are read without running what they hold, only where it has neither. Raises
    InputError if there is no such folder and neither hub nor cache has the id.
    """
    folder = Path(path_or_hub_id).expanduser()
    if folder.is_dir():
        return folder
    name = str(path_or_hub_id)
    if folder.exists():
        raise InputError(f"{name}: a file; give the folder that holds config.json and the weights")
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        raise InputError(f"{name}: no such folder; check the path")
    snapshot = _snapshot(name, _SMALL_FILES + _SAFETENSORS)
    if not any(snapshot.glob("model*.safetensors")):
        snapshot = _snapshot(name, ["flax_model.msgpack"])
        if not (snapshot / "flax_model.msgpack").is_file():
            snapshot = _snapshot(name, _PICKLED)
    return snapshot


def _snapshot(hub_id: str, patterns: list[str]) -> Path:
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    # Every failure of the hub client (no network, no such repository, no access, bad id) is an
    # OSError or a ValueError.
    except (OSError, ValueError) as error:
        raise InputError(
            f"{hub_id}: no such folder, not in the hub's cache and not to be had from the hub "
            f"({type(error).__name__}); check the path or id, or download it where there is a "
            "network"
        ) from None
