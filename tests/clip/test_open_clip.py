"""Folders in open_clip's layout, against a forward pass of PyTorch's own parts."""

import fnmatch
import json

import numpy as np
import pytest
from PIL import Image

from jaxvlm import clip
from jaxvlm.clip import hub
from jaxvlm.errors import InputError
from tests.clip import hub_layouts
from tests.clip import open_clip_torch as layout
from tests.clip.conftest import edit_json
from tests.listing import visible

CURE = "use embeddings (--id_embeddings, --features_root; see docs/formats.md)"


@pytest.fixture(scope="module")
def model():
    return layout.OpenClip()


def agrees(folder, reference):
    loaded = clip.load(folder)
    pixels, ids = hub_layouts.inputs()
    got = clip.encode_images(loaded, pixels), clip.encode_token_ids(loaded, ids)
    for array, want in zip(got, layout.features(reference, pixels, ids), strict=True):
        np.testing.assert_allclose(array, want, rtol=0, atol=1e-5 * np.abs(want).max())
    return loaded


def refusal(folder):
    with pytest.raises(InputError) as caught:
        clip.load(folder)
    message = str(caught.value)
    assert message.startswith(str(folder)) and "\n" not in message and ";" in message
    return message


def test_images_and_texts_are_those_of_pytorch(tmp_path, model):
    layout.write(tmp_path, model)
    loaded = agrees(tmp_path, model)
    assert loaded.logit_scale == pytest.approx(np.exp(4.2))
    assert loaded.config.text_config.max_position_embeddings == 11
    assert loaded.config.vision_config.num_attention_heads == 3
    assert loaded.config.vision_config.intermediate_size == 104, "⌊24 · 4.3637⌋"


def test_quick_gelu_is_asked_for_by_the_configuration(tmp_path):
    quick = layout.MODEL | {"quick_gelu": True}
    layout.write(tmp_path, layout.OpenClip(quick), layout.config(quick_gelu=True))
    agrees(tmp_path, layout.OpenClip(quick))
    layout.write_config(tmp_path, layout.config())
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        agrees(tmp_path, layout.OpenClip(quick))


def test_every_file_and_naming_holds_the_same_weights(tmp_path, model):
    layout.write(tmp_path / "a", model)
    loaded = clip.load(tmp_path / "a")
    for n, (file, custom) in enumerate(
        [
            ("open_clip_pytorch_model.safetensors", False),
            ("model.safetensors", True),
            ("open_clip_pytorch_model.bin", False),
            ("open_clip_pytorch_model.bin", True),
        ]
    ):
        folder = tmp_path / str(n)
        layout.write(folder, model, layout.config(custom_text=custom), file, custom)
        assert clip.weights_hash(clip.load(folder)) == clip.weights_hash(loaded), file
    # The same weights in Hugging Face's layout are the same encoder.
    clip.save(tmp_path / "hf", loaded.params, loaded.config)
    edit_json(tmp_path / "a" / "open_clip_config.json", lambda value: value.pop("preprocess_cfg"))
    there = clip.load(tmp_path / "a"), clip.load(tmp_path / "hf")
    assert clip.identity_difference(*map(clip.identity, there)) is None


def test_texts_are_pooled_at_the_highest_id(tmp_path, model):
    layout.write(tmp_path, model)
    ids = layout.write_tokenizer(tmp_path)
    loaded = clip.load(tmp_path)
    texts = ["a b", "z", "d e f g"]
    rows = np.zeros((3, 11), np.int64)  # open_clip pads with 0
    for row, text in zip(rows, texts, strict=True):
        words = [f"{letter}</w>" for letter in text.split()]
        own = [ids[word] for word in ("<|startoftext|>", *words, "<|endoftext|>")]
        row[: len(own)] = own
    _, want = layout.features(model, np.zeros((1, 3, 16, 16), np.float32), rows)
    np.testing.assert_allclose(clip.encode_texts(loaded, texts), want, rtol=0, atol=1e-4)


def test_without_a_vocabulary_pictures_are_encoded_and_texts_refused(tmp_path, model):
    text = layout.MODEL["text_cfg"] | {"vocab_size": 49_408}
    large = layout.OpenClip(layout.MODEL | {"text_cfg": text})
    layout.write(tmp_path, large, layout.config(text_cfg=text))
    loaded = agrees(tmp_path, large)
    with pytest.raises(InputError, match="tokenizer.json.*openai/clip-vit-base-patch32"):
        clip.encode_texts(loaded, ["a cat"])
    layout.write(tmp_path, model)
    with pytest.raises(InputError, match="into its folder$"):
        clip.encode_texts(clip.load(tmp_path), ["a cat"])


