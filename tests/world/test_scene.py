"""Scenes: pure in (scene, time), and truthful about what can be seen."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from jaxvlm.world import scene as world
from jaxvlm.world.scene import Actor, Camera, Scene
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, OBJECTS

SIZE = 64


def busy_scene(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    names = [ATOMS[i] for i in rng.choice(len(ATOMS), 3, replace=False)]
    actors = tuple(world.random_actor(rng, name, 0.3 * k + 0.2) for k, name in enumerate(names))
    camera = Camera(noise=6.0, shake=0.01, exposure_swing=0.05)
    return Scene("square", seed, actors, ((0.4, 0.0, 0.45, 1.0),), camera)


def alone(name: str, **changes) -> Scene:
    """One actor of half the frame's side in the middle, before a perfect camera."""
    return Scene("field", 0, (Actor(name, 3, 0.5, 0.5, 0.5)._replace(**changes),))


def ink_of(name: str) -> np.ndarray:
    """[S, S] bool: the ink of `alone(name)`, of which nothing is hidden."""
    return world.render(alone(name), 0.0, SIZE).owner == 0


def assert_same(one: world.Frame, other: world.Frame) -> None:
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.owner, other.owner)
    assert one.visible == other.visible


def test_a_frame_does_not_depend_on_what_was_asked_before():
    scenes, times = [busy_scene(seed) for seed in range(3)], [0.0, 0.25, 7.5]
    first = {(s, t): world.render(scenes[s], t, SIZE) for s in range(3) for t in times}
    for s, t in reversed(first):
        assert_same(world.render(busy_scene(s), t, SIZE), first[s, t])
    # Another size between two calls must not disturb a cached background either.
    world.render(scenes[0], 0.0, 96)
    assert_same(world.render(scenes[0], 0.0, SIZE), first[0, 0.0])


def test_seeds_and_time_change_the_picture():
    before = world.render(busy_scene(0), 1.0, SIZE).image
    moved = busy_scene(0)
    changed = [
        world.render(moved._replace(seed=1), 1.0, SIZE).image,
        world.render(moved._replace(actors=busy_scene(1).actors), 1.0, SIZE).image,
        world.render(moved, 1.25, SIZE).image,
    ]
    assert all((image != before).any() for image in changed)


