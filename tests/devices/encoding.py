"""A program of several processes that encodes pictures into a store: what `test_joined` ends.

Each process says on stdout how many of its pictures are done, as they are; the first one at the end
what was encoded and what was in the store.
"""

import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

from jaxvlm import clip
from jaxvlm.clip import stored_items
from jaxvlm.command import cli

GOLDEN = Path(__file__).parents[1] / "golden" / "clip-small"
CHUNK_ROWS, BATCH = 4, 2

PICTURES = flags.DEFINE_string("pictures", None, "A folder.", required=True)
STORE = flags.DEFINE_string("store_dir", None, "Of the embeddings.", required=True)
SECONDS = flags.DEFINE_float("seconds", 0.0, "Per picture, so that there is a middle to end in.")
FAILING = flags.DEFINE_integer("failing", None, "The process that raises an error in the middle.")
BACKEND = flags.DEFINE_string("backend", "jax", "What the towers run through.")
devices = cli.define_devices()


def main() -> None:
    mesh = devices()
    stored_items._CHUNK_ROWS = CHUNK_ROWS
    model = clip.load(GOLDEN, backend=BACKEND.value)
    encoder = clip.make_encoder(model, batch_size=BATCH, mesh=mesh, store_dir=STORE.value)
    done = 0

    def read(path: Path) -> np.ndarray:
        time.sleep(SECONDS.value)
        return clip.read_rgb(path)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        print("done", done, flush=True)
        if FAILING.value == jax.process_index() and done >= 2 * CHUNK_ROWS:
            raise ZeroDivisionError("a bug of this process alone")

    pictures = sorted(Path(PICTURES.value).iterdir())
    values, failures = clip.encode_all(encoder, pictures, computed={}, read=read, advance=advance)
    assert failures == [] and len(values) == len(pictures)
    found = clip.total_statistics(encoder)
    cli.say(f"encoded {found.encoded} stored {found.from_store}")


if __name__ == "__main__":
    cli.run(main)
