"""Readers of a CLIP's folder: configuration, processor, tokenizer, weights in three forms."""

import json
from pathlib import Path

import flax.serialization
import jax
import numpy as np
import torch
from flax.traverse_util import unflatten_dict
from transformers import CLIPConfig

from jaxvlm import clip, files
from jaxvlm.clip import hub
from jaxvlm.clip.architecture import expected_shapes
from jaxvlm.data import torch_files
from jaxvlm.world import language
from jaxvlm.world.bpe import BOS, EOS, train_tokenizer
from tests.clip import open_clip_torch
from tests.fuzz.case import Reader
from tests.fuzz.texts import are_names


def drop_records(folder: Path) -> None:
    """What says what we wrote: a copy of others has none."""
    for path in sorted(folder.rglob(".*")):
        path.unlink()


TOWER = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "projection_dim": 4,
}


def _make_clip(folder: Path) -> None:
    """A random CLIP of 15 kB with a tokenizer of its own."""
    tokenizer = train_tokenizer(language.corpus(np.random.default_rng(0), 50), 540)
    tokenizer.save(str(folder / "own.json"))
    end = tokenizer.token_to_id(EOS)
    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "bos_token_id": tokenizer.token_to_id(BOS),
        "eos_token_id": end,
        "pad_token_id": end,
    }
    config = CLIPConfig(
        text_config=TOWER | text,
        vision_config=TOWER | {"image_size": 16, "patch_size": 8},
        projection_dim=4,
    )
    clip.save(folder / "model", _random_params(config), config, folder / "own.json")
    (folder / "own.json").unlink()
    for path in (folder / "model").iterdir():
        path.rename(folder / path.name)
    (folder / "model").rmdir()
    for path in folder.glob(".*"):
        path.unlink()


def _random_params(config: CLIPConfig) -> dict:
    """As `clip.init_params`, which compiles for seconds."""
    rng = np.random.default_rng(0)
    flat = {
        tuple(name.split(".")): rng.normal(0, 0.1, shape).astype(np.float32)
        for name, shape in expected_shapes(config).items()
    }
    return unflatten_dict(flat)


def _make_clip_bin(folder: Path) -> None:
    """Weights as PyTorch writes them, in two shards; a tokenizer in two files."""
    _make_clip(folder)
    tensors = files.read_arrays(folder / "model.safetensors")
    names = sorted(tensors)
    shards = {"a": names[::2], "b": names[1::2]}
    for shard, held in shards.items():
        path = folder / f"pytorch_model-{shard}.bin"
        torch_files.write_torch(path, {name: tensors[name] for name in held})
    where = {n: f"pytorch_model-{shard}.bin" for shard, held in shards.items() for n in held}
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    drop_records(folder)


def _make_clip_msgpack(folder: Path) -> None:
    _make_clip(folder)
    params = jax.tree.map(np.asarray, clip.load(folder).params)
    (folder / "flax_model.msgpack").write_bytes(flax.serialization.msgpack_serialize(params))
    (folder / "model.safetensors").unlink()
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": processor}))
    (folder / "preprocessor_config.json").unlink()


def _make_open_clip(folder: Path) -> None:
    torch.manual_seed(0)
    open_clip_torch.write(folder, open_clip_torch.OpenClip())
    open_clip_torch.write_tokenizer(folder)


def _clip(folder: Path):
    """A model that loads also encodes."""
    model = clip.load(folder)
    side = np.zeros((20, 30, 3), np.uint8) + np.arange(30, dtype=np.uint8)[:, None]
    pixels = clip.preprocess(model, [side])
    ids = clip.token_ids(model.tokenizer, ["a dog & a cat"]) if model.tokenizer else [[0]]
    return model, pixels, ids


def _check_clip(result) -> None:
    model, pixels, ids = result
    side = model.config.vision_config.image_size
    assert pixels.shape == (1, 3, side, side) and np.isfinite(pixels).all()
    assert all(0 <= i < model.config.text_config.vocab_size for row in ids for i in row)
    for leaf in jax.tree.leaves(model.params):
        assert np.isfinite(np.asarray(leaf)).all()


ADAPTER = {"base_model_name_or_path": "a/b", "r": 8}
READERS = {
    "clip": Reader(_make_clip, _clip, _check_clip),
    "clip bin": Reader(_make_clip_bin, _clip, _check_clip),
    "clip msgpack": Reader(_make_clip_msgpack, _clip, _check_clip),
    "open clip": Reader(_make_open_clip, _clip, _check_clip),
    "adapter": Reader(
        lambda folder: files.write_json(folder / "adapter_config.json", ADAPTER),
        lambda folder: hub._base_model(folder / "adapter_config.json"),
        lambda name: are_names([name]),
        intact=(".jaxvlm-written.json",),
    ),
}
