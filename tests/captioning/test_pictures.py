"""What reaches a model of a frame."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxvlm.captioning.pictures import encode_jpeg, read_frame
from jaxvlm.errors import InputError


@pytest.mark.parametrize(("height", "width"), [(120, 160), (10, 2_000), (100, 100), (99, 101)])
def test_large_frames_are_made_smaller(tmp_path, height, width):
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(tmp_path / "a.png")
    sent = Image.open(io.BytesIO(encode_jpeg(tmp_path / "a.png", 10_000)))
    if height * width <= 10_000:
        assert sent.size == (width, height)
    else:
        assert 9_000 < sent.width * sent.height <= 10_000
        assert sent.width / sent.height == pytest.approx(width / height, rel=0.03)


def test_frames_are_sent_upright_and_without_exif(tmp_path):
    picture = Image.fromarray(np.zeros((10, 30, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera of Ms Smith"  # turn by 90°; maker
    picture.save(tmp_path / "a.jpg", exif=exif)
    sent = encode_jpeg(tmp_path / "a.jpg", 10_000)
    assert Image.open(io.BytesIO(sent)).size == (10, 30)
    assert b"Smith" not in sent


def test_frames_that_no_model_takes(tmp_path):
    Image.fromarray(np.zeros((1, 201, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="a.png: 201 by 1 pixels are too narrow"):
        encode_jpeg(tmp_path / "a.png", 10_000)
    Image.fromarray(np.zeros((200, 1, 3), np.uint8)).save(tmp_path / "b.png")
    assert read_frame(tmp_path / "b.png").shape == (200, 1, 3)
