"""Write a CLIP in the Hugging Face layout, as transformers' PyTorch and Flax classes read it."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import safetensors.numpy
from tokenizers import Tokenizer

from jaxvlm.clip import config as configs
from jaxvlm.clip import weights
from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.preprocessing import CLIP_MEAN, CLIP_STD
from jaxvlm.clip.tokenizer import END, START
from jaxvlm.errors import InputError
from jaxvlm.files import write_json, write_text
from jaxvlm.outputs import output_path

FOLDER = "a CLIP"  # what `outputs` calls one


def save(
    folder: str | os.PathLike,
    params: Any,
    config: ClipConfig,
    tokenizer_json_path: str | os.PathLike | None = None,
    *,
    dtype: str = "float32",
) -> None:
    """Writes a model folder that ``load`` reads back; the folder appears whole or not at all.

    ``params``: the Flax tree. ``dtype``: "float32" or "float16", how weights are stored. The
    tokenizer, if given, is written as ``tokenizer.json`` and, when it is a BPE of CLIP's kind
    (words end in ``</w>``), as ``vocab.json`` + ``merges.txt`` too. Same input, same bytes.
    """
    with output_path(folder, kind=FOLDER) as temporary:
        temporary.mkdir()
        write_json(temporary / "config.json", _config_dict(config, dtype))
        write_json(temporary / "preprocessor_config.json", _preprocessor_dict(config))
        # The metadata entry is what transformers' PyTorch loader insists on. Written as bytes,
        # because save_file makes files that only their owner may read.
        tensors = weights.torch_tensors(params, dtype)
        content = safetensors.numpy.save(tensors, metadata={"format": "pt"})
        (temporary / "model.safetensors").write_bytes(content)
        if tokenizer_json_path is not None:
            _write_tokenizer(temporary, Path(tokenizer_json_path), config)


def _config_dict(config: ClipConfig, dtype: str) -> dict[str, Any]:
    own = configs.from_dict(config.to_dict()).to_dict()
    version = metadata.version("transformers")  # whose layout it is
    value = own | {
        "architectures": ["CLIPModel"],
        "dtype": dtype,
        "transformers_version": version,
    }
    return json.loads(json.dumps(value, sort_keys=True))


def _preprocessor_dict(config: ClipConfig) -> dict[str, Any]:
    side = config.vision_config.image_size
    return {
        "crop_size": {"height": side, "width": side},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(CLIP_MEAN),
        "image_processor_type": "CLIPImageProcessor",
        "image_std": list(CLIP_STD),
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": side},
    }


def _write_tokenizer(folder: Path, source: Path, config: ClipConfig) -> None:
    try:
        value = json.loads(Tokenizer.from_file(str(source)).to_str())
    # The tokenizers library raises bare Exception for anything wrong in a file.
    except Exception as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{source}: not a tokenizer ({cause}); check the path") from None
    names = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    length = config.text_config.max_position_embeddings
    write_text(folder / "tokenizer.json", json.dumps(value, ensure_ascii=False) + "\n")
    write_json(folder / "special_tokens_map.json", names)
    write_json(
        folder / "tokenizer_config.json",
        {**names, "model_max_length": length, "tokenizer_class": "CLIPTokenizer"},
    )
    model = value["model"]
    if model["type"] == "BPE" and model.get("end_of_word_suffix") == "</w>":
        vocabulary = model["vocab"] | {t["content"]: t["id"] for t in value["added_tokens"]}
        by_id = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
        pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
        write_json(folder / "vocab.json", by_id)
        write_text(folder / "merges.txt", "\n".join(["#version: 0.2", *pairs]) + "\n")
