"""Preprocessing configs against transformers' own CLIPImageProcessor (the one on Pillow)."""

import itertools
import json

import numpy as np
import pytest
from transformers import CLIPConfig
from transformers.models.clip.image_processing_clip import CLIPImageProcessor

from jaxvlm import clip
from jaxvlm.clip.image_processor import read_preprocessing
from jaxvlm.clip.preprocessing import (
    Preprocessing,
    apply,
    pixel_table,
    pixel_values,
    resize_and_crop,
)
from jaxvlm.errors import InputError
from tests.clip.test_preprocessing import pictures

SIDE = 32
CONFIG = CLIPConfig(vision_config={"image_size": SIDE})
IMAGES = pictures((40, 57), (57, 40), (SIDE, SIDE), (9, 70), (31, 33), (100, 33), (7, 5))
CROP = {"height": SIDE, "width": SIDE}

# Together every value of every field; resize, crop, and arithmetic are independent of each other.
SIZES = [
    {"size": SIDE},
    {"size": SIDE + 5},
    {"size": SIDE - 7},  # then black is put around
    {"size": {"shortest_edge": SIDE}},
    {"size": {"shortest_edge": SIDE + 4, "longest_edge": None}},
    {"size": {"height": SIDE, "width": SIDE}},
    {"size": {"height": SIDE + 9, "width": SIDE - 9}},
    {"size": [SIDE + 3, SIDE + 20]},
    {"size": None},
    {},
    {"do_resize": False},
    {"do_resize": False, "size": {"shortest_edge": 7}},
    {"size": {"height": SIDE, "width": SIDE}, "do_center_crop": False},
    {"size": [SIDE, SIDE], "do_center_crop": False, "crop_size": 7},
    {"size": {"shortest_edge": SIDE}, "use_square_size": True},
]
CROPS = [{"crop_size": SIDE}, {"crop_size": CROP}, {"crop_size": [SIDE, SIDE]}]
ARITHMETIC = [
    {},
    {"do_rescale": False},
    {"do_rescale": False, "do_normalize": False},
    {"do_normalize": False},
    {"do_normalize": False, "image_mean": [9, 9, 9], "image_std": [0, 0, 0]},
    {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]},
    {"rescale_factor": 0.00392156862745098, "do_convert_rgb": False},
    {"image_mean": [0.1, 0.5, 0.9], "image_std": [0.3, 1.1, 0.017]},
    {"image_mean": 0.5, "image_std": 0.25, "rescale_factor": 2},
    {"image_mean": None, "image_std": None, "do_convert_rgb": True},
]
CHOSEN = [
    {**CROPS[n % 3], **size, "resample": n % 6, **ARITHMETIC[n % len(ARITHMETIC)]}
    for n, size in enumerate(itertools.chain(SIZES, SIZES[::-1]))
]
FILTERS = [{**CROPS[0], "size": SIDE, "resample": n} for n in range(6)]
VALUES = [{**CROPS[0], "size": SIDE, **values} for values in ARITHMETIC]


def read(folder, value, name="preprocessor_config.json"):
    (folder / name).write_text(json.dumps(value))
    return read_preprocessing(folder, CONFIG)


@pytest.mark.parametrize("value", [*CHOSEN, *FILTERS, *VALUES], ids=str)
def test_every_field_counts_as_in_transformers_bit_for_bit(tmp_path, value):
    settings = read(tmp_path, value)
    processor = CLIPImageProcessor.from_pretrained(tmp_path)
    expected = np.stack([processor(image)["pixel_values"][0] for image in IMAGES])
    got = apply(settings, IMAGES)
    np.testing.assert_array_equal(got, expected.astype(np.float32))
    # What the device makes of the bytes that travel there.
    crops = np.stack([resize_and_crop(image, settings) for image in IMAGES])
    np.testing.assert_array_equal(pixel_values(pixel_table(settings), crops), got)


