"""The memory that decoders take: one budget for all threads, kept by bombs too."""

import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxvlm.data import image_decoding, images
from jaxvlm.errors import InputError
from jaxvlm.memory import DECODING, Budget

# Reads the files it is given in as many threads; says the results and how the peak rose.
PROGRAM = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from jaxvlm.data import image_decoding, images
from jaxvlm.errors import InputError
from jaxvlm.memory import Budget

def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def read(path):
    try:
        return images.read_image(path, then=lambda pixels: pixels.shape)
    except InputError as error:
        return str(error)

image_decoding.DECODING = Budget(int(sys.argv[1]))
before = status("VmRSS")
with ThreadPoolExecutor(len(sys.argv[2:])) as pool:
    results = list(pool.map(read, sys.argv[2:]))
print(json.dumps([results, status("VmHWM") - before]))
"""


def run(budget, paths):
    """(results, bytes that the peak of memory rose by), in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(budget), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bomb(path, side):
    """A black PNG of one bit per pixel: 21 kB for 13,300 × 13,300."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    line = bytes((side + 7) // 8 + 1)
    squeeze = zlib.compressobj(9)
    data = b"".join(squeeze.compress(line) for _ in range(side)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@needs_proc
def test_twelve_bombs_are_refused_before_they_take_memory(tmp_path):
    path = bomb(tmp_path / "bomb.png", 13_300)
    assert path.stat().st_size < 25_000
    results, rose = run(DECODING.size, [path] * 12)
    assert {text.split(";")[0] for text in results} == {
        f"{path}: 13,300 × 13,300 pixels, which takes more memory to decode than the 1,024 MiB "
        "that all pictures share"
    }
    assert rose < 2**26  # 3 GB each, before


@needs_proc
def test_large_pictures_in_four_threads_stay_within_the_budget(tmp_path):
    side = 5_600  # 282 MB at 9 bytes a pixel, of which the array is 94
    results, rose = run(300_000_000, [bomb(tmp_path / "a.png", side)] * 4)
    assert results == [[side, side, 3]] * 4
    assert rose < 300_000_000


@needs_proc
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("png", "RGBA", {"compress_level": 1}),
        ("bmp", "RGB", {}),
        ("tif", "RGBA", {"compression": "tiff_lzw"}),
        ("jpg", "RGB", {"progressive": True, "subsampling": 0}),
        ("jpg", "CMYK", {}),
        ("webp", "RGBA", {"quality": 50, "method": 0}),
        ("avif", "RGBA", {"speed": 10}),
        ("jp2", "RGBA", {}),
        ("heic", "RGBA", {"quality": 30}),
    ],
)
def test_what_a_format_is_said_to_take_is_what_it_takes(tmp_path, kind, mode, options):
    cells = np.random.default_rng(0).integers(0, 256, (75, 75, 3), np.uint8)
    picture = Image.fromarray(np.kron(cells, np.ones((32, 32, 1), np.uint8))).convert(mode)
    path = tmp_path / f"a.{kind}"
    picture.save(path, **options)
    code = path.read_bytes()
    with Image.open(path) as opened:
        said = image_decoding._plan(opened, code, path).need
    results, rose = run(DECODING.size, [path])
    assert results == [[2400, 2400, 3]]
    assert rose < said + len(code) + 2**24  # what a first call sets up


def test_small_requests_pass_a_large_one_that_waits():
    budget, inside, order = Budget(10), threading.Event(), []
    done = threading.Event()

    def hold():
        with budget.share(6):
            inside.set()
            done.wait(30)

    def ask(need):
        with budget.share(need):
            order.append(need)

    holder, large = threading.Thread(target=hold), threading.Thread(target=ask, args=(9,))
    holder.start()
    assert inside.wait(30)
    large.start()
    ask(4)
    ask(3)
    assert order == [4, 3]
    done.set()
    for thread in (holder, large):
        thread.join(30)
    assert order == [4, 3, 9]


def test_a_share_is_given_back_after_an_error():
    budget = Budget(10)
    with pytest.raises(ZeroDivisionError), budget.share(10):
        raise ZeroDivisionError
    with budget.share(10):
        pass


def test_a_file_larger_than_the_budget_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(image_decoding, "DECODING", Budget(2**24))
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: takes no disk
    with pytest.raises(InputError, match=r"a\.jpg: a file of 1,099,511,627,776 bytes, which takes"):
        images.read_image(path)
