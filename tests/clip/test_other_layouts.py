"""Folders of other libraries, which look like a CLIP's: one line that says what to do."""

import json

import pytest

from jaxvlm import clip
from jaxvlm.clip import hub
from jaxvlm.errors import InputError


def line(folder):
    with pytest.raises(InputError) as caught:
        clip.load(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder}: ") and "\n" not in message
    return message


def test_an_adapter_is_not_loaded_as_its_base(folder):
    """PEFT's folder, also with the weights of its base beside it."""
    config = {"peft_type": "LORA", "base_model_name_or_path": "openai/clip-vit-base-patch16"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    for _ in range(2):
        told = line(folder)
        assert "LoRA" in told and "merge_and_unload" in told
        assert "'openai/clip-vit-base-patch16'" in told
        (folder / "model.safetensors").unlink(missing_ok=True)
        (folder / "config.json").unlink(missing_ok=True)
    for value in ([], {}, {"base_model_name_or_path": 3}, {"base_model_name_or_path": "\0"}):
        (folder / "adapter_config.json").write_text(json.dumps(value))
        assert "of its base" in line(folder)
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(InputError, match="adapter_config.json: not valid JSON"):
        clip.load(folder)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("open_clip_pytorch_model.bin", "open_clip's layout"),
        ("open_clip_model.safetensors", "open_clip's layout"),
        ("modules.json", "0_CLIPModel"),
    ],
)
def test_another_librarys_layout(folder, file, told):
    (folder / file).write_text("{}")
    assert clip.load(folder).params, "beside config.json it is passed over"
    (folder / "config.json").unlink()
    assert told in line(folder)


def test_of_the_hub_too(folder, monkeypatch):
    (folder / "config.json").unlink()
    (folder / "modules.json").write_text("[]")
    monkeypatch.setattr(hub, "snapshot_download", lambda hub_id, *, allow_patterns: str(folder))
    with pytest.raises(InputError, match="someone/clip: a model of sentence-transformers"):
        clip.load("someone/clip")
