"""One of several processes is lost: the others end with a line, and what was stored is kept."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from tests.devices.encoding import CHUNK_ROWS
from tests.devices.test_devices import ONE_THREAD, free_port

ROOT = Path(__file__).resolve().parents[1]
PROCESSES, COUNT = 3, 60
# Which process is lost, and whether it fails by itself or is killed.
LOSSES = {"worker": (2, False), "first": (0, False), "failing": (1, True)}
LIMIT = 30 + 15  # seconds from the loss to the end of the others; a busy machine gets some more


class Lost(NamedTuple):
    """Of each process: exit code, stderr, pictures done by what it said; and of these stored."""

    codes: list[int]
    stderr: list[str]
    done: list[int]
    stored: list[int]


def start(pictures, store, *options):
    module = (sys.executable, "-m", "tests.devices.encoding")
    return subprocess.Popen(
        [*module, f"--pictures={pictures}", f"--store_dir={store}", *options],
        cwd=ROOT,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "1", "USE_TORCH": "0"} | ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(store):
    """The digests whose rows are in the chunks, read by no code of the store."""
    chunks = store.glob("*/*.safetensors")
    return {bytes(key) for chunk in chunks for key in load_file(chunk)["keys"]}


def lose(pictures, store, victim, fails):
    """Starts all, lets one be lost after it has stored something, and waits for the others' end."""
    joining = (f"--coordinator_address=127.0.0.1:{free_port()}", f"--num_processes={PROCESSES}")
    options = (*joining, "--seconds=0.2", *([f"--failing={victim}"] if fails else []))
    running = [start(pictures, store, *options, f"--process_id={n}") for n in range(PROCESSES)]
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in sorted(pictures.iterdir())]
    end = time.monotonic() + 120
    while not fails and not stored(store) & {*digests[victim::PROCESSES]}:
        assert [process.poll() for process in running] == [None] * PROCESSES
        assert time.monotonic() < end
        time.sleep(0.05)
    if not fails:
        running[victim].send_signal(signal.SIGKILL)
    running[victim].wait(120)
    found = [process.communicate(timeout=LIMIT) for process in running]
    rows = stored(store)
    return Lost(
        [process.returncode for process in running],
        [stderr for _, stderr in found],
        [max(map(int, re.findall(r"done (\d+)\n", stdout)), default=0) for stdout, _ in found],
        [sum(d in rows for d in digests[n::PROCESSES]) for n in range(PROCESSES)],
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, pixels = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for i in range(COUNT):
        picture = Image.fromarray(pixels.integers(0, 256, (16, 16, 3), np.uint8))
        picture.save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def ends(pictures, tmp_path_factory):
    """How each of `LOSSES` ended, and its store; all at once, for most of it is waiting."""
    stores = {name: tmp_path_factory.mktemp(name) for name in LOSSES}

    def one(name):
        return lose(pictures, stores[name], *LOSSES[name])

    with ThreadPoolExecutor(len(LOSSES)) as pool:
        found = list(pool.map(one, LOSSES))
    return {name: (lost, stores[name]) for name, lost in zip(LOSSES, found, strict=True)}


@pytest.mark.parametrize("name", LOSSES)
def test_the_others_end_with_one_line_and_lose_at_most_a_chunk(ends, name):
    lost, _ = ends[name]
    victim, fails = LOSSES[name]
    who = f"process {victim} of {PROCESSES}"
    for number in range(PROCESSES):
        assert lost.done[number] - lost.stored[number] < CHUNK_ROWS
        if number != victim:
            assert lost.codes[number] > 0
            expected = f"error: {who} is gone; start all again, what was stored is kept\n"
            assert lost.stderr[number] == expected
    assert lost.codes[victim] == (1 if fails else -signal.SIGKILL)
    if fails:
        assert lost.stderr[victim].startswith("Traceback")
        assert lost.stderr[victim].endswith("ZeroDivisionError: a bug of this process alone\n")
    else:
        assert lost.stderr[victim] == ""


def test_a_restart_encodes_what_is_missing(ends, pictures):
    _, store = ends["first"]
    there = len(stored(store))
    assert 0 < there < COUNT
    again = start(pictures, store)
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert stdout.splitlines()[-1] == f"encoded {COUNT - there} stored {there}"
    assert len(stored(store)) == COUNT
