"""Tiny CLIPs in every layout that the hub has, against PyTorch's CLIPModel on the same files."""

import fnmatch
import json
import os

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from transformers import CLIPImageProcessor, CLIPModel

from jaxvlm import clip
from jaxvlm.clip import hub
from jaxvlm.errors import InputError
from tests.clip import hub_layouts as layouts
from tests.listing import visible

OPENAI = "openai/clip-vit-base-patch32"


@pytest.fixture(scope="module")
def openai():
    """PyTorch's model of the first layout, its tensors, and what it makes of the inputs."""
    model = layouts.torch_model(layouts.CONFIGS[OPENAI])
    return layouts.tensors(model), layouts.reference(model, *layouts.inputs())


def write_config(folder, value):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(value))


def agrees(folder, expected, tolerance=2e-5):
    model = clip.load(folder)
    pixels, ids = layouts.inputs()
    for got, want in zip(
        (clip.encode_images(model, pixels), clip.encode_token_ids(model, ids)),
        expected,
        strict=True,
    ):
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())
    return model


@pytest.mark.parametrize("name", layouts.CONFIGS)
def test_every_config_means_what_pytorch_takes_it_for(tmp_path, name):
    value = layouts.CONFIGS[name]
    write_config(tmp_path, value)
    layouts.write_safetensors(tmp_path, layouts.tensors(layouts.torch_model(value)))
    reference, report = CLIPModel.from_pretrained(
        tmp_path, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values()), report
    model = agrees(tmp_path, layouts.reference(reference.eval(), *layouts.inputs()))
    activations = model.config.text_config.hidden_act, model.config.vision_config.hidden_act
    quick = name.startswith("openai") or "/" not in name
    assert set(activations) == {"quick_gelu" if quick else "gelu"}


def test_the_tests_can_tell_activations_and_ends_apart(tmp_path, openai):
    tensors, expected = openai
    for change in ({"hidden_act": "gelu"}, {"eos_token_id": 40}):
        value = json.loads(json.dumps(layouts.CONFIGS[OPENAI]))
        value["text_config"] |= change
        write_config(tmp_path, value)
        layouts.write_safetensors(tmp_path, tensors)
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            agrees(tmp_path, expected, tolerance=1e-3)


def test_weights_in_every_file_format_are_the_same_model(tmp_path, openai):
    tensors, expected = openai
    whole = tmp_path / "whole"
    write_config(whole, layouts.CONFIGS[OPENAI])
    layouts.write_safetensors(whole, tensors)
    model = agrees(whole, expected)
    for name, write in {
        "sharded": lambda folder: layouts.write_safetensors(folder, tensors, shards=3),
        "msgpack": lambda folder: layouts.write_msgpack(folder, model.params),
        "bin": lambda folder: layouts.write_bin(folder, tensors),
        "sharded bin": lambda folder: layouts.write_bin(folder, tensors, shards=3),
    }.items():
        write_config(tmp_path / name, layouts.CONFIGS[OPENAI])
        write(tmp_path / name)
        assert clip.weights_hash(clip.load(tmp_path / name)) == clip.weights_hash(model), name


@pytest.mark.parametrize(
    ("form", "dtype"), [("safetensors", "float16"), ("bin", "float16"), ("bin", "bfloat16")]
)
def test_half_precision_tensors(tmp_path, openai, form, dtype):
    write_config(tmp_path, layouts.CONFIGS[OPENAI] | {"torch_dtype": dtype})
    half = {name: torch.as_tensor(a).to(getattr(torch, dtype)) for name, a in openai[0].items()}
    if form == "bin":
        layouts.write_bin(tmp_path, half)
    else:
        layouts.write_safetensors(tmp_path, {name: t.numpy() for name, t in half.items()})
    reference = CLIPModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    agrees(tmp_path, layouts.reference(reference, *layouts.inputs()))


def test_position_ids_of_older_versions(tmp_path, openai):
    tensors, expected = openai
    write_config(tmp_path, layouts.CONFIGS[OPENAI])
    older = tensors | {
        "text_model.embeddings.position_ids": np.arange(77)[None],
        "vision_model.embeddings.position_ids": np.arange(17)[None],
    }
    layouts.write_bin(tmp_path, older)
    agrees(tmp_path, expected)
    layouts.write_safetensors(tmp_path, older)
    agrees(tmp_path, expected)


