import json
import shutil
from pathlib import Path

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from jaxvlm import clip
from jaxvlm.files import read_arrays

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def golden():
    return read_arrays(GOLDEN / "clip_features.safetensors")


@pytest.fixture(scope="session")
def model():
    return clip.load(GOLDEN / "clip-small")


@pytest.fixture
def folder(tmp_path):
    """A writable copy of the golden model."""
    copy = tmp_path / "clip small"
    shutil.copytree(GOLDEN / "clip-small", copy)
    return copy


def edit_json(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def vocabulary():
    """Single bytes, bytes that end a word, the word "cat", and the golden model's two ends."""
    letters = sorted(ByteLevel.alphabet())
    words = letters + [letter + "</w>" for letter in letters] + ["ca", "cat</w>"]
    ids = {word: i for i, word in enumerate(words)}
    return ids | {"<|startoftext|>": 998, "<|endoftext|>": 999}


def write_tokenizer(folder):
    (folder / "vocab.json").write_text(json.dumps(vocabulary()))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")


@pytest.fixture(scope="session")
def speaking_model(tmp_path_factory):
    """The golden model with a tokenizer."""
    folder = tmp_path_factory.mktemp("speaking") / "clip"
    shutil.copytree(GOLDEN / "clip-small", folder)
    write_tokenizer(folder)
    return clip.load(folder)
