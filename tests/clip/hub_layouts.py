"""CLIPs of tiny size in the layouts that the hub's repositories have, written by hand.

Keys and spellings of config.json and preprocessor_config.json are those of the repositories named;
sizes are small, so that a forward pass costs nothing.
"""

import json

import flax.serialization
import numpy as np
import safetensors.numpy
import torch
from transformers import CLIPConfig, CLIPModel

SIDE, VOCABULARY, END = 16, 64, 63
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}
VISION = {"hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 3,
          "num_hidden_layers": 2, "image_size": SIDE, "patch_size": 4}  # fmt: skip
# Keys of generation that configurations of transformers 4.16 carry along.
NOISE = {"_name_or_path": "", "add_cross_attention": False, "architectures": None,
         "bad_words_ids": None, "chunk_size_feed_forward": 0, "diversity_penalty": 0.0,
         "do_sample": False, "early_stopping": False, "finetuning_task": None,
         "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "is_decoder": False,
         "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "length_penalty": 1.0, "max_length": 20,
         "num_beams": 1, "prefix": None, "pruned_heads": {}, "return_dict": True,
         "temperature": 1.0, "tie_encoder_decoder": False, "top_k": 50, "torch_dtype": None,
         "torchscript": False, "transformers_version": "4.16.0.dev0",
         "use_bfloat16": False}  # fmt: skip


def text(**changes):
    common = {"attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2,
              "hidden_act": "quick_gelu", "initializer_factor": 1.0, "initializer_range": 0.02,
              "layer_norm_eps": 1e-05, "max_position_embeddings": 77,
              "model_type": "clip_text_model", "pad_token_id": 1,
              "vocab_size": VOCABULARY}  # fmt: skip
    return NOISE | common | TEXT | changes


def vision(**changes):
    common = {"attention_dropout": 0.0, "dropout": 0.0, "hidden_act": "quick_gelu",
              "initializer_factor": 1.0, "initializer_range": 0.02, "layer_norm_eps": 1e-05,
              "model_type": "clip_vision_model"}  # fmt: skip
    return NOISE | common | VISION | changes


def config(**changes):
    common = {"architectures": ["CLIPModel"], "initializer_factor": 1.0,
              "logit_scale_init_value": 2.6592, "model_type": "clip", "projection_dim": 20,
              "text_config": text(), "text_config_dict": None, "torch_dtype": "float32",
              "transformers_version": None, "vision_config": vision(),
              "vision_config_dict": None}  # fmt: skip
    return common | changes


CONFIGS = {
    "openai/clip-vit-base-patch32": config(
        text_config=text(projection_dim=20), vision_config=vision(projection_dim=20)
    ),
    "openai/clip-vit-base-patch16": config(_name_or_path="openai/clip-vit-base-patch16"),
    # What differs from a base model stands again in *_dict, which wins over text_config.
    "openai/clip-vit-large-patch14": config(
        text_config=text(hidden_size=8, num_hidden_layers=5),
        text_config_dict=TEXT | {"projection_dim": 20},
        vision_config=vision(),
        vision_config_dict=VISION | {"projection_dim": 20},
    ),
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": config(
        text_config=text(hidden_act="gelu"), vision_config=vision(hidden_act="gelu")
    ),
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": config(
        _commit_hash=None,
        text_config=text(hidden_act="gelu"),
        text_config_dict=TEXT | {"hidden_act": "gelu", "vocab_size": VOCABULARY},
        vision_config=vision(hidden_act="gelu"),
        vision_config_dict=VISION | {"hidden_act": "gelu"},
    ),
    # TinyCLIP: the towers' widths and depths are no multiples of each other.
    "wkcn/TinyCLIP-ViT-40M-32-Text-19M-LAION400M": config(
        text_config=text(num_hidden_layers=1, hidden_act="gelu", eos_token_id=END, bos_token_id=62),
        vision_config=vision(num_hidden_layers=3, hidden_act="gelu"),
        torch_dtype="float16",
    ),
    "only the dicts": {
        "model_type": "clip",
        "projection_dim": 20,
        "text_config_dict": TEXT | {"vocab_size": VOCABULARY},
        "vision_config_dict": VISION,
    },
    "missing keys": {
        "model_type": "clip",
        "projection_dim": 20,
        "text_config": TEXT | {"vocab_size": VOCABULARY},
        "vision_config": VISION,
    },
}
CONFIGS["openai/clip-vit-large-patch14"]["text_config_dict"]["vocab_size"] = VOCABULARY

