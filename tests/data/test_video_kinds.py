"""Kinds of video as cameras, editors and archives write them: what is read is what was encoded."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from jaxvlm.data import videos
from jaxvlm.errors import InputError
from tests.data import encoded

KINDS = {
    "interlaced H.264": ("a.mp4", "libx264", {"x264-params": "tff=1"}),
    "interlaced MPEG-2": ("a.mkv", "mpeg2video", {"flags": "+ilme+ildct", "b": "4M"}),
    "MPEG-2 program stream": ("a.mpg", "mpeg2video", {"b": "4M", "fps": 25}),
    "transport stream": ("a.MTS", "libx264", {"mux_format": "mpegts"}),
    "flash": ("a.flv", "libx264", {}),
    "Windows media": ("a.wmv", "wmv2", {"b": "4M", "mux_format": "asf"}),
    "3gp": ("a.3gp", "libx264", {}),
    "10 bits": ("a.mp4", "libx265", {"pix_fmt": "yuv420p10le", "x265-params": "log-level=none"}),
    "4:4:4": ("a.mp4", "libx264", {"pix_fmt": "yuv444p"}),
    "4:2:2 of 10 bits": ("a.mkv", "ffv1", {"pix_fmt": "yuv422p10le"}),
    "full range": ("a.mkv", "mjpeg", {"pix_fmt": "yuvj420p", "qscale": 1}),
    "RGB": ("a.mkv", "ffv1", {"pix_fmt": "bgr0"}),
    "AV1": ("a.webm", "libsvtav1", {"svtav1-params": "lp=1", "preset": 12}),
    "VP8": ("a.webm", "libvpx", {"b": "4M", "auto-alt-ref": 1, "lag-in-frames": 10}),
    "VP9": ("a.webm", "libvpx-vp9", {"b": "4M", "auto-alt-ref": 1, "lag-in-frames": 10}),
    "B-frames in AVI": ("a.avi", "mpeg4", {"bf": 2, "b": "4M"}),
    "H.264 in AVI": ("a.avi", "libx264", {}),
    "gif": ("a.gif", "gif", {"pix_fmt": "rgb8"}),
    "fragments": ("a.mp4", "libx264", {"mux_movflags": "frag_keyframe+empty_moov", "g": 5}),
}
# Mean difference of levels, where not 7: 8 bits in all, and what compresses worse.
TOLERANCE = {"gif": 25, "AV1": 9, "full range": 9}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fps", [10, 1])
def test_every_frame_is_the_one_that_was_encoded(tmp_path, kind, fps):
    name, codec, options = KINDS[kind]
    rate = options.get("fps", 10)
    path = encoded.write(tmp_path / name, codec, picture=encoded.moving, **options)
    found = list(videos.frames(path, fps=rate if fps == 10 else 1))
    step = 1 if fps == 10 else rate
    assert len(found) == len(range(0, 25, step))
    for frame, i in zip(found, range(0, 25, step), strict=True):
        true = encoded.moving(i)
        assert frame.image.shape == true.shape
        differences = [
            np.abs(frame.image.astype(float) - encoded.moving(other)).mean()
            for other in (i, i - 1, i + 1)
        ]
        assert differences[0] < TOLERANCE.get(kind, 7) and differences[0] == min(differences)


@pytest.mark.parametrize("size", [(47, 63), (33, 65), (2, 3)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_odd_sizes(tmp_path, size, pix_fmt):
    y, x = np.mgrid[: size[0], : size[1]]
    picture = np.stack([3 * x, 3 * y, x + y], -1).astype(np.uint8)
    path = encoded.write(tmp_path / "a.mkv", "ffv1", 3, picture=lambda i: picture, pix_fmt=pix_fmt)
    for frame in videos.frames(path, fps=10):
        assert frame.image.shape == picture.shape
        assert np.abs(frame.image.astype(float) - picture).mean() < 4


def flat(path, y, u, v, *, size=(64, 48), pix_fmt="yuv444p", **tags):
    """One frame of one colour, lossless, tagged."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=1)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        for key, value in tags.items():
            setattr(stream.codec_context, key, value)
        kind = np.uint16 if "10" in pix_fmt else np.uint8
        planes = np.stack([np.full(size[::-1], value, kind) for value in (y, u, v)])
        frame = av.VideoFrame(*size, pix_fmt)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
            rows[:, : plane.width] = values
            plane.update(rows.tobytes())
        for key, value in tags.items():
            setattr(frame, key, value)
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# Kr and Kb: ITU-R BT.601 §2.5.1, BT.709 §3.2, BT.2020 table 4.
@pytest.mark.parametrize(
    "size, tags, kr, kb",
    [
        ((64, 48), {"colorspace": 1, "color_range": 1}, 0.2126, 0.0722),
        ((64, 48), {"colorspace": 5, "color_range": 1}, 0.299, 0.114),
        ((64, 48), {"colorspace": 9, "color_range": 1}, 0.2627, 0.0593),
        ((64, 48), {"colorspace": 1, "color_range": 2}, 0.2126, 0.0722),
        ((64, 48), {}, 0.299, 0.114),
        ((1280, 720), {}, 0.2126, 0.0722),  # untagged: by its size, as players do
    ],
)
def test_matrix_and_range_are_the_tagged_ones(tmp_path, size, tags, kr, kb):
    path = flat(tmp_path / "a.mkv", 100, 90, 180, size=size, **tags)
    full = tags.get("color_range") == 2
    y, cb, cr = (100 / 255, (90 - 128) / 255, (180 - 128) / 255)
    if not full:
        y, cb, cr = (100 - 16) / 219, (90 - 128) / 224, (180 - 128) / 224
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    (frame,) = videos.frames(path)
    np.testing.assert_allclose(frame.image[5, 5], [255 * red, 255 * green, 255 * blue], atol=2.5)