@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_preprocessing_is_the_configurations(tmp_path, model, mode):
    value = layout.config()
    value["preprocess_cfg"] |= {"resize_mode": mode, "interpolation": "bilinear", "size": [16, 16]}
    layout.write(tmp_path, model, value)
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    size = (24, 16) if mode == "shortest" else (16, 16)
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    small = small[:, 4:20] if mode == "shortest" else small
    want = (small / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    got = clip.preprocess(clip.load(tmp_path), [picture])[0]
    np.testing.assert_allclose(got, want.transpose(2, 0, 1), atol=1e-5)


VISION, TEXT = layout.MODEL["vision_cfg"], layout.MODEL["text_cfg"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_224"}}, "SigLIP"),
        ({"vision_cfg": {"timm_model_name": "convnext_base"}}, "ConvNeXt"),
        ({"vision_cfg": {"timm_model_name": "eva02_base_patch16_clip_224"}}, "EVA"),
        ({"vision_cfg": {"timm_model_name": "fastvit_mci1"}}, "MobileCLIP"),
        ({"vision_cfg": {"timm_model_name": "vit_\nx"}}, "a tower of timm"),
        ({"multimodal_cfg": {"width": 768}}, "CoCa"),
        ({"vision_cfg": VISION | {"layers": [3, 4, 6, 3]}}, "ResNet"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "roberta-base"),
        ({"init_logit_bias": -10}, "SigLIP"),
        ({"vision_cfg": VISION | {"no_ln_pre": True}}, "vision_cfg.no_ln_pre True"),
        ({"vision_cfg": VISION | {"ls_init_value": 1e-4}}, "vision_cfg.ls_init_value"),
        ({"vision_cfg": VISION | {"pool_type": "avg"}}, "vision_cfg.pool_type 'avg'"),
        ({"text_cfg": TEXT | {"no_causal_mask": True}}, "text_cfg.no_causal_mask"),
        ({"text_cfg": TEXT | {"pool_type": "eos"}}, "text_cfg.pool_type"),
        ({"text_cfg": TEXT | {"tokenizer_kwargs": {"clean": "canonicalize"}}}, "tokenizer_kwargs"),
        ({"text_cfg": TEXT | {"act_kwargs": {"approximate": "x"}}}, "act_kwargs"),
        ({"text_cfg": TEXT | {"norm_kwargs": {"bias": False}}}, "norm_kwargs"),
        ({"vision_cfg": VISION | {"of_next_year": 1}}, "vision_cfg.of_next_year 1"),
    ],
)
def test_another_architecture_is_refused_by_its_name(tmp_path, changes, named):
    layout.write_config(tmp_path, layout.config(**changes))
    told = refusal(tmp_path)
    assert named in told and told.endswith(CURE)


@pytest.mark.parametrize("kind", ["siglip", "siglip2", "metaclip_2", "align"])
def test_of_hugging_faces_layout_too(tmp_path, kind):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "vision_config": {}}))
    told = refusal(tmp_path)
    assert repr(kind) in told and told.endswith(CURE)


def test_fields_that_change_nothing_are_passed_over(tmp_path, model):
    vision = VISION | {"patch_dropout": 0.5, "pool_type": "tok", "ls_init_value": None}
    text = TEXT | {"pool_type": "argmax", "no_causal_mask": False, "norm_kwargs": {"eps": 1e-5}}
    text |= {"act_kwargs": {"approximate": "none"}}
    layout.write(tmp_path, model, layout.config(vision_cfg=vision, text_cfg=text))
    agrees(tmp_path, model)


def test_files_that_do_not_fit_are_named_as_they_stand(tmp_path, model):
    layout.write(tmp_path, model, layout.config(vision_cfg=VISION | {"width": 32}))
    told = refusal(tmp_path)
    assert "open_clip_model.safetensors: tensor visual." in told
    assert "open_clip_config.json asks for" in told
    layout.write_config(tmp_path, layout.config(text_cfg=TEXT | {"layers": 2}))
    assert "tensor transformer.resblocks.2." in refusal(tmp_path)
    layout.write_config(tmp_path, layout.config(text_cfg=TEXT | {"layers": 4}))
    told = refusal(tmp_path)
    assert "tensor transformer.resblocks.3.attn.in_proj_bias and 11 more missing" in told
    for value in ({}, [], {"model_cfg": 3}, {"model_cfg": {}}, layout.config(embed_dim="20")):
        layout.write_config(tmp_path, value)
        assert "open_clip_config.json" in refusal(tmp_path)
    for changes in ({"resize_mode": "longest"}, {"interpolation": 3}, {"mean": [1]}, {"size": 7}):
        layout.write_config(tmp_path, layout.config() | {"preprocess_cfg": changes})
        assert "open_clip_config.json" in refusal(tmp_path)


def test_beside_a_config_of_timm_it_is_open_clips(tmp_path, model):
    """timm's repositories: a config.json of its own, and its image tower in model.safetensors."""
    layout.write(tmp_path, model)
    (tmp_path / "config.json").write_text('{"architecture": "vit_base_patch32_clip_224"}')
    (tmp_path / "model.safetensors").write_bytes(b"of timm")
    agrees(tmp_path, model)


def test_the_hub_is_asked_for_the_files_of_the_layout(tmp_path, model, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "target"
    layout.write(source, model)
    layout.write(source, model, file="open_clip_pytorch_model.bin")
    for name in ("model.safetensors", "flax_model.msgpack", "pytorch_model.bin", "epoch_1.pt"):
        (source / name).write_bytes(b"")
    target.mkdir()

    def download(hub_id, *, allow_patterns):
        for path in source.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                (target / path.name).write_bytes(path.read_bytes())
        return str(target)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert clip.load("someone/clip").source == "someone/clip"
    assert set(visible(target)) == {"open_clip_config.json", "open_clip_model.safetensors"}
    for name in ("open_clip_model.safetensors", "model.safetensors"):
        (source / name).unlink()
        (target / name).unlink(missing_ok=True)
    agrees("someone/clip", model)
    assert set(visible(target)) == {"open_clip_config.json", "open_clip_pytorch_model.bin"}
