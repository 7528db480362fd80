"""A run that is killed while it encodes goes on where it was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.clip.stored_items_worker import BATCH, CHUNK_ROWS

ROOT = Path(__file__).parents[2]
COUNT, KILLS = 400, 6


@pytest.fixture(scope="module")
def job():
    """Starts a job of `stored_items_worker`; a function that returns how it ended comes back."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.clip.stored_items_worker"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(**arguments):
        process.stdin.write(json.dumps({k: v and str(v) for k, v in arguments.items()}) + "\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        return child, lambda: int(process.stdout.readline())

    yield start
    process.communicate()
    assert process.returncode == 0


def batches(log):
    return log.read_text().count("batch") if log.exists() else 0


def test_killed_while_it_encodes(tmp_path, job):
    rng, pixels = random.Random(0), np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(COUNT):
        picture = Image.fromarray(pixels.integers(0, 256, (64, 64, 3), np.uint8))
        picture.save(tmp_path / "pictures" / f"{i:03d}.png", compress_level=0)

    def start(name, store_dir):
        return job(
            pictures=tmp_path / "pictures",
            out=tmp_path / f"{name}.npy",
            log=tmp_path / f"{name}.log",
            store_dir=store_dir,
        )

    assert start("plain", None)[1]() == 0
    assert batches(tmp_path / "plain.log") == COUNT // BATCH
    log = tmp_path / "kept.log"
    for _ in range(KILLS):
        before = batches(log)
        child, end = start("kept", tmp_path / "store")
        wanted = before + rng.randint(2, 2 * CHUNK_ROWS // BATCH + 2)
        while batches(log) < wanted:
            os.kill(child, 0)  # it must not end on its own
            time.sleep(0.001)
        time.sleep(0.01 * rng.random())
        os.kill(child, signal.SIGKILL)
        assert end() == -signal.SIGKILL
        assert not (tmp_path / "kept.npy").exists()
    assert start("kept", tmp_path / "store")[1]() == 0
    # What a kill can cost: the chunk that was filled, and two batches on the device.
    encoded = BATCH * batches(log)
    assert COUNT <= encoded <= COUNT + KILLS * (CHUNK_ROWS + 2 * BATCH)
    expected, found = (np.load(tmp_path / f"{name}.npy") for name in ("plain", "kept"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    again = batches(log)
    assert start("kept", tmp_path / "store")[1]() == 0
    assert batches(log) == again
    np.testing.assert_array_equal(np.load(tmp_path / "kept.npy"), found)
