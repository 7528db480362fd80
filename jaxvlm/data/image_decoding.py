"""A picture's bytes to pixels: listed formats only, within the memory that decoders share."""

import hashlib
import io
import os
import re
import struct
import warnings
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from jaxvlm.errors import InputError
from jaxvlm.memory import DECODING

# By content, whatever the name says. Pillow knows forty more: PostScript would be run by
# Ghostscript, others are rare and little tested.
FORMATS = "AVIF BMP GIF HEIF JPEG JPEG2000 PNG PPM TIFF WEBP".split()
pillow_heif.register_heif_opener()

# What decoding holds at its peak, in bytes per pixel, with the array that is returned; measured
# over the modes of each format (tests/data/test_image_memory.py).
_BYTES = {"AVIF": 20, "HEIF": 20, "JPEG": 12, "JPEG2000": 32, "MPO": 12, "TIFF": 16, "WEBP": 20}
_OTHERS = 9
_STORED = 2  # per pixel and component: a JPEG in several scans is kept as coefficients
_SMALL = 2**23  # what a picture may take before its size is known
# Numbers in one tag of a TIFF, and bytes of EXIF, that Pillow would make Python's numbers of, each
# of 36 bytes. A strip of a TIFF takes two, a large camera's notes some 100 kB.
_TAG_NUMBERS, _EXIF_BYTES = 2**20, 2**20

# What a decoder of Pillow raises on bytes that are not what their header says; AVIF's and HEIF's
# RuntimeError.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error),
    RuntimeError,
)
_STRIP = 2**20  # pixels that are converted at a time

# A marker of a JPEG: neither data, nor padding, nor one that has no length (T.81, table B.1).
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FILLING = bytes(range(1, 250)) * 4

_OTHER_KINDS = (  # how files begin that stand in place of pictures
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"%PDF", "a PDF"),
    (rb"SIMPLE  =", "a FITS file"),
    (rb"8BPS", "a Photoshop file"),
    (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows metafile"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (rb"\x00\x00[\x01\x02]\x00", "an icon"),
    (rb"\s*(<\?xml|<svg|<!--)", "SVG or XML"),
    (rb"(?i)\s*<(!doctype )?html", "a web page"),
    (rb"version https://git-lfs", "a pointer of Git LFS (run git lfs pull)"),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "an archive"),
    (
        rb".{4}ftyp(?!avi[fs]|mif1|he[iv][cxms])|RIFF.{4}AVI |\x1aE\xdf\xa3|\x00\x00\x01[\xb3\xba]",
        "a video",
    ),
    (rb".{128}DICM", "DICOM"),
)


class _Plan(NamedTuple):
    """How a picture is decoded: bytes that takes, at which size, whether OpenCV does it, and of a
    JPEG where the end marker stands at which a decoder stops, and whether it has several scans."""

    need: int
    size: tuple[int, int]
    by_opencv: bool = False
    end: int | None = None
    in_scans: bool = False


