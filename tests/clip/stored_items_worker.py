"""A process that encodes pictures into a store, to be killed: see test_stored_items_killed.py.

Reads jobs from the standard input, a line of JSON each, forks for each one and prints the child's
process id, then how it ended. So a start costs a moment and not the imports; nothing of JAX runs
before the fork.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np

from jaxvlm import clip
from jaxvlm.clip import stored_items

GOLDEN = Path(__file__).parents[1] / "golden" / "clip-small"
BATCH, CHUNK_ROWS = 8, 16


def run(pictures: str, out: str, log: str, store_dir: str | None) -> None:
    """Encodes all pictures and writes their embeddings; logs each batch in one write."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    stored_items._CHUNK_ROWS = CHUNK_ROWS
    encoder = clip.make_encoder(clip.load(GOLDEN), batch_size=BATCH, store_dir=store_dir)

    def encode(model, pixels):
        if not isinstance(pixels, jax.ShapeDtypeStruct | jax.core.Tracer):
            os.write(file, b"batch\n")
        return clip.encode_images(model, pixels)

    def read(path):
        time.sleep(0.002)  # so that there is a middle to be killed in
        return clip.read_rgb(path)

    values, failures = clip.encode_all(
        encoder, sorted(Path(pictures).iterdir()), computed={}, encode=encode, read=read
    )
    assert failures == []
    np.save(out, values)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # JAX's of forks: it has no thread yet
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
