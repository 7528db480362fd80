"""Roles that stand in an ontology file: a person's, or those that `role_export` wrote."""

import os
from collections.abc import Mapping
from typing import Any

from jaxvlm.errors import InputError
from jaxvlm.ontology.ontology import Ontology, load_ontology
from jaxvlm.ontology.parameters import role_params
from jaxvlm.video import one_kind, role_settings
from jaxvlm.video import role_model as role_models
from jaxvlm.video.config import AtomsConfig, check
from jaxvlm.video.role_model import RoleModel


def read_role_file(
    path: str | os.PathLike,
    values: Any,
    *,
    file: Any = None,
    given: Mapping[str, Any] | None = None,
    captions: bool = False,
) -> tuple[RoleModel, list[str]]:
    """The roles of an ontology file, and a line for each setting that differs from its own.

    A file with ``settings`` decides as a trained role model does: these are its training's. Of
    others ``values`` decide.

    Args:
      values: how to score with a person's roles, unchecked.
      file, given, captions: what the user set, see `role_settings.of_trained_roles`.

    Raises InputError as `load_ontology` and `role_settings`, and where the file states no roles.
    """
    ontology, given = load_ontology(path), given or {}
    if ontology.trained.settings is None:
        settings = role_settings.of_written_roles(values, given, captions=captions)
        return _model(path, ontology, settings), []
    roles = _model(path, ontology, own_settings(path, ontology))
    return role_settings.of_trained_roles(roles, file, given, captions=captions)


def written_roles(path: str | os.PathLike, config: AtomsConfig | None = None) -> RoleModel:
    """The roles of an ontology file; nothing is trained. config: how to score with them; None: the
    file's own settings, or the default."""
    ontology = load_ontology(path)
    return _model(path, ontology, config or own_settings(path, ontology) or AtomsConfig())


def own_settings(path: str | os.PathLike, ontology: Ontology) -> AtomsConfig | None:
    """The settings that the file has, None without any. Raises InputError for bad ones."""
    if ontology.trained.settings is None:
        return None
    try:
        return check(ontology.trained.settings)
    except InputError as error:
        raise InputError(f"{path}: settings: {error}") from None


def check_trained(path: str | os.PathLike, ontology: Ontology) -> None:
    """Raises InputError for settings or a training record that no role model could have."""
    own_settings(path, ontology)
    one_kind.read_one_kind(ontology.trained.training.get("one_kind", ()), path)


def _model(path: str | os.PathLike, ontology: Ontology, config: AtomsConfig) -> RoleModel:
    if not ontology.has_roles:
        raise InputError(
            f"{path}: states no roles; write direct, indirect and counter atoms or rules under its "
            "events, or use a trained role model"
        )
    training = {k: v for k, v in ontology.trained.training.items() if k != one_kind.AS_WRITTEN}
    weights = ontology.trained.weights
    own = [e for e, w in zip(ontology.events, weights, strict=True) if w is None] if weights else []
    training |= {one_kind.AS_WRITTEN: own} if own else {}
    kinds = one_kind.read_one_kind(training.pop("one_kind", ()), path)
    kept = tuple(k for k in kinds if k.roles_from != one_kind.WRITTEN or k.event in own)
    model = role_models.of_ontology(ontology, role_params(ontology), config, training)
    return model._replace(source=str(path), one_kind=kept)
