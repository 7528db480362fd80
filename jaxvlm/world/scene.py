"""A scene: actors moving over a background, seen by an imperfect camera.

A frame is a pure function of (scene, time): every random choice sits in a seed that the scene
carries, so the same scene gives the same pixels at any time asked, in any order.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from jaxvlm.world import backgrounds, ink, objects, people, things

DRAW = objects.DRAW | people.DRAW | things.DRAW

SPRITE_SIZE = 64
# An actor counts as visible if this share of its ink is inside the frame and not covered.
VISIBLE_FRACTION = 0.5
_NOISE_SIDE = 257  # pixels; above the largest frame, prime so that shifts do not repeat


class Actor(NamedTuple):
    """One drawn thing: what, when (seconds), where (units of the frame's side), how it looks."""

    name: str
    seed: int
    size: float
    x: float  # centre at time ``start``
    y: float
    velocity_x: float = 0.0  # per second, its sign is where the actor faces; swings back in 0.25
    start: float = 0.0
    end: float = math.inf
    turn: float = 0.0  # degrees
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Camera(NamedTuple):
    """What the camera does to the picture."""

    exposure: float = 1.0
    exposure_swing: float = 0.0  # relative amplitude of slow auto-exposure changes
    fog: float = 0.0  # 0 none .. 1 white
    noise: float = 0.0  # standard deviation, grey levels
    blur: float = 0.0  # standard deviation, pixels at side 96
    saturation: float = 1.0
    shake: float = 0.0  # amplitude, units of the frame's side


class Scene(NamedTuple):
    """A background, its actors from back to front, foreground occluders and a camera."""

    background: str
    seed: int
    actors: tuple[Actor, ...]
    occluders: tuple[tuple[float, float, float, float], ...] = ()  # x0, y0, x1, y1
    camera: Camera = Camera()


class Frame(NamedTuple):
    """image [S, S, 3] uint8 RGB; names of visible actors, sorted; and who covers each pixel.

    owner [S, S]: index of the actor on top, −1 where the background shows, the number of actors
    where an occluder does.
    """

    image: np.ndarray
    visible: tuple[str, ...]
    owner: np.ndarray


def render(scene: Scene, time: float, size: int) -> Frame:
    """Renders one frame of side ``size`` at ``time`` seconds."""
    canvas = _background(scene.background, size, scene.seed).copy()
    owner = np.full((size, size), -1, np.int16)
    painted = []
    for index, actor in enumerate(scene.actors):
        if actor.start <= time < actor.end:
            painted.append((actor.name, index, _paint(canvas, owner, index, actor, time)))
    colour_rng = np.random.default_rng((scene.seed, 1))
    for x0, y0, x1, y1 in scene.occluders:
        corner = tuple(round(v * size) for v in (x0, y0, x1, y1))
        colour = ink.random_colour(colour_rng, 20, 120)
        cv2.rectangle(canvas, corner[:2], corner[2:], colour, cv2.FILLED)
        owner[max(corner[1], 0) : corner[3] + 1, max(corner[0], 0) : corner[2] + 1] = len(
            scene.actors
        )
    visible = {
        name
        for name, index, area in painted
        if area > 0 and np.count_nonzero(owner == index) >= VISIBLE_FRACTION * area
    }
    return Frame(_photograph(canvas, scene, time), tuple(sorted(visible)), owner)


@functools.cache
def _noise() -> np.ndarray:
    # One tile, shifted at random: drawing fresh noise took a third of the rendering time. Two by
    # two of it, so that each shift is a window.
    tile = np.random.default_rng(0).standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), np.float32)
    return np.tile(tile, (2, 2, 1))


@functools.lru_cache(maxsize=4)  # the frames of one shot share it; a pure function of its arguments
def _background(name: str, size: int, seed: int) -> np.ndarray:
    return backgrounds.draw_background(name, size, np.random.default_rng((seed, 0)))


def _paint(canvas: np.ndarray, owner: np.ndarray, index: int, actor: Actor, time: float) -> int:
    """Composites an actor; returns the ink it would show, in pixels, if nothing hid it."""
    size = canvas.shape[0]
    side = max(4, round(actor.size * size))
    sprite = ink.blank(SPRITE_SIZE)
    DRAW[actor.name](sprite, np.random.default_rng(actor.seed), time)
    if actor.velocity_x < 0:  # sprites face right
        sprite = sprite[:, ::-1].copy()
    if actor.turn:
        middle = SPRITE_SIZE / 2
        rotation = cv2.getRotationMatrix2D((middle, middle), actor.turn, 1.0)
        sprite = cv2.warpAffine(sprite, rotation, (SPRITE_SIZE, SPRITE_SIZE))
    sprite = cv2.resize(sprite, (side, side), interpolation=cv2.INTER_AREA)
    alpha = cv2.extractChannel(sprite, 3)
    ink_mask = alpha > 64
    left = round(_swing(actor, time) * size - side / 2)
    top = round(actor.y * size - side / 2)
    # Where there is no ink nothing changes.
    ink_left, ink_top, width, height = cv2.boundingRect(alpha)
    x0, x1 = max(left + ink_left, 0), min(left + ink_left + width, size)
    y0, y1 = max(top + ink_top, 0), min(top + ink_top + height, size)
    if x0 < x1 and y0 < y1:
        inside = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        patch = sprite[inside].astype(np.float32)
        alpha = patch[..., 3:] / 255.0
        under = canvas[y0:y1, x0:x1].astype(np.float32)
        mixed = under * (1 - alpha) + np.minimum(patch[..., :3] * actor.tint, 255 * alpha)
        canvas[y0:y1, x0:x1] = mixed.astype(np.uint8)
        owner[y0:y1, x0:x1][ink_mask[inside]] = index
    return int(np.count_nonzero(ink_mask))


