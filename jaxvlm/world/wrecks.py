"""Cars of the rendered world, whole and broken, and what a crash leaves on the road.

See ``things`` for what every drawing keeps to.
"""

import math
from collections.abc import Iterable

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.forms import BLACK, BLUE, DARK, PANE, RED, WHITE, flip, radial, turned, wave
from jaxvlm.world.ink import Colour, Point
from jaxvlm.world.shapes import pick, shade

PAINT: tuple[Colour, ...] = (
    (190, 35, 35),
    (35, 75, 165),
    (225, 225, 220),
    (45, 120, 75),
    (225, 180, 45),
    (125, 130, 140),
    (120, 60, 130),
)


def crashed_cars(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two cars, tilted, their fronts pushed into each other."""
    first, second = (PAINT[k] for k in rng.permutation(len(PAINT))[:2].tolist())
    tilt = rng.uniform(16, 26)
    _car(image, 0.71, 0.68, 0.72, second, tilt, -1)
    _car(image, 0.29, 0.64, 0.72, first, -tilt, 1)
    radial(image, 0.5, 0.5, [0.19, 0.07] * 5, rng.random(), (205, 205, 210))
    radial(image, 0.5, 0.5, [0.12, 0.05] * 5, rng.random(), DARK)
    for k, (x, y, turn) in enumerate(rng.random((4, 3)).tolist()):
        size = 0.04 + 0.03 * x
        shape = [size, 0.6 * size, size]
        radial(image, 0.15 + 0.2 * (k + x / 2), 0.04 + 0.26 * y, shape, turn, DARK)
    flip(image, rng)


def overturned_car(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A car on its roof with its wheels in the air."""
    _car(image, 0.5, 0.6, 0.92, pick(rng, *PAINT), 180 + rng.uniform(-7, 7), 1)
    ink.box(image, 0.1, 0.92, 0.9, 0.97, DARK, 0.6)
    flip(image, rng)


def crumpled_hood(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """The front of a car from the side, its hood folded into a zig-zag."""
    paint, peaks = pick(rng, *PAINT), rng.uniform(0.1, 0.26, 3).tolist()
    folds = [
        (0.64, 0.46),
        (0.56, peaks[0]),
        (0.46, 0.48),
        (0.36, peaks[1]),
        (0.28, 0.5),
        (0.16, peaks[2] + 0.1),
        (0.05, 0.6),
    ]
    ink.polygon(image, [(0.6, 0.48), (0.8, 0.06), (0.98, 0.06), (0.98, 0.48)], paint)
    ink.polygon(image, [(0.7, 0.44), (0.83, 0.13), (0.98, 0.13), (0.98, 0.44)], PANE)
    ink.polygon(image, [*folds, (0.12, 0.84), (0.98, 0.84), (0.98, 0.46)], paint)
    ink.line(image, folds, shade(paint, 0.45), 0.05)
    ink.line(image, [(0.7, 0.5), (0.7, 0.82)], shade(paint, 0.5), 0.03)
    _wheel(image, 0.42, 0.79, 0.17)
    ink.disc(image, 0.14, 0.66, 0.05, (250, 240, 190))
    flip(image, rng)


def broken_glass(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Pale shards lying flat on the ground."""
    for k, (x, y, size, turn) in enumerate(rng.random((17, 4)).tolist()):
        y = 0.5 + 0.4 * (k + 0.7 * y) / 17  # back to front
        x = 0.5 + (0.7 + 0.2 * k / 17) * ((0.25 * x + 0.618 * k) % 1 - 0.5)
        size = 0.08 + 0.07 * size
        shape = [size, 0.3 * size, 0.85 * size]
        radial(image, x, y + 0.03, shape, turn, (50, 70, 90), flat=0.6)
        radial(image, x, y, shape, turn, ((235, 248, 255), (165, 212, 238))[k % 2], flat=0.6)


def skid_marks(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A pair of dark, curved tyre tracks that run into the distance."""
    bend, swing = rng.uniform(0.15, 0.35), rng.uniform(0.06, 0.14)
    for width, colour, alpha in ((0.15, (150, 145, 140), 0.5), (0.09, (14, 14, 15), 0.95)):
        for side in (-1, 1):
            track = [
                (
                    0.5 + bend * (t * t - 0.4) + swing * math.sin(5 * t) + side * (0.24 - 0.12 * t),
                    0.95 - 0.87 * t,
                )
                for t in (k / 10 for k in range(11))
            ]
            ink.line(image, track, colour, width, alpha)
    flip(image, rng)


def police_car(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A two-tone car with a red and blue light bar."""
    paint = pick(rng, BLACK, (30, 50, 130), (25, 90, 60))
    _car(image, 0.5, 0.7, 0.94, paint, 0.0, 1, doors=WHITE)
    blink = 0.5 + 0.5 * wave(phase, 1.37, rng.random())
    for x, colour, glow in ((0.28, RED, blink), (0.46, BLUE, 1 - blink)):
        ink.box(image, x, 0.24, x + 0.18, 0.38, _mix(colour, WHITE, 0.45 * glow))
    flip(image, rng)


def ambulance(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A white van with a red cross and a light on its roof."""
    light, blink = pick(rng, RED, BLUE), 0.5 + 0.5 * wave(phase, 1.37, rng.random())
    ink.box(image, 0.48, 0.08, 0.64, 0.2, _mix(light, WHITE, 0.6 * blink))
    ink.box(image, 0.03, 0.18, 0.7, 0.86, WHITE)
    ink.polygon(image, [(0.7, 0.32), (0.84, 0.32), (0.96, 0.58), (0.96, 0.86), (0.7, 0.86)], WHITE)
    ink.polygon(image, [(0.74, 0.38), (0.82, 0.38), (0.9, 0.57), (0.74, 0.57)], (50, 70, 90))
    ink.box(image, 0.3, 0.24, 0.42, 0.62, RED)
    ink.box(image, 0.17, 0.37, 0.55, 0.49, RED)
    ink.box(image, 0.03, 0.68, 0.96, 0.74, light)
    for x in (0.22, 0.77):
        _wheel(image, x, 0.85, 0.12)
    flip(image, rng)


def _car(
    image: np.ndarray,
    x: float,
    y: float,
    length: float,
    paint: Colour,
    turn: float,
    facing: int,
    doors: Colour | None = None,
) -> None:
    """A car from the side, its middle at (x, y); ``facing`` 1 looks right, -1 left."""

    def place(points: Iterable[Point]) -> list[Point]:
        moved = [(x + facing * length * px, y + length * py) for px, py in points]
        return turned(moved, x, y, turn)

    ink.polygon(image, place([(-0.37, -0.1), (-0.25, -0.36), (0.13, -0.36), (0.31, -0.1)]), paint)
    ink.polygon(
        image,
        place(
            [(-0.5, 0.0), (-0.47, -0.13), (0.32, -0.13), (0.5, -0.04), (0.5, 0.15), (-0.5, 0.15)]
        ),
        paint,
    )
    if doors:
        ink.polygon(image, place([(-0.2, -0.12), (0.18, -0.12), (0.18, 0.15), (-0.2, 0.15)]), doors)
    for window in (
        [(-0.29, -0.12), (-0.21, -0.3), (-0.08, -0.3), (-0.08, -0.12)],
        [(-0.03, -0.12), (-0.03, -0.3), (0.1, -0.3), (0.23, -0.12)],
    ):
        ink.polygon(image, place(window), PANE)
    for wheel in place([(-0.29, 0.15), (0.29, 0.15)]):
        _wheel(image, *wheel, 0.125 * length)
    ink.disc(image, *place([(0.46, 0.01)])[0], 0.045 * length, (255, 240, 180))


def _wheel(image: np.ndarray, x: float, y: float, radius: float) -> None:
    ink.disc(image, x, y, radius, BLACK)
    ink.disc(image, x, y, 0.45 * radius, (165, 165, 170))


def _mix(colour: Colour, other: Colour, weight: float) -> Colour:
    red, green, blue = (round(a + weight * (b - a)) for a, b in zip(colour, other, strict=True))
    return red, green, blue
