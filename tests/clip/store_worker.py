"""A process that encodes made-up items into a store, to be killed: see test_store_killed.py.

Reads jobs from the standard input, a line of JSON each, forks for each one and prints the child's
process id, then how it ended. So a start costs a millisecond and not the imports.
"""

import hashlib
import json
import os
import sys
import time

import numpy as np

from jaxvlm.clip import store

CHUNK_ROWS = 16
DESCRIPTION = {"what": "made up"}
COLUMNS = {
    "image": store.Column((64,), np.dtype(np.float32)),
    "cam": store.Column((4, 4), np.dtype(np.uint8)),
    "valid": store.Column((), np.dtype(bool)),
}


def digest(item: int) -> bytes:
    return hashlib.sha256(b"%d" % item).digest()


def encode(item: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(item)
    return {
        "image": rng.standard_normal(64, np.float32),
        "cam": rng.integers(0, 256, (4, 4), np.uint8),
        "valid": np.array(item % 3 == 0),
    }


def open_table(folder: str) -> store.Table:
    return store.open_table(folder, DESCRIPTION, COLUMNS)


def run(folder: str, log: str, items: list[int]) -> None:
    """Encodes what is missing, and logs what it does: one write, so that no kill can cut it."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"open\n")
    table = open_table(folder)
    todo = [item for item in items if digest(item) not in table.rows]
    for start in range(0, len(todo), CHUNK_ROWS):
        batch = todo[start : start + CHUNK_ROWS]
        rows = []
        for item in batch:
            os.write(file, b"encode %d\n" % item)
            rows.append(encode(item))
            time.sleep(1e-4)
        os.write(file, b"append\n")
        arrays = {name: np.stack([row[name] for row in rows]) for name in COLUMNS}
        store.append_rows(table, [digest(item) for item in batch], arrays)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
