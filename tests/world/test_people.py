"""The people of the rendered world: deterministic, animated, well-formed sprites."""

import numpy as np
import pytest

from jaxvlm.world import ink, vocabulary
from jaxvlm.world.people import DRAW

EXPECTED = {
    "people punching",
    "person kicking",
    "raised fists",
    "person on the ground",
    "crowd in a circle",
    "masked gunman",
    "gun in hand",
    "people taking cover",
    "person beating a victim",
    "victim tied up",
    "cowering person",
    "raised stick",
    "crying child",
    "people running away",
    "angry crowd",
    "riot shields",
    "crowd attacking police",
    "referee",
    "nurse",
    "film crew",
    "street vendor",
    "crash test dummy",
    "toy gun",
    "protest sign",
}
PHASES = (0.0, 0.13, 0.37, 0.61, 0.9)
atoms = pytest.mark.parametrize("atom", sorted(DRAW))


def sprite(atom: str, seed: int, phase: float = 0.0, size: int = 64) -> np.ndarray:
    image = ink.blank(size)
    DRAW[atom](image, np.random.default_rng(seed), phase)
    return image


def test_draws_the_listed_atoms_of_the_vocabulary():
    assert set(DRAW) == EXPECTED
    assert set(DRAW) <= set(vocabulary.ATOMS)


@atoms
def test_a_sprite_is_a_function_of_seed_and_phase(atom):
    first = sprite(atom, 3, 0.4)
    np.testing.assert_array_equal(first, sprite(atom, 3, 0.4))
    assert any((first != sprite(atom, seed, 0.4)).any() for seed in (4, 5))
    assert any((first != sprite(atom, 3, phase)).any() for phase in PHASES)


@atoms
def test_random_numbers_do_not_depend_on_phase(atom):
    states = []
    for phase in PHASES:
        rng = np.random.default_rng(7)
        DRAW[atom](ink.blank(), rng, phase)
        states.append(rng.bit_generator.state)
    assert all(state == states[0] for state in states)


@atoms
@pytest.mark.parametrize("size", [24, 64])
def test_alpha_is_premultiplied_and_the_sprite_is_filled(atom, size):
    for seed, phase in enumerate(PHASES):
        image = sprite(atom, seed, phase, size)
        assert (image[..., :3] <= image[..., 3:]).all()
        rows, columns = np.nonzero(image[..., 3] > 127)
        assert rows.max() >= 0.85 * size  # stands on the lower edge
        assert np.ptp(columns) >= 0.35 * size and np.ptp(rows) >= 0.4 * size
        assert np.mean(image[..., 3] > 127) > 0.1


@atoms
def test_both_directions_occur(atom):
    class Fixed(np.random.Generator):
        flip = 0.0

        def random(self):
            return self.flip

    faces = []
    for flip in (0.499, 0.5):
        rng = Fixed(np.random.PCG64(11))
        rng.flip = flip
        image = ink.blank()
        DRAW[atom](image, rng, 0.2)
        faces.append(image)
    # Shapes only: two atoms also take a tint from the same draw.
    np.testing.assert_array_equal(faces[0][..., 3], faces[1][:, ::-1, 3])
    assert (faces[0] != faces[1]).any()
