"""What the drawings of things share: polygons by radius, rotation, mirroring, oscillation."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.ink import Colour, Point

BLACK: Colour = (18, 18, 20)
DARK: Colour = (45, 45, 50)
WHITE: Colour = (245, 245, 245)
RED: Colour = (215, 30, 35)
BLUE: Colour = (40, 70, 230)
PANE: Colour = (120, 165, 195)
PARTY: tuple[Colour, ...] = (
    (250, 60, 70),
    (255, 205, 40),
    (60, 205, 90),
    (60, 130, 250),
    (235, 80, 220),
)


def radial(
    image: np.ndarray,
    x: float,
    y: float,
    radii: Sequence[float],
    turn: float,
    colour: Colour,
    flat: float = 1.0,
) -> None:
    """A polygon given by its radii at equal angles; ``turn`` in turns, ``flat`` scales heights."""
    angles = [2 * math.pi * (turn + k / len(radii)) for k in range(len(radii))]
    ink.polygon(
        image,
        [
            (x + r * math.cos(a), y + flat * r * math.sin(a))
            for r, a in zip(radii, angles, strict=True)
        ],
        colour,
    )


def turned(points: Iterable[Point], x: float, y: float, degrees: float) -> list[Point]:
    """The points rotated clockwise about (x, y)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (x + cosine * (px - x) - sine * (py - y), y + sine * (px - x) + cosine * (py - y))
        for px, py in points
    ]


def flip(image: np.ndarray, rng: np.random.Generator) -> None:
    """Mirrors the whole sprite, or not."""
    if rng.random() < 0.5:
        image[:] = image[:, ::-1].copy()


def wave(phase: float, rate: float, offset: float = 0.0) -> float:
    """A sine; offset in periods, rate in hertz: no whole number, or frames at 1 Hz stand still."""
    return math.sin(2 * math.pi * (rate * phase + offset))
