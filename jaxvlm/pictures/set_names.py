"""What sets of pictures, groups of OOD sets and what is reported of them are called."""

import os
from collections.abc import Sequence
from typing import Any

from jaxvlm import names
from jaxvlm.errors import InputError
from jaxvlm.evaluation.paired import MEAN_OF_SETS, mean_of

POOLED = "pooled"  # all OOD pictures as one set; beside it `paired.MEAN_OF_SETS`


def split_name(source: str) -> tuple[str, str, str]:
    """Group, name and path of ``[[GROUP/]NAME=]PATH``; empty what is not said.

    What exists as it is written is a path: a folder's own name may hold a "=".
    Raises InputError for a group or a name that leads elsewhere: they become a file's.
    """
    name, equals, path = source.partition("=")
    if not equals or os.path.exists(source):
        return "", "", source
    group, name = split_group(name, source)
    return group, name, path


def split_group(name: str, place: object) -> tuple[str, str]:
    """Group and name of ``[GROUP/]NAME``. Raises InputError as `split_name`."""
    group, slash, own = name.rpartition("/")
    if slash:
        names.part_of_path(group, place)
    if own:
        names.part_of_path(own, place)
    return group, own


def full_spectrum(id_set: str) -> str:
    """What an ID set is called together with the sets of its classes under covariate shift."""
    return f"{id_set}, full spectrum"


def groups_of(ood_sets: Sequence[Any]) -> dict[str, list[str]]:
    """The names of the OOD sets of each group, in the order given."""
    groups: dict[str, list[str]] = {}
    for own in ood_sets:
        if own.group:
            groups.setdefault(own.group, []).append(own.name)
    return groups


def check_names(id_sets: Sequence[Any], ood_sets: Sequence[Any], shifted: Sequence[Any]) -> None:
    """Raises InputError for a name that two sets have, or that what is reported has, and for a
    group of what is no OOD set."""
    groups = groups_of(ood_sets)
    if "sets" in groups:
        raise InputError(f"sets: a group of this name; {MEAN_OF_SETS!r} is that of all sets")
    taken = {POOLED, MEAN_OF_SETS, *map(mean_of, groups)}
    if shifted:
        taken |= {full_spectrum(own.name) for own in id_sets}
    given = [own.name for own in (*id_sets, *ood_sets, *shifted)]
    for name in given:
        names.part_of_path(name, "a set of pictures")
        if given.count(name) > 1:
            raise InputError(f"{name}: two sets of this name; name them, as in NAME=FOLDER")
        if name in taken:
            raise InputError(f"{name}: rows of the results are called so; name it, as in NAME=…")
    for own in (*id_sets, *shifted):
        refuse_group(own)


def refuse_group(own: Any) -> None:
    """Raises InputError for a set that is no OOD set and has a group."""
    if own.group:
        raise InputError(
            f"{own.group}/{own.name}: groups are of OOD sets, whose means are reported; leave "
            f"{own.group}/ out"
        )
