"""Streets: the built outdoor places of the rendered world, and the sky above all of them.

Drawn as described in ``backgrounds``.
"""

import cv2
import numpy as np

from jaxvlm.world.ink import Colour, Point, box, disc, line, oval, polygon
from jaxvlm.world.shapes import between, gradient, pick, shade

WALLS: tuple[Colour, ...] = (
    (190, 120, 95),
    (215, 195, 160),
    (160, 160, 165),
    (150, 175, 190),
    (225, 215, 205),
    (200, 170, 110),
)
SKIES: tuple[Colour, ...] = ((110, 165, 225), (150, 190, 230), (165, 175, 185), (215, 160, 130))
GRASS: tuple[Colour, ...] = ((85, 135, 60), (115, 150, 70), (140, 140, 75))


def light(image: np.ndarray, points: list[Point], colour: Colour) -> None:
    """Add light in a polygon, softened at its edge."""
    layer = np.zeros_like(image)
    polygon(layer, points, colour)
    blur = max(3, image.shape[0] // 16 | 1)
    cv2.add(image, cv2.blur(layer, (blur, blur)), dst=image)


def sky(image: np.ndarray, rng: np.random.Generator, horizon: float) -> None:
    """Sky down to the horizon, paler below, with or without flat clouds."""
    blue = pick(rng, *SKIES)
    gradient(image, 0.0, horizon, blue, shade(blue, rng.uniform(1.05, 1.4)))
    for _ in range(rng.integers(0, 4)):
        oval(
            image,
            rng.uniform(0, 1),
            rng.uniform(0, 0.8 * horizon),
            rng.uniform(0.08, 0.25),
            rng.uniform(0.01, 0.04),
            shade(blue, 1.5),
        )


def _houses(
    image: np.ndarray,
    rng: np.random.Generator,
    base: float,
    low: float,
    high: float,
    lit: float | None = None,
) -> None:
    """A row of facades standing on y = base; ``lit`` is the share of lit windows at night."""
    x = -rng.uniform(0, 0.15)
    while x < 1:
        width, top = rng.uniform(0.18, 0.34), base - rng.uniform(low, high)
        wall = pick(rng, *WALLS) if lit is None else pick(rng, (28, 30, 45), (40, 36, 44))
        box(image, x, top, x + width, base, wall)
        if rng.random() < 0.4:
            polygon(
                image, [(x, top), (x + width / 2, top - 0.09), (x + width, top)], shade(wall, 0.6)
            )
        columns = int(rng.integers(2, 4))
        step = width / (columns + 0.4)
        for y in np.arange(top + 0.05, base - 0.06, 0.11):
            for i in range(columns):
                on = rng.random() < (lit or 0)
                glass = (250, 215, 120) if on else shade(wall, 0.5 if lit is None else 0.6)
                left = x + (0.4 + i) * step
                box(image, left, y, left + 0.55 * step, y + 0.06, glass)
        x += width


def hills(image: np.ndarray, rng: np.random.Generator, horizon: float) -> None:
    """A far line of hills or woods ending at the horizon."""
    colour = shade(pick(rng, *GRASS, (90, 110, 130)), rng.uniform(0.5, 0.8))
    ys = horizon - rng.uniform(0.0, 0.14, 9)
    ridge = [(i / 8, float(y)) for i, y in enumerate(ys)]
    polygon(image, [*ridge, (1.0, horizon), (0.0, horizon)], colour)


def _lamps(image: np.ndarray, vanish: Point, side: int, colour: Colour) -> None:
    """Lamp posts along a street, smaller towards the vanishing point; side is -1 or 1."""
    for share in (0.0, 0.42, 0.65):
        x, y = between((0.5 + 0.46 * side, 0.78), vanish, share)
        height = 0.62 * (1 - share)
        line(
            image,
            [(x, y), (x, y - height), (x - 0.12 * side * (1 - share), y - height)],
            colour,
            0.022 * (1 - share),
        )


def road(image: np.ndarray, rng: np.random.Generator) -> None:
    """A carriageway with dashed lane marks between verges, by daylight."""
    vanish = (rng.uniform(0.3, 0.7), rng.uniform(0.22, 0.42))
    horizon, asphalt = vanish[1], pick(rng, (95, 95, 100), (120, 118, 115), (75, 78, 85))
    sky(image, rng, horizon)
    if rng.random() < 0.5:
        hills(image, rng, horizon)
    else:
        _houses(image, rng, horizon, 0.05, 0.2)
    verge = pick(rng, *GRASS, (170, 150, 110))
    gradient(image, horizon, 1.0, shade(verge, 0.85), verge)
    left, right = (rng.uniform(-0.35, 0.0), 1.0), (rng.uniform(1.0, 1.35), 1.0)
    polygon(image, [left, vanish, right], asphalt)
    for foot in (left, right):
        inner = between(foot, (0.5, 1.0), 0.08)
        line(image, [inner, vanish], (225, 225, 215), 0.015)
    paint = pick(rng, (240, 240, 235), (235, 200, 70))
    for lane in (1 / 2,) if rng.random() < 0.5 else (1 / 3, 2 / 3):
        foot = between(left, right, lane)
        for near in (0.0, 0.3, 0.52, 0.68, 0.8):
            a, b = between(foot, vanish, near), between(foot, vanish, near + 0.2 * (1 - near))
            wide, thin = 0.018 * (1 - near), 0.014 * (1 - near)
            polygon(
                image,
                [
                    (a[0] - wide, a[1]),
                    (a[0] + wide, a[1]),
                    (b[0] + thin, b[1]),
                    (b[0] - thin, b[1]),
                ],
                paint,
            )
    if rng.random() < 0.5:
        _lamps(image, vanish, 1, (90, 92, 95))


def square(image: np.ndarray, rng: np.random.Generator) -> None:
    """Paving in perspective before a row of house fronts, with a fountain."""
    horizon = rng.uniform(0.42, 0.55)
    sky(image, rng, horizon)
    _houses(image, rng, horizon, 0.25, 0.42)
    stone = pick(rng, (190, 180, 165), (165, 165, 165), (200, 175, 150))
    gradient(image, horizon, 1.0, shade(stone, 0.85), stone)
    joint, x = shade(stone, 0.72), rng.uniform(0.3, 0.7)
    for foot in np.arange(-1.5, 2.6, 0.28):
        line(image, [(foot, 1.0), (x + 0.25 * (foot - x), horizon)], joint, 0.01)
    for i in range(7):
        y = horizon + (1 - horizon) * (i / 7) ** 1.6
        line(image, [(0.0, y), (1.0, y)], joint, 0.01)
    if rng.random() < 0.75:
        centre, y, wide = rng.uniform(0.2, 0.8), horizon + rng.uniform(0.08, 0.16), 0.2
        rim = shade(stone, rng.uniform(0.5, 0.7))
        oval(image, centre, y + 0.03, wide, 0.07, rim)
        oval(image, centre, y, wide, 0.065, shade(rim, 1.4))
        oval(image, centre, y, 0.85 * wide, 0.05, (95, 160, 200))
        box(image, centre - 0.02, y - 0.16, centre + 0.02, y, rim)
        oval(image, centre, y - 0.16, 0.08, 0.025, rim)
        for reach in (-0.1, -0.05, 0.05, 0.1):
            line(
                image,
                [(centre, y - 0.23), (centre + 0.6 * reach, y - 0.21), (centre + reach, y - 0.02)],
                (215, 235, 245),
                0.012,
            )


def night_street(image: np.ndarray, rng: np.random.Generator) -> None:
    """Dark houses with lit windows, lamps with their cones of light on a dark street."""
    horizon = rng.uniform(0.5, 0.64)
    sky = pick(rng, (12, 14, 30), (20, 18, 40), (15, 20, 25))
    gradient(image, 0.0, horizon, shade(sky, 0.7), shade(sky, 1.6))
    _houses(image, rng, horizon, 0.25, 0.5, lit=rng.uniform(0.25, 0.6))
    ground = pick(rng, (38, 38, 44), (48, 44, 42))
    box(image, 0.0, horizon, 1.0, 1.0, ground)
    box(image, 0.0, horizon, 1.0, horizon + 0.07, shade(ground, 1.5))
    glow = pick(rng, (110, 85, 35), (90, 90, 80))
    for _ in range(rng.integers(1, 4)):
        x, top, foot = rng.uniform(0.08, 0.92), rng.uniform(0.12, 0.28), horizon + 0.12
        line(image, [(x, foot), (x, top)], (70, 70, 75), 0.02)
        light(
            image,
            [(x - 0.03, top), (x + 0.03, top), (x + 0.2, foot + 0.1), (x - 0.2, foot + 0.1)],
            shade(glow, 0.55),
        )
        light(
            image,
            [
                (x - 0.2, foot + 0.02),
                (x + 0.2, foot + 0.02),
                (x + 0.26, foot + 0.14),
                (x - 0.26, foot + 0.14),
            ],
            shade(glow, 0.5),
        )
        disc(image, x, top, 0.03, (255, 240, 190))


def parking_lot(image: np.ndarray, rng: np.random.Generator) -> None:
    """Empty marked bays on asphalt, seen from above a wall or a low building."""
    horizon = rng.uniform(0.12, 0.28)
    asphalt = pick(rng, (90, 90, 95), (115, 112, 110), (70, 72, 78))
    sky(image, rng, horizon)
    wall = pick(rng, *WALLS)
    if rng.random() < 0.5:
        box(image, 0.0, horizon - rng.uniform(0.04, 0.12), 1.0, horizon, shade(wall, 0.8))
        for x in np.arange(0.02, 1.0, 0.12):
            box(image, x, horizon - 0.04, x + 0.07, horizon - 0.01, shade(wall, 0.45))
    else:
        hills(image, rng, horizon)
        box(image, 0.0, horizon - 0.035, 1.0, horizon, (150, 150, 150))
    gradient(image, horizon, 1.0, shade(asphalt, 0.85), asphalt)
    paint = pick(rng, (240, 240, 235), (235, 205, 80))
    x, bay, slant = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.3), rng.uniform(-0.1, 0.1)
    height = 1 - horizon
    for y0, y1 in (
        (horizon + 0.06 * height, horizon + 0.3 * height),
        (horizon + 0.52 * height, 1.02),
    ):
        near, far = (y1 - horizon) / height, (y0 - horizon) / height
        for i in range(-12, 13):
            at = x + slant + i * bay
            start = x + (at - x) * (0.35 + 0.65 * far)
            end = x + (at - x) * (0.35 + 0.65 * near) + slant * (y1 - y0)
            line(image, [(start, y0), (end, y1)], paint, 0.02)
        line(image, [(0.0, y0), (1.0, y0)], paint, 0.02)
    if rng.random() < 0.6:  # direction arrow in the lane between the rows
        y = horizon + 0.41 * height
        line(image, [(x - 0.14, y), (x + 0.06, y)], paint, 0.02)
        polygon(image, [(x + 0.05, y - 0.035), (x + 0.14, y), (x + 0.05, y + 0.035)], paint)
