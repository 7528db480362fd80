"""The drawings of things: complete, reproducible, visible, distinguishable."""

import itertools

import cv2
import numpy as np
import pytest

from jaxvlm.world import ink, things, vocabulary

# Every atom that shows no person as its subject; written out, so that a lost drawing is noticed.
EXPECTED = {
    "ambulance",
    "balloons",
    "blast flash",
    "boxing ring",
    "broken glass",
    "bullet holes",
    "burning barricade",
    "carnival parade",
    "concert stage",
    "crashed cars",
    "crumpled hood",
    "fireball",
    "fireworks show",
    "flying debris",
    "knocked over chair",
    "muzzle flash",
    "overturned car",
    "police car",
    "shattered window",
    "shooting target",
    "skid marks",
    "smoke plume",
    "theater stage",
    "thrown stones",
}
MOVING = {
    "blast flash",
    "fireball",
    "smoke plume",
    "flying debris",
    "fireworks show",
    "muzzle flash",
    "burning barricade",
    "thrown stones",
    "carnival parade",
    "concert stage",
    "police car",
    "ambulance",
    "balloons",
    "boxing ring",
    "theater stage",
}


def _sprite(name: str, seed: int, phase: float = 0.0, size: int = 64) -> np.ndarray:
    image = ink.blank(size)
    things.DRAW[name](image, np.random.default_rng(seed), phase)
    return image


def test_every_listed_atom_has_a_drawing_and_a_place_in_the_vocabulary():
    assert set(things.DRAW) == EXPECTED
    assert set(vocabulary.ATOMS) >= EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_seed_fixes_the_bytes(name):
    first = _sprite(name, 3, 0.4)
    np.testing.assert_array_equal(first, _sprite(name, 3, 0.4))
    assert any((first != _sprite(name, seed, 0.4)).any() for seed in (4, 5))


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("seed", range(4))
def test_sprites_are_visible_large_and_premultiplied(name, seed):
    image = _sprite(name, seed, 0.25 * seed)
    assert (image[..., :3] <= image[..., 3:]).all()
    rows, columns = np.nonzero(image[..., 3] > 127)
    assert np.ptp(columns) > 0.55 * 64
    assert np.ptp(rows) > 0.4 * 64
    assert rows.size > 0.12 * 64 * 64


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_phase_takes_no_random_numbers(name):
    states = []
    for phase in (0.0, 0.13, 2.7, 60.0):
        rng = np.random.default_rng(11)
        things.DRAW[name](ink.blank(), rng, phase)
        states.append(rng.bit_generator.state)
    assert all(state == states[0] for state in states)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_phase_moves_what_moves(name):
    still = (_sprite(name, 2, 1.0) == _sprite(name, 2, 2.0)).all()  # one frame per second
    assert still == (name not in MOVING)


def test_atoms_differ_by_structure_at_24_pixels():
    """Shape without colour: no two atoms share outline and brightness pattern."""

    def pattern(name: str) -> np.ndarray:
        small = cv2.resize(_sprite(name, 0, 0.2), (24, 24), interpolation=cv2.INTER_AREA) / 255
        layers = np.stack([small[..., 3], small[..., :3].mean(-1)])
        layers = layers - layers.mean((1, 2), keepdims=True)
        return layers.ravel() / np.linalg.norm(layers)

    patterns = {name: pattern(name) for name in sorted(EXPECTED)}
    alike = {
        pair: float(patterns[pair[0]] @ patterns[pair[1]])
        for pair in itertools.combinations(patterns, 2)
    }
    assert max(alike.values()) < 0.85, max(alike, key=alike.__getitem__)


def test_brightness_does_not_tell_events_from_harmless_shows():
    def brightness(name: str) -> float:
        return float(np.mean([_sprite(name, seed)[..., :3].mean() for seed in range(5)]))

    loud = [brightness(name) for name in ("blast flash", "muzzle flash", "fireball")]
    harmless = [
        brightness(name)
        for name in ("ambulance", "carnival parade", "concert stage", "theater stage")
    ]
    assert np.mean(harmless) > np.mean(loud)
