"""The state dict of the prototype's RoleLearner (``role_learner_multi.pt``) and `RoleParams`."""

import os
from typing import Any

import numpy as np

from jaxvlm.atoms.roles import RoleParams
from jaxvlm.errors import InputError
from jaxvlm.video.role_model import RoleModel

# The prototype's names for the parameters of `RoleParams`. Its first version learned ρ itself, as
# `rho_dir`, `rho_ind`, `rho_ctr`, clamped to [0, 1], with temperature 1.
PARAMETERS = {
    "theta_direct": "theta_dir",
    "theta_indirect": "theta_ind",
    "theta_counter": "theta_ctr",
    "gamma_direct": "gamma_dir",
    "gamma_indirect": "gamma_ind",
    "gamma_counter": "gamma_ctr",
    "bias": "bias",
}
_SMALLEST_RHO = 1e-6  # σ(θ) cannot be 0 or 1
_TEMPERATURE = 2.0


def role_params(state: Any, path: str | os.PathLike) -> RoleParams:
    """The parameters of a state dict of the prototype's RoleLearner, by `PARAMETERS`.

    A first-version state becomes θ = logit ρ and 2γ, which gives the same P(e|u) at temperature 2.
    Raises InputError, naming ``path``, for missing or misshapen parameters, NaN or infinity.
    """
    if not isinstance(state, dict):
        raise InputError(f"{path}: not a state_dict; save model.state_dict()")
    names = dict(PARAMETERS)
    first_version = "rho_dir" in state
    if first_version:
        names |= {field: name.replace("theta", "rho") for field, name in PARAMETERS.items()}
    missing = sorted(set(names.values()) - set(state))
    if missing:
        raise InputError(f"{path}: no parameter {missing[0]}; save a RoleLearner's state_dict")
    found = {
        field: np.asarray(state[name], np.float32)
        for field, name in names.items()
        if isinstance(state[name], np.ndarray)
    }
    shape = found["theta_direct"].shape if "theta_direct" in found else ()
    for field, name in names.items():
        expected = shape if field.startswith("theta") else shape[1:]
        if len(shape) != 2 or field not in found or found[field].shape != expected:
            raise InputError(f"{path}: {name} is not [atoms, events] or [events]; save it again")
        if not np.isfinite(found[field]).all():
            raise InputError(f"{path}: {name} holds NaN or infinity; train the roles again")
    if first_version:
        for field, values in found.items():
            if field.startswith("theta"):
                rho = np.clip(values.astype(np.float64), _SMALLEST_RHO, 1 - _SMALLEST_RHO)
                found[field] = (np.log(rho) - np.log1p(-rho)).astype(np.float32)
            elif field.startswith("gamma"):
                found[field] = _TEMPERATURE * values
    return RoleParams(**found)


def role_state(model: RoleModel, source: str | os.PathLike) -> dict[str, np.ndarray]:
    """The state dict that the prototype's RoleLearner loads.

    Raises InputError for a model with parts that the prototype lacks: calibration, explicit
    counter evidence.
    """
    extra = [name for name in RoleParams._fields[7:] if getattr(model.params, name) is not None]
    if extra:
        raise InputError(
            f"{source}: has {extra[0]}, which the prototype's learner lacks; "
            "train the roles with --config=configs/reference.py"
        )
    return {
        name: np.asarray(getattr(model.params, field), np.float32)
        for field, name in PARAMETERS.items()
    }
