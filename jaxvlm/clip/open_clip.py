"""open_clip's own layout of a CLIP: its configuration, its preprocessing, the names of its tensors.

A folder has ``open_clip_config.json`` and the weights as open_clip's ``CLIP`` and
``CustomTextCLIP`` name them (open_clip/model.py and transformer.py, version 3.3; OpenAI's code has
the same names). What those compute for a ViT and a causal text tower is what Flax's CLIP computes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxvlm.clip import image_processor
from jaxvlm.clip.architecture import USE_EMBEDDINGS, build_config
from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.preprocessing import Preprocessing
from jaxvlm.clip.weights import Layout, Source, torch_axes, torch_name
from jaxvlm.errors import InputError
from jaxvlm.files import read_json

CONFIG = "open_clip_config.json"
_MOST = 2**20  # of any number of a tower: far more than the largest has
_BLOCKS = 1_000

# Fields that change nothing in what is computed: of training, or of parts that are not there.
_IDLE = {
    "model": {"custom_text", "cast_dtype", "output_dict", "nonscalar_logit_scale"}
    | {"init_logit_scale"},  # the weights have it
    "vision_cfg": {"patch_dropout", "output_tokens", "final_ln_after_pool", "pos_embed_type"}
    | {"attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_pool"}
    | {"timm_proj", "timm_proj_bias", "timm_drop", "timm_drop_path"},
    "text_cfg": {"output_tokens", "final_ln_after_pool", "pad_id", "eos_id", "hf_tokenizer_name"}
    | {"tokenizer_mode", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type"},
}
_TOWER = {"layers", "width", "mlp_ratio", "act_kwargs", "norm_kwargs"}
_READ = {
    "model": {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"},
    "vision_cfg": _TOWER | {"head_width", "patch_size", "image_size"},
    "text_cfg": _TOWER | {"heads", "context_length", "vocab_size"},
}
# The one value besides null and false of a field that is none of these.
_AS_IN_CLIP = {
    "model": {},
    "vision_cfg": {"pool_type": "tok", "block_type": "default"},
    "text_cfg": {"pool_type": "argmax", "proj_type": "linear", "block_type": "default"},
}
_FAMILIES = {  # by what is in the name that timm has for a tower
    "siglip": "SigLIP",
    "convnext": "ConvNeXt",
    "eva": "EVA",
    "mci": "MobileCLIP",
    "vitamin": "ViTamin",
}
_FILTERS = {"bilinear": 2, "bicubic": 3, "random": 3}  # of Pillow; random in training alone


def read_config(folder: Path) -> ClipConfig:
    """Reads ``model_cfg`` of ``open_clip_config.json`` as the configuration of the same Flax CLIP.

    ``eos_token_id`` is 2: the text tower pools at the first of the highest ids, as open_clip's
    ``argmax``. Heads of the vision tower are width / head_width, the MLP is ⌊width · mlp_ratio⌋
    wide.

    Raises:
      InputError: another architecture, by its name; a field that this CLIP has not, or that is not
        known; no such file.
    """
    path, model = folder / CONFIG, _section(folder, "model_cfg")
    vision, text = (_mapping(path, model, name) for name in ("vision_cfg", "text_cfg"))
    if vision is None or text is None:
        raise InputError(f"{path}: has no vision_cfg and text_cfg in model_cfg; download it again")
    _require_clip(path, model, vision, text)
    for name, section in (("model", model), ("vision_cfg", vision), ("text_cfg", text)):
        _require_known(path, name, section)
    width, quick = _whole(path, vision, "width", 768), model.get("quick_gelu") is True
    common = {"projection_dim": _whole(path, model, "embed_dim", None)}
    value = {
        "model_type": "clip",
        **common,
        "vision_config": common
        | _tower(path, vision, width, quick)
        | {
            "num_attention_heads": max(1, width // _whole(path, vision, "head_width", 64)),
            "patch_size": _whole(path, vision, "patch_size", 16),
            "image_size": _whole(path, vision, "image_size", 224),
        },
        "text_config": common
        | _tower(path, text, _whole(path, text, "width", 512), quick)
        | {
            "num_attention_heads": _whole(path, text, "heads", 8),
            "max_position_embeddings": _whole(path, text, "context_length", 77),
            "vocab_size": _whole(path, text, "vocab_size", 49_408),
            "eos_token_id": 2,
        },
    }
    return build_config(path, value)


def read_preprocessing(folder: Path, config: ClipConfig) -> Preprocessing:
    """Reads ``preprocess_cfg``: mean, std, interpolation, resize_mode; what it lacks is OpenAI's.

    resize_mode ``shortest`` resizes the short side and cuts the middle out, ``squash`` both sides.
    The middle is transformers': where an odd number of pixels is cut off it can lie one pixel
    beside torchvision's, so that one encoder gives the same embedding from either layout.

    Raises InputError for another mode or filter, and for what `image_processor` refuses.
    """
    path, value = folder / CONFIG, _section(folder, "preprocess_cfg", default={})
    side = config.vision_config.image_size
    mode, interpolation = value.get("resize_mode"), value.get("interpolation")
    both = {"height": side, "width": side}
    sizes = {"shortest": {"shortest_edge": side}, "squash": both}
    for name, given, known in (
        ("resize_mode", mode, sizes),
        ("interpolation", interpolation, _FILTERS),
        ("mode", value.get("mode"), {"RGB": ""}),
        ("size", str(value.get("size") or side), {str(side): "", str([side, side]): ""}),
    ):
        if given is not None and not (isinstance(given, str) and given in known):
            raise InputError(
                f"{path}: preprocess_cfg.{name} is {given!r:.60}, none of {', '.join(known)}, "
                f"which are read; {USE_EMBEDDINGS}"
            )
    return image_processor.checked(
        path,
        {
            "size": sizes[mode or "shortest"],
            "crop_size": both,
            "resample": _FILTERS[interpolation or "bicubic"],
            "image_mean": value.get("mean"),
            "image_std": value.get("std"),
        },
        side,
    )


def _source(path: str, ndim: int) -> Source:
    """Where a parameter of the Flax tree stands among open_clip's tensors."""
    name = torch_name(path)
    if name in _MATRICES:
        return Source(_MATRICES[name], (0, 1))  # x·W, and not a layer's weight
    axes = torch_axes(path, ndim)
    inner = re.fullmatch(r"(vision|text)_model\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if inner is None:
        stem, dot, last = name.rpartition(".")
        return Source(_TENSORS.get(name) or f"{_MODULES[stem]}{dot}{last}", axes)
    tower, number, module, last = inner.groups()
    block = f"{'visual.' if tower == 'vision' else ''}transformer.resblocks.{number}"
    if module in _ATTENTION:
        return Source(f"{block}.attn.in_proj_{last}", axes, _ATTENTION.index(module))
    return Source(f"{block}.{_IN_BLOCK[module]}.{last}", axes)


_MATRICES = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_TENSORS = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
}
_MODULES = {
    "vision_model.embeddings.patch_embedding": "visual.conv1",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
    "text_model.embeddings.token_embedding": "token_embedding",
    "text_model.final_layer_norm": "ln_final",
}
_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")  # one above another
_IN_BLOCK = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
# What files have besides parameters: the causal mask, and numbers of OpenAI's archives.
_BUFFERS = {"attn_mask", "input_resolution", "context_length", "vocab_size"}

