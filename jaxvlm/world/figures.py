"""What the drawings of people share: a body from joint positions, a few props, time and colour."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.world.ink import Colour, Look, Point, box, disc, line, sector

BLACK, WHITE, EDGE = (18, 18, 20), (245, 245, 245), (185, 185, 190)
NAVY, WOOD, RED, ROPE = (25, 35, 95), (125, 75, 30), (215, 25, 30), (225, 190, 120)
GROUND = 0.95  # y of the soles
STANDING: tuple[tuple[Point, ...], ...] = (((-0.10, 0.0),), ((0.10, 0.0),))


class Figure(NamedTuple):
    """A person's joints in body heights, (0, 0) between the soles, y down.

    ``arms`` are paths from the shoulder to the hand, ``legs`` from the hip to the foot; ``fist``
    and ``head_size`` are radii.
    """

    arms: Sequence[Sequence[Point]]
    legs: Sequence[Sequence[Point]] = STANDING
    head: Point = (0.0, -0.78)
    hip: Point = (0.0, -0.40)
    fist: float = 0.055
    head_size: float = 0.105


def draw_figure(
    image: np.ndarray,
    look: Look,
    x: float,
    size: float,
    figure: Figure,
    *,
    facing: int = 1,
    lift: float = 0.0,
) -> None:
    """A thick-limbed person at ``x``, ``size`` high.

    ``facing`` is 1 to the right and −1 to the left; ``lift`` raises the soles above the ground
    line, for people further away.
    """

    def place(point: Point) -> Point:
        return x + facing * size * point[0], GROUND - lift + size * point[1]

    head, hip = figure.head, figure.hip
    dx, dy = hip[0] - head[0], hip[1] - head[1]
    neck = 0.19 / math.hypot(dx, dy)
    shoulder = place((head[0] + neck * dx, head[1] + neck * dy))
    for leg in figure.legs:
        line(image, [place(hip), *map(place, leg)], look.trousers, 0.10 * size)
    line(image, [shoulder, place(hip)], look.shirt, 0.20 * size)
    disc(image, *place((head[0], head[1] - 0.015)), (figure.head_size + 0.01) * size, look.hair)
    disc(
        image,
        *place((head[0] + 0.012, head[1] + 0.015)),
        (figure.head_size - 0.01) * size,
        look.skin,
    )
    for arm in figure.arms:
        line(image, [shoulder, *map(place, arm)], shade(look.shirt, 0.75), 0.085 * size)
        disc(image, *place(arm[-1]), figure.fist * size, look.skin)


def draw_pistol(image: np.ndarray, x: float, y: float, colour: Colour, edge: Colour) -> None:
    """An outlined pistol pointing right, its grip at (x, y)."""
    for grow, paint in ((0.035, edge), (0.0, colour)):
        line(image, [(x, y - 0.03), (x + 0.36, y - 0.03)], paint, 0.10 + grow)
        line(image, [(x + 0.02, y), (x - 0.01, y + 0.14)], paint, 0.085 + grow)
        line(image, [(x + 0.13, y + 0.04), (x + 0.09, y + 0.08)], paint, 0.03 + grow)


def draw_cross(image: np.ndarray, x: float, y: float, arm: float) -> None:
    """A red cross whose arms are ``arm`` long."""
    box(image, x - arm, y - arm / 3, x + arm, y + arm / 3, RED)
    box(image, x - arm / 3, y - arm, x + arm / 3, y + arm, RED)


def draw_target(image: np.ndarray, x: float, y: float, radius: float, yellow: Colour) -> None:
    """A crash-test mark: a black disc with two yellow quarters."""
    disc(image, x, y, radius, BLACK)
    for start in (0, 180):
        sector(image, x, y, 0.85 * radius, 0.85 * radius, yellow, start, start + 90)


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker, factor < 1, or lighter."""
    red, green, blue = colour
    return int(red * factor), int(green * factor), int(blue * factor)


def wave(phase: float, hertz: float, turn: float = 0.0) -> float:
    """A sine of the time, in −1..1."""
    return math.sin(2 * math.pi * (hertz * phase + turn) + 0.5)


def mirror(image: np.ndarray, flip: float) -> None:
    """Turns the sprite round for half of all draws."""
    if flip < 0.5:
        image[:] = image[:, ::-1].copy()
