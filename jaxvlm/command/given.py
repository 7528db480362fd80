"""What the command line of the program that runs says: flags as given, fields of a config, inputs.

A flag that would do nothing is refused, and the message names what decides instead.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from jaxvlm import resources, runs
from jaxvlm.command import places
from jaxvlm.data.sources import shown_source
from jaxvlm.errors import InputError
from jaxvlm.names import printable

# Flags that set a field of --config, which has their defaults; the prototypes' names for most.
FIELDS = {
    "delta": "boundary.delta",
    "epochs": "roles.epochs",
    "fps": "fps",
    "freeze_bias_epochs": "roles.freeze_bias_epochs",
    "kappa": "boundary.kappa",
    "lambda_atoms": "presence.lambda_atoms",
    "lambda_resemble": "presence.lambda_resemble",
    "method": "method",
    "topk": "roles.topk",
    "window": "segments.window",
}


def is_given(name: str) -> bool:
    """Whether a flag stands on the command line, be it with the value that it has anyway."""
    return name in flags.FLAGS and flags.FLAGS[name].present > 0


def fields(config: str = "config") -> dict[str, Any]:
    """The fields that ``--config.FIELD=VALUE`` sets, dotted, with their values."""
    start = f"{config}."
    names = sorted(name for name in flags.FLAGS if name.startswith(start))
    return {name[len(start) :]: flags.FLAGS[name].value for name in names if is_given(name)}


def refuse(names: Sequence[str], because: str) -> None:
    """Raises InputError if one of the flags is given: it cannot apply. ``because`` names what
    decides, and the cure."""
    for name in names:
        if is_given(name):
            raise InputError(f"--{name}: {because}")


def refuse_fields(known: Sequence[str], because: str, *, config: str = "config") -> None:
    """`refuse` for fields of a config; a name that ends in a dot stands for all below it."""
    for field in fields(config):
        if any(field == name or (name.endswith(".") and field.startswith(name)) for name in known):
            raise InputError(f"--{config}.{field}: {because}")


def field_values() -> dict[str, Any]:
    """What the flags of this program that set a field of ``--config`` say, None where they are not
    given. Raises InputError if such a flag and its field are both given."""
    own = {name: field for name, field in FIELDS.items() if name in flags.FLAGS}
    for name, field in own.items():
        if is_given(name):
            refuse_fields([field], f"--{name} says it; leave one of them out")
    return {field: flags.FLAGS[name].value for name, field in own.items()}


def own_flags() -> list[str]:
    """The flags that are given and are this project's: of the launcher and of the shared ones."""
    tables = flags.FLAGS.flags_by_module_dict()
    own = {
        flag.name
        for module, table in tables.items()
        for flag in table
        if module.startswith(("jaxvlm.", "launch.")) or module in ("__main__", sys.argv[0])
    }
    return sorted(name for name in flags.FLAGS if is_given(name) and _is_own(name, own))


def _is_own(name: str, own: set[str]) -> bool:
    return name in own or name.partition(".")[0] in own


def program() -> runs.Program:
    """The program that runs, for its run record."""
    name = Path(sys.argv[0]).name.removeprefix("jaxvlm ").removesuffix(".py").replace("_", "-")
    told = {flag: _told(flag) for flag in sorted(flags.FLAGS) if is_given(flag)}
    out = {Path(str(told[flag])).resolve() for flag in places.OUTPUTS if flag in told}
    inputs = {}
    for flag in (*places.DATA, *places.INPUTS):
        # The weights of a CLIP are told by its identity.
        if flag in told and flag != "clip":
            value = told[flag] if flag.endswith("config") else flags.FLAGS[flag].value
            texts = value if isinstance(value, list) else [str(value)]
            found = {path for text in texts for path in places.paths(text)}
            read = sorted(path for path in found if path.is_file() or path.is_dir())
            # What is written among the words is no input of itself.
            if read and not any(path.resolve() in out for path in read):
                inputs[flag] = read
    return runs.Program(name, told, inputs)


def _told(name: str) -> Any:
    """A flag's value as it was given, without secrets; of a config its file."""
    value = flags.FLAGS[name].value
    if hasattr(value, "__dataclass_fields__"):
        return resources.shown(config_flags.get_config_filename(flags.FLAGS[name]))
    if isinstance(value, str):
        return _shown(name, value)
    if isinstance(value, list | tuple):
        return [_shown(name, each) if isinstance(each, str) else each for each in value]
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def _shown(name: str, text: str) -> str:
    return printable(shown_source(text) if name == "source" or "://" in text else text)