_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_COMMON = {"do_center_crop": True, "do_normalize": True, "do_resize": True, "image_mean": _MEAN,
           "image_std": _STD, "resample": 3}  # fmt: skip
PREPROCESSORS = {
    "sizes as numbers": _COMMON
    | {"crop_size": SIDE, "feature_extractor_type": "CLIPFeatureExtractor", "size": SIDE},
    "sizes as mappings": _COMMON
    | {"crop_size": {"height": SIDE, "width": SIDE}, "do_convert_rgb": True, "do_rescale": True,
       "image_processor_type": "CLIPImageProcessor", "rescale_factor": 0.00392156862745098,
       "size": {"shortest_edge": SIDE}, "processor_class": "CLIPProcessor"},  # fmt: skip
    "larger short side": _COMMON
    | {"crop_size": SIDE, "feature_extractor_type": "CLIPFeatureExtractor", "size": SIDE + 5},
    "other statistics": _COMMON
    | {"crop_size": SIDE, "size": SIDE, "image_mean": [0.5] * 3, "image_std": [0.25] * 3},
}  # fmt: skip


def torch_model(value, seed=0):
    """PyTorch's CLIPModel of a configuration, with weights large enough for details to show."""
    model = CLIPModel(CLIPConfig.from_dict(value)).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.35 * noise + (1.0 if parameter.ndim == 1 else 0.0))
        model.logit_scale.fill_(4.6)
    return model


def tensors(model):
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def write_safetensors(folder, arrays, shards=1):
    """Whole, or in shards with an index, as transformers splits large models."""
    if shards == 1:
        safetensors.numpy.save_file(arrays, folder / "model.safetensors", {"format": "pt"})
        return
    place = {
        name: f"model-{1 + i * shards // len(arrays):05d}-of-{shards:05d}.safetensors"
        for i, name in enumerate(sorted(arrays))
    }
    for file in set(place.values()):
        part = {name: array for name, array in arrays.items() if place[name] == file}
        safetensors.numpy.save_file(part, folder / file, {"format": "pt"})
    size = sum(array.nbytes for array in arrays.values())
    index = {"metadata": {"total_size": size}, "weight_map": place}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_bin(folder, arrays, shards=1):
    state = {name: torch.as_tensor(array) for name, array in arrays.items()}
    if shards == 1:
        torch.save(state, folder / "pytorch_model.bin")
        return
    place = {
        name: f"pytorch_model-{1 + i * shards // len(state):05d}-of-{shards:05d}.bin"
        for i, name in enumerate(sorted(state))
    }
    for file in set(place.values()):
        torch.save({n: t for n, t in state.items() if place[n] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": place}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def write_msgpack(folder, params):
    (folder / "flax_model.msgpack").write_bytes(flax.serialization.to_bytes(params))


def inputs(seed=0):
    """Pixel values [3, 3, S, S] and token ids [3, 9] that end in END, padded with 1."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(3, 3, SIDE, SIDE)).astype(np.float32)
    ids = rng.integers(2, END - 1, (3, 9))
    for row, length in enumerate((9, 5, 3)):
        ids[row, length - 1] = END
        ids[row, length:] = 1
    return pixels, ids


def reference(model, pixels, ids):
    """Image and text features as PyTorch computes them."""
    with torch.no_grad():
        images = model.get_image_features(pixel_values=torch.as_tensor(pixels))
        texts = model.get_text_features(input_ids=torch.as_tensor(ids))
    return images.float().numpy(), texts.float().numpy()