def decode_image(
    read: Callable[[], bytes],
    size: int,
    path: str | os.PathLike,
    then: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Decodes a picture as HxWx3 uint8 RGB, turned upright; ``path`` is what messages call it.

    The same pixels as Pillow's ``ImageOps.exif_transpose(Image.open(path)).convert("RGB")``: grey
    is repeated, alpha is dropped, CMYK is converted, of an animation or a document the first
    picture is taken. 16 bits are cut to the upper 8 (Pillow 13 clips 16-bit grey instead). A JPEG
    that would not fit into the memory is decoded at half, a quarter or an eighth of its size.

    All threads together hold `memory.DECODING` bytes; who needs more waits.

    Args:
      read: gives the file's bytes, ``size`` of them; it is called again for a large picture.
      then: what to return of the pixels, made while the memory is still held.

    Raises:
      InputError: not a whole picture of `FORMATS`, with what it is where that can be told; too many
        pixels for the memory; float or 32-bit values, which have no white; a JPEG whose data end
        before its last line.
    """
    need = size + _SMALL
    while True:
        if need > DECODING.size:
            raise _too_large(path, f"a file of {size:,} bytes")
        with DECODING.share(need), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: large, or with EXIF that it cannot read
            code = read()
            picture = _open(code, path)
            plan = _plan(picture, code, path)
            if len(code) + plan.need <= need:
                pixels = _pixels(picture, code, plan, path)
                del picture, code
                return then(pixels)
            need = len(code) + plan.need
            del picture, code


def _open(code: bytes, path: str | os.PathLike) -> Image.Image:
    """The picture's header, read by Pillow; nothing is decoded."""
    try:
        if code[:2] in (b"II", b"MM"):
            _check_tiff(code)
        picture = Image.open(io.BytesIO(code), formats=FORMATS)
    except Image.DecompressionBombError:
        raise _too_large(path, f"over {2 * Image.MAX_IMAGE_PIXELS:,} pixels") from None
    except (UnidentifiedImageError, *_BROKEN):
        raise InputError(f"{path}: {_what_it_is(code)}") from None
    if picture.mode in ("F", "I"):
        raise InputError(f"{path}: float or 32-bit values; convert it to 8 bits per channel")
    if len(picture.info.get("exif") or b"") > _EXIF_BYTES:
        del picture.info["exif"]
    return picture


def _check_tiff(code: bytes) -> None:
    """Raises ValueError for a first directory with tags of more numbers than a picture needs."""
    order = "<" if code[:2] == b"II" else ">"
    big = 43 in code[2:4]  # BigTIFF
    place, count, entry = ("8xQ", "Q", "HHQ8x") if big else ("4xI", "H", "HHI4x")
    (start,) = struct.unpack_from(order + place, code)
    head = code[start : start + struct.calcsize(order + count)]  # empty beyond the file
    (entries,) = struct.unpack(order + count, head)
    start += len(head)
    directory = code[start : start + entries * struct.calcsize(order + entry)]
    for tag, kind, numbers in struct.iter_unpack(order + entry, directory):
        if kind not in (1, 2, 6, 7) and numbers > _TAG_NUMBERS:  # those stay bytes
            raise ValueError(f"tag {tag} has {numbers:,} numbers")


def _what_it_is(code: bytes) -> str:
    for start, kind in _OTHER_KINDS:
        if re.match(start, code[:256], re.DOTALL):
            return f"not a picture but {kind}; convert it to JPEG or PNG, or remove it"
    return "not a readable picture; replace the file or remove it"


def _plan(picture: Image.Image, code: bytes, path: str | os.PathLike) -> _Plan:
    """What decoding an opened picture takes. A JPEG takes the largest size that fits.

    Raises InputError where none does.
    """
    width, height = picture.size
    is_jpeg = picture.format in ("JPEG", "MPO")
    end, in_scans = _scan_jpeg(code) if is_jpeg else (None, False)
    stored = _STORED * len(picture.getbands()) * width * height if in_scans else 0
    for scale in (1, 2, 4, 8) if is_jpeg else (1,):
        size = width // scale, height // scale  # what `draft` is asked for; it rounds up
        need = stored + -(-width // scale) * -(-height // scale) * _BYTES.get(
            picture.format, _OTHERS
        )
        if len(code) + need <= DECODING.size:
            # OpenCV decodes a 500x375 JPEG in 0.77 ms, Pillow in 1.29 ms, to the same pixels. In
            # the rest it is hardly faster, or wrong: CMYK is off by one, GIFs are blended.
            by_opencv = scale == 1 and not in_scans and picture.mode in ("L", "RGB")
            return _Plan(need, size, is_jpeg and by_opencv, end, in_scans)
    raise _too_large(path, f"{width:,} × {height:,} pixels")


def _too_large(path: str | os.PathLike, what: str) -> InputError:
    return InputError(
        f"{path}: {what}, which takes more memory to decode than the {DECODING.size >> 20:,} MiB "
        "that all pictures share; make it smaller or remove it"
    )


def _pixels(picture: Image.Image, code: bytes, plan: _Plan, path: str | os.PathLike) -> np.ndarray:
    """The pixels of an opened picture, after checking that a JPEG's data reach to its end."""
    try:
        if plan.by_opencv:
            pixels = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR_RGB)
            if pixels is None:
                raise OSError("cannot decode")
        else:
            pixels = _rgb(picture, plan.size)
            picture.close()  # Pillow's own copy
        ends_early = plan.end is not None and _ends_early(pixels, code, plan)
    except (cv2.error, *_BROKEN):
        raise InputError(f"{path}: not a readable picture; replace the file or remove it") from None
    if ends_early:
        raise InputError(
            f"{path}: its data end before its last line (an end marker stands in between); "
            "copy it again or remove it"
        )
    return pixels


def _rgb(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """An upright array, made some lines at a time: Pillow's own way makes four copies."""
    if size != picture.size:
        picture.draft(picture.mode, size)
    ImageOps.exif_transpose(picture, in_place=True)
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = picture.crop((0, top, width, min(top + rows, height)))
        if strip.mode.startswith("I;16"):
            pixels[top : top + rows] = (np.asarray(strip) >> 8).astype(np.uint8)[..., None]
        else:
            pixels[top : top + rows] = np.asarray(strip.convert("RGB"))
    return pixels


def _scan_jpeg(code: bytes) -> tuple[int | None, bool]:
    """Where the first end marker of a JPEG stands, and whether it has several scans.

    Source: ITU-T T.81, annex B.
    """
    position, scans = 2, 0
    while found := _MARKER.search(code, position):
        marker = code[found.end() - 1]
        if marker == 0xD9:
            return found.start(), scans > 1
        scans += marker == 0xDA
        position = found.end() + int.from_bytes(code[found.end() : found.end() + 2], "big")
    return None, scans > 1


def _ends_early(pixels: np.ndarray, code: bytes, plan: _Plan) -> bool:
    """Whether the decoder ran out of data at the end marker; libjpeg fills the rest with grey.

    Bytes that are put before the end marker change nothing in a whole picture, whose last bit
    stands before them; where data lack they are decoded. Decoding again is for pictures on which
    the filling may show, in a corner of one colour, and in several scans, where it would not show.
    By Pillow, because OpenCV tells the terminal of every odd byte.
    """
    corner = pixels[-4:, -4:]
    if not (plan.in_scans or (corner == corner[0, 0]).all()):
        return False

    def digest(data: bytes) -> bytes:
        picture = Image.open(io.BytesIO(data), formats=["JPEG"])
        return hashlib.sha256(_rgb(picture, plan.size)).digest()

    return digest(code) != digest(b"".join([code[: plan.end], _FILLING, code[plan.end :]]))
