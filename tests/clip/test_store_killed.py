"""Processes that write one store: killed at any moment, or several of them at once."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.clip import store_worker
from tests.clip.store_rows import read
from tests.clip.store_worker import CHUNK_ROWS, digest, encode

ROOT = Path(__file__).parents[2]
KILLS = 60


class Worker:
    """A process of store_worker, and the job it does."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.clip.store_worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, folder, log, items) -> int:
        """Starts a job; returns the id of the process that does it."""
        job = {"folder": str(folder), "log": str(log), "items": list(items)}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """Waits for the job; returns its exit code, negative: the signal that ended it."""
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def workers():
    processes = [Worker(), Worker()]
    yield processes
    for worker in processes:
        worker.process.communicate()
        assert worker.process.returncode == 0


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def log_from(log: Path, position: int) -> str:
    return log.read_bytes()[position:].decode() if log.exists() else ""


def encoded(log: Path) -> list[list[int]]:
    """The items that each run encoded, in order."""
    runs = [run.split("\n") for run in log.read_text().split("open\n")[1:]]
    return [[int(line.split()[1]) for line in run if line.startswith("encode")] for run in runs]


def check(folder, items) -> None:
    """Every item has its row, and nothing is damaged: a warning would be an error."""
    table = store_worker.open_table(folder)
    keys = [digest(item) for item in items]
    assert table.rows.keys() == {*keys}
    rows = read(table, keys)
    assert rows.keys() == {*keys}
    for key, item in zip(keys, items, strict=True):
        for name, value in encode(item).items():
            assert rows[key][name].tobytes() == value.tobytes()


def test_killed_at_any_moment(tmp_path, workers):
    """Nothing is lost, nothing false, and nothing encoded twice but the chunks in flight."""
    rng, worker = random.Random(0), workers[0]
    folder, log = tmp_path / "store", tmp_path / "log"
    number, kills, stages = 2000, 0, Counter()
    while True:
        size = log.stat().st_size if log.exists() else 0
        child = worker.start(folder, log, range(number))
        # A busy machine may miss a stage, which is short: then it is tried for longer.
        if kills < KILLS or (len(stages) < 3 and kills < 4 * KILLS):
            # One in four while it opens the table, the others while it encodes and appends.
            word = rng.choice(("open", "encode", "encode", "encode"))
            while alive(child) and word not in log_from(log, size):
                time.sleep(1e-4)
            time.sleep(rng.random() * {"open": 0.004, "encode": 0.04}[word])
            if alive(child):
                os.kill(child, signal.SIGKILL)
        else:
            word = None
        code = worker.wait()
        assert code in (0, -signal.SIGKILL)
        if code:
            kills += 1
            stages[log.read_text().split("\n")[-2].split()[0]] += 1
        elif word is None:
            break
        else:  # done before it was killed: there are new files
            number += 500
    assert {*stages} == {"open", "encode", "append"}, stages
    runs = encoded(log)
    assert {*itertools.chain(*runs)} == {*range(number)}
    for i, run in enumerate(runs):
        again = {*run} & {*itertools.chain(*runs[i + 1 :])}
        assert len(run) == len({*run}) and len(again) <= CHUNK_ROWS
    assert sum(map(len, runs)) - number <= kills * CHUNK_ROWS
    check(folder, range(number))


def test_several_processes_lose_nothing(tmp_path, workers):
    """Both make the table and write at once: rows apart, shared rows, and the same chunks."""
    jobs = {
        "apart": (range(0, 300), range(300, 600)),
        "overlap": (range(0, 400), range(599, 200, -1)),
        "same": (range(0, 300), range(0, 300)),
    }
    for name, items in jobs.items():
        for attempt in range(3):
            folder = tmp_path / f"{name}{attempt}"
            logs = [tmp_path / f"{name}{attempt}.{i}" for i in range(2)]
            for worker, log, numbers in zip(workers, logs, items, strict=True):
                worker.start(folder, log, numbers)
            assert [worker.wait() for worker in workers] == [0, 0]
            check(folder, sorted({*items[0], *items[1]}))
            # None waited for the other: at most the rows that both were asked for are there twice.
            done = [item for log in logs for run in encoded(log) for item in run]
            shared = {*items[0]} & {*items[1]}
            assert 0 <= len(done) - len({*done}) <= len(shared)


def test_a_reader_sees_whole_rows_while_another_writes(tmp_path, workers):
    folder, items = tmp_path / "store", range(400)
    child = workers[0].start(folder, tmp_path / "log", items)
    seen = []
    while alive(child):
        table = store_worker.open_table(folder)
        rows = read(table, [digest(item) for item in items])
        assert rows.keys() == table.rows.keys()
        for item in items:
            if digest(item) in rows:
                found = rows[digest(item)]["image"]
                np.testing.assert_array_equal(found, encode(item)["image"])
        seen.append(len(rows))
    assert workers[0].wait() == 0
    assert seen == sorted(seen) and len({*seen}) > 2  # it looked while rows came
    check(folder, items)