@pytest.mark.parametrize("nits", [1.0, 20.0, 100.0])
def test_hdr_becomes_srgb(tmp_path, nits):
    """PQ (SMPTE ST 2084): Y = (c1 + c2·L^m1 / (1 + c3·L^m1))^m2, L = nits/10,000; 203 is white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10_000) ** m1
    code = ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    tags = {"colorspace": 9, "color_range": 1, "color_trc": 16, "color_primaries": 9}
    path = flat(tmp_path / "a.mkv", round(64 + 876 * code), 512, 512, pix_fmt="yuv444p10le", **tags)
    linear = nits / 203
    expected = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    (frame,) = videos.frames(path)
    np.testing.assert_allclose(frame.image[5, 5], 255 * expected, atol=4)


@pytest.mark.parametrize(
    "matrix, turned",
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_a_phone_held_upright(tmp_path, matrix, turned):
    path = encoded.write(tmp_path / "a.mp4", count=3, picture=encoded.moving)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # ISO 14496-12 §8.3.2
    for place, value in zip((0, 4, 12, 16), matrix, strict=True):
        struct.pack_into(">i", data, at + place, value << 16)
    path.write_bytes(data)
    for frame in videos.frames(path, fps=10):
        true = turned(encoded.moving(frame.index)).astype(float)
        assert frame.image.shape == true.shape and np.abs(frame.image - true).mean() < 7


@pytest.mark.parametrize("pixel, width", [("16/15", 68), ("1/2", 32), ("1/1", 64), ("1/99", 64)])
def test_pixels_that_are_not_square(tmp_path, pixel, width):
    path = encoded.write(tmp_path / "a.mp4", "libx264", 3, picture=encoded.moving, aspect=pixel)
    for frame in videos.frames(path, fps=10):
        true = cv2.resize(encoded.moving(frame.index), (width, 48), interpolation=cv2.INTER_LINEAR)
        assert frame.image.shape == (48, width, 3)
        assert np.abs(frame.image.astype(float) - true).mean() < 9


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(encoded.moving(0), format="rgb24")
        frame.pts = 0
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
        silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        silence.sample_rate, silence.pts = 8000, 0
        silence.planes[0].update(bytes(4096))
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    with pytest.raises(InputError, match="a.mp4: sound with a cover picture, no video; remove it"):
        list(videos.frames(path))


def test_an_encrypted_file_is_named(tmp_path):
    path = encoded.write(
        tmp_path / "a.mp4",
        mux_encryption_scheme="cenc-aes-ctr",
        mux_encryption_key="76a6c65c5ea762046bd749a2e632ccbb",
        mux_encryption_kid="a7e61c373e219033c21091fa607bf3b8",
    )
    with pytest.raises(InputError, match=r"a\.mp4: encrypted \(Common Encryption\); decrypt"):
        list(videos.frames(path))


def test_a_codec_without_decoder_is_named(tmp_path):
    path = encoded.write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9"))
    with pytest.raises(InputError, match=r"a\.mp4: .*zzz9.* cannot be decoded; encode it again"):
        list(videos.frames(path))


class Pipe:
    """Where a recorder cannot go back to write how long it was."""

    def __init__(self, file):
        self.write = file.write


def test_an_avi_that_was_written_into_a_pipe(tmp_path):
    path = tmp_path / "a.avi"
    with path.open("wb") as file, av.open(Pipe(file), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(encoded.grey(i), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 4)
    (length,) = struct.unpack_from("<I", data, data.index(b"strh") + 40)
    assert size in (0, 2**32 - 1) and length not in (25, 0)  # neither says the truth
    assert [encoded.number(f.image) for f in videos.frames(path, fps=10)] == list(range(25))


@pytest.mark.parametrize("junk", [b"vendor" * 99, b"\0" * 500, struct.pack(">I4s", 9999, b"GPMD")])
def test_what_lies_behind_the_last_box_is_not_missing(tmp_path, junk):
    path = encoded.write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + junk)
    assert [encoded.number(f.image) for f in videos.frames(path, fps=10)] == list(range(25))
