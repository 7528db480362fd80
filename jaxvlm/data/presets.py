"""Where the usual sets of OOD evaluation keep their pictures, checked before anything is read.

Layouts and counts are those of the archives as published:

- imagenet1k: ILSVRC 2012 validation, sorted into one folder per WordNet id, as the repository of
  MOS (Huang & Li, CVPR 2021, deeplearning-wisc/large_scale_ood) and torchvision expect it.
- inaturalist, sun, places: the subsets of MOS without ImageNet's concepts, 10,000 pictures each,
  flat in ``images/``.
- textures: the Describable Textures Dataset whole, ``dtd/images/<texture>/`` (Cimpoi et al. 2014).
- ninco: Bitterwolf et al., ICML 2023; ``NINCO_OOD_classes/<class>/`` in the authors' archive,
  ``ninco/<class>/`` in OpenOOD's.
- openimage-o: Wang et al., CVPR 2022 (ViM); flat in ``openimage_o/images/`` in OpenOOD's archive.
  OpenOOD's and ViM's text lists select parts of it: ``list_file``.
- ssb-hard: the hard ImageNet classes of the Semantic Shift Benchmark, Vaze et al., ICLR 2022;
  ``ssb_hard/<wnid>/`` in OpenOOD's archive, 49,000 pictures in its list.
- imagenet-v2: Recht et al., ICML 2019; folders 0 to 999, ten pictures each, of the
  matched-frequency archive, ``imagenet_v2/`` in OpenOOD's.
- imagenet-r: Hendrycks et al., ICCV 2021; 200 of ImageNet's classes, 30,000 pictures.
- imagenet-c: Hendrycks and Dietterich, ICLR 2019; ``<corruption>/<severity>/<wnid>/``, of which
  OpenOOD's lists select parts. A folder of one tar of the authors', such as noise, is whole, too.
- imagenet-es: Baek et al., CVPR 2024; ``es-test/<auto_exposure or param_control>/<light>/<shot>/
  <wnid>/``, 64,000 pictures of 200 classes; the references beside them are left out.
- waterbirds: Sagawa et al., ICLR 2020 (group DRO); ``metadata.csv`` names the pictures, y 1 is a
  waterbird, place 1 is water, split 0 train, 1 validation, 2 test.
- placesbg: empty places for Waterbirds, ``land/`` and ``water/``; Ming et al., AAAI 2022
  (deeplearning-wisc/Spurious_OOD, generate_placebg.py).
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from jaxvlm import files
from jaxvlm.data import images
from jaxvlm.data.image_sets import ImageSet, read_image_set
from jaxvlm.errors import InputError


class Preset(NamedTuple):
    """What a set looks like on disk.

    folders: where the pictures may lie below the folder the user names, first match wins.
    layout: "flat", "classes", "deep" or "waterbirds". classes: a pattern of the class folders'
    names. num_classes: how many class folders there must be, None where any number will do. tops:
    of the layout "deep", whose pictures lie in class folders at any depth, a pattern of the upper
    folders that count; others are left out.
    """

    folders: tuple[str, ...]
    layout: str
    expects: str
    classes: str = ".+"
    num_classes: int | None = None
    tops: str = ""


_WNID = r"n\d{8}"
PRESETS: dict[str, Preset] = {
    "imagenet1k": Preset(
        ("val", "ILSVRC/Data/CLS-LOC/val", "."),
        "classes",
        "val/<wnid>/*.JPEG, 1,000 folders such as n01440764, 50,000 pictures",
        _WNID,
        num_classes=1000,
    ),
    "inaturalist": Preset(
        ("images", "iNaturalist/images"),
        "flat",
        "images/*.jpg, 10,000 pictures without sub-folders",
    ),
    "sun": Preset(
        ("images", "SUN/images"), "flat", "images/*.jpg, 10,000 pictures without sub-folders"
    ),
    "places": Preset(
        ("images", "Places/images"), "flat", "images/*.jpg, 10,000 pictures without sub-folders"
    ),
    "textures": Preset(
        ("images", "dtd/images"),
        "classes",
        "images/<texture>/*.jpg, 47 folders such as banded, 5,640 pictures",
        num_classes=47,
    ),
    "ninco": Preset(
        ("NINCO_OOD_classes", "NINCO/NINCO_OOD_classes", "ninco", "."),
        "classes",
        "NINCO_OOD_classes/<class>/*, 64 folders, 5,879 pictures",
        num_classes=64,
    ),
    "ssb-hard": Preset(
        ("ssb_hard", "."), "classes", "ssb_hard/<wnid>/*.JPEG, folders such as n00470682", _WNID
    ),
    "imagenet-v2": Preset(
        ("imagenetv2-matched-frequency-format-val", "imagenet_v2", "."),
        "classes",
        "imagenetv2-matched-frequency-format-val/<class>/*.jpeg, folders 0 to 999",
        r"\d{1,3}",
        num_classes=1000,
    ),
    "imagenet-r": Preset(
        ("imagenet-r", "imagenet_r", "."),
        "classes",
        "imagenet-r/<wnid>/*.jpg, 200 folders such as n01443537, 30,000 pictures",
        _WNID,
        num_classes=200,
    ),
    "imagenet-c": Preset(
        ("imagenet_c", "."),
        "deep",
        "<corruption>/<severity>/<wnid>/*.JPEG, such as gaussian_noise/1/n01440764/",
        _WNID,
        tops=(
            "(gaussian|shot|impulse|speckle)_noise|(defocus|glass|motion|zoom|gaussian)_blur|frost|"
            "snow|fog|brightness|contrast|elastic_transform|pixelate|jpeg_compression|spatter|"
            "saturate"
        ),
    ),
    "imagenet-es": Preset(
        ("es-test", "ImageNet-ES/es-test", "imagenet_es/es-test", "."),
        "deep",
        "es-test/param_control/<light>/<shot>/<wnid>/* and es-test/auto_exposure/ likewise",
        _WNID,
        tops="auto_exposure|param_control",
    ),
    "openimage-o": Preset(
        ("images", "openimage_o/images", "."),
        "flat",
        "images/*.jpg, no sub-folders",
    ),
    "waterbirds": Preset(
        (".", "waterbird_complete95_forest2water2"),
        "waterbirds",
        "metadata.csv (img_filename, y, split, place) beside the folders that it names",
    ),
    "placesbg": Preset(
        ("placesbg", "."), "classes", "land/*.jpg and water/*.jpg", classes="land|water"
    ),
}


def read_preset(
    name: str,
    root: str | os.PathLike,
    *,
    list_file: str | os.PathLike | None = None,
) -> ImageSet:
    """Finds the pictures of a usual set below ``root``, which must look as its preset says.

    list_file: a text list ``path label`` with paths relative to ``root`` (OpenOOD, ViM); then it
    alone says which pictures belong to the set, and the layout is not checked. Waterbirds gives
    its test split with the labels "landbird" and "waterbird".

    Raises:
      InputError: an unknown name; a folder, file, column or class that the layout asks for and
        that is missing, with the layout expected.
    """
    root = Path(root)
    if name not in PRESETS:
        raise InputError(f"{name}: unknown image set; use one of {', '.join(PRESETS)}")
    preset = PRESETS[name]
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; {name} is expected as {preset.expects}")
    if list_file is not None:
        return read_image_set(list_file, root=root, name=name)
    if preset.layout == "waterbirds":
        return _read_waterbirds(name, preset, root)
    causes = []
    for folder in (root / f for f in preset.folders if os.path.isdir(root / f)):
        found = None
        if preset.layout == "deep":
            found, cause = _read_deep(name, preset, folder)
        elif (cause := _misfit(folder, preset)) is None:
            found = read_image_set(folder, name=name)
        if found is not None:
            return found
        causes.append(f"{folder.name}/: {cause}" if folder != root else cause)
    cause = causes[0] if causes else f"no folder {preset.folders[0]}/"
    raise InputError(f"{root}: {cause}; {name} is expected as {preset.expects}")


def _misfit(folder: Path, preset: Preset) -> str | None:
    """Why the names in a folder are not those of the preset, or None. Looks into no sub-folder."""
    entries = sorted(e for e in images.entries(folder) if not e.name.startswith("."))
    folders = [entry.name for entry in entries if os.path.isdir(entry)]
    pictures = [e.name for e in entries if images.is_picture(e.name) and os.path.isfile(e)]
    if preset.layout == "flat":
        return None if pictures else "no pictures in this folder"
    if pictures:
        return f"pictures such as {pictures[0]} instead of class folders"
    strange = [name for name in folders if not re.fullmatch(preset.classes, name)]
    if strange:
        return f"{strange[0]} is no class folder of this set"
    if preset.num_classes not in (None, len(folders)):
        return f"{len(folders)} class folders instead of {preset.num_classes}"
    return None


def _read_deep(name: str, preset: Preset, folder: Path) -> tuple[ImageSet | None, str]:
    """The pictures below the upper folders that count, by their class folders; or None, and why."""
    tops = sorted(
        entry.name
        for entry in images.entries(folder)
        if os.path.isdir(entry) and re.fullmatch(preset.tops, entry.name)
    )
    if not tops:
        return None, "none of the folders that the set has"
    sets = [read_image_set(folder / top) for top in tops]
    paths = tuple(path for own in sets for path in own.paths)
    labels = tuple(path.parent.name for path in paths)
    for path, label in zip(paths, labels, strict=True):
        if not re.fullmatch(preset.classes, label):
            return None, f"{path.relative_to(folder)} lies in no class folder of this set"
    left_out = tuple(line for own in sets for line in own.left_out)
    return ImageSet(name, folder, paths, labels, left_out), ""


def _read_waterbirds(name: str, preset: Preset, root: Path) -> ImageSet:
    expected = f"; {name} is expected as {preset.expects}"
    folder = next(
        (root / f for f in preset.folders if os.path.isfile(root / f / "metadata.csv")), None
    )
    if folder is None:
        raise InputError(f"{root}: no metadata.csv{expected}")
    path = folder / "metadata.csv"
    table = files.read_csv(path, dtype={"img_filename": str})
    missing = [c for c in ("img_filename", "y", "split", "place") if c not in table]
    if missing:
        raise InputError(f"{path}: no column {missing[0]}{expected}")
    if not table["y"].isin((0, 1)).all() or not table["split"].isin((0, 1, 2)).all():
        raise InputError(
            f"{path}: y other than 0, 1 or split other than 0, 1, 2; take the file as it came"
        )
    unnamed = table["img_filename"].isna().to_numpy()
    if unnamed.any():
        raise InputError(f"{path}: row {int(unnamed.argmax()) + 2} names no picture{expected}")
    test = table[table["split"] == 2]
    paths = tuple(folder / file for file in test["img_filename"])
    if not any(os.path.isfile(p) for p in paths):
        raise InputError(f"{path}: none of its {len(paths)} test pictures is here{expected}")
    labels = tuple("waterbird" if y else "landbird" for y in test["y"])
    return ImageSet(name, folder, paths, labels)