def _swing(actor: Actor, time: float) -> float:
    """Triangle-wave motion: leaves ``x`` with ``velocity_x`` and stays within 0.25 of it."""
    span = 0.25
    travelled = (abs(actor.velocity_x) * (time - max(actor.start, 0.0)) + span) % (4 * span)
    offset = min(travelled, 4 * span - travelled) - span
    return actor.x + math.copysign(offset, actor.velocity_x)


def _photograph(canvas: np.ndarray, scene: Scene, time: float) -> np.ndarray:
    camera, size = scene.camera, canvas.shape[0]
    if camera.shake:
        angle = 2 * math.pi * time
        shift = np.float32(
            [
                [1, 0, camera.shake * size * math.sin(3.1 * angle)],
                [0, 1, camera.shake * size * math.cos(2.3 * angle)],
            ]
        )
        canvas = cv2.warpAffine(canvas, shift, (size, size), borderMode=cv2.BORDER_REPLICATE)
    image = canvas.astype(np.float32)
    if camera.saturation != 1.0:
        grey = cv2.merge([image @ np.float32([0.299, 0.587, 0.114])] * 3)
        image = grey + camera.saturation * (image - grey)
    if camera.fog:
        image = image * (1 - camera.fog) + 215.0 * camera.fog
    image *= camera.exposure * (1 + camera.exposure_swing * math.sin(0.7 * time + scene.seed % 7))
    if camera.blur:
        image = cv2.GaussianBlur(image, (0, 0), camera.blur * size / 96)
    if camera.noise:
        rng = np.random.default_rng((scene.seed, 2, round(1000 * time)))
        top, left = _NOISE_SIDE - rng.integers(_NOISE_SIDE, size=2)
        image += camera.noise * _noise()[top : top + size, left : left + size]
    return np.clip(image, 0, 255).astype(np.uint8)


def random_camera(rng: np.random.Generator, lighting: str = "bright") -> Camera:
    """A random camera for a lighting word: ``bright``, ``dim`` or ``foggy``."""
    return Camera(
        exposure=rng.uniform(0.35, 0.6) if lighting == "dim" else rng.uniform(0.85, 1.15),
        exposure_swing=rng.uniform(0.0, 0.08),
        fog=rng.uniform(0.3, 0.5) if lighting == "foggy" else 0.0,
        noise=rng.uniform(0.0, 9.0),
        blur=rng.uniform(0.0, 0.7) if rng.random() < 0.4 else 0.0,
        saturation=rng.uniform(0.3, 0.7) if rng.random() < 0.2 else rng.uniform(0.8, 1.2),
        shake=rng.uniform(0.0, 0.01) if rng.random() < 0.2 else 0.0,
    )


def random_actor(
    rng: np.random.Generator,
    name: str,
    slot: float,
    *,
    start: float = 0.0,
    end: float = math.inf,
    moving: bool = True,
) -> Actor:
    """An actor of random look and size whose feet stand in the lower part of the frame.

    ``slot`` in [0, 1] spreads actors over the width, so that they overlap only partly.
    """
    size = rng.uniform(0.30, 0.52)
    foot = rng.uniform(0.62, 0.98)
    tint = rng.uniform(0.8, 1.2, 3) if rng.random() < 0.5 else np.ones(3)
    return Actor(
        name=name,
        seed=int(rng.integers(2**31)),
        size=size,
        x=float(np.clip(slot + rng.uniform(-0.08, 0.08), 0.12, 0.88)),
        y=max(foot - size / 2, size / 2 - 0.05),
        velocity_x=float(rng.choice((-1, 1)) * (rng.uniform(0.0, 0.06) if moving else 1e-6)),
        start=start,
        end=end,
        turn=rng.uniform(-10, 10),
        tint=tuple(tint.tolist()),
    )


def slots(rng: np.random.Generator, count: int) -> Sequence[float]:
    """Horizontal positions for ``count`` actors: evenly spread, jittered, in random order."""
    centres = (np.arange(count) + rng.uniform(0.3, 0.7, count)) / max(count, 1)
    return rng.permutation(centres).tolist()


def random_occluders(rng: np.random.Generator) -> tuple[tuple[float, float, float, float], ...]:
    """Now and then a pole, a rail or the corner of a wall in the foreground."""
    kind = rng.random()
    if kind < 0.15:
        x = rng.uniform(0.05, 0.95)
        return ((x, 0.0, x + rng.uniform(0.02, 0.05), 1.0),)
    if kind < 0.25:
        y = rng.uniform(0.80, 0.92)
        return ((0.0, y, 1.0, y + rng.uniform(0.02, 0.04)),)
    if kind < 0.32:
        return ((0.0, rng.uniform(0.6, 0.8), rng.uniform(0.1, 0.25), 1.0),)
    return ()