LAYOUT = Layout(
    config=CONFIG,
    files=(
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "model.safetensors",
        "open_clip_pytorch_model.bin",
    ),
    source=_source,
    known_name=lambda name: name.removeprefix("text."),  # so in CustomTextCLIP
    is_stranger=lambda name: name not in _BUFFERS,
)


def _section(folder: Path, name: str, default: Mapping[str, Any] | None = None):
    path = folder / CONFIG
    value = read_json(path)
    section = _mapping(path, value, name) if isinstance(value, dict) else None
    if section is None and default is None:
        raise InputError(f"{path}: has no {name}; take the file that came with the weights")
    return default if section is None else section


def _mapping(path: Path, value: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    section = value.get(name)
    if section is not None and not isinstance(section, dict):
        raise InputError(f"{path}: {name} is no JSON object; download it again")
    return section


def _require_clip(path: Path, model: Mapping, vision: Mapping, text: Mapping) -> None:
    """Raises InputError for the architectures of open_clip that are another thing, by name."""
    tower, other = vision.get("timm_model_name"), None
    if model.get("multimodal_cfg") is not None:
        other = "CoCa"
    elif tower is not None:
        family = [name for part, name in _FAMILIES.items() if part in str(tower)]
        other = f"{(*family, 'a tower of timm')[0]} ({tower!s:.60})"
    elif model.get("init_logit_bias") is not None:
        other = "SigLIP (init_logit_bias)"
    elif isinstance(vision.get("layers"), list):
        other = "a ResNet"
    elif text.get("hf_model_name") is not None:
        other = f"a CLIP with the text tower {text['hf_model_name']!s:.60}"
    if other is not None:
        _refuse(path, other)


def _require_known(path: Path, name: str, section: Mapping[str, Any]) -> None:
    """Raises InputError for a field that changes what is computed, and for an unknown one."""
    for key, value in section.items():
        plain = value in (None, False, {}) or value == _AS_IN_CLIP[name].get(key)
        if not (plain or key in _READ[name] or key in _IDLE[name]):
            _refuse(path, f"a CLIP with {name}.{key} {value!r:.60}")


def _refuse(path: Path, what: str) -> None:
    what = " ".join(what.split())
    raise InputError(f"{path}: {what} is not computed here, a CLIP with a ViT is; {USE_EMBEDDINGS}")


def _tower(path: Path, section: Mapping[str, Any], width: int, quick: bool) -> dict[str, Any]:
    ratio, norm, act = (section.get(key) for key in ("mlp_ratio", "norm_kwargs", "act_kwargs"))
    ratio = 4.0 if ratio is None else ratio
    norm, eps = norm or {}, (norm or {}).get("eps", 1e-5) if isinstance(norm or {}, dict) else None
    layers = _whole(path, section, "layers", 12)
    if type(ratio) not in (int, float) or not 0 < ratio * width <= _MOST or layers > _BLOCKS:
        raise InputError(f"{path}: a tower's layers or mlp_ratio are out of bounds; check the file")
    if type(eps) is not float or not 0 < eps < 1 or not math.isfinite(eps) or set(norm) - {"eps"}:
        _refuse(path, f"a CLIP with norm_kwargs {norm!r:.60}")
    kinds = {None: "gelu", "none": "gelu", "tanh": "gelu_pytorch_tanh"}
    approximate = (act or {}).get("approximate") if isinstance(act or {}, dict) else act
    if act and (quick or set(act) != {"approximate"} or str(approximate) not in kinds):
        _refuse(path, f"a CLIP with act_kwargs {act!r:.60}")
    return {
        "hidden_size": width,
        "intermediate_size": int(width * ratio),
        "num_hidden_layers": layers,
        "hidden_act": "quick_gelu" if quick else kinds[approximate],
        "layer_norm_eps": eps,
    }


def _whole(path: Path, section: Mapping[str, Any], name: str, default: int | None) -> int:
    value = section.get(name)
    value = default if value is None else value
    if isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        value = value[0]  # a square's sides
    if type(value) is not int or not 1 <= value <= _MOST:
        raise InputError(f"{path}: {name} is {value!r:.60}, no sensible number; download it again")
    return value
