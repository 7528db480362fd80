"""The preprocessing that a model folder asks for, as transformers' CLIPImageProcessor reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from jaxvlm.clip.config import ClipConfig
from jaxvlm.clip.preprocessing import CLIP_MEAN, CLIP_STD, Preprocessing
from jaxvlm.errors import InputError
from jaxvlm.files import read_json

FILES = ("processor_config.json", "preprocessor_config.json")
_KINDS = {
    *("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"),
    "CLIPFeatureExtractor",
}
_SIDE = 224  # what CLIPImageProcessor takes where a file names no size
_MOST = 4096  # pixels of a side: 12 times the largest tower of a CLIP
_LARGEST = 1e9  # of a number, and of one that pixels are divided by 1 / this: they stay finite
_CURE = "take the file that belongs to the model"


def read_preprocessing(folder: Path, config: ClipConfig) -> Preprocessing:
    """Reads a folder's preprocessing; without a file for it, CLIP's constants at the tower's size.

    ``image_processor`` in ``processor_config.json`` (transformers 5), or else
    ``preprocessor_config.json``. Every field of CLIPImageProcessor counts as it does there, with
    its default where it is missing: do_resize, size (a number or shortest_edge: the short side;
    height and width, or a pair of them: both), resample, do_center_crop, crop_size, do_rescale,
    rescale_factor, do_normalize, image_mean, image_std. do_convert_rgb changes nothing: pictures
    are RGB here.

    Raises:
      InputError: another kind of processor; a value that none of these can have; pixels that are
        not of the size that the vision tower takes.
    """
    side = config.vision_config.image_size
    path, value = _find(folder)
    if value is None:
        return Preprocessing(side, side)
    return checked(path, value, side)


def checked(path: Path, value: Mapping[str, Any], side: int) -> Preprocessing:
    """A processor's fields as preprocessing; InputError names ``path`` for what cannot be."""
    try:
        return _preprocessing(value, side)
    except ValueError as error:
        raise InputError(f"{path}: {error}; {_CURE}") from None


def _find(folder: Path) -> tuple[Path, Mapping[str, Any] | None]:
    for name in FILES:
        path = folder / name
        if not path.is_file():
            continue
        value = read_json(path)
        if not isinstance(value, dict):
            raise InputError(f"{path}: not a JSON object; {_CURE}")
        if name == FILES[1] or "image_processor" in value:
            value = value.get("image_processor", value)
            if not isinstance(value, dict):
                raise InputError(f"{path}: image_processor is no JSON object; {_CURE}")
            return path, value
    return folder / FILES[1], None


def _preprocessing(value: Mapping[str, Any], side: int) -> Preprocessing:
    kind = value.get("image_processor_type", value.get("feature_extractor_type"))
    if kind is not None and not (isinstance(kind, str) and kind in _KINDS):
        raise ValueError(f"{_shown(kind)} is not CLIPImageProcessor, the one that is read")
    for name in ("do_pad", "default_to_square"):  # of the fast one alone
        if value.get(name):
            raise ValueError(f"{name} is not supported")
    size = _size("size", value.get("size"), default_to_square=bool(value.get("use_square_size")))
    if not _switch(value, "do_resize"):
        size = None
    crop = _size("crop_size", value.get("crop_size"), default_to_square=True)
    if not _switch(value, "do_center_crop"):
        if size != (side, side):
            what = "do_resize is false, too" if size is None else f"size is {_shown(size)}"
            raise ValueError(
                f"do_center_crop is false and {what}: the pixels are not the {side} × {side} that "
                "the vision tower takes"
            )
    elif crop != (side, side):
        raise ValueError(
            f"crop_size is {crop[0]} × {crop[1]}, the vision tower takes {side} × {side} pixels"
        )
    normalize = _switch(value, "do_normalize")
    std = _channels(value, "image_std", CLIP_STD) if normalize else (1.0,) * 3
    if any(abs(each) < 1 / _LARGEST for each in std):
        raise ValueError(f"image_std is {_shown(list(std))}, which is too near 0")
    return Preprocessing(
        size=size,
        crop=side,
        resample=_resample(value.get("resample", int(Image.Resampling.BICUBIC))),
        mean=_channels(value, "image_mean", CLIP_MEAN) if normalize else (0.0,) * 3,
        std=std,
        rescale_factor=_number("rescale_factor", value.get("rescale_factor", 1 / 255))
        if _switch(value, "do_rescale")
        else 1.0,
    )


def _switch(value: Mapping[str, Any], name: str) -> bool:
    switch = value.get(name, True)
    if not isinstance(switch, bool):
        raise ValueError(f"{name} is {_shown(switch)}, neither true nor false")
    return switch


def _size(name: str, value: Any, *, default_to_square: bool) -> int | tuple[int, int]:
    """A short side, or height and width; see transformers' get_size_dict."""
    if value is None:
        value = _SIDE
    if isinstance(value, dict):
        keys = {key for key, each in value.items() if each is not None}
        if keys == {"height", "width"}:
            return _pixels(name, value["height"]), _pixels(name, value["width"])
        if keys != {"shortest_edge"} or name == "crop_size":
            asked = "height and width" + (" or shortest_edge" if name == "size" else "")
            raise ValueError(f"{name} has {_shown(sorted(keys))} in place of {asked}")
        value = value["shortest_edge"]
    elif isinstance(value, list) and len(value) == 2:
        return _pixels(name, value[0]), _pixels(name, value[1])
    pixels = _pixels(name, value)
    return (pixels, pixels) if default_to_square else pixels


def _pixels(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _MOST:
        raise ValueError(f"{name} is {_shown(value)}, no number of pixels from 1 to {_MOST:,}")
    return value


def _resample(value: Any) -> int:
    if type(value) is not int or value not in {int(filter) for filter in Image.Resampling}:
        raise ValueError(f"resample is {_shown(value)}, none of Pillow's filters")
    return value


def _channels(value: Mapping[str, Any], name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    numbers = value.get(name)
    if numbers is None:
        return default
    if not isinstance(numbers, list):
        numbers = [numbers] * 3
    if len(numbers) != 3:
        raise ValueError(f"{name} has {len(numbers)} numbers, not 3")
    return tuple(_number(name, number) for number in numbers)


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= _LARGEST:
        raise ValueError(f"{name} is {_shown(value)}, no number up to {_LARGEST:.0e}")
    return float(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
