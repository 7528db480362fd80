"""Model files with hostile heads: one line, no crash, no traceback."""

import json
import shutil
import struct

import pytest

from jaxvlm import clip, files
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource

DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def tensor(dtype, shape, size):
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()


HEADS = {
    "lists in lists": (DEEP, 0),
    "objects in objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 0),
    "metadata": (b'{"__metadata__":' * 100_000, 0),
    "a list": (b"[1]", 0),
    "a type that NumPy lacks": (tensor("F8_E4M3", [2], 2), 2),
    "a shape beyond all memory": (tensor("F32", [0, 2**62], 0), 0),
    "too many axes": (tensor("F32", [1] * 100, 4), 4),
    "a negative axis": (tensor("F32", [-1], 4), 4),
    "half a pair": (b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
}


def one_line(caught, path):
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 400


@pytest.mark.parametrize("name", HEADS)
def test_a_safetensors_file(tmp_path, name):
    head, size = HEADS[name]
    content = struct.pack("<Q", len(head)) + head + bytes(size)
    shutil.copytree(resource("checkpoints/clip"), tmp_path / "clip")
    path = tmp_path / "clip" / "model.safetensors"
    path.write_bytes(content)
    for read in (lambda: files.read_arrays(path), lambda: clip.load(tmp_path / "clip")):
        with pytest.raises(InputError, match="not a safetensors file") as caught:
            read()
        one_line(caught, path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "text", [DEEP, b'{"a": 1' + b"0" * 5_000 + b"}", b"{" * 100_000], ids=["deep", "digits", "open"]
)
def test_a_json_file(tmp_path, name, text):
    shutil.copytree(resource("checkpoints/clip"), tmp_path / "clip")
    path = tmp_path / "clip" / name
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        clip.load(tmp_path / "clip")
    one_line(caught, path)
