"""Colours and small shapes shared by the drawings of the rendered world."""

import math

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.ink import Colour, Point

BLACK: Colour = (25, 25, 28)
GREY: Colour = (130, 132, 138)
WHITE: Colour = (240, 240, 235)
GLASS: Colour = (175, 215, 235)
WOODS: tuple[Colour, ...] = ((150, 95, 50), (110, 70, 40), (185, 130, 75), (90, 60, 45))


def pick(rng: np.random.Generator, *colours: Colour) -> Colour:
    """One of the colours, slightly varied."""
    red, green, blue = colours[rng.integers(len(colours))]
    dr, dg, db = rng.integers(-15, 16, 3).tolist()
    return _clip(red + dr), _clip(green + dg), _clip(blue + db)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour, darker (factor < 1) or lighter."""
    red, green, blue = colour
    return _clip(factor * red), _clip(factor * green), _clip(factor * blue)


def around(x: float, y: float, radius: float, angle: float) -> Point:
    """The point at an angle (radians, clockwise from the right) on a circle."""
    return x + radius * math.cos(angle), y + radius * math.sin(angle)


def ring(
    image: np.ndarray, x: float, y: float, radius: float, colour: Colour, width: float
) -> None:
    """A circle's outline."""
    points = [around(x, y, radius, i * math.tau / 18) for i in range(19)]
    ink.line(image, points, colour, width)


def between(a: Point, b: Point, share: float) -> Point:
    """The point at a share of the way from a to b."""
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def gradient(image: np.ndarray, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
    """Full-width rows from y0 to y1 whose colour changes from top to bottom."""
    size = image.shape[0]
    first, last = round(y0 * size), round(y1 * size)
    share = np.linspace(0.0, 1.0, max(last - first, 1))[:, None, None]
    rows = (1 - share) * np.array(top) + share * np.array(bottom)
    image[first:last] = rows[: last - first]


def _clip(channel: float) -> int:
    return min(255, max(0, round(channel)))
