"""Small videos written with PyAV, and the boxes of an mp4 edited where it cannot write the case."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (64, 48)  # columns, lines


def grey(i):
    """Frame i is grey of level 8·i + 20, so that a level tells the frame."""
    return np.full((SIZE[1], SIZE[0], 3), 8 * i + 20, np.uint8)


def number(image):
    """Which of the `grey` frames it is."""
    return round((float(image.mean()) - 20) / 8)


def moving(i):
    """A gradient with a square that moves: every frame differs and depends on those before it."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    image = np.stack([4 * x, 5 * y, 2 * (x + y)], -1).astype(np.uint8)
    image[10:26, (7 * i) % 44 : (7 * i) % 44 + 16] = (255, 40 + 5 * (i % 40), 0)
    return image


def write(path, codec="libx264", count=25, *, fps=10, picture=grey, times=None, **options):
    """Encodes ``picture(0)`` … into ``path``; returns it.

    times: of the frames in milliseconds, in place of i/fps. options: of the encoder, but
    ``pix_fmt``, ``aspect`` of a pixel, and those that start with mux_, which are the container's.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pix_fmt, aspect = options.pop("pix_fmt", "yuv420p"), options.pop("aspect", None)
    mux = {k.removeprefix("mux_"): v for k, v in options.items() if k.startswith("mux_")}
    own = {k: str(v) for k, v in options.items() if not k.startswith("mux_")}
    with av.open(str(path), "w", options=mux, format=mux.pop("format", None)) as container:
        stream = container.add_stream(codec, rate=fps, options=own)
        first = picture(0)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            frame.pts = i if times is None else times[i]
            frame.time_base = Fraction(1, fps if times is None else 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def edit_box(path, box, change, within=(b"moov", b"trak", b"mdia", b"minf", b"stbl")):
    """Replaces the first box of that kind by ``change(its bytes)`` and mends the sizes around it.

    The boxes ``within`` must hold it; the samples must stand before moov, as PyAV writes them.
    """
    data = bytearray(path.read_bytes())
    at = data.index(box, data.index(within[0])) - 4
    (length,) = struct.unpack_from(">I", data, at)
    new = change(bytes(data[at : at + length]))
    data[at : at + length] = new
    for outer in within:
        place = data.index(outer) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(new) - length)
    path.write_bytes(data)
    return path
