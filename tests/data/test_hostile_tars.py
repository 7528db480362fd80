"""Tars that would loop, recurse or fill the memory: one line each, soon."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from jaxvlm.data import image_sets, tar_shards
from jaxvlm.errors import InputError


def header(name, size, kind=b"0"):
    """A header of 512 bytes as GNU tar writes it; ``size``: a number, or the field itself."""
    field = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(512)
    block[: len(name)], block[156:157] = name, kind
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:148] = field + b"00000000000\0"
    block[257:265] = b"ustar  \0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def negative(size):
    return size.to_bytes(12, "big", signed=True)  # base 256, as GNU tar writes large sizes


def record(key, value):
    """``LENGTH KEY=VALUE`` of an extended header; the length counts itself."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def extended(*records, kind=b"x"):
    body = b"".join(records)
    return header(b"p", len(body), kind) + body + bytes(-len(body) % 512)


SPARSE = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
A = header(b"a.png", 0)
TARS = {
    "negative size": (header(b"a.png", negative(-512)), "a member of negative size"),
    "negative later": (A + header(b"b.png", negative(-1024)), "a member of negative size"),
    "negative header": (header(b"p", negative(-512), b"x"), "a member of negative size"),
    "negative by extension": (
        extended(record(b"size", b"-512")) + header(b"b.png", 8),
        "a member of negative size",
    ),
    "large extension": (header(b"p", 2**33 - 1, b"x"), "an extended header larger"),
    "many records": (extended(*[record(b"%d" % i, b"") for i in range(20_000)]), "an extended"),
    "chain": (extended(record(b"a", b"b")) * 5000 + A, "an extended header larger"),
    "chain of names": (header(b"l", 8, b"L") * 5000, "an extended header larger"),
    "large global": (extended(record(b"a", b"b" * 5000), kind=b"g") + A, "an extended header"),
    "old sparse": (header(b"a.png", 8, b"S"), "a sparse member: write the tar without --sparse"),
    "sparse": (
        extended(SPARSE, record(b"GNU.sparse.realsize", b"9" * 18)) + header(b"a.png", 512),
        "a sparse member",
    ),
    "endless map": (
        extended(SPARSE) + header(b"a.png", 2**24) + b"999999999\n" + b"1\n" * 2**23,
        "a sparse member",
    ),
}
PROGRAM = """
import sys
from jaxvlm.data import tar_shards
for path in sys.argv[1:]:
    print(tar_shards.complaint(path))
"""


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """What is said of each; in a process of its own, because an endless loop cannot be left."""
    folder = tmp_path_factory.mktemp("tars")
    paths = []
    for number, (content, _) in enumerate(TARS.values()):
        paths.append(folder / f"{number}.tar")
        paths[-1].write_bytes(content + bytes(1024))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(TARS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("name", TARS)
def test_a_hostile_header_is_one_line(complaints, name):
    assert (
        f"damaged ({TARS[name][1]}" in complaints[name]
        or "damaged after 0 members" in (complaints[name])
    )
    assert TARS[name][1] in complaints[name]


def write(path, members):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"comment": "c" * 9000}  # as attributes are
            archive.addfile(info, io.BytesIO(content))
    return path


def test_many_members_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tar_shards, "_MAX_MEMBERS", 3)
    three = write(tmp_path / "3.tar", [(f"{i}.png", b"x") for i in range(3)])
    four = write(tmp_path / "4.tar", [(f"{i}.png", b"x") for i in range(4)])
    assert list(tar_shards.read_index(three).members) == ["0.png", "1.png", "2.png"]
    assert tar_shards.read_index(three).damage is None
    assert "over 3 members; write several tars" in tar_shards.complaint(four)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"label": 1' + "0" * 5000 + "}"]
)
def test_a_nested_or_huge_label_is_one_line(tmp_path, text):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    members = [("0.png", buffer.getvalue()), ("0.json", text.encode())]
    with pytest.raises(
        InputError, match=r"s\.tar/0\.json: (nested deeper|not valid JSON)"
    ) as error:
        image_sets.read_image_set(write(tmp_path / "s.tar", members))
    assert len(str(error.value)) < 300 + len(str(tmp_path))
