import dataclasses
import hashlib
import json
from types import SimpleNamespace

import flax.serialization
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from huggingface_hub import constants
from PIL import Image

from jaxvlm import clip
from jaxvlm.clip import embeddings
from jaxvlm.clip.text_cache import embed_prompts_cached
from jaxvlm.errors import InputError
from jaxvlm.files import read_arrays
from tests.clip.conftest import GOLDEN, edit_json


def cosine(a, b):
    return np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def failure(path, **options):
    with pytest.raises(InputError) as caught:
        clip.load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "no cure"
    return message


def rewrite_tensors(folder, change):
    tensors = read_arrays(folder / "model.safetensors")
    change(tensors)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")


def test_reproduces_the_pytorch_features(model, golden):
    images = clip.encode_images(model, golden["pixel_values"])
    texts = clip.encode_token_ids(model, golden["token_ids"])
    np.testing.assert_allclose(images, golden["image_features"], atol=1e-4)
    np.testing.assert_allclose(texts, golden["text_features"], atol=1e-4)


def test_bfloat16_towers_give_float32_embeddings_in_the_same_direction(golden):
    model = clip.load(GOLDEN / "clip-small", dtype="bfloat16")
    images = clip.encode_images(model, golden["pixel_values"])
    texts = clip.encode_token_ids(model, golden["token_ids"])
    assert images.dtype == texts.dtype == jnp.float32
    assert model.params["visual_projection"]["kernel"].dtype == jnp.bfloat16
    # Eight bits of mantissa through four blocks: close, and not by accident equal.
    for got, expected in ((images, "image_features"), (texts, "text_features")):
        similarity = cosine(np.asarray(got), golden[expected])
        assert similarity.min() > 0.998
        assert similarity.max() < 1 - 1e-7


@pytest.mark.parametrize("eos_token_id", [999, 2])
@pytest.mark.parametrize("padding", [0, 999])
def test_both_pooling_conventions_hold_under_both_paddings(folder, golden, eos_token_id, padding):
    edit_json(folder / "config.json", lambda c: c["text_config"].update(eos_token_id=eos_token_id))
    ids = golden["token_ids"].copy()
    after_end = np.cumsum(ids == 999, axis=1) - (ids == 999) > 0
    ids[after_end] = padding
    features = clip.encode_token_ids(clip.load(folder), ids)
    np.testing.assert_allclose(features, golden["text_features"], atol=1e-4)


def test_one_compilation_per_shape_and_architecture(model, golden):
    pixels = golden["pixel_values"][:5]
    first = clip.encode_images(model, pixels)
    compiled = embeddings._image_features._cache_size()
    doubled = dataclasses.replace(model, params=jax.tree.map(lambda x: 2 * x, model.params))
    again = clip.encode_images(clip.load(GOLDEN / "clip-small"), pixels)
    other = clip.encode_images(doubled, pixels)
    assert embeddings._image_features._cache_size() == compiled
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other), "the weights are baked into the executable"


