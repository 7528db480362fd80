"""Flags of the launchers that encode: which CLIP, and where what it gives is kept.

Apart from `cli`, because a launcher that encodes nothing should not wait for transformers.
"""

from collections.abc import Callable

from absl import flags

from jaxvlm import cli, clip, resources


def define_clip() -> Callable[[], clip.ClipModel]:
    """``--clip`` and ``--dtype``, and the function that loads what they say."""
    path = flags.DEFINE_string(
        "clip", str(resources.path("checkpoints/clip")), "CLIP folder or hub id."
    )
    dtype = flags.DEFINE_enum(
        "dtype",
        "float32",
        ["float32", "bfloat16"],
        "What the towers compute in; scores are float32.",
    )
    return lambda: clip.load(path.value, dtype=dtype.value)


def define_store() -> flags.FlagHolder:
    """``--store_dir``: where embeddings are kept."""
    return flags.DEFINE_string(
        "store_dir", None, "Keeps what is encoded here, for later runs; default: nowhere."
    )


def define_cache() -> flags.FlagHolder:
    """``--cache_dir``: of text embeddings and of the measured batch size."""
    return flags.DEFINE_string(
        "cache_dir", str(cli.cache_folder("text")), "Keeps text embeddings; empty: nowhere."
    )