@pytest.mark.parametrize("form", ["safetensors", "sharded", "msgpack", "bin"])
def test_a_missing_projection_dim_is_taken_from_the_weights(tmp_path, openai, form):
    tensors, expected = openai
    write_config(tmp_path, layouts.CONFIGS[OPENAI])
    layouts.write_safetensors(tmp_path, tensors)
    params = clip.load(tmp_path).params
    (tmp_path / "model.safetensors").unlink()
    value = json.loads(json.dumps(layouts.CONFIGS[OPENAI]))
    for holder in (value, value["text_config"], value["vision_config"]):
        del holder["projection_dim"]
    write_config(tmp_path, value)
    match form:
        case "safetensors":
            layouts.write_safetensors(tmp_path, tensors)
        case "sharded":
            layouts.write_safetensors(tmp_path, tensors, shards=2)
        case "msgpack":
            layouts.write_msgpack(tmp_path, params)
        case "bin":
            layouts.write_bin(tmp_path, tensors)
    assert agrees(tmp_path, expected).config.projection_dim == 20


class Evil:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickled_model_is_read_and_never_run(tmp_path, openai):
    def refused():
        with pytest.raises(InputError) as error:
            clip.load(tmp_path)
        assert "\n" not in str(error.value) and ";" in str(error.value)
        return str(error.value)

    write_config(tmp_path, layouts.CONFIGS[OPENAI])
    path, mark = tmp_path / "pytorch_model.bin", tmp_path / "ran"
    state = {name: torch.as_tensor(array) for name, array in openai[0].items()}
    torch.save(state | {"logit_scale": Evil(f"touch '{mark}'")}, path)
    assert "pytorch_model.bin" in refused() and not mark.exists()
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert "from before 1.6" in refused()
    torch.save(list(state.values()), path)
    assert "not a state_dict" in refused()
    torch.save(state | {"logit_scale": "4.6"}, path)
    assert "logit_scale" in refused()
    del state["text_model.final_layer_norm.bias"]
    torch.save(state, path)
    assert "text_model.final_layer_norm.bias missing" in refused()


@pytest.mark.parametrize("name", layouts.PREPROCESSORS)
def test_every_preprocessor_gives_the_pixels_of_transformers(tmp_path, openai, name):
    write_config(tmp_path, layouts.CONFIGS[OPENAI])
    layouts.write_safetensors(tmp_path, openai[0])
    value = layouts.PREPROCESSORS[name]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(value))
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((31, 50), (64, 17))]
    expected = CLIPImageProcessor.from_pretrained(tmp_path)(pictures)["pixel_values"]
    got = clip.preprocess(clip.load(tmp_path), pictures)
    np.testing.assert_allclose(got, np.stack(expected), atol=1e-6)


def test_the_hub_is_asked_for_the_safest_weights_it_has(tmp_path, openai, monkeypatch):
    """The order in which files are wanted, with a stand-in for the hub's client alone."""
    repository = {
        "config.json": b"{}",
        "open_clip_pytorch_model.bin": b"",
        "pytorch_model.bin": b"",
        "flax_model.msgpack": b"",
        "tf_model.h5": b"",
        "model.safetensors": b"",
    }

    def download(hub_id, *, allow_patterns):
        for name in repository:
            if any(fnmatch.fnmatch(name, p) for p in allow_patterns):
                (tmp_path / name).write_bytes(repository[name])
        return str(tmp_path)

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "snapshot_download", download)
    for gone, expected in (
        (None, {"config.json", "model.safetensors"}),
        ("model.safetensors", {"config.json", "flax_model.msgpack"}),
        ("flax_model.msgpack", {"config.json", "pytorch_model.bin"}),
    ):
        repository.pop(gone, None)
        for path in tmp_path.iterdir():
            path.unlink()
        assert hub.resolve("someone/clip") == tmp_path
        assert set(visible(tmp_path)) == expected
