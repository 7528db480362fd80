"""What may still be set where roles are given: which settings apply, and which the roles decide."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxvlm.errors import InputError
from jaxvlm.video import config as configs
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.role_model import RoleModel

# A name that ends in a dot stands for all below it.
APPLY = ("fps", "batch_size", "boundary.", "segments.")
# How captions lift a presence: without captions they would do nothing.
OF_CAPTIONS = (
    "presence.lambda_atoms", "presence.lambda_resemble", "presence.guard",
    "presence.resemble_threshold",
)  # fmt: skip
# Of the settings of roles, those that a probability is computed with.
OF_PROBABILITY = ("roles.temperature", "roles.reference")
_NO_CAPTIONS = "there are no captions that it could weigh; give --qwen_json, or leave it out"


def flat(config: Any) -> dict[str, Any]:
    """The fields of a config, or of a table of them, by dotted names: boundary.delta."""
    values = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config
    if not isinstance(values, Mapping):
        raise InputError(f"config {values!r}: not a table of settings; correct it")
    found = {}
    for name, value in values.items():
        parts = flat(value) if isinstance(value, Mapping) else {"": value}
        found |= {f"{name}.{part}".removesuffix("."): own for part, own in parts.items()}
    return found


def of_written_roles(values: Any, given: Mapping[str, Any], *, captions: bool) -> AtomsConfig:
    """The config to score with the roles of an ontology.

    Args:
      values: all settings, unchecked.
      given: those of them that the user set one by one, by dotted names.
      captions: whether there are captions.

    Raises InputError: a setting that cannot be, or that cannot apply.
    """
    for field, value in given.items():
        if field.startswith("roles.") and field not in OF_PROBABILITY:
            raise InputError(
                f"config {field}={value}: of training, and roles that stand in an ontology are not "
                "trained; leave it out"
            )
        if field in OF_CAPTIONS and not captions:
            raise InputError(f"config {field}={value}: {_NO_CAPTIONS}")
    return _fixed(configs.check(values), given)


def of_trained_roles(
    roles: RoleModel, file: Any, given: Mapping[str, Any], *, captions: bool
) -> tuple[RoleModel, list[str]]:
    """The role model with what can be set over its own config, and a line for every difference.

    Frames per second, boundaries, segments and the batch size apply; with captions also how these
    are weighed. What presence is, and all of ``roles``, is decided by the training.

    Args:
      roles: a trained model.
      file: a config whose fields were given all at once, None if there is none: those that are as
        the model's do nothing, and those of ``roles`` are passed over: they are of the training.
      given: fields that the user set one by one, by dotted names.
      captions: whether there are captions.

    Raises InputError: a setting that cannot be, or that cannot apply.
    """
    own = flat(roles.config)
    changes = {}
    if file is not None:
        asked = {field: value for field, value in flat(file).items() if field not in given}
        unknown = [field for field in asked if field not in own]
        if unknown:
            raise InputError(f"config {unknown[0]}: no such setting; remove it")
        changes = {
            field: value
            for field, value in asked.items()
            if value != own[field] and not field.startswith("roles.")
        }
    for field, value in (changes | dict(given)).items():
        if field not in own:
            raise InputError(f"config {field}: no such setting; remove it")
        if field in OF_CAPTIONS:
            if not captions:
                raise InputError(f"config {field}={value}: {_NO_CAPTIONS}")
        elif not any(field == n or n.endswith(".") and field.startswith(n) for n in APPLY):
            raise InputError(
                f"config {field}={value}: the role model decides (--roles: {own[field]}), because "
                "its roles were learned so; leave it out, or train roles with it"
            )
        changes[field] = value
    config = _fixed(configs.check(nested(own | changes)), given)
    now = flat(config)
    told = [
        f"{field} is {now[field]}; the roles were trained with {own[field]}"
        for field in now
        if now[field] != own[field] and field != "batch_size"
    ]
    return roles._replace(config=config), told


def _fixed(config: AtomsConfig, given: Mapping[str, Any]) -> AtomsConfig:
    for field, decides in configs.idle(config).items():
        if field in given:
            raise InputError(f"config {field}={given[field]}: {decides}; leave it out")
    for field, value in dataclasses.asdict(config.boundary).items():
        if value == "learned":
            raise InputError(
                f"config boundary.{field}=learned: train-role-learning learns it; to score, give "
                "a number or auto"
            )
    return config


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The table of tables that `flat` made flat."""
    nested: dict[str, Any] = {}
    for field, value in values.items():
        *parents, name = field.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return nested
