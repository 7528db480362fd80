"""What a training writes of its roles: the model, and tables of roles and rules."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.atoms.roles import NO_ROLE, ROLES, RoleParams, role_strengths
from jaxvlm.video import one_kind
from jaxvlm.video import role_model as role_models
from jaxvlm.video.role_model import RoleModel
from jaxvlm.video.role_sentences import rules_table, told_of_atoms


def roles_table(model: RoleModel) -> pd.DataFrame:
    """event, atom, role given, ``roles_from``, ρ of each role, γ of each term; candidates only,
    strongest first. Of roles with rules also ``rules``, those that the atom is in, strongest first.

    ``roles_from``: ``labels``, or ``ontology`` where the roles are as written there. An event that
    is not looked for (`RoleModel.one_kind`) has one row at the end without an atom: ``nothing``.
    """
    tables = role_strengths(model.params, model.candidates)[: len(ROLES)]
    strengths = list(map(np.asarray, tables))
    given = model.roles()
    gamma = _gammas(model.params)
    written = one_kind.written(model.one_kind) if model.training else model.events
    rows = []
    for e, event in enumerate(model.events):
        for c, atom in enumerate(model.atoms):
            if model.candidates is None or model.candidates[c, e]:
                rows.append(
                    (
                        event,
                        atom,
                        given[c, e],
                        one_kind.WRITTEN if event in written else "labels",
                        *(table[c, e] for table in strengths),
                        *(values[e] for values in gamma.values()),
                    )
                )
    columns = ["event", "atom", "role", "roles_from", *(f"rho_{role}" for role in ROLES), *gamma]
    table = pd.DataFrame(rows, columns=columns)
    order = table["role"].map({role: i for i, role in enumerate((*ROLES, NO_ROLE))})
    strength = table[[f"rho_{role}" for role in ROLES]].max(axis=1)
    events = table["event"].map({event: i for i, event in enumerate(model.events)})
    if model.params.rules is not None:
        own = told_of_atoms(model)
        told = [own.get(key, "") for key in zip(table["event"], table["atom"], strict=True)]
        table, columns = table.assign(rules=told), [*columns, "rules"]
    ranked = table.assign(_e=events, _r=order, _s=-strength).sort_values(["_e", "_r", "_s", "atom"])
    ranked = ranked[columns].reset_index(drop=True)
    missing = one_kind.left_out(model.one_kind)
    if not missing:
        return ranked
    rows = [(event, "", NO_ROLE, one_kind.NOTHING) for event in missing]
    return pd.concat([ranked, pd.DataFrame(rows, columns=columns[:4])], ignore_index=True)


def write_roles(out_dir: str | os.PathLike, model: RoleModel) -> None:
    """Writes ``model``, ``roles.csv``, ``roles.json`` and, of roles with rules, ``rules.csv``."""
    out_dir = Path(out_dir)
    role_models.save_role_model(out_dir / "model", model)
    table = roles_table(model)
    files.write_csv(out_dir / "roles.csv", table)
    files.write_json(out_dir / "roles.json", table.round(6).to_dict(orient="records"))
    if model.params.rules is not None:
        files.write_csv(out_dir / "rules.csv", rules_table(model))


def _gammas(params: RoleParams) -> dict[str, np.ndarray]:
    names: Sequence[str] = (*ROLES, "explicit")
    found = {f"gamma_{name}": getattr(params, f"gamma_{name}") for name in names}
    return {name: np.asarray(value) for name, value in found.items() if value is not None}
