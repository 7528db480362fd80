"""Flags of the launchers that encode: which CLIP, on which devices, and where it is kept.

Apart from `cli`, because a launcher that encodes nothing should not wait for transformers.
"""

from collections.abc import Callable

import jax
from absl import flags
from jax.sharding import Mesh

from jaxvlm import clip, parallel, resources


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


def define_devices(*, label: bool = False) -> Callable[[], Mesh | None]:
    """Flags of devices and processes, and the function that gives the mesh; None on one device.

    The function joins the processes, so it has to be called before anything else of JAX. label:
    whether there are label banks to split.
    """
    distributed = flags.DEFINE_bool(
        "distributed",
        False,
        "Join the processes that SLURM, Open MPI, Kubernetes or a pod started.",
    )
    address = flags.DEFINE_string(
        "coordinator_address", None, "HOST:PORT of process 0, to join processes started by hand."
    )
    count = flags.DEFINE_integer("num_processes", None, "How many there are, with the address.")
    number = flags.DEFINE_integer("process_id", None, "Which this one is, from 0.")
    labels = None
    if label:
        labels = flags.DEFINE_integer(
            "label_devices", 1, "Devices that share the label banks between them.", lower_bound=1
        )

    def devices() -> Mesh | None:
        if distributed.value or address.value is not None:
            parallel.start(address.value, count.value, number.value)
        wanted = labels.value if labels is not None else 1
        return None if jax.device_count() == 1 == wanted else parallel.make_mesh(label=wanted)

    return devices


def define_store() -> flags.FlagHolder:
    """``--store_dir``: where embeddings are kept."""
    return flags.DEFINE_string(
        "store_dir", None, "Keeps what is encoded here, for later runs; default: nowhere."
    )
