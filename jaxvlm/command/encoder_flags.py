"""Flags of the launchers that encode: which CLIP, on which devices, and what is kept where."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from absl import flags

from jaxvlm import resources, runs
from jaxvlm.command import cli, given
from jaxvlm.progress import Progress, ignore, stage

if TYPE_CHECKING:
    from jaxvlm import clip


def define_clip() -> Callable[[Progress], clip.ClipModel]:
    """``--clip``, ``--dtype`` and ``--backend``, and the function that loads what they say and
    tells of it."""
    path = flags.DEFINE_string(
        "clip", str(resources.path("checkpoints/clip")), "CLIP folder or hub id."
    )
    dtype = flags.DEFINE_enum(
        "dtype",
        "float32",
        ["float32", "bfloat16"],
        "What the towers compute in; scores are float32.",
    )
    backend = flags.DEFINE_enum(
        "backend",
        "jax",
        ["jax", "openvino"],
        "What the towers run through; openvino: faster on a CPU, pip install 'jaxvlm[cpu]'.",
    )

    def load(on_progress: Progress) -> clip.ClipModel:
        from jaxvlm import clip

        with stage(on_progress, "load the encoder"):
            return clip.load(path.value, dtype=dtype.value, backend=backend.value)

    return load


def define_encoder(
    *, store: bool = True, live: bool = False, label: bool = False
) -> Callable[..., clip.Encoder]:
    """Flags of the model, the devices, the store and the cache, and the function from a batch size
    (0: measured) and who is told of progress to the encoder that they describe; it joins the
    processes first.

    store: whether what is encoded can be kept. live: it comes from a source that runs, of which
    nothing is kept, and the flag is refused by the function. label: whether there are label banks
    to split.
    """
    load = define_clip()
    devices = cli.define_devices(label=label)
    store_dir = None
    if store:
        store_dir = flags.DEFINE_string(
            "store_dir",
            None,
            "Refused: frames are scored as they come; score-video keeps those of a file."
            if live
            else "Keeps what is encoded here, for later runs; default: nowhere.",
        )
    cache_dir = flags.DEFINE_string(
        "cache_dir",
        str(runs.cache_folder("text") or ""),
        "Keeps text embeddings and the measured batch size; empty: nowhere.",
    )

    def encoder(batch_size: int = 0, on_progress: Progress = ignore) -> clip.Encoder:
        if live:
            given.refuse(
                ["store_dir"],
                "a source that runs is scored as it comes, and nothing of it is kept; "
                "score-video --store_dir keeps the frames of a file",
            )
        from jaxvlm import clip

        mesh = devices()
        return clip.make_encoder(
            load(on_progress),
            batch_size=batch_size,
            mesh=mesh,
            store_dir=store_dir.value if store_dir is not None else None,
            cache_dir=cache_dir.value or None,
            on_progress=on_progress,
        )

    return encoder
