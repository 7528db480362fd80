"""Pictures of every kind that users bring, written with OpenCV, Pillow or by hand."""

import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from jaxvlm.data import images
from jaxvlm.errors import InputError

# 2x3 pixels, red, green, blue / white, black, grey.
RGB = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 255], [0, 0, 0], [128, 128, 128]]],
    np.uint8,
)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def frame(path):
    return write(path, np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_colour_is_rgb(tmp_path, suffix):
    assert np.array_equal(images.read_image(write(tmp_path / f"a{suffix}", RGB[..., ::-1])), RGB)


def test_grey_alpha_and_sixteen_bits(tmp_path):
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    result = images.read_image(write(tmp_path / "grey.png", grey))
    assert np.array_equal(result, np.stack([grey] * 3, axis=-1))

    alpha = np.dstack([RGB[..., ::-1], np.full((2, 3), 7, np.uint8)])
    assert np.array_equal(images.read_image(write(tmp_path / "alpha.png", alpha)), RGB)

    deep = RGB[..., ::-1].astype(np.uint16) * 256 + 17
    result = images.read_image(write(tmp_path / "deep.png", deep))
    assert result.dtype == np.uint8 and np.array_equal(result, RGB)


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation(tmp_path, orientation, turn):
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24] = 255  # the upper left quarter is white
    stored = np.rot90(upright, -turn)  # what a camera held sideways stores
    code = cv2.imencode(".jpg", np.ascontiguousarray(stored))[1].tobytes()
    entry = struct.pack("<2sHIHHHII", b"II", 42, 8, 1, 0x0112, 3, 1, orientation) + bytes(4)
    exif = b"Exif\0\0" + entry
    path = tmp_path / "a.jpg"
    path.write_bytes(code[:2] + struct.pack(">HH", 0xFFE1, len(exif) + 2) + exif + code[2:])
    result = images.read_image(path)
    assert result.shape == upright.shape
    assert np.abs(result.astype(int) - upright).mean() < 2


def photograph(mode="RGB"):
    """Smooth colours, 37x53, that a JPEG keeps well; alpha and all."""
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 4), np.uint8)
    return Image.fromarray(cv2.blur(noise, (9, 9)), "RGBA").convert(mode)


def by_pillow(path):
    """Pillow's own reading, which transformers' CLIP processor starts from."""
    with warnings.catch_warnings(), Image.open(path) as picture:
        warnings.simplefilter("ignore")
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


