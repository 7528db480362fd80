import numpy as np
import pytest
import safetensors
from transformers import CLIPTokenizerFast

from jaxvlm import clip
from jaxvlm.errors import InputError
from jaxvlm.files import read_arrays
from tests.clip.conftest import GOLDEN
from tests.listing import visible


@pytest.fixture
def tokenizer_json(tmp_path, speaking_model):
    path = tmp_path / "trained.json"
    speaking_model.tokenizer.save(str(path))
    return path


def test_saved_tensors_are_pytorchs_own(model, tmp_path):
    clip.save(tmp_path / "out", model.params, model.config)
    expected = read_arrays(GOLDEN / "clip-small" / "model.safetensors")
    got = read_arrays(tmp_path / "out" / "model.safetensors")
    assert sorted(got) == sorted(expected)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
    with safetensors.safe_open(tmp_path / "out" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_loading_what_was_saved_gives_the_same_model(speaking_model, tokenizer_json, tmp_path):
    clip.save(tmp_path / "out", speaking_model.params, speaking_model.config, tokenizer_json)
    loaded = clip.load(tmp_path / "out")
    assert clip.weights_hash(loaded) == clip.weights_hash(speaking_model)
    assert loaded.architecture == speaking_model.architecture
    assert loaded.preprocessing == speaking_model.preprocessing
    texts = ["cat", "A cat, b & d!"]
    np.testing.assert_array_equal(
        clip.encode_texts(loaded, texts), clip.encode_texts(speaking_model, texts)
    )


def test_every_spelling_of_the_tokenizer_agrees(speaking_model, tokenizer_json, tmp_path):
    clip.save(tmp_path / "out", speaking_model.params, speaking_model.config, tokenizer_json)
    text = "A cat's 12 cats,  é\n!"
    expected = speaking_model.tokenizer.encode(text).ids
    assert CLIPTokenizerFast.from_pretrained(tmp_path / "out")(text).input_ids == expected
    (tmp_path / "out" / "tokenizer.json").unlink()
    assert clip.load(tmp_path / "out").tokenizer.encode(text).ids == expected


def test_float16_halves_the_file_and_rounds_the_weights(model, tmp_path):
    clip.save(tmp_path / "half", model.params, model.config, dtype="float16")
    got = clip.load(tmp_path / "half").params["visual_projection"]["kernel"]
    exact = np.asarray(model.params["visual_projection"]["kernel"])
    np.testing.assert_array_equal(got, exact.astype(np.float16).astype(np.float32))
    whole = (GOLDEN / "clip-small" / "model.safetensors").stat().st_size
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.51 * whole


def test_same_input_same_bytes(speaking_model, tokenizer_json, tmp_path):
    for name in ("one", "two"):
        clip.save(tmp_path / name, speaking_model.params, speaking_model.config, tokenizer_json)
    files = visible(tmp_path / "one")
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_failed_save_leaves_the_earlier_model(model, tmp_path):
    clip.save(tmp_path / "out", model.params, model.config)
    with pytest.raises(InputError, match="nowhere.json"):
        clip.save(tmp_path / "out", model.params, model.config, tmp_path / "nowhere.json")
    assert clip.weights_hash(clip.load(tmp_path / "out")) == clip.weights_hash(model)
    assert visible(tmp_path) == ["out"]
