"""Which formats are opened, whatever a file is called, and JPEGs whose data lack."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from jaxvlm.data import image_decoding, images
from jaxvlm.errors import InputError
from jaxvlm.memory import Budget

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def photograph(size=(53, 37)):
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(cv2.blur(noise, (9, 9)))


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def put(path, content):
    path.write_bytes(content)
    return path


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize(
    ("suffix", "kind", "options", "off"),
    [
        ("heic", "HEIF", {"quality": 90}, 4),
        ("HIF", "HEIF", {"quality": 90}, 4),
        ("avif", "AVIF", {"quality": 95}, 4),
        ("jp2", "JPEG2000", {}, 0),
        ("j2k", "JPEG2000", {"no_jp2": True}, 0),
        ("jfif", "JPEG", {"quality": 95}, 4),
        ("jpe", "JPEG", {"quality": 95}, 4),
        ("dib", "BMP", {}, 0),
        ("pnm", "PPM", {}, 0),
    ],
)
def test_rarer_kinds_are_listed_and_read(tmp_path, suffix, kind, options, off):
    path = put(tmp_path / f"a.{suffix}", encoded(photograph(), kind, **options))
    assert images.list_images(tmp_path) == [path]
    difference = images.read_image(path).astype(int) - np.asarray(photograph())
    assert np.abs(difference).mean() <= off


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000", "BMP"])
def test_content_decides_not_the_name(tmp_path, kind):
    path = put(tmp_path / "a.jpg", encoded(photograph(), kind))
    assert images.read_image(path).shape == (37, 53, 3)


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_heic_is_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = photograph()
    path = put(tmp_path / "a.heic", encoded(picture, "HEIF", quality=90, exif=exif.tobytes()))
    plain = Image.open(io.BytesIO(encoded(picture, "PNG", exif=exif)))
    upright = np.asarray(ImageOps.exif_transpose(plain)).astype(int)
    assert np.abs(images.read_image(path) - upright).mean() < 4


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (POSTSCRIPT, "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(26) + POSTSCRIPT, "PostScript"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"SIMPLE  =                    T" + bytes(3000), "a FITS file"),
        (b"\xd7\xcd\xc6\x9a" + bytes(40), "a Windows metafile"),
        (b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60), "a Windows metafile"),
        (b"\0\0\1\0\1\0" + bytes(40), "an icon"),
        (b"<!DOCTYPE html><html>404", "a web page"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\0\0\0\x20ftypisom" + bytes(40), "a video"),
        (b"\x1f\x8b\x08" + bytes(40), "an archive"),
        (b"8BPS\0\1" + bytes(40), "Photoshop"),
    ],
)
def test_what_is_no_picture_is_named_and_not_opened(tmp_path, monkeypatch, content, what):
    def no_program(*args, **options):
        raise AssertionError("a picture starts no program")

    monkeypatch.setattr("subprocess.Popen.__init__", no_program)
    path = put(tmp_path / "a.jpg", content)
    with pytest.raises(InputError, match=rf"a\.jpg: not a picture but .*{what}") as error:
        images.read_image(path)
    assert "\n" not in str(error.value)


def test_pillow_itself_would_take_the_postscript():
    assert Image.open(io.BytesIO(POSTSCRIPT)).format == "EPS"


JPEGS = [{}, {"progressive": True}, {"restart_marker_blocks": 4}, {"subsampling": 0}]


@pytest.mark.parametrize("options", JPEGS)
@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("rest", [False, True])
def test_a_jpeg_with_a_forged_end_is_named(tmp_path, capfd, options, share, rest):
    code = encoded(photograph((300, 200)), "JPEG", **options)
    cut = int(len(code) * share)
    path = put(tmp_path / "a.jpg", code[:cut] + b"\xff\xd9" + (code[cut + 2 :] if rest else b""))
    with Image.open(path) as picture:
        picture.load()  # Pillow says nothing
    with pytest.raises(InputError, match=r"a\.jpg: its data end before its last line"):
        images.read_image(path)


@pytest.mark.parametrize("options", [*JPEGS, {"exif": b"Exif\0\0" + b"\xff\xd9\xff\xda" * 9}])
@pytest.mark.parametrize("behind", [b"", b"\0" * 99, b"\xff\xd8\xff\xd9", b"SEFT" * 9])
def test_a_whole_jpeg_passes_whatever_follows_it(tmp_path, capfd, options, behind):
    white = Image.new("RGB", (61, 43), "white")  # its corner looks like filling
    for picture in (white, photograph()):
        path = put(tmp_path / "a.jpg", encoded(picture, "JPEG", **options) + behind)
        difference = images.read_image(path).astype(int) - np.asarray(picture)
        assert np.abs(difference).mean() < 12
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_does_not_fit_is_read_at_half_size(tmp_path, monkeypatch):
    monkeypatch.setattr(image_decoding, "DECODING", Budget(9_000_000))
    path = put(tmp_path / "a.jpg", encoded(photograph((1001, 801)), "JPEG", quality=95))
    half = photograph((1001, 801)).resize((501, 401), Image.Resampling.BOX)
    result = images.read_image(path)
    assert result.shape == (401, 501, 3)
    assert np.abs(result.astype(int) - np.asarray(half)).mean() < 6
    png = put(tmp_path / "a.png", encoded(Image.new("RGB", (1001, 1001)), "PNG"))
    with pytest.raises(InputError, match=r"a\.png: 1,001 × 1,001 pixels, which takes more memory"):
        images.read_image(png)


def tiff(counts):
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, counts, 200), (262, 3, 1, 2)]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *entry) for entry in entries
    )
    header = b"II*\0" + struct.pack("<I", 8) + directory + bytes(4)
    return header.ljust(200, b"\0") + b"\x08\0" * counts


def test_a_tag_of_millions_of_numbers_is_not_read(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(image_decoding.Image, "open", lambda *a, **k: opened.append(a))
    with pytest.raises(InputError, match=r"a\.tif: not a readable picture"):
        images.read_image(put(tmp_path / "a.tif", tiff(2**20 + 1)))
    assert not opened


@pytest.mark.parametrize("start", [200, 2**40, 2**64 - 1])
def test_a_directory_beyond_the_end_of_the_file(tmp_path, start):
    code = b"II\x2b\0\x08\0\0\0" + struct.pack("<Q", start) + bytes(64)
    with pytest.raises(InputError, match=r"a\.tif: not a readable picture"):
        images.read_image(put(tmp_path / "a.tif", code))


@pytest.mark.parametrize("name", [b"zTXt", b"iCCP"])
def test_a_compressed_bomb_in_a_png(tmp_path, name):
    code = encoded(photograph(), "PNG")
    bomb = chunk(name, b"a\0\0" + zlib.compress(bytes(20_000_000), 9))
    with pytest.raises(InputError, match=r"a\.png: not a readable picture"):
        images.read_image(put(tmp_path / "a.png", code[:33] + bomb + code[33:]))