KINDS = {
    "colour.jpg": ("RGB", {"quality": 80}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "grey.jpg": ("L", {}),
    "cmyk.jpg": ("CMYK", {}),
    "cmyk.tif": ("CMYK", {}),
    "alpha.png": ("RGBA", {}),
    "grey_alpha.png": ("LA", {}),
    "bits.png": ("1", {}),
    "palette.png": ("P", {}),
    "palette_one_clear.png": ("P", {"transparency": 3}),
    "palette_alpha.png": ("P", {"transparency": bytes(range(256))}),
    "colour_clear.png": ("RGB", {"transparency": (1, 2, 3)}),
    "alpha.webp": ("RGBA", {}),
    "lossy.webp": ("RGB", {"quality": 95}),
    "one.gif": ("P", {}),
    "clear.gif": ("P", {"transparency": 3}),
    "colour.tiff": ("RGB", {"compression": "tiff_lzw"}),
    "colour.bmp": ("RGB", {}),
    "colour.ppm": ("RGB", {}),
    "grey.pgm": ("L", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_reads_as_pillow_reads_it(tmp_path, name):
    mode, options = KINDS[name]
    path = tmp_path / name
    photograph(mode).save(path, **options)
    result = images.read_image(path)
    assert result.dtype == np.uint8 and result.shape == (37, 53, 3)
    assert result.flags.writeable and result.flags.c_contiguous
    assert np.array_equal(result, by_pillow(path))
    if mode not in ("1", "P"):  # and as it was drawn
        drawn = np.asarray(photograph().convert("L" if "grey" in name else "RGB").convert("RGB"))
        assert np.abs(result.astype(int) - drawn).mean() < 4


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_of_many_pictures_the_first_is_read(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    first, second = Image.new("RGB", (9, 5), (200, 0, 0)), Image.new("RGB", (9, 5), (0, 0, 200))
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(path, save_all=True, append_images=[second], **options)
    with Image.open(path) as written:
        assert written.n_frames == 2
    assert np.array_equal(images.read_image(path), np.asarray(first))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_the_upper_eight(tmp_path, suffix):
    values = np.array([[0, 255, 256], [0x8001, 0xFE00, 0xFFFF]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    result = images.read_image(tmp_path / f"a.{suffix}")
    assert result[..., 0].tolist() == [[0, 0, 1], [0x80, 0xFE, 0xFF]]
    assert (result == result[..., :1]).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_in_all_formats(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    tag = Image.Exif()
    tag[0x0112] = orientation
    if suffix == "tif":
        photograph().save(path, tiffinfo={0x0112: orientation})
    else:
        photograph().save(path, exif=tag)
    result = images.read_image(path)
    assert result.shape == ((37, 53, 3) if orientation < 5 else (53, 37, 3))
    assert np.array_equal(result, by_pillow(path))


def test_one_pixel_and_very_wide(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "one.png")
    assert images.read_image(tmp_path / "one.png").tolist() == [[[9, 8, 7]]]
    Image.new("L", (20_000, 3), 50).save(tmp_path / "wide.jpg")
    assert images.read_image(tmp_path / "wide.jpg").shape == (3, 20_000, 3)


@pytest.mark.parametrize("side", [13_378, 40_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, side):
    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match="bomb.png: .* pixels, which takes more memory to decode"):
        images.read_image(path)


def test_float_values_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="a.tif: float or 32-bit values; convert it to 8 bits"):
        images.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["bmp", "jpg", "png", "ppm", "tif", "webp"])
def test_half_a_file_is_no_picture(tmp_path, suffix, capfd):
    path = tmp_path / f"a.{suffix}"
    photograph().save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="not a readable picture; replace the file"):
        images.read_image(path)
    assert capfd.readouterr().err == ""  # the one line is the caller's to print


def test_broken_exif_does_not_lose_the_picture(tmp_path):
    path = tmp_path / "a.webp"
    photograph().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff", lossless=True)
    assert images.read_image(path).shape == (37, 53, 3)


@pytest.mark.parametrize("content", [b"", b"no picture", bytes(1000)])
def test_no_picture(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match="a.jpg: not a readable picture; ") as error:
        images.read_image(tmp_path / "a.jpg")
    assert "\n" not in str(error.value)


def test_an_avif_without_its_picture(tmp_path):
    """libavif says so with a RuntimeError."""
    Image.new("RGB", (20, 12)).save(tmp_path / "a.avif")
    code = (tmp_path / "a.avif").read_bytes()
    (tmp_path / "a.avif").write_bytes(code.replace(b"pitm\0\0\0\0\0\1", b"pitm\0\0\0\0\0\7"))
    with pytest.raises(InputError, match="a.avif: not a readable"):
        images.read_image(tmp_path / "a.avif")


def test_cut_picture_and_missing_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = write(tmp_path / "a.jpg", noise)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="a.jpg: not a readable picture"):
        images.read_image(path)
    with pytest.raises(InputError, match="b.jpg: no such file"):
        images.read_image(tmp_path / "b.jpg")


def test_images_are_listed_in_natural_order(tmp_path):
    for name in ("10.jpg", "9.jpg", "000009.jpg", "a2.JPEG", "a10.bmp", "1.webp", "²x.png"):
        frame(tmp_path / name)
    (tmp_path / "._9.jpg").write_bytes(b"hidden")
    (tmp_path / "index.csv").write_text("frame\n")
    (tmp_path / "b.jpg").mkdir()
    names = [p.name for p in images.list_images(tmp_path)]
    assert names == ["1.webp", "000009.jpg", "9.jpg", "10.jpg", "a2.JPEG", "a10.bmp", "²x.png"]


def test_video_folders(tmp_path):
    for name in ("v10/0.jpg", "v9/0.jpg", ".hidden/0.jpg"):
        frame(tmp_path / name)
    (tmp_path / "v1").mkdir()
    (tmp_path / "manifest.csv").write_text("")
    found = images.list_video_folders(tmp_path)
    assert [p.name for p in found.folders] == ["v9", "v10"]
    assert len(found.failures) == 1 and found.failures[0].startswith(f"{tmp_path / 'v1'}: no pic")


def test_bad_frames_root(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        images.list_video_folders(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no sub-folder with pictures; run jaxvlm extract-frames"):
        images.list_video_folders(tmp_path)
    frame(tmp_path / "000000.jpg")
    with pytest.raises(InputError, match="one folder per video is expected; move them"):
        images.list_video_folders(tmp_path)


def test_empty_image_folder(tmp_path):
    with pytest.raises(InputError, match="no picture in this folder"):
        images.list_images(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        images.list_images(tmp_path / "nowhere")


def test_index_times(tmp_path):
    for name in ("000000.jpg", "000002.jpg"):  # 000001 was deleted by hand
        frame(tmp_path / name)
    assert images.index_times(tmp_path) is None
    index = tmp_path / "index.csv"
    index.write_text("frame,time_seconds,timecode\n0,0.0,a\n1,0.5,b\n2,1.0,c\n")
    assert images.index_times(tmp_path).tolist() == [0, 1]
    index.write_text("frame,time_seconds\n0,0.0\n")
    with pytest.raises(InputError, match=r"index.csv: no time for 000002.jpg; extract"):
        images.index_times(tmp_path)
    index.write_text("frame,seconds\n0,0.0\n")
    with pytest.raises(InputError, match="index.csv: no column time_seconds"):
        images.index_times(tmp_path)


@pytest.mark.parametrize(
    ("rows", "cause"),
    [
        ("0,a\n1,b\n2,c", "no column time_seconds of numbers"),
        ("0,0\n1,\n2,1", "no time for 000001.jpg"),
        ("0,0\n1,inf\n2,inf", "no time for 000001.jpg"),
        ("0,2\n1,1\n2,0", "000001.jpg is at 1 s, not after the frame before"),
        ("0,1\n1,1\n2,2", "000001.jpg is at 1 s, not after"),
        ("0,-1\n1,1\n2,2", "000000.jpg is at -1 s, not after"),
        ("0,0\n0,9\n1,10\n2,11", "row 3: frame 0 again"),
        ("zero,0\n1,1\n2,2", "no column frame of numbers"),
    ],
)
def test_times_that_are_none(tmp_path, rows, cause):
    for k in range(3):
        (tmp_path / f"{k:06d}.jpg").touch()
    index = tmp_path / "index.csv"
    index.write_text(f"frame,time_seconds\n{rows}\n")
    with pytest.raises(InputError) as caught:
        images.index_times(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{index}: {cause}") and message.endswith("extract the frames again")


def test_numbers_of_any_length_are_in_order():
    names = [
        "a" + "9" * 5_000 + ".jpg",
        "a10.jpg",
        "a9.jpg",
        "a09.jpg",
        "a1" + "0" * 5_000 + ".jpg",
    ]
    assert sorted(names, key=images.natural_key) == [
        "a09.jpg", "a9.jpg", "a10.jpg", names[0], names[4]
    ]  # fmt: skip
