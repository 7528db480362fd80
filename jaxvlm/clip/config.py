"""The configuration of a CLIP, as ``config.json`` in the Hugging Face layout has it.

Names and defaults are those of CLIPConfig in transformers, which is not asked: its import takes
longer than loading a CLIP and encoding a video's first frames, and brings PyTorch where that is
installed. A CLIPConfig can stand for one of these wherever a configuration is given.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class TextConfig:
    """The text tower."""

    model_type: str = "clip_text_model"
    vocab_size: int = 49_408
    hidden_size: int = 512
    intermediate_size: int = 2048
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 8
    max_position_embeddings: int = 77
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_factor: float = 1.0
    pad_token_id: int | None = 1
    bos_token_id: int | None = 49_406
    eos_token_id: int | None = 49_407


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """The vision tower, a ViT."""

    model_type: str = "clip_vision_model"
    hidden_size: int = 768
    intermediate_size: int = 3072
    projection_dim: int = 512
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    num_channels: int = 3
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_factor: float = 1.0


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """Both towers and what lies between them."""

    model_type: str = "clip"
    text_config: TextConfig = TextConfig()
    vision_config: VisionConfig = VisionConfig()
    projection_dim: int = 512
    logit_scale_init_value: float = 2.6592
    initializer_factor: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; `from_dict` gives it back."""
        return dataclasses.asdict(self)


def from_dict(value: Mapping[str, Any]) -> ClipConfig:
    """The configuration of a JSON object: what it lacks has its default, and what no tower knows is
    passed over. ``text_config_dict`` and ``vision_config_dict`` of old files stand in the place of
    ``text_config`` and ``vision_config``.

    Raises TypeError: a tower that is no object.
    """
    between = ("projection_dim", "logit_scale_init_value")
    own = {name: value[name] for name in between if name in value}
    return ClipConfig(
        text_config=_tower(TextConfig, "text_config", value),
        vision_config=_tower(VisionConfig, "vision_config", value),
        **own,
    )


def _tower(kind: type, name: str, value: Mapping[str, Any]) -> Any:
    given = value.get(f"{name}_dict")
    given = value.get(name) if given is None else given
    if given is None:
        return kind()
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} is no object")
    known = {field.name for field in dataclasses.fields(kind)} - {"model_type"}
    return kind(**{field: each for field, each in given.items() if field in known})
