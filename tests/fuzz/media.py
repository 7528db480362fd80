"""Readers of pictures, sets of pictures, tars and videos."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from jaxvlm.captioning.pictures import encode_jpeg
from jaxvlm.data import image_sets, images, sampling, timetable, videos
from tests.data import encoded
from tests.data.test_tar_shards import png, write_tar
from tests.fuzz.case import Reader
from tests.fuzz.tables import _check_set

SIDES = (20, 12)  # columns, lines
PICTURES = {
    "png": {},
    "jpg": {"quality": 90},
    "webp": {},
    "gif": {},
    "bmp": {},
    "tiff": {"compression": "tiff_lzw"},
    "ppm": {},
    "jp2": {},
    "heic": {},
    "avif": {},
}
# Name of the file: codec and options of `encoded.write`.
VIDEOS = {
    "a.mp4": {"codec": "libx264", "bf": 2},
    "b.mkv": {"codec": "libx264"},
    "c.avi": {"codec": "mpeg4"},
    "d.ts": {"codec": "mpeg2video", "fps": 25},
    "e.webm": {"codec": "libvpx"},
    "f.flv": {"codec": "flv1"},
    "g.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "h.mp4": {"codec": "libx265", "x265-params": "log-level=none:pools=none"},
    "i.mp4": {"codec": "libx264", "mux_movflags": "frag_keyframe+empty_moov", "g": 2},
}


def _picture() -> Image.Image:
    rows = np.random.default_rng(0).integers(0, 256, (*SIDES[::-1], 3), np.uint8)
    return Image.fromarray(rows)


def _make_picture(suffix: str):
    def make(folder: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        options = dict(PICTURES[suffix])
        if suffix in ("png", "jpg", "webp"):
            options["exif"] = exif
        picture = _picture()
        if suffix == "gif":
            options |= {"save_all": True, "append_images": [picture.rotate(180)]}
        picture.save(folder / f"a.{suffix}", **options)

    return make


def _picture_of(folder: Path) -> np.ndarray:
    """As every program reads it, and as captions are asked for it."""
    path = next(folder.iterdir())
    pixels = images.read_image(path)
    if max(pixels.shape) <= 100 * min(pixels.shape[:2]):
        with Image.open(io.BytesIO(encode_jpeg(path, 10_000))) as small:
            assert small.size[0] * small.size[1] <= 10_100
    return pixels


def _check_picture(pixels) -> None:
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert pixels.size


def _make_video(name: str):
    def make(folder: Path) -> None:
        options = {"count": 6, "picture": encoded.moving, "threads": 1, **VIDEOS[name]}
        encoded.write(folder / name, mux_fflags="+bitexact", flags="+bitexact", **options)

    return make


def _video(folder: Path):
    path = next(folder.iterdir())
    table = timetable.read_file(path)
    taken = []
    # Many frames are as good as all: a clock that jumps makes many of them.
    for frame in videos.frames(path, fps=5.0, say=lambda line: None):
        taken.append(frame)
        if len(taken) == 200:
            break
    return table, taken


def _check_video(result) -> None:
    table, taken = result
    assert len(table.seconds) == len(table.order) and len(table.seconds)
    assert np.isfinite(table.seconds).all() and (np.diff(table.seconds) >= 0).all()
    assert (table.seconds >= -1e-9).all()
    assert taken, "a video without frames is refused"
    for frame in taken:
        assert frame.image.dtype == np.uint8 and frame.image.ndim == 3 and frame.image.size
        assert frame.time_seconds == frame.index / 5.0
        assert frame.time_seconds <= table.seconds[-1] + sampling.LONGEST_HOLD
    assert [frame.index for frame in taken] == sorted({frame.index for frame in taken})


def _make_tar(folder: Path) -> None:
    members = []
    for n in range(3):
        members += [(f"a/{n}.png", png(n)[0]), (f"a/{n}.cls", b"%d" % n)]
    members.append(("a/2.json", json.dumps({"label": 2}).encode()))
    write_tar(folder / "000000.tar", members)


def _tar(folder: Path):
    found = image_sets.read_image_set(folder / "000000.tar")
    pictures = []
    for path in found.paths:
        if path.name.endswith(".tar"):
            continue  # damaged; it says so when it is read
        try:
            pictures.append(images.read_image(path))
        except images.InputError as error:
            assert path.name in str(error)
    image_sets.content_hashes(found.paths)
    return found, pictures


def _check_tar(result) -> None:
    found, pictures = result
    _check_set(found)
    for pixels in pictures:
        _check_picture(pixels)


READERS = {"tar": Reader(_make_tar, _tar, _check_tar)}
for _suffix in PICTURES:
    READERS[f"picture {_suffix}"] = Reader(_make_picture(_suffix), _picture_of, _check_picture)
for _name, _options in VIDEOS.items():
    _kind = f"video {Path(_name).suffix[1:]} {_options['codec']}"
    _kind += " fragments" if "mux_movflags" in _options else ""
    READERS[_kind] = Reader(_make_video(_name), _video, _check_video)
