"""The arrays of a role model, as its folder has them."""

from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.errors import InputError

_RULES = "rules_"  # before the names of the arrays of `atoms.rules.Rules`
# Rows and columns of every array; from gamma_explicit on they are parts that a model may lack.
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
    "rules_atoms": "ER2",
    "rules_theta": "ER",
    "rules_unless": "ERU",
    "rules_theta_unless": "ERU",
}
_TOGETHER = (
    {"presence_scale", "presence_center"},
    {name for name in _AXES if name.startswith(_RULES)},
)


def arrays_of(params: RoleParams) -> dict[str, jax.Array]:
    """The parts that the parameters have, by name."""
    arrays = {name: x for name, x in params._asdict().items() if x is not None}
    rules = arrays.pop("rules", None)
    if rules is not None:
        arrays |= {_RULES + name: x for name, x in rules._asdict().items()}
    return arrays


def params_of(arrays: Mapping[str, np.ndarray]) -> RoleParams:
    """The parameters that `arrays_of` gave, of arrays that `check_arrays` took."""
    found = {name: jnp.asarray(arrays[name]) for name in RoleParams._fields if name in arrays}
    if _RULES + "theta" in arrays:
        found["rules"] = Rules(*(jnp.asarray(arrays[_RULES + name]) for name in Rules._fields))
    return RoleParams(**found)


def check_arrays(
    arrays: Mapping[str, np.ndarray], num_atoms: int, num_events: int, folder: Path
) -> None:
    """Raises InputError, which names ``folder``, for arrays that are no roles of so many atoms and
    events."""
    needed = set(list(_AXES)[:7])
    for part in _TOGETHER:
        if part & set(arrays):
            needed |= part
    unknown, missing = sorted(set(arrays) - set(_AXES)), sorted(needed - set(arrays))
    if unknown or missing:
        what = f"has {unknown[0]}" if unknown else f"lacks {missing[0]}"
        raise InputError(f"{folder}: not the arrays of a role model, {what}; save the model again")
    sizes = {"C": num_atoms, "E": num_events, "2": 2}
    for name in sorted(arrays):  # rules_atoms come before what has their number of rules
        array = arrays[name]
        for axis, size in zip(_AXES[name], array.shape, strict=False):
            sizes.setdefault(axis, size)
        shape = tuple(sizes.get(axis, 0) for axis in _AXES[name])
        if array.shape != shape:
            raise InputError(
                f"{folder}: {name} is {array.shape}, the names say {shape}; save the model again"
            )
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise InputError(f"{folder}: {name} holds other than numbers; save the model again")
        if name == "candidates" and not np.isin(array, (0, 1)).all():
            raise InputError(f"{folder}: {name} holds other than 0 and 1; save the model again")
        if name in ("rules_atoms", "rules_unless") and not _are_atoms(array, num_atoms):
            raise InputError(f"{folder}: {name} names atoms there are not; save the model again")


def _are_atoms(numbers: np.ndarray, num_atoms: int) -> bool:
    known = (numbers >= NOBODY) & (numbers < num_atoms)
    return numbers.dtype.kind == "i" and bool(known.all())
