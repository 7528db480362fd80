import time

import numpy as np
import pytest
from PIL import Image
from transformers.models.clip.image_processing_clip import CLIPImageProcessor

from jaxvlm import clip
from jaxvlm.clip.embeddings import _image_features
from jaxvlm.clip.preprocessing import Preprocessing, apply
from jaxvlm.errors import InputError
from tests.clip.conftest import edit_json


def pictures(*sizes, seed=0):
    """Smooth colour with sharp edges and noise on it, H×W×3."""
    rng = np.random.default_rng(seed)
    made = []
    for height, width in sizes:
        y, x = np.mgrid[:height, :width]
        base = 127 + 120 * np.sin(x[..., None] / 7 + np.arange(3)) * np.cos(y[..., None] / 11)
        base[height // 3 : height // 2, width // 4 :] = rng.integers(0, 256, 3)
        made.append((base + rng.normal(0, 8, base.shape)).clip(0, 255).astype(np.uint8))
    return made


@pytest.mark.parametrize("side", [64, 224])
def test_preprocessing_equals_transformers_bit_for_bit(side):
    images = pictures((240, 320), (320, 240), (64, 64), (37, 90), (225, 224), (65, 1000), (6, 5))
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size=side)
    expected = np.stack([processor(image)["pixel_values"][0] for image in images])
    got = apply(Preprocessing(side, side), images)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, expected)


def test_no_images_give_no_rows(model):
    assert clip.preprocess(model, []).shape == (0, 3, 64, 64)


def test_pictures_of_every_kind_are_read_as_one_would(model, tmp_path):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 30, 3), np.uint8)
    grey = rng.integers(0, 256, (40, 30), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path)
    turned = Image.fromarray(rgb)
    turned.getexif()[0x0112] = 3  # upside down
    expected = clip.preprocess(model, [rgb, grey[..., None].repeat(3, 2), rgb[::-1, ::-1].copy()])
    for image in (path, str(path), Image.fromarray(rgb), rgb / 255, (rgb / 255).astype(np.float32)):
        np.testing.assert_array_equal(clip.preprocess(model, [image])[0], expected[0])
    alpha = np.concatenate([rgb, np.zeros((40, 30, 1), np.uint8)], axis=2)  # alpha is dropped
    np.testing.assert_array_equal(clip.preprocess(model, [alpha])[0], expected[0])
    for image in (grey, grey[..., None], Image.fromarray(grey), grey / 255):
        np.testing.assert_array_equal(clip.preprocess(model, [image])[0], expected[1])
    np.testing.assert_array_equal(clip.preprocess(model, [turned])[0], expected[2])
    with pytest.raises(InputError, match="missing.png: no such"):
        clip.preprocess(model, [tmp_path / "missing.png"])


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((8,), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 3), np.int32),
        np.zeros((8, 8, 3), np.uint16),
        np.full((8, 8, 3), 1.01, np.float32),
        np.full((8, 8, 3), -0.01),
        np.full((8, 8, 3), np.nan),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(model, image):
    with pytest.raises(InputError, match="image 1: "):
        clip.preprocess(model, [np.zeros((8, 8, 3), np.uint8), image])


def test_preprocessor_config_is_read_and_checked(folder):
    path = folder / "preprocessor_config.json"
    path.write_text('{"size": 80, "crop_size": {"height": 64, "width": 64}, "image_mean": [0,0,0]}')
    settings = clip.load(folder).preprocessing
    assert (settings.size, settings.crop, settings.mean) == (80, 64, (0.0, 0.0, 0.0))
    edit_json(path, lambda value: value.update(crop_size=32))
    with pytest.raises(InputError, match="preprocessor_config.json.*64 pixels"):
        clip.load(folder)
    edit_json(path, lambda value: value.update(crop_size={"width": 64}))
    with pytest.raises(InputError, match="preprocessor_config.json"):
        clip.load(folder)


def test_a_stream_equals_single_calls_and_reports_what_it_skips(model, tmp_path):
    images = pictures(*[(60 + i, 80) for i in range(11)])
    paths = [tmp_path / f"{i:02d}.png" for i in range(11)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    paths[0].write_text("no image")
    paths[4].unlink()
    paths[10].write_bytes(paths[9].read_bytes()[:200])

    before = _image_features._cache_size()
    embeddings, failures = clip.encode_image_stream(model, iter(paths), batch_size=3)
    assert _image_features._cache_size() <= before + 1, "the last batch was not padded"

    assert [index for index, _ in failures] == [0, 4, 10]
    for index, message in failures:
        assert str(paths[index]) in message
        assert "\n" not in message
    kept = [images[i] for i in range(11) if i not in (0, 4, 10)]
    expected = [clip.encode_images(model, clip.preprocess(model, [image]))[0] for image in kept]
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, np.stack(expected), atol=2e-5)


@pytest.mark.parametrize("count", [0, 1, 4, 8, 9])
def test_a_stream_keeps_order_and_count_at_any_length(model, count):
    images = pictures(*[(40, 40)] * 9)
    whole = np.asarray(clip.encode_images(model, clip.preprocess(model, images)))

    def slow_at_first(index):
        time.sleep(0.01 * (3 - index % 4))
        return images[index]

    embeddings, failures = clip.encode_image_stream(
        model, range(count), batch_size=4, workers=3, read=slow_at_first
    )
    assert failures == []
    np.testing.assert_allclose(embeddings, whole[:count], atol=2e-5)


def test_a_stream_draws_its_items_a_few_batches_ahead_only(model):
    image = np.zeros((8, 8, 3), np.uint8)
    drawn = []
    read = []

    def items():
        for i in range(60):
            drawn.append(i - len(read))
            yield image

    def reader(item):
        time.sleep(0.001)
        read.append(item)
        return item

    clip.encode_image_stream(model, items(), batch_size=4, workers=2, read=reader)
    assert len(drawn) == 60
    assert max(drawn) <= 2 * 4 + 2


def test_a_bug_in_reading_is_not_swallowed(model):
    def buggy(item):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        clip.encode_image_stream(model, [1, 2, 3], batch_size=2, read=buggy)


def test_a_rotated_photo_is_read_upright(tmp_path):
    image = pictures((20, 30))[0]
    tags = Image.Exif()
    tags[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    Image.fromarray(image).save(tmp_path / "photo.png", exif=tags)
    np.testing.assert_array_equal(clip.read_rgb(tmp_path / "photo.png"), np.rot90(image, -1))


def test_a_picture_too_long_and_narrow_is_refused_before_it_fills_the_memory():
    sliver = np.zeros((1, 5_001, 3), np.uint8)
    for image in (sliver, sliver.transpose(1, 0, 2)):
        with pytest.raises(InputError, match="too long and narrow"):
            apply(Preprocessing(4, 4), [image])
    assert apply(Preprocessing(4, 4), [sliver[:, :5_000]]).shape == (1, 3, 4, 4)
