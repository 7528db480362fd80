"""The prototype's ``src/atoms/ontology.py`` as an ontology file; the Python is parsed, not run."""

import ast
import os
import warnings
from pathlib import Path
from typing import Any

import yaml

from jaxvlm import bounds
from jaxvlm.errors import InputError
from jaxvlm.reading import read_bounded

_NAMES = ("EVENTS", "EVENT2ATOMS", "CANONICAL_ATOMS", "AMBI_ENT_ATOMS")
_TEMPLATES = "text_templates_for_atom"


def to_yaml(path: str | os.PathLike) -> str:
    """The ontology file that says what the prototype's module says.

    The atoms are ``sorted(set(CANONICAL_ATOMS + AMBI_ENT_ATOMS))``, in the order of p̄'s columns;
    those that ``EVENT2ATOMS`` gives to no event are clutter here: scored, candidates of none. The
    templates are the f-strings that ``text_templates_for_atom`` lists.

    Raises InputError: not Python, a list that is missing or is not written out, an atom of an
    event that is none of the atoms.
    """
    path = Path(path)
    source = read_bounded(path, bounds.YAML_BYTES)
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes, which change no list
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{path}: not Python ({error}); give ontology.py as it came") from None
    found = {name: _literal(path, module, name) for name in _NAMES}
    events, by_event = found["EVENTS"], found["EVENT2ATOMS"]
    lists = (events, found["CANONICAL_ATOMS"], found["AMBI_ENT_ATOMS"])
    if not isinstance(by_event, dict) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names)
        for names in (*lists, *by_event.values())
    ):
        raise InputError(f"{path}: events and atoms must be lists of text; correct them")
    atoms = sorted({*found["CANONICAL_ATOMS"], *found["AMBI_ENT_ATOMS"]})
    listed: dict[str, list[str]] = {}
    for event in events:
        listed[event] = list(dict.fromkeys(by_event.get(event, [])))
        unknown = [atom for atom in listed[event] if atom not in atoms]
        if unknown:
            raise InputError(
                f"{path}: {unknown[0]!r} of {event} is in neither list of atoms; add it there"
            )
    used = {atom for names in listed.values() for atom in names}
    for atom in atoms:
        if atom != " ".join(atom.split()):
            raise InputError(f"{path}: {atom!r} has blanks too many; write single ones")
    value = {
        "events": listed,
        "clutter": [atom for atom in atoms if atom not in used],
        "templates": _templates(path, module),
    }
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=1000)


def _literal(path: Path, module: ast.Module, name: str) -> Any:
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return ast.literal_eval(node.value)
            except (ValueError, TypeError, RecursionError):
                raise InputError(f"{path}: {name} is not written out; write it as a list") from None
    raise InputError(f"{path}: no {name}; give the prototype's src/atoms/ontology.py")


def _templates(path: Path, module: ast.Module) -> list[str]:
    functions = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == _TEMPLATES]
    strings = [node for f in functions for node in ast.walk(f) if isinstance(node, ast.JoinedStr)]
    templates = [
        "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in string.values)
        for string in strings
    ]
    if not templates or any(template.count("{}") != 1 for template in templates):
        raise InputError(f"{path}: {_TEMPLATES} lists no f-strings with the atom; write them there")
    return templates
