"""Drawing primitives for the rendered world: RGBA sprites in unit coordinates.

A sprite is a [S, S, 4] uint8 image with premultiplied alpha (transparent = 0). x grows to the
right, y downwards, both in units of the sprite's side, so a drawing looks the same at any S.
Premultiplied, because OpenCV's anti-aliasing over zeros then gives correct edges.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

Colour = tuple[int, int, int]  # RGB, 0..255
Point = tuple[float, float]

_SHIFT = 5  # OpenCV's fixed-point fraction: 1/32 pixel
SKINS: tuple[Colour, ...] = ((240, 205, 175), (205, 155, 120), (150, 100, 70), (95, 60, 40))


def blank(size: int = 64) -> np.ndarray:
    """A transparent sprite [size, size, 4]."""
    return np.zeros((size, size, 4), np.uint8)


def disc(
    image: np.ndarray, x: float, y: float, radius: float, colour: Colour, alpha: float = 1.0
) -> None:
    """A filled circle."""
    oval(image, x, y, radius, radius, colour, alpha=alpha)


def oval(
    image: np.ndarray,
    x: float,
    y: float,
    rx: float,
    ry: float,
    colour: Colour,
    angle: float = 0.0,
    alpha: float = 1.0,
) -> None:
    """A filled ellipse; ``angle`` in degrees, clockwise."""
    _ellipse(image, (x, y), (rx, ry), _rgba(colour, alpha), angle=angle)


def sector(
    image: np.ndarray,
    x: float,
    y: float,
    rx: float,
    ry: float,
    colour: Colour,
    start: float,
    end: float,
) -> None:
    """A filled sector of an ellipse; angles in degrees, clockwise from the right."""
    _ellipse(image, (x, y), (rx, ry), _rgba(colour, 1.0), start=start, end=end)


def box(
    image: np.ndarray,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    colour: Colour,
    alpha: float = 1.0,
) -> None:
    """A filled axis-parallel rectangle."""
    polygon(image, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, alpha)


def polygon(image: np.ndarray, points: Sequence[Point], colour: Colour, alpha: float = 1.0) -> None:
    """A filled polygon."""
    corners = np.array([_pixel(image, point) for point in points], np.int32)
    cv2.fillPoly(image, [corners], _rgba(colour, alpha), cv2.LINE_AA, _SHIFT)


def line(
    image: np.ndarray,
    points: Sequence[Point],
    colour: Colour,
    width: float = 0.04,
    alpha: float = 1.0,
) -> None:
    """An open polyline; width in units of the sprite's side."""
    corners = np.array([_pixel(image, point) for point in points], np.int32)
    thickness = max(1, round(width * image.shape[0]))
    cv2.polylines(image, [corners], False, _rgba(colour, alpha), thickness, cv2.LINE_AA, _SHIFT)


class Pose(NamedTuple):
    """Hands relative to the shoulders, feet to the hip (units: body height, y down); body turned.

    ``turn`` rotates the whole body about its middle, degrees clockwise: 90 is lying down.
    """

    left_hand: Point = (-0.12, 0.30)
    right_hand: Point = (0.12, 0.30)
    left_foot: Point = (-0.08, 0.46)
    right_foot: Point = (0.08, 0.46)
    turn: float = 0.0


STANDING = Pose()


class Look(NamedTuple):
    """The colours of a person."""

    skin: Colour
    shirt: Colour
    trousers: Colour
    hair: Colour


def random_colour(rng: np.random.Generator, low: int = 30, high: int = 235) -> Colour:
    """A colour with independent uniform channels."""
    red, green, blue = rng.integers(low, high + 1, 3).tolist()
    return red, green, blue


def random_look(rng: np.random.Generator) -> Look:
    """Random skin, clothes and hair."""
    skin = SKINS[rng.integers(len(SKINS))]
    return Look(skin, random_colour(rng), random_colour(rng, 20, 150), random_colour(rng, 10, 110))


def walking(phase: float, speed: float = 1.5) -> Pose:
    """The pose of a walking (or, at a higher speed, running) person at a time in seconds."""
    swing = 0.14 * math.sin(2 * math.pi * speed * phase)
    return Pose((-0.04 - swing, 0.28), (0.04 + swing, 0.28), (swing, 0.46), (-swing, 0.46))


def person(
    image: np.ndarray, x: float, y: float, height: float, look: Look, pose: Pose = STANDING
) -> None:
    """A person whose body centre is at (x, y)."""
    cosine, sine = math.cos(math.radians(pose.turn)), math.sin(math.radians(pose.turn))

    def place(point: Point) -> Point:
        dx, dy = point
        return x + height * (cosine * dx - sine * dy), y + height * (sine * dx + cosine * dy)

    def add(a: Point, b: Point) -> Point:
        return a[0] + b[0], a[1] + b[1]

    hip, neck, head = (0.0, 0.04), (0.0, -0.28), (0.0, -0.40)
    limb = 0.075 * height
    for foot in (pose.left_foot, pose.right_foot):
        line(image, [place(hip), place(add(hip, foot))], look.trousers, 1.2 * limb)
    corners = [(-0.11, -0.30), (0.11, -0.30), (0.09, 0.08), (-0.09, 0.08)]
    polygon(image, [place(corner) for corner in corners], look.shirt)
    for shoulder, hand in (((-0.10, -0.26), pose.left_hand), ((0.10, -0.26), pose.right_hand)):
        line(image, [place(shoulder), place(add(shoulder, hand))], look.shirt, limb)
        disc(image, *place(add(shoulder, hand)), 0.6 * limb, look.skin)
    line(image, [place(neck), place(head)], look.skin, limb)
    disc(image, *place((0.0, -0.44)), 0.085 * height, look.hair)
    disc(image, *place(head), 0.08 * height, look.skin)


def _ellipse(
    image: np.ndarray,
    centre: Point,
    radii: Point,
    rgba: tuple[float, float, float, float],
    *,
    angle: float = 0.0,
    start: float = 0.0,
    end: float = 360.0,
) -> None:
    rx, ry = radii
    cv2.ellipse(
        image,
        _pixel(image, centre),
        _pixel(image, (max(rx, 0.0), max(ry, 0.0))),
        angle,
        start,
        end,
        rgba,
        cv2.FILLED,
        cv2.LINE_AA,
        _SHIFT,
    )


def _pixel(image: np.ndarray, point: Point) -> tuple[int, int]:
    scale = image.shape[0] * (1 << _SHIFT)
    return round(point[0] * scale), round(point[1] * scale)


def _rgba(colour: Colour, alpha: float) -> tuple[float, float, float, float]:
    red, green, blue = colour
    return red * alpha, green * alpha, blue * alpha, 255 * alpha
