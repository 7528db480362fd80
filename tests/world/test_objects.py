"""The drawings of objects and backgrounds: complete, deterministic, well-formed, distinct."""

import cv2
import numpy as np
import pytest

from jaxvlm.world import backgrounds, ink, objects, vocabulary


def sprite(name: str, seed: int = 0, phase: float = 0.0, size: int = 64) -> np.ndarray:
    image = ink.blank(size)
    objects.DRAW[name](image, np.random.default_rng(seed), phase)
    return image


def place(name: str, seed: int = 0, size: int = 64) -> np.ndarray:
    return backgrounds.draw_background(name, size, np.random.default_rng(seed))


def test_every_name_of_the_vocabulary_has_a_drawing():
    assert tuple(objects.DRAW) == vocabulary.OBJECTS
    assert tuple(backgrounds.DRAW) == vocabulary.BACKGROUNDS


@pytest.mark.parametrize("name", vocabulary.OBJECTS)
def test_object_follows_its_seed(name):
    assert np.array_equal(sprite(name, 3), sprite(name, 3))
    assert len({sprite(name, seed).tobytes() for seed in range(6)}) >= 5


@pytest.mark.parametrize("name", vocabulary.OBJECTS)
@pytest.mark.parametrize("seed", range(4))
def test_object_fills_its_sprite_and_is_premultiplied(name, seed):
    image = sprite(name, seed, phase=0.4)
    alpha = image[:, :, 3]
    assert (image[:, :, :3] <= alpha[:, :, None]).all()
    opaque = alpha > 127
    assert 0.12 < opaque.mean() < 0.8
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) >= 0.8 * 64
    assert min(np.ptp(rows), np.ptp(columns)) >= 0.25 * 64


@pytest.mark.parametrize("name", sorted(set(vocabulary.OBJECTS) - {"airplane", "bird"}))
def test_object_stands_on_the_lower_edge(name):
    opaque = sprite(name)[:, :, 3] > 127
    assert opaque[int(0.88 * 64) :].any()


@pytest.mark.parametrize("name", vocabulary.OBJECTS)
def test_phase_does_not_change_the_random_numbers_taken(name):
    for seed in range(6):
        first, second = np.random.default_rng(seed), np.random.default_rng(seed)
        objects.DRAW[name](ink.blank(), first, 0.0)
        objects.DRAW[name](ink.blank(), second, 3.7)
        assert first.bit_generator.state == second.bit_generator.state


@pytest.mark.parametrize(
    "name",
    [
        "airplane",
        "ball",
        "bicycle",
        "bird",
        "boat",
        "cat",
        "clock",
        "cow",
        "dog",
        "horse",
        "person",
        "sheep",
        "tree",
        "windmill",
    ],
)
def test_phase_moves_what_is_alive_or_turns(name):
    assert not np.array_equal(sprite(name, 1, 0.0), sprite(name, 1, 0.17))


@pytest.mark.parametrize("name", vocabulary.OBJECTS)
def test_size_changes_the_resolution_but_not_the_object(name):
    large = cv2.resize(sprite(name, 2, 0.3, 128), (64, 64), interpolation=cv2.INTER_AREA)
    difference = np.abs(sprite(name, 2, 0.3)[:, :, 3] / 255.0 - large[:, :, 3] / 255.0)
    assert difference.mean() < 0.1  # OpenCV widens thin lines at low resolution


def test_silhouettes_differ_between_objects():
    shapes = {
        name: np.mean([sprite(name, seed, 0.2, 20)[:, :, 3] / 255.0 for seed in range(4)], 0)
        for name in vocabulary.OBJECTS
    }
    for i, one in enumerate(vocabulary.OBJECTS):
        for other in vocabulary.OBJECTS[i + 1 :]:
            if {one, other} != {"ball", "clock"}:  # both round: told apart by what is inside
                assert np.abs(shapes[one] - shapes[other]).mean() > 0.05, (one, other)


@pytest.mark.parametrize("name", vocabulary.BACKGROUNDS)
@pytest.mark.parametrize("size", [64, 101, 160])
def test_background_is_an_opaque_rgb_picture_of_the_size(name, size):
    image = place(name, size=size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8
    assert (image.max(2) == 0).mean() < 0.2  # nothing left undrawn, even at night
    assert image.astype(float).std() > 8


@pytest.mark.parametrize("name", vocabulary.BACKGROUNDS)
def test_background_follows_its_seed(name):
    assert np.array_equal(place(name, 5), place(name, 5))
    assert len({place(name, seed).tobytes() for seed in range(6)}) == 6


def test_backgrounds_cover_every_pixel():
    for name, draw in backgrounds.DRAW.items():
        for seed in range(5):
            results = []
            for start in (0, 255):
                image = np.full((64, 64, 3), start, np.uint8)
                draw(image, np.random.default_rng(seed))
                results.append(image)
            assert np.abs(results[0].astype(int) - results[1]).max() < 100, (name, seed)


def test_night_street_is_the_dark_place():
    brightness = {
        name: np.mean([np.median(place(name, seed)) for seed in range(8)])
        for name in vocabulary.BACKGROUNDS
    }
    darkest, second = sorted(brightness, key=brightness.__getitem__)[:2]
    assert darkest == "night street"
    assert brightness[darkest] < 0.7 * brightness[second]


def test_backgrounds_differ_by_structure_not_only_by_colour():
    """Grey, contrast-normalised pictures: nearest mean of other seeds names most places right."""

    def structure(name: str, seed: int) -> np.ndarray:
        grey = place(name, seed).mean(2)
        grey = np.minimum(grey, grey[:, ::-1]) + np.maximum(grey, grey[:, ::-1])  # mirror-blind
        return (grey - grey.mean()) / grey.std()

    names = vocabulary.BACKGROUNDS
    means = np.stack([np.mean([structure(name, seed) for seed in range(30)], 0) for name in names])
    hits = [
        int(np.argmin(((means - structure(name, seed)) ** 2).sum((1, 2)))) == i
        for i, name in enumerate(names)
        for seed in range(100, 110)
    ]
    assert np.mean(hits) > 0.5  # chance: 0.1