@pytest.mark.parametrize(
    ("most", "parts"), [(10**9, 1), (2 * 65**2 * 3, 2), (2 * 65**2, 6), (1, 6)]
)
def test_a_cpu_takes_a_batch_in_parts(model, golden, monkeypatch, most, parts):
    """Logits of 2 heads and 65 tokens: of all pictures, of three, of one, and of less than one."""
    vision = model.config.vision_config
    assert (vision.num_attention_heads, vision.image_size // vision.patch_size) == (2, 8)
    pixels = golden["pixel_values"][:6]
    assert len(pixels) == 6
    monkeypatch.setattr(embeddings, "_MOST_LOGITS", most)
    assert embeddings.parts_of(model, pixels) == parts
    features = clip.encode_images(model, pixels)
    np.testing.assert_allclose(features, golden["image_features"][:6], atol=1e-4)
    whole, patches = clip.encode_patches(model, pixels)
    np.testing.assert_allclose(whole, features, atol=1e-5)
    one = [clip.encode_patches(model, pixels[n : n + 1])[1][0] for n in range(6)]
    np.testing.assert_allclose(patches, one, atol=1e-5)


def test_what_lies_on_several_devices_is_not_divided(model, golden):
    class Sharded:
        sharding = SimpleNamespace(device_set={1, 2})

        def __len__(self):
            return 4096

    assert embeddings.parts_of(model, Sharded()) == 1
    assert embeddings.parts_of(model, np.zeros((4096, 3, 64, 64), bool)) > 1


def test_wrong_pixel_and_id_arrays_are_refused(model):
    for pixels in (np.zeros((1, 64, 64, 3)), np.zeros((1, 3, 32, 32)), np.zeros((3, 64, 64))):
        with pytest.raises(InputError, match=r"takes \(N, 3, 64, 64\)"):
            clip.encode_images(model, pixels)
        with pytest.raises(InputError, match=r"takes \(N, 3, 64, 64\)"):
            clip.encode_patches(model, pixels)
    with pytest.raises(InputError, match="L from 1 to 77"):
        clip.encode_token_ids(model, np.zeros((1, 78), np.int32))
    with pytest.raises(InputError, match="from 0 to 1000, the vocabulary has 1000"):
        clip.encode_token_ids(model, np.array([[0, 1000]]))


def test_msgpack_shards_and_safetensors_hold_the_same_weights(folder, model):
    expected = clip.weights_hash(model)
    tensors = read_arrays(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()

    files = {name: f"model-{1 + i % 2:05d}-of-00002.safetensors" for i, name in enumerate(tensors)}
    for file in set(files.values()):
        part = {name: tensors[name] for name in tensors if files[name] == file}
        safetensors.numpy.save_file(part, folder / file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    assert clip.weights_hash(clip.load(folder)) == expected

    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in failure(folder)
    (folder / "model-00002-of-00002.safetensors").mkdir()
    assert "model-00002-of-00002.safetensors: cannot be read" in failure(folder)
    (folder / "model-00002-of-00002.safetensors").rmdir()
    index.unlink()

    (folder / "flax_model.msgpack").write_bytes(flax.serialization.to_bytes(model.params))
    assert clip.weights_hash(clip.load(folder)) == expected
    (folder / "flax_model.msgpack").write_bytes(b"\xc1 this is no msgpack")
    assert "flax_model.msgpack" in failure(folder)


def test_weights_hash_sees_one_changed_weight(model):
    params = dict(model.params, logit_scale=model.params["logit_scale"] + 1e-3)
    changed = dataclasses.replace(model, params=params)
    assert clip.weights_hash(changed) != clip.weights_hash(model)


def test_weights_are_hashed_once_per_model(speaking_model, tmp_path, monkeypatch):
    """The cache of texts asks for it with every list, the store with every set of pictures."""
    model = dataclasses.replace(speaking_model)  # of which nothing is known
    passes = []
    real = hashlib.sha256

    def counted(*data):
        passes.append(data)
        return real(*data)

    monkeypatch.setattr(clip.model, "hashlib", SimpleNamespace(sha256=counted))
    for name in ("cat", "dog", "cat"):
        embed_prompts_cached(model, [name], ["a {}"], cache_dir=tmp_path / "texts")
    for colour in ("red", "blue"):
        encoder = clip.make_encoder(model, batch_size=1, store_dir=tmp_path / "store")
        image = tmp_path / f"{colour}.png"
        Image.new("RGB", (8, 8), colour).save(image)
        clip.encode_all(encoder, [image], computed={})
    # One pass over the weights, one over what else texts depend on.
    assert [len(data) for data in passes].count(0) == 1 and len(passes) == 2
    assert clip.weights_hash(model) == clip.weights_hash(speaking_model)
    changed = dataclasses.replace(model, params=dict(model.params, logit_scale=jnp.zeros(())))
    assert clip.weights_hash(changed) != clip.weights_hash(model)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_files_are_read_exactly(folder, dtype):
    expected = read_arrays(folder / "model.safetensors")["text_projection.weight"].astype(dtype)
    rewrite_tensors(folder, lambda t: t.update({k: v.astype(dtype) for k, v in t.items()}))
    kernel = clip.load(folder).params["text_projection"]["kernel"]
    assert kernel.dtype == jnp.float32
    np.testing.assert_array_equal(kernel, expected.astype(np.float32).T)


def test_position_id_buffers_and_a_logit_scale_vector_are_tolerated(folder, model):
    def change(tensors):
        tensors["text_model.embeddings.position_ids"] = np.arange(77)[None]
        tensors["logit_scale"] = tensors["logit_scale"].reshape(1)

    rewrite_tensors(folder, change)
    assert clip.weights_hash(clip.load(folder)) == clip.weights_hash(model)


def test_a_projection_dim_that_the_weights_contradict_is_named(folder):
    edit_json(folder / "config.json", lambda config: config.update(projection_dim=512))
    assert "(32, 64), config.json asks for (512, 64)" in failure(folder)


def test_missing_misshapen_superfluous_and_broken_tensors_are_named(folder):
    name = "vision_model.encoder.layers.1.mlp.fc1.weight"
    pristine = (folder / "model.safetensors").read_bytes()

    def check(change, *said):
        (folder / "model.safetensors").write_bytes(pristine)
        rewrite_tensors(folder, change)
        message = failure(folder)
        assert all(text in message for text in ("model.safetensors", *said)), message

    check(lambda t: t.pop(name), name, "missing")
    check(lambda t: t.update({name: t[name][:-1]}), name, "(511, 128)", "(512, 128)")
    check(lambda t: t.update({name: t[name] * np.nan}), name, "NaN")
    more = name.replace("layers.1", "layers.4")
    check(lambda t: t.update({more: t[name].copy()}), more, "not in the configuration")
    (folder / "model.safetensors").write_bytes(pristine[:1000])
    assert "model.safetensors" in failure(folder)


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "pytorch_model.bin: not a file of torch.save" in failure(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "no model.safetensors" in failure(folder)


def test_only_a_vit_is_taken(folder):
    edit_json(folder / "config.json", lambda c: c["vision_config"].update(model_type="resnet"))
    assert "'resnet'" in failure(folder)
    edit_json(folder / "config.json", lambda c: c.update(model_type="siglip"))
    assert "'siglip'" in failure(folder)
    (folder / "config.json").write_text("[]")
    assert "config.json" in failure(folder)
    (folder / "config.json").unlink()
    assert "config.json: no such file" in failure(folder)


def test_an_impossible_configuration_is_one_line(folder):
    edit_json(folder / "config.json", lambda c: c["vision_config"].update(hidden_act="sigmund"))
    assert "config.json" in failure(folder)
    for number in (1e308, -1e39):  # beyond float32
        update = {"hidden_act": "gelu", "layer_norm_eps": number}
        edit_json(folder / "config.json", lambda c: c["vision_config"].update(update))  # noqa: B023
        assert "config.json: the towers cannot be built" in failure(folder)


def test_paths_and_dtypes_that_lead_nowhere(folder):
    assert "no such folder" in failure(folder / "elsewhere")
    assert "give the folder" in failure(folder / "model.safetensors")
    assert "bfloat16" in failure(folder, dtype="int8")


def test_a_hub_id_comes_from_the_cache_without_network(folder, tmp_path, monkeypatch, model):
    cache = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert "someone/clip" in failure("someone/clip")
    assert "not a hub id" in failure("not a hub id")

    repository = cache / "models--someone--clip"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "snapshots").mkdir()
    folder.rename(repository / "snapshots" / ("0" * 40))
    assert clip.weights_hash(clip.load("someone/clip")) == clip.weights_hash(model)


def test_a_model_is_one_line_and_knows_its_scale(model):
    line = "ClipModel(64 px, patches of 8, 4 blocks of width 128, D = 32, float32)"
    assert repr(model) == line
    assert repr(clip.make_encoder(model, store_dir="kept")) == f"Encoder({line}, store kept)"
    stored = read_arrays(GOLDEN / "clip-small" / "model.safetensors")["logit_scale"]
    assert model.logit_scale == pytest.approx(np.exp(stored))
