"""Pictures to the pixel values a vision tower reads: CLIP's own resize, crop and normalise."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from PIL import Image
from transformers import CLIPConfig

from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError
from jaxvlm.files import read_json

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_LONGEST = 5_000  # times the short side: 0.8 GB when resized for a 224-pixel encoder


class Preprocessing(NamedTuple):
    """How a picture becomes pixel values; sizes in pixels, mean and std of RGB in [0, 1]."""

    short_side: int
    crop: int
    resample: int = Image.Resampling.BICUBIC
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD


def read_preprocessing(folder: Path, config: CLIPConfig) -> Preprocessing:
    """Reads ``preprocessor_config.json``; without one, CLIP's constants at the tower's size.

    Raises InputError if it crops to another size than the vision tower takes.
    """
    side = config.vision_config.image_size
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return Preprocessing(side, side)
    value = read_json(path)
    try:
        result = Preprocessing(
            short_side=_side(value.get("size", side)),
            crop=_side(value.get("crop_size", side)),
            resample=int(value.get("resample", Image.Resampling.BICUBIC)),
            mean=tuple(float(x) for x in value.get("image_mean", CLIP_MEAN)),
            std=tuple(float(x) for x in value.get("image_std", CLIP_STD)),
        )
        Image.Resampling(result.resample)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not CLIP's preprocessing ({error}); take the file that belongs to the model"
        ) from None
    if result.crop != side or result.short_side < result.crop:
        raise InputError(
            f"{path}: resizes to {result.short_side} and crops to {result.crop}, the vision tower "
            f"takes {side} pixels; correct size and crop_size"
        )
    return result


def preprocess(model: Any, images: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures to pixel values: bicubic short side, centre crop, normalise.

    x = (rgb/255 − mean) / std, through Pillow's antialiased bicubic filter.

    ``images``: H×W×3 uint8 RGB each, any size. Returns float32 [N, 3, S, S], S the vision
    tower's side. Raises InputError for anything else than a non-empty uint8 H×W×3 array.

    Measured against transformers' CLIPImageProcessor on 72 frames of 8 real 320×240 surveillance
    clips, at S = 64 and 224: largest difference 0 (of 0..255), embedding cosine 1 exactly.
    OpenCV's resize is faster and not used: it is off by up to 112 (bicubic) or 16 (area) at
    S = 64, with embedding cosines down to 0.976 and 0.998.
    """
    return apply(model.preprocessing, images)


def apply(preprocessing: Preprocessing, images: Sequence[np.ndarray]) -> np.ndarray:
    """``preprocess`` with its settings alone, for a caller that has no model."""
    table = _table(preprocessing.mean, preprocessing.std)
    pixels = np.empty((len(images), 3, preprocessing.crop, preprocessing.crop), np.float32)
    for n, image in enumerate(images):
        cropped = resize_and_crop(_require_rgb(image, n), preprocessing)
        for channel in range(3):
            pixels[n, channel] = table[channel][cropped[..., channel]]
    return pixels


def crop(model: Any, image: np.ndarray) -> np.ndarray:
    """The bytes that the encoder sees of one picture, S×S×3 uint8; `pixel_values` does the rest.

    Raises InputError as ``preprocess``.
    """
    return resize_and_crop(_require_rgb(image, 0), model.preprocessing)


def read_crop(model: Any, source: np.ndarray | str | os.PathLike) -> np.ndarray:
    """`crop` of a file or an array; of a file within the memory that its decoder holds.

    Raises InputError, which names the file, as `read_rgb` and `crop`.
    """
    if isinstance(source, np.ndarray):
        return crop(model, source)

    def of_file(pixels: np.ndarray) -> np.ndarray:
        try:
            return crop(model, pixels)
        except InputError as error:
            raise InputError(f"{source}: {error}") from None

    return read_image(source, then=of_file)


def pixel_table(preprocessing: Preprocessing) -> np.ndarray:
    """[3, 256] float32: the pixel value of every byte of every channel."""
    return _table(preprocessing.mean, preprocessing.std)


@jax.jit
def pixel_values(table: ArrayLike, crops: ArrayLike) -> jax.Array:
    """Bytes [N, S, S, 3] to the pixel values of ``preprocess``, [N, 3, S, S] float32, bit for bit.

    On the device, so that only a quarter of the bytes travels there. table: `pixel_table`.
    """
    channels = (jnp.asarray(table)[c][jnp.asarray(crops)[..., c]] for c in range(3))
    return jnp.stack(list(channels), axis=1)


def read_rgb(source: np.ndarray | str | os.PathLike) -> np.ndarray:
    """An image file as H×W×3 uint8 RGB, turned upright by its EXIF tag; an array as it is.

    Raises InputError if the file is missing or no image.
    """
    if isinstance(source, np.ndarray):
        return source
    return read_image(source)


def resize_and_crop(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The part of a picture H×W×3 uint8 that the encoder sees, S×S×3 uint8.

    Raises InputError for a picture over 5,000 times longer than wide: resized to the
    encoder's short side, it would fill the memory.
    """
    height, width = image.shape[:2]
    if max(height, width) > _LONGEST * min(height, width):
        raise InputError(
            f"picture of {width} × {height} pixels: too long and narrow; crop it or leave it out"
        )
    short, side = preprocessing.short_side, preprocessing.crop
    # int(), not round(): the longer side is cut off the way transformers does it.
    if width <= height:
        size = short, int(short * height / width)
    else:
        size = int(short * width / height), short
    resized = Image.fromarray(image).resize(size, preprocessing.resample)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(resized.crop((left, top, left + side, top + side)))


@functools.lru_cache(maxsize=8)
def _table(mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """[3, 256]: the pixel value of every byte, rounded step by step as transformers rounds it."""
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean_, std_ = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return (scaled[None] - mean_[:, None]) / std_[:, None]


def _require_rgb(image: np.ndarray, n: int) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            f"image {n}: {image.dtype} of shape {image.shape}; convert it to a non-empty uint8 "
            "array H×W×3 in RGB order"
        )
    return np.ascontiguousarray(image)


def _side(value: Any) -> int:
    """A size in any spelling of preprocessor_config.json: 224, shortest_edge, or a square."""
    if not isinstance(value, dict):
        return int(value)
    if "shortest_edge" in value:
        return int(value["shortest_edge"])
    if value["height"] != value["width"]:
        raise ValueError(f"height {value['height']} and width {value['width']} differ")
    return int(value["height"])
