"""Frames as a model takes them."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from jaxvlm.data import images
from jaxvlm.errors import InputError

_MAX_ASPECT = 200  # long side to short side, beyond which Qwen2.5-VL takes no picture


def read_frame(path: Path) -> np.ndarray:
    """Reads a frame as HxWx3 uint8 RGB. Raises InputError if it is no picture, or too narrow."""
    picture = images.read_image(path)
    long, short = max(picture.shape[:2]), min(picture.shape[:2])
    if long > _MAX_ASPECT * short:
        raise InputError(f"{path}: {long} by {short} pixels are too narrow for a model; crop it")
    return picture


def encode_jpeg(path: Path, max_pixels: int) -> bytes:
    """A frame as JPEG of quality 95, upright, without EXIF, of at most ``max_pixels`` pixels."""
    picture = Image.fromarray(read_frame(path))
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    if scale < 1:
        size = [max(1, math.floor(side * scale)) for side in picture.size]
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
