"""From a folder or a Hugging Face hub id to a folder on this machine."""

import os
import re
from pathlib import Path

from huggingface_hub import snapshot_download

from jaxvlm.errors import InputError
from jaxvlm.files import read_json
from jaxvlm.terminal import control_character

_ADAPTER = "adapter_config.json"
_OPEN_CLIP_CONFIG = "open_clip_config.json"
_SMALL_FILES = [
    "config.json",
    "familiar.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    _ADAPTER,
    _OPEN_CLIP_CONFIG,
    "modules.json",
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
_OPEN_CLIP = ["open_clip_model*.safetensors*", "open_clip_pytorch_model*.safetensors*"]
_OPEN_CLIP_PICKLED = ["open_clip_pytorch_model*.bin*"]
_PICKLED = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "pytorch_model-*-of-*.bin",
]


def resolve(path_or_hub_id: str | Path) -> Path:
    """The folder itself, or the hub's snapshot of the id: from the cache where the hub is away.

    What is small comes first, since it tells the layout (`is_open_clip`). Flax msgpack weights are
    fetched only where the repository has no safetensors, and PyTorch's own, which are read without
    running what they hold, only where it has neither. Raises
    InputError if there is no such folder and neither hub nor cache has the id, and for an adapter
    or a layout that is not read, with what to do.
    """
    folder = Path(path_or_hub_id).expanduser()
    if os.path.isdir(folder):
        _require_layout(folder, str(path_or_hub_id))
        return folder
    name = str(path_or_hub_id)
    if os.path.exists(folder):
        raise InputError(f"{name}: a file; give the folder that holds config.json and the weights")
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        raise InputError(f"{name}: no such folder; check the path")
    snapshot = _snapshot(name, _SMALL_FILES)
    _require_layout(snapshot, name)
    if is_open_clip(snapshot):
        for patterns in (_OPEN_CLIP, _SAFETENSORS, _OPEN_CLIP_PICKLED):
            snapshot = _snapshot(name, patterns)
            if any(any(snapshot.glob(pattern)) for pattern in patterns):
                break
        return snapshot
    snapshot = _snapshot(name, _SMALL_FILES + _SAFETENSORS)
    if not any(snapshot.glob("model*.safetensors")):
        snapshot = _snapshot(name, ["flax_model.msgpack"])
        if not os.path.isfile(snapshot / "flax_model.msgpack"):
            snapshot = _snapshot(name, _PICKLED)
    return snapshot


def is_open_clip(folder: Path) -> bool:
    """Whether a folder is to be read in open_clip's layout: with its configuration, and without one
    of transformers. timm's repositories have a config.json of their own, which has no model_type.
    """
    if not os.path.isfile(folder / _OPEN_CLIP_CONFIG):
        return False
    if not os.path.isfile(folder / "config.json"):
        return True
    value = read_json(folder / "config.json")
    return isinstance(value, dict) and "model_type" not in value


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


def _require_layout(folder: Path, name: str) -> None:
    """Raises InputError for what is known to be no whole CLIP in the Hugging Face layout."""
    if os.path.isfile(folder / _ADAPTER):
        base = _base_model(folder / _ADAPTER)
        raise InputError(
            f"{name}: an adapter (LoRA) of {base}, which the weights beside it do not hold; merge "
            f"it: PeftModel.from_pretrained(CLIPModel.from_pretrained({base!r}), "
            f"{name!r}).merge_and_unload().save_pretrained(OUT), copy the other files of {base} "
            "there, and give OUT"
        )
    if os.path.isfile(folder / "config.json") or is_open_clip(folder):
        return
    if any(folder.glob("open_clip_*")):
        raise InputError(
            f"{name}: weights in open_clip's layout without {_OPEN_CLIP_CONFIG}, which says what "
            "they are of; put the one of the same model there"
        )
    if os.path.isfile(folder / "modules.json"):
        raise InputError(
            f"{name}: a model of sentence-transformers; give the folder in it that holds "
            "config.json, 0_CLIPModel"
        )


def _base_model(path: Path) -> str:
    value = read_json(path)
    base = value.get("base_model_name_or_path") if isinstance(value, dict) else None
    if not isinstance(base, str) or not base.strip() or control_character(base):
        return "its base"
    return " ".join(base.split())[:100]
