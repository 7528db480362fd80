"""Forest, beach and field: the places of the rendered world without a street.

Drawn as described in ``backgrounds``.
"""

import numpy as np

from jaxvlm.world.ink import disc, line, oval, polygon
from jaxvlm.world.outdoors import GRASS, hills, sky
from jaxvlm.world.shapes import WOODS, gradient, pick, shade


def forest(image: np.ndarray, rng: np.random.Generator) -> None:
    """Trunks from the ground to the top edge, far ones thin and pale, under leaves."""
    horizon, leaf = rng.uniform(0.55, 0.75), pick(rng, (50, 95, 45), (80, 115, 50), (70, 90, 60))
    gradient(image, 0.0, horizon, shade(leaf, 0.7), shade(leaf, rng.uniform(1.2, 1.7)))
    floor = pick(rng, (95, 80, 50), (80, 100, 50), (120, 90, 55))
    gradient(image, horizon, 1.0, shade(floor, 0.8), floor)
    bark = pick(rng, *WOODS, (200, 195, 185))
    trunks = int(rng.integers(12, 20))
    for i in range(trunks):
        near = (i / trunks) ** 1.5
        x, lean, half = rng.uniform(0, 1), rng.uniform(-0.04, 0.04), 0.012 + 0.035 * near
        foot = horizon + 0.25 * near * rng.uniform(0.7, 1.2)
        tint = shade(bark, rng.uniform(0.7, 1.0) * (1.25 - 0.5 * near))
        polygon(
            image,
            [
                (x + lean - 0.7 * half, 0.0),
                (x + lean + 0.7 * half, 0.0),
                (x + half, foot),
                (x + 1.6 * half, foot + 0.02),
                (x - 1.6 * half, foot + 0.02),
                (x - half, foot),
            ],
            tint,
        )
    for _ in range(rng.integers(12, 22)):
        oval(
            image,
            rng.uniform(0, 1),
            rng.uniform(-0.03, 0.13),
            rng.uniform(0.06, 0.16),
            0.05,
            shade(leaf, rng.uniform(0.6, 1.2)),
        )
    for _ in range(rng.integers(6, 16)):
        x, y, height = rng.uniform(0, 1), rng.uniform(horizon + 0.08, 1.0), rng.uniform(0.04, 0.1)
        for bend in (-0.04, 0.0, 0.04):
            line(image, [(x, y), (x + bend, y - height)], shade(leaf, 1.2), 0.012)


def beach(image: np.ndarray, rng: np.random.Generator) -> None:
    """Sky, sea with a curved foam line, sand."""
    horizon = rng.uniform(0.22, 0.42)
    shore, tilt = horizon + rng.uniform(0.14, 0.3), rng.uniform(-0.18, 0.18)
    sky(image, rng, horizon)
    if rng.random() < 0.5:
        disc(image, rng.uniform(0.1, 0.9), rng.uniform(0.06, 0.18), 0.05, (255, 240, 180))
    sea = pick(rng, (40, 110, 165), (50, 140, 160), (70, 110, 130))
    gradient(image, horizon, 1.0, shade(sea, 0.8), shade(sea, 1.35))
    if rng.random() < 0.5:  # a headland
        x = rng.uniform(0.0, 0.3)
        polygon(
            image,
            [
                (0.0, horizon - 0.12),
                (x, horizon - 0.09),
                (x + 0.2, horizon + 0.005),
                (0.0, horizon + 0.01),
            ],
            pick(rng, (95, 105, 80), (130, 115, 95)),
        )
    for _ in range(rng.integers(5, 12)):
        x, y = rng.uniform(0, 1), rng.uniform(horizon + 0.02, shore)
        line(image, [(x, y), (x + rng.uniform(0.05, 0.2), y)], shade(sea, 1.6), 0.01)
    sand = pick(rng, (225, 200, 150), (205, 180, 135), (235, 220, 185))
    xs, wave = np.linspace(0, 1, 13), rng.uniform(0, 6.28)
    edge = shore + tilt * (xs - 0.5) + 0.02 * np.sin(9 * xs + wave)
    foam = [(float(x), float(y)) for x, y in zip(xs, edge, strict=True)]
    polygon(image, [*foam, (1.0, 1.0), (0.0, 1.0)], sand)
    line(image, [(x, y + 0.05) for x, y in foam], shade(sand, 0.85), 0.06)
    line(image, foam, (245, 250, 250), 0.03)
    for _ in range(rng.integers(8, 20)):
        oval(
            image,
            rng.uniform(0, 1),
            rng.uniform(shore + 0.16, 1.0),
            rng.uniform(0.01, 0.05),
            0.008,
            shade(sand, rng.uniform(0.75, 0.95)),
        )


def field(image: np.ndarray, rng: np.random.Generator) -> None:
    """Open land to the horizon: furrows that meet far away, or grass behind a fence."""
    horizon = rng.uniform(0.25, 0.45)
    sky(image, rng, horizon)
    hills(image, rng, horizon)
    fenced, grass = rng.random() < 0.5, pick(rng, *GRASS)
    crop = grass if fenced else pick(rng, *GRASS, (190, 165, 80), (130, 95, 60))
    gradient(image, horizon, 1.0, shade(crop, 0.8), crop)
    if fenced:
        for _ in range(rng.integers(40, 70)):
            x, y = rng.uniform(0, 1), rng.uniform(horizon, 1) ** 0.8
            tall = 0.07 * (y - horizon) + 0.01
            line(
                image,
                [(x, y), (x + 0.4 * tall, y - tall)],
                shade(crop, rng.uniform(0.7, 1.4)),
                0.012,
            )
        wood, y, step = pick(rng, *WOODS), horizon + rng.uniform(0.08, 0.2), rng.uniform(0.12, 0.2)
        tilt = rng.uniform(-0.06, 0.06)
        for rail in (-0.10, -0.05):
            line(image, [(0.0, y + rail), (1.0, y + rail + tilt)], wood, 0.016)
        for x in np.arange(rng.uniform(0, step), 1.0, step):
            line(image, [(x, y + tilt * x + 0.01), (x, y + tilt * x - 0.13)], wood, 0.028)
    else:
        x, step, furrow = rng.uniform(0.2, 0.8), rng.uniform(0.16, 0.3), shade(crop, 0.65)
        for foot in np.arange(-2.0, 3.0, step):
            polygon(
                image,
                [(x + 0.08 * (foot - x), horizon), (foot, 1.0), (foot + 0.4 * step, 1.0)],
                furrow,
            )
