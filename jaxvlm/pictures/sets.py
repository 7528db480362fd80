"""Sets of pictures as a user names them: read, sampled, and compared with each other."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxvlm.data.image_sets import ImageSet, duplicates, read_image_set, sample
from jaxvlm.data.presets import PRESETS, read_preset
from jaxvlm.errors import InputError
from jaxvlm.names import printable
from jaxvlm.pictures.embedded import EmbeddedSet, read_embedded_set, shared_rows
from jaxvlm.pictures.set_names import check_names, refuse_group, split_group, split_name

WNID = r"n\d{8}"  # a WordNet id, what ImageNet's folders are called
_NAMED = 8  # names that a message lists


def read_set(
    source: str,
    *,
    samples_per_class: int | None = None,
    max_images: int | None = None,
    seed: int = 0,
) -> ImageSet:
    """A set from ``[[GROUP/]NAME=][PRESET:]FOLDER``, or a list in place of the folder, sampled.

    A preset, a name of `presets.PRESETS` such as ``textures:``, has its layout checked; a group may
    stand before it where there is no name, as in ``far/textures:``.
    Raises InputError as these readers and `split_name`.
    """
    group, name, path = split_name(source)
    if not path:
        raise InputError(f"{source!r}: names no folder; give FOLDER or NAME=FOLDER")
    preset, _, folder = path.partition(":")
    if not group and not name and _preset(preset) != preset and not os.path.exists(path):
        group, preset = split_group(preset, source)
    if preset in PRESETS and folder:
        found = read_preset(preset, folder)
        found = found._replace(name=name or found.name)
    else:
        found = read_image_set(path, name=name or None)
    return sample(
        found._replace(group=group),
        samples_per_class=samples_per_class if found.labels is not None else None,
        max_images=max_images,
        seed=seed,
    )


def split_sources(values: Sequence[str]) -> list[str]:
    """The sets that the values of a flag name: each value is one where it exists, else several
    with commas between them. So ``a,b`` is the folder of this name, if there is one."""
    sources = []
    for value in values:
        name, equals, path = value.partition("=")
        if not equals or "," in name:  # the name of a later set
            path = value
        preset, _, below = path.partition(":")
        below = below if _preset(preset) in PRESETS else ""
        candidates = (value, path, below, path.rpartition("@")[0])
        whole = any(name and os.path.exists(name) for name in candidates)
        sources += [value] if whole else [part.strip() for part in value.split(",")]
    return [source for source in sources if source]


def _preset(text: str) -> str:
    """What may be a preset, without the group in front of one."""
    own = text.rpartition("/")[2]
    return own if own in PRESETS else text


def read_sets(
    values: Sequence[str], embedded: bool = False, **options: Any
) -> list[ImageSet] | list[EmbeddedSet]:
    """The sets that the values of a flag name, as `split_sources`; options: as of `read_set`.

    embedded: they are files of embeddings. Raises InputError as `read_set`, `read_embedded_set`.
    """
    read = read_embedded_set if embedded else read_set
    return [read(source, **options) for source in split_sources(values)]


def read_sides(
    values: Sequence[Sequence[str] | None],
    embedded: bool,
    samples_per_class: int | None = None,
    max_ood_images: int | None = None,
    seed: int = 0,
) -> list[list[Any]]:
    """The ID, OOD and shifted sets that three flags name, as `read_sets`.

    samples_per_class: of sets of the ID classes. Raises InputError as `read_sets`.
    """
    per_class = {"samples_per_class": samples_per_class}
    options = per_class, {"max_images": max_ood_images}, per_class
    return [
        read_sets(own or (), embedded, seed=seed, **sampling)
        for own, sampling in zip(values, options, strict=True)
    ]


def read_one(value: str | Sequence[str] | None, embedded: bool = False) -> Any:
    """The set that a flag names, None for none; as `read_sets`.

    Raises InputError for several, and for a group.
    """
    if not value:
        return None
    if embedded:
        found = read_sets([value] if isinstance(value, str) else value, embedded)
        if len(found) > 1:
            raise InputError(f"{found[1].name}: a second set of embeddings; give one")
    else:
        found = [read_set(value)]
    refuse_group(found[0])
    return found[0]


def plain(name: str) -> str:
    """A class's name without case, blanks and underscores."""
    return re.sub(r"[\W_]+", "", name.casefold())


def check_classes(id_sets: Sequence[ImageSet], class_names: Sequence[str]) -> None:
    """Whether the labels of the ID sets are among the classes; case, blanks and underscores apart.

    Labels that are all numbers (OpenOOD's lists) or WordNet ids (ImageNet's folders) name no class
    by its name and pass.

    Raises InputError with both lists.
    """

    known = {plain(name) for name in class_names}
    for id_set in id_sets:
        labels = sorted(set(id_set.labels or ()))
        if all(re.fullmatch(rf"-?\d+|{WNID}", label) for label in labels):
            continue
        strange = [label for label in labels if plain(label) not in known]
        if strange:
            raise InputError(
                f"{id_set.name}: {len(strange)} of its {len(labels)} labels are none of the "
                f"{len(class_names)} classes ({_some(strange)}; the classes are "
                f"{_some(class_names)}); give the ID classes of these pictures"
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def listed_set(paths: Sequence[str | os.PathLike], *, name: str = "pictures") -> ImageSet:
    """A set of single pictures, in the order given. Raises InputError if there is none."""
    if not paths:
        raise InputError(f"{name}: no picture in the list; give at least one path")
    absolute = tuple(Path(path).absolute() for path in paths)
    return ImageSet(
        name, Path(os.path.commonpath([path.parent for path in absolute])), absolute, None
    )


def check_sets(
    id_sets: Sequence[ImageSet] | Sequence[EmbeddedSet],
    ood_sets: Sequence[ImageSet] | Sequence[EmbeddedSet],
    shifted: Sequence[ImageSet] | Sequence[EmbeddedSet] = (),
) -> list[str]:
    """One line per picture that is both in an ID and in an OOD set, by content; of embeddings, a
    line on how many. shifted: sets of the ID classes, which are ID, too.

    Raises InputError if one side has no set, and as `check_names`.
    """
    for side, option, sets in (("ID", "id_dir", id_sets), ("OOD", "ood_dirs", ood_sets)):
        if not sets:
            raise InputError(f"{option}: no {side} set; name at least one folder")
    check_names(id_sets, ood_sets, shifted)
    if isinstance(id_sets[0], EmbeddedSet):
        return shared_rows((*id_sets, *shifted), ood_sets)
    compared = [[own, *ood_sets, *shifted] for own in id_sets]
    compared += [[own, *ood_sets] for own in shifted]
    return [
        printable(
            f"{copy.ood_path}: also in the ID set, {copy.id_path}, byte for byte; "
            "remove one of them"
        )
        for sets in compared
        for copy in duplicates(sets)
    ]