def test_pixels_are_the_same_in_another_process():
    """Python orders sets of strings anew in every process; no pixel may depend on it."""
    program = (
        "import hashlib, numpy as np\n"
        "from jaxvlm.world import pictures, videos\n"
        "digest = hashlib.sha256()\n"
        "for picture in pictures.pictures(5, 6):\n"
        "    digest.update(picture.image.tobytes() + ','.join(picture.things).encode())\n"
        "for _, (_, image, names) in zip(range(3),\n"
        "        videos.render_video(videos.world_video(5, 'test', 0))):\n"
        "    digest.update(image.tobytes() + ','.join(names).encode())\n"
        "print(digest.hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1 and len(digests.pop().strip()) == 2 * hashlib.sha256().digest_size


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_is_drawn_and_differs_by_seed(background):
    images = [world.render(Scene(background, seed, ()), 0.0, SIZE).image for seed in (0, 1)]
    assert images[0].shape == (SIZE, SIZE, 3) and images[0].dtype == np.uint8
    assert (images[0] != images[1]).any() and images[0].std() > 3


def test_every_atom_and_object_has_a_drawing():
    assert set(world.DRAW) == {*ATOMS, *OBJECTS}
    assert len(world.DRAW) == len(ATOMS) + len(OBJECTS)


def test_an_actor_alone_owns_its_ink():
    frame = world.render(alone("shooting target"), 0.0, SIZE)
    assert frame.visible == ("shooting target",)
    assert set(np.unique(frame.owner)) == {-1, 0}
    empty = world.render(Scene("field", 0, ()), 0.0, SIZE).image
    changed = (frame.image != empty).any(-1)
    assert changed[frame.owner == 0].mean() > 0.95
    assert changed[frame.owner == -1].mean() < 0.1  # anti-aliased rims


def test_an_actor_fully_behind_another_is_not_visible():
    ball, stage = Actor("ball", 1, 0.12, 0.5, 0.45), Actor("theater stage", 2, 0.9, 0.5, 0.5)
    hidden = world.render(Scene("field", 0, (ball, stage)), 0.0, SIZE)
    assert hidden.visible == ("theater stage",) and not (hidden.owner == 0).any()
    shown = world.render(Scene("field", 0, (stage, ball)), 0.0, SIZE)
    assert shown.visible == ("ball", "theater stage")


@pytest.mark.parametrize("name", ["dog", "smoke plume", "people punching", "skid marks"])
def test_visible_means_half_of_the_ink_is_uncovered(name):
    ink = ink_of(name)
    seen = []
    for column in range(0, SIZE, 4):
        covered = np.arange(SIZE) >= column
        scene = alone(name)._replace(occluders=((column / SIZE, 0.0, 1.0, 1.0),))
        frame = world.render(scene, 0.0, SIZE)
        expected = 2 * np.count_nonzero(ink & ~covered) >= np.count_nonzero(ink)
        assert (name in frame.visible) == expected, column
        np.testing.assert_array_equal(frame.owner == 1, np.broadcast_to(covered, ink.shape))
        np.testing.assert_array_equal(frame.owner == 0, ink & ~covered)
        seen.append(expected)
    assert set(seen) == {True, False}


@pytest.mark.parametrize("axis", ["x", "y"])
def test_ink_outside_the_frame_counts_as_hidden(axis):
    name = "dog"
    ink = ink_of(name)
    for shift in (-56, -40, -30, -8, 0, 8, 30, 40, 56):
        frame = world.render(alone(name, **{axis: 0.5 + shift / SIZE}), 0.0, SIZE)
        step = (0, shift) if axis == "x" else (shift, 0)
        padded = np.roll(np.pad(ink, SIZE), step, (0, 1))
        inside = padded[SIZE:-SIZE, SIZE:-SIZE]
        np.testing.assert_array_equal(frame.owner == 0, inside)
        assert (name in frame.visible) == (2 * inside.sum() >= ink.sum()), shift


def test_one_of_two_equal_actors_is_enough():
    outside, inside = alone("dog", x=2.0).actors[0], alone("dog").actors[0]
    assert world.render(Scene("field", 0, (outside, inside)), 0.0, SIZE).visible == ("dog",)
    assert world.render(Scene("field", 0, (outside,)), 0.0, SIZE).visible == ()


def test_actors_come_and_go():
    scene = alone("dog", start=1.0, end=2.0)
    visible = {t: world.render(scene, t, SIZE).visible for t in (0.75, 1.0, 1.75, 2.0)}
    assert visible == {0.75: (), 1.0: ("dog",), 1.75: ("dog",), 2.0: ()}


@pytest.mark.parametrize("velocity", [0.1, -0.1])
def test_movement_starts_in_its_direction_and_stays_near(velocity):
    scene = alone("traffic cone", velocity_x=velocity, start=3.0)
    centres = []
    for time in np.arange(3.0, 20.0, 1.0):
        owner = world.render(scene, time, SIZE).owner
        centres.append(np.nonzero(owner == 0)[1].mean() / SIZE)
    travelled = np.array(centres) - centres[0]
    np.testing.assert_allclose(travelled[:3], np.array([0, 1, 2]) * velocity, atol=1.5 / SIZE)
    assert np.abs(travelled).max() <= 0.25 + 1.5 / SIZE
    assert np.ptp(travelled) > 0.2


def test_an_actor_that_goes_left_is_the_mirror_image():
    right, left = (world.render(alone("dog", velocity_x=v), 0.0, SIZE).owner for v in (1e-6, -1e-6))
    np.testing.assert_array_equal(left, right[:, ::-1])
    assert (left != right).any()


def test_tint_colours_the_actor_alone():
    plain = world.render(alone("dog"), 0.0, SIZE)
    red = world.render(alone("dog", tint=(1.0, 0.0, 0.0)), 0.0, SIZE)
    inside, outside = plain.owner == 0, plain.owner == -1
    assert red.image[inside][:, 1:].mean() < 0.2 * plain.image[inside][:, 1:].mean()
    unchanged = (red.image == plain.image).all(-1)
    assert unchanged[outside].mean() > 0.9


CAMERAS = {
    "exposure": Camera(exposure=0.5),
    "fog": Camera(fog=1.0),
    "grey": Camera(saturation=0.0),
    "noise": Camera(noise=8.0),
    "blur": Camera(blur=2.0),
    "shake": Camera(shake=0.02),
    "swing": Camera(exposure_swing=0.5),
}


def photograph(camera: Camera, time: float = 1.0) -> world.Frame:
    return world.render(busy_scene(3)._replace(camera=camera), time, SIZE)


@pytest.mark.parametrize("name", sorted(CAMERAS))
def test_the_camera_changes_pixels_and_not_the_truth(name):
    plain, taken = photograph(Camera()), photograph(CAMERAS[name])
    assert (taken.image != plain.image).any()
    np.testing.assert_array_equal(taken.owner, plain.owner)
    assert taken.visible == plain.visible


def test_what_each_camera_setting_does():
    plain = photograph(Camera()).image.astype(float)
    np.testing.assert_allclose(photograph(CAMERAS["exposure"]).image, plain / 2, atol=1.0)
    np.testing.assert_array_equal(photograph(CAMERAS["fog"]).image, 215)
    grey = photograph(CAMERAS["grey"]).image.astype(float)
    # ITU-R BT.601 luma.
    np.testing.assert_allclose(grey, plain @ [[0.299] * 3, [0.587] * 3, [0.114] * 3], atol=1.0)
    smooth = photograph(CAMERAS["blur"]).image.astype(float)
    assert np.abs(np.diff(smooth, axis=1)).mean() < 0.5 * np.abs(np.diff(plain, axis=1)).mean()


def test_noise_has_its_deviation_and_differs_from_frame_to_frame():
    noises = []
    for time in (1.0, 1.25):
        plain = photograph(Camera(), time).image.astype(float)
        taken = photograph(Camera(noise=8.0), time).image
        inside = (plain > 40) & (plain < 215)  # five deviations from where it is cut
        assert inside.mean() > 0.3
        noises.append(np.where(inside, taken - plain, 0.0))
        np.testing.assert_allclose(noises[-1][inside].std(), 8.0, rtol=0.05)
        assert abs(noises[-1][inside].mean()) < 1.0
    both = (noises[0] != 0) & (noises[1] != 0)
    assert abs(np.corrcoef(noises[0][both], noises[1][both])[0, 1]) < 0.1


def test_lighting_words_are_kept():
    rng = np.random.default_rng(0)
    cameras = {
        light: [world.random_camera(rng, light) for _ in range(50)]
        for light in ("bright", "dim", "foggy")
    }
    assert max(c.exposure for c in cameras["dim"]) < min(c.exposure for c in cameras["bright"])
    assert min(c.fog for c in cameras["foggy"]) > 0
    assert all(c.fog == 0 for light in ("bright", "dim") for c in cameras[light])


def test_random_actors_stand_in_the_lower_part():
    rng = np.random.default_rng(1)
    actors = [world.random_actor(rng, "dog", slot) for slot in np.linspace(0, 1, 100)]
    feet = [actor.y + actor.size / 2 for actor in actors]
    assert min(feet) >= 0.62 and max(feet) <= 0.98
    assert all(0.12 <= actor.x <= 0.88 for actor in actors)
    assert len({actor.seed for actor in actors}) == len(actors)
    still = world.random_actor(rng, "traffic cone", 0.5, moving=False)
    frames = [world.render(Scene("field", 0, (still,)), t, SIZE).owner for t in (0.0, 30.0)]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_slots_share_the_width(count):
    slots = sorted(world.slots(np.random.default_rng(count), count))
    assert len(slots) == count
    for k, slot in enumerate(slots):
        assert (k + 0.3) / count <= slot <= (k + 0.7) / count


def test_a_third_of_the_scenes_has_an_occluder():
    rng = np.random.default_rng(2)
    drawn = [world.random_occluders(rng) for _ in range(3000)]
    assert {len(occluders) for occluders in drawn} == {0, 1}
    boxes = np.array([occluders[0] for occluders in drawn if occluders])
    pole = (boxes[:, 1] == 0) & (boxes[:, 3] == 1)
    rail = (boxes[:, 0] == 0) & (boxes[:, 2] == 1)
    corner = ~pole & ~rail
    # Three standard deviations of 3000 draws are below 0.02.
    for kind, share in ((pole, 0.15), (rail, 0.10), (corner, 0.07)):
        assert abs(kind.sum() / 3000 - share) < 0.02
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert (areas > 0).all() and areas.max() < 0.11  # never most of the picture


def test_occluders_own_what_they_cover():
    scene = alone("dog")._replace(occluders=((0.25, 0.5, 0.5, 1.0), (0.75, 0.0, 0.8, 1.0)))
    frame = world.render(scene, 0.0, 100)
    covered = np.zeros((100, 100), bool)
    covered[50:101, 25:51] = covered[:, 75:81] = True
    np.testing.assert_array_equal(frame.owner == 1, covered)
    for columns in (slice(25, 51), slice(75, 81)):  # one colour per occluder
        inside = frame.image[60:100, columns].reshape(-1, 3)
        np.testing.assert_array_equal(inside, np.broadcast_to(inside[0], inside.shape))
