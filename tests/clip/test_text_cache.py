import dataclasses

import jax
import numpy as np
import pytest
from safetensors.numpy import save

from jaxvlm import clip
from jaxvlm.clip import text_cache
from jaxvlm.clip.text_cache import embed_prompts_cached
from tests.listing import visible

NAMES, TEMPLATES = ["cat", "b d"], ["a {}", "{} e"]


@pytest.fixture
def mute(monkeypatch):
    """From here on whoever encodes a text fails."""

    def fail(*arguments, **options):
        raise AssertionError("encoded again")

    return lambda: monkeypatch.setattr(text_cache, "embed_prompts", fail)


def test_the_second_time_nothing_is_encoded(speaking_model, tmp_path, mute):
    expected = clip.embed_prompts(speaking_model, NAMES, TEMPLATES)
    first = embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=tmp_path / "new")
    mute()
    second = embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=tmp_path / "new")
    np.testing.assert_array_equal(first, expected)
    np.testing.assert_array_equal(second, expected)
    assert second.dtype == np.float32


def test_without_a_folder_nothing_is_kept(speaking_model, tmp_path, monkeypatch, mute):
    monkeypatch.chdir(tmp_path)
    embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=None)
    assert list(tmp_path.iterdir()) == []
    mute()
    with pytest.raises(AssertionError, match="encoded again"):
        embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=None)


def test_whatever_changes_the_embeddings_changes_the_key(speaking_model):
    other_weights = dataclasses.replace(
        speaking_model, params=jax.tree.map(lambda leaf: leaf * 1.5, speaking_model.params)
    )
    other_type = dataclasses.replace(
        speaking_model, architecture=speaking_model.architecture._replace(dtype="bfloat16")
    )
    no_tokenizer = dataclasses.replace(speaking_model, tokenizer=None)

    def key(model=speaking_model, names=NAMES, templates=TEMPLATES, renormalize=True):
        return text_cache.cache_key(model, names, templates, renormalize=renormalize)

    keys = {
        key(),
        key(other_weights),
        key(other_type),
        key(no_tokenizer),
        key(names=NAMES[::-1]),
        key(names=["cat b", "d"]),
        key(names=[*NAMES, *TEMPLATES], templates=[]),
        key(templates=TEMPLATES[::-1]),
        key(renormalize=False),
    }
    assert len(keys) == 9
    assert key(names=tuple(NAMES)) == key()


def test_weights_and_tokenizer_are_hashed_once_per_model(speaking_model):
    written = []

    class Tokenizer:
        def to_str(self):
            written.append(1)
            return speaking_model.tokenizer.to_str()

    model = dataclasses.replace(speaking_model, tokenizer=Tokenizer())
    keys = {
        text_cache.cache_key(model, [name], TEMPLATES, renormalize=True) for name in ("a", "b", "c")
    }
    assert len(keys) == 3 and len(written) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "not finite"])
def test_a_damaged_file_is_replaced(speaking_model, tmp_path, damage, mute):
    expected = embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    intact = path.read_bytes()
    if damage == "cut":
        path.write_bytes(intact[:-7])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.write_bytes(save({"embeddings": np.zeros((3, 32), np.float32)}))
    else:
        path.write_bytes(save({"embeddings": np.full_like(expected, np.nan)}))
    again = embed_prompts_cached(speaking_model, NAMES, TEMPLATES, cache_dir=tmp_path)
    np.testing.assert_array_equal(again, expected)
    assert path.read_bytes() == intact
    assert visible(tmp_path) == [path.name]
