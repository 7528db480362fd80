"""Pictures to the pixel values a vision tower reads: CLIP's own resize, crop and normalise."""

import functools
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from PIL import Image, ImageOps

from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_LONGEST = 5_000  # times the short side: 0.8 GB when resized for a 224-pixel encoder

# An array, a picture of Pillow or a path: see `preprocess`.
Picture = np.ndarray | Image.Image | str | os.PathLike


class Preprocessing(NamedTuple):
    """How a picture becomes pixel values: x = (rgb · rescale_factor − mean) / std.

    size: to what a picture is resized, in pixels: its short side, the longer one in proportion; or
    height and width; or None, not at all. crop: the side of the square that is then cut out of the
    middle, with black around a smaller picture. resample: Pillow's filter. mean, std: of RGB.
    """

    size: int | tuple[int, int] | None
    crop: int
    resample: int = Image.Resampling.BICUBIC
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    rescale_factor: float = 1 / 255


def preprocess(model: Any, images: Sequence[Picture]) -> np.ndarray:
    """Pictures to pixel values: resized, cut out of the middle, normalised, see `Preprocessing`.

    x = (rgb/255 − mean) / std, through Pillow's antialiased bicubic filter, for OpenAI's models.

    ``images``: of any size: arrays H×W×3 in RGB order, H×W×4, whose alpha is dropped, or grey
    H×W; uint8, or float in [0, 1]; pictures of Pillow; paths. Files and Pillow's are turned upright
    as their EXIF says. Returns float32 [N, 3, S, S], S the vision tower's side. Raises InputError
    for anything else, and as `data.images.read_image`.

    Measured against transformers' CLIPImageProcessor on 72 frames of 8 real 320×240 surveillance
    clips, at S = 64 and 224: largest difference 0 (of 0..255), embedding cosine 1 exactly.
    OpenCV's resize is faster and not used: it is off by up to 112 (bicubic) or 16 (area) at
    S = 64, with embedding cosines down to 0.976 and 0.998.
    """
    return apply(model.preprocessing, images)


def apply(preprocessing: Preprocessing, images: Sequence[Picture]) -> np.ndarray:
    """``preprocess`` with its settings alone, for a caller that has no model."""
    table = pixel_table(preprocessing)
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
    return _table(preprocessing.mean, preprocessing.std, preprocessing.rescale_factor)


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
    short, side = preprocessing.size, preprocessing.crop
    if isinstance(short, int) and max(height, width) > _LONGEST * min(height, width):
        raise InputError(
            f"picture of {width} × {height} pixels: too long and narrow; crop it or leave it out"
        )
    size = width, height
    if isinstance(short, tuple):
        size = short[1], short[0]
    # int(), not round(): the longer side is cut off the way transformers does it.
    elif short is not None and width <= height:
        size = short, int(short * height / width)
    elif short is not None:
        size = int(short * width / height), short
    resized = Image.fromarray(image)
    if short is not None:
        resized = resized.resize(size, preprocessing.resample)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(resized.crop((left, top, left + side, top + side)))


@functools.lru_cache(maxsize=8)
def _table(mean: tuple[float, ...], std: tuple[float, ...], factor: float) -> np.ndarray:
    """[3, 256]: the pixel value of every byte, rounded step by step as transformers rounds it."""
    scaled = (np.arange(256, dtype=np.float64) * factor).astype(np.float32)
    mean_, std_ = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return (scaled[None] - mean_[:, None]) / std_[:, None]


def _require_rgb(image: Picture, n: int) -> np.ndarray:
    """[H, W, 3] uint8 of anything that `preprocess` takes."""
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if isinstance(image, Image.Image):
        image = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    image = np.asarray(image)
    if image.ndim not in (2, 3) or image.size == 0 or image.shape[2:] not in ((), (1,), (3,), (4,)):
        raise InputError(
            f"image {n}: an array of shape {image.shape}; give H×W×3 in RGB order, H×W×4 or H×W"
        )
    if np.issubdtype(image.dtype, np.floating):
        low, high = image.min(), image.max()  # NaN is neither
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"image {n}: float values from {low:g} to {high:g}; give them in [0, 1], or uint8"
            )
        image = np.rint(image * 255).astype(np.uint8)
    if image.dtype != np.uint8:
        raise InputError(f"image {n}: {image.dtype} values; give uint8, or float in [0, 1]")
    if image.ndim == 2:
        image = image[..., None]
    channels = image[..., :3] if image.shape[2] > 1 else image.repeat(3, axis=2)
    return np.ascontiguousarray(channels)
