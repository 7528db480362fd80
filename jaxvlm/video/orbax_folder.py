"""Arrays in a folder of orbax, in which role models once were. Read and never written."""

import contextlib
import gc
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvlm import bounds
from jaxvlm.errors import InputError

_MOST = bounds.NPY_BYTES


def restore_arrays(folder: Path, shapes: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """The arrays of a folder that orbax wrote: shapes is dtype and sizes by name.

    Raises InputError for a folder that is damaged or holds other arrays.
    """
    # Here, because few have such a folder and it takes a second.
    import orbax.checkpoint as ocp

    try:
        kinds = {name: (np.dtype(dtype), sizes) for name, (dtype, *sizes) in shapes.items()}
        if sum(math.prod(sizes) * dtype.itemsize for dtype, sizes in kinds.values()) > _MOST:
            raise ValueError(f"arrays of over {_MOST:,} bytes")
        template = {name: np.zeros(sizes, dtype) for name, (dtype, sizes) in kinds.items()}
        with _quiet(), _checkpointer(ocp) as checkpointer:
            arrays = checkpointer.restore(folder.absolute(), template)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        cause = " ".join(str(error).split())[:200]
        raise InputError(f"{folder}: cannot be read ({cause}); save it again") from None
    return {name: np.asarray(arrays[name]) for name in template}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """orbax tells every error several times, with the tracebacks of its threads, before it raises
    it: nothing of it is logged inside."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        gc.collect()  # asyncio tells of a task's error when nothing refers to the task any more
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _checkpointer(ocp: Any) -> Any:
    """A checkpointer that waits for no other process."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )
    return ocp.StandardCheckpointer(multiprocessing_options=alone)
