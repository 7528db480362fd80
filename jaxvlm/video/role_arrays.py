"""The arrays of a role model, as its folder has them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxvlm.errors import InputError

# Rows and columns of every array; the last four are parts that a model may lack.
_AXES = {
    "theta_direct": "CE",
    "theta_indirect": "CE",
    "theta_counter": "CE",
    "gamma_direct": "E",
    "gamma_indirect": "E",
    "gamma_counter": "E",
    "bias": "E",
    "gamma_explicit": "E",
    "presence_scale": "C",
    "presence_center": "C",
    "candidates": "CE",
}
_CALIBRATION = {"presence_scale", "presence_center"}


def check_arrays(
    arrays: Mapping[str, np.ndarray], num_atoms: int, num_events: int, folder: Path
) -> None:
    """Raises InputError, which names ``folder``, for arrays that are no roles of so many atoms and
    events."""
    needed = set(list(_AXES)[:7])
    if _CALIBRATION & set(arrays):
        needed |= _CALIBRATION
    unknown, missing = sorted(set(arrays) - set(_AXES)), sorted(needed - set(arrays))
    if unknown or missing:
        what = f"has {unknown[0]}" if unknown else f"lacks {missing[0]}"
        raise InputError(f"{folder}: not the arrays of a role model, {what}; save the model again")
    sizes = {"C": num_atoms, "E": num_events}
    for name, array in arrays.items():
        shape = tuple(sizes[axis] for axis in _AXES[name])
        if array.shape != shape:
            raise InputError(
                f"{folder}: {name} is {array.shape}, the names say {shape}; save the model again"
            )
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise InputError(f"{folder}: {name} holds other than numbers; save the model again")
        if name == "candidates" and not np.isin(array, (0, 1)).all():
            raise InputError(f"{folder}: {name} holds other than 0 and 1; save the model again")