def test_the_file_of_transformers_5_comes_first(tmp_path):
    """Its fields stand under image_processor, with those of the fast processor as null."""
    processor = {
        "crop_size": CROP, "data_format": "channels_first", "do_center_crop": True, "device": None,
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.4, 0.3], "image_processor_type": "CLIPImageProcessorFast",
        "image_std": [0.5, 0.6, 0.7], "pad_size": None, "do_pad": None, "resample": 2,
        "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 40},
    }  # fmt: skip
    nested = {"image_processor": processor, "processor_class": "CLIPProcessor"}
    alone = read(tmp_path, nested, "processor_config.json")
    assert (alone.size, alone.mean, alone.resample) == (40, (0.5, 0.4, 0.3), 2)
    read(tmp_path, {"crop_size": SIDE, "size": 77})
    assert read_preprocessing(tmp_path, CONFIG) == alone
    # Transformers 4 writes a processor_config.json without it.
    old = {"processor_class": "CLIPProcessor"}
    assert read(tmp_path, old, "processor_config.json").size == 77
    (tmp_path / "preprocessor_config.json").unlink()
    assert read_preprocessing(tmp_path, CONFIG) == Preprocessing(SIDE, SIDE)


REFUSED = {
    "do_center_crop is false": {"size": SIDE, "do_center_crop": False},
    "do_resize is false, too": {"do_resize": False, "do_center_crop": False},
    "crop_size is 224 × 224": {"size": SIDE},
    "crop_size is 32 × 30": {"size": SIDE, "crop_size": {"height": SIDE, "width": 30}},
    "longest_edge": {"size": {"shortest_edge": SIDE, "longest_edge": 99}},
    "crop_size has": {"crop_size": {"shortest_edge": SIDE}},
    "max_height": {"size": {"max_height": 1, "max_width": 1}},
    "size is 0": {"size": 0},
    "size is 100000": {"size": 100_000},
    "size is 32.5": {"size": 32.5},
    "size is True": {"size": True},
    "resample is 99": {"resample": 99},
    "resample is 'bicubic'": {"resample": "bicubic"},
    "resample is None": {"resample": None},
    "do_normalize is None": {"do_normalize": None},
    "do_rescale is 'no'": {"do_rescale": "no"},
    "image_mean has 1 numbers": {"image_mean": [0.5]},
    "not valid JSON (Infinity": {"image_std": [float("inf")] * 3},
    "not valid JSON (NaN": {"image_mean": [0.5, float("nan"), 0.5]},
    "image_std is [0.5, 0.5, 0.0], which is too near 0": {"image_std": [0.5, 0.5, 0]},
    "image_std is [0.5, 0.5, 1e-40]": {"image_std": [0.5, 0.5, 1e-40]},
    "image_mean is 1e+308": {"image_mean": [0.5, 0.5, 1e308]},
    "rescale_factor is -10000000000.0": {"rescale_factor": -1e10},
    "image_std is 'x": {"image_std": ["x" * 10_000] * 3},
    "'SiglipImageProcessor' is not": {"image_processor_type": "SiglipImageProcessor"},
    "['CLIPImageProcessor'] is not": {"image_processor_type": ["CLIPImageProcessor"]},
    "do_pad": {"do_pad": True},
    "default_to_square": {"default_to_square": True},
}


@pytest.mark.parametrize("cause", REFUSED)
def test_what_it_cannot_mean_is_refused_by_name(tmp_path, cause):
    value = {"crop_size": SIDE} | REFUSED[cause]
    if cause.startswith("crop_size is 224"):
        del value["crop_size"]
    with pytest.raises(InputError) as caught:
        read(tmp_path, value)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'preprocessor_config.json'}: ") and cause in message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("value", [[], 3, None, "x"])
def test_a_file_that_is_no_object(tmp_path, value):
    with pytest.raises(InputError, match="not a JSON object"):
        read(tmp_path, value)
    with pytest.raises(InputError, match="image_processor is no JSON object"):
        read(tmp_path, {"image_processor": value}, "processor_config.json")


def test_a_folder_is_loaded_with_what_its_file_says(folder):
    value = {"size": 80, "crop_size": 64, "do_rescale": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(value))
    (image,) = pictures((70, 90))
    processor = CLIPImageProcessor.from_pretrained(folder)
    expected = processor(image)["pixel_values"][0]
    np.testing.assert_array_equal(clip.preprocess(clip.load(folder), [image])[0], expected)
