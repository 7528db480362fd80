"""One drawing per harmless object of the rendered world.

``draw(image, rng, phase)`` draws on a transparent sprite (see ``ink``): the object faces right and
stands on the lower edge. ``rng`` decides colours and variant; every drawing takes its random
numbers before it looks at ``phase`` (time in seconds), so a generator made anew from the same
seed for each frame gives the same object in motion.
"""

import math
from collections.abc import Callable

import numpy as np

from jaxvlm.world import ink, movers
from jaxvlm.world.ink import box, disc, line, oval, polygon, sector
from jaxvlm.world.shapes import BLACK, GREY, WHITE, WOODS, around, pick, shade


def ball(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Beach ball, football or basketball, rolling."""
    kind, colour, other = rng.integers(3), ink.random_colour(rng), ink.random_colour(rng)
    rubber, spots = pick(rng, (225, 120, 45), (200, 95, 50)), pick(rng, BLACK, (60, 60, 140))
    turn = 3 * phase
    x, y, radius = 0.5, 0.5, 0.45
    if kind == 0:
        disc(image, x, y, radius, WHITE)
        for i, wedge in enumerate((colour, other, colour)):
            start = math.degrees(turn) % 360 + 120 * i
            sector(image, x, y, radius, radius, wedge, start, start + 60)
        disc(image, x, y, 0.08, WHITE)
    elif kind == 1:
        disc(image, x, y, radius, WHITE)
        disc(image, x, y, 0.14, spots)
        for i in range(5):
            disc(image, *around(x, y, 0.35, turn + i * math.tau / 5), 0.10, spots)
    else:
        disc(image, x, y, radius, rubber)
        seam = shade(rubber, 0.45)
        line(image, [around(x, y, radius, turn), around(x, y, -radius, turn)], seam, 0.04)
        for side in (0.0, math.pi):
            arc = [
                around(x, y, share * radius, turn + side + bend)
                for share, bend in (
                    (1.0, 0.7),
                    (0.55, 0.45),
                    (0.42, 0.0),
                    (0.55, -0.45),
                    (1.0, -0.7),
                )
            ]
            line(image, arc, seam, 0.04)


def bench(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two slats of a back over a seat on short legs."""
    wood = pick(rng, *WOODS, (60, 110, 70), (150, 150, 155))
    metal = shade(wood, 0.45)
    for x in (0.14, 0.86):
        line(image, [(x, 0.40), (x, 0.93)], metal, 0.08)
    for y in (0.38, 0.53):
        box(image, 0.04, y, 0.96, y + 0.10, wood)
    polygon(image, [(0.08, 0.69), (0.92, 0.69), (0.98, 0.80), (0.02, 0.80)], shade(wood, 1.25))


def bottle(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A narrow neck over a body with a label."""
    glass = pick(rng, (40, 110, 60), (110, 60, 30), (90, 150, 190), (150, 190, 160))
    label, cap = ink.random_colour(rng, 140, 245), ink.random_colour(rng)
    slim = rng.uniform(0, 0.05)
    left, right = 0.30 + slim, 0.70 - slim
    polygon(
        image,
        [
            (0.43, 0.10),
            (0.57, 0.10),
            (0.57, 0.30),
            (right, 0.46),
            (right, 0.95),
            (left, 0.95),
            (left, 0.46),
            (0.43, 0.30),
        ],
        glass,
    )
    box(image, 0.41, 0.04, 0.59, 0.13, cap)
    box(image, left, 0.54, right, 0.80, label)
    line(image, [(left + 0.07, 0.46), (left + 0.07, 0.92)], shade(glass, 1.7), 0.04)


def chair(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A high back on the left, a seat, legs."""
    wood = pick(rng, *WOODS) if rng.random() < 0.5 else ink.random_colour(rng)
    dark = shade(wood, 0.7)
    for start, end in (((0.36, 0.62), (0.36, 0.86)), ((0.84, 0.62), (0.84, 0.86))):
        line(image, [start, end], dark, 0.06)
    line(image, [(0.20, 0.06), (0.22, 0.94)], wood, 0.09)
    line(image, [(0.24, 0.62), (0.72, 0.66), (0.72, 0.94)], wood, 0.09)
    polygon(image, [(0.20, 0.08), (0.40, 0.04), (0.40, 0.40), (0.20, 0.44)], shade(wood, 1.2))
    polygon(image, [(0.18, 0.64), (0.36, 0.54), (0.88, 0.54), (0.76, 0.66)], shade(wood, 1.35))


def clock(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A pale face with hour marks and two hands."""
    rim, face = ink.random_colour(rng, 20, 190), pick(rng, WHITE, (240, 230, 200))
    hour = rng.uniform(0, math.tau)
    disc(image, 0.5, 0.5, 0.46, rim)
    disc(image, 0.5, 0.5, 0.37, face)
    for i in range(4):
        angle = i * math.tau / 4
        line(image, [around(0.5, 0.5, 0.28, angle), around(0.5, 0.5, 0.34, angle)], BLACK, 0.05)
    line(image, [(0.5, 0.5), around(0.5, 0.5, 0.18, hour)], BLACK, 0.08)
    line(image, [(0.5, 0.5), around(0.5, 0.5, 0.28, 12 * hour + phase)], BLACK, 0.05)


def guitar(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two bouts with a sound hole, a long neck, a head."""
    wood = pick(rng, *WOODS) if rng.random() < 0.7 else ink.random_colour(rng)
    oval(image, 0.5, 0.74, 0.27, 0.22, wood)
    oval(image, 0.5, 0.51, 0.20, 0.16, wood)
    disc(image, 0.5, 0.58, 0.09, BLACK)
    box(image, 0.46, 0.12, 0.54, 0.52, shade(wood, 0.45))
    box(image, 0.42, 0.03, 0.58, 0.15, shade(wood, 0.6))
    line(image, [(0.39, 0.82), (0.61, 0.82)], BLACK, 0.06)
    line(image, [(0.5, 0.10), (0.5, 0.82)], (230, 225, 205), 0.02)


def mailbox(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A box with a rounded top and a red flag on a post."""
    paint = pick(rng, (40, 70, 160), (175, 178, 185), (40, 110, 70), (235, 235, 230), (60, 60, 65))
    wood, raised = pick(rng, *WOODS), rng.random() < 0.5
    flag = pick(rng, (220, 40, 40), (245, 190, 50))
    box(image, 0.42, 0.50, 0.56, 0.95, wood)
    oval(image, 0.26, 0.32, 0.17, 0.22, paint)
    box(image, 0.26, 0.10, 0.78, 0.54, paint)
    oval(image, 0.78, 0.32, 0.17, 0.22, shade(paint, 0.6))
    box(image, 0.09, 0.34, 0.95, 0.54, paint)
    line(image, [(0.50, 0.30), (0.50, 0.04)] if raised else [(0.3, 0.3), (0.6, 0.3)], flag, 0.06)
    if raised:
        box(image, 0.50, 0.02, 0.70, 0.14, flag)


def suitcase(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A case with a handle, two straps and metal corners."""
    leather, strap, tall = ink.random_colour(rng), ink.random_colour(rng), rng.random() < 0.5
    dark = shade(leather, 0.55)
    if tall:
        line(image, [(0.36, 0.34), (0.36, 0.06), (0.64, 0.06), (0.64, 0.34)], GREY, 0.06)
        box(image, 0.22, 0.30, 0.78, 0.90, leather)
        for x in (0.34, 0.50, 0.66):
            line(image, [(x, 0.36), (x, 0.84)], dark, 0.04)
        for x in (0.28, 0.72):
            disc(image, x, 0.91, 0.055, BLACK)
    else:
        line(image, [(0.36, 0.36), (0.38, 0.20), (0.62, 0.20), (0.64, 0.36)], dark, 0.08)
        box(image, 0.04, 0.34, 0.96, 0.94, leather)
        line(image, [(0.04, 0.46), (0.96, 0.46)], dark, 0.04)
        for x in (0.20, 0.70):
            box(image, x, 0.34, x + 0.10, 0.94, strap)


def table(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A wide top over four legs, with or without a cloth."""
    wood, cloth, covered = pick(rng, *WOODS), ink.random_colour(rng), rng.random() < 0.5
    dark = shade(wood, 0.65)
    for x in (0.26, 0.74):
        line(image, [(x, 0.45), (x, 0.82)], dark, 0.06)
    for x in (0.11, 0.89):
        line(image, [(x, 0.48), (x, 0.93)], wood, 0.08)
    polygon(image, [(0.18, 0.32), (0.82, 0.32), (0.98, 0.48), (0.02, 0.48)], shade(wood, 1.25))
    box(image, 0.02, 0.47, 0.98, 0.55, dark)
    if covered:
        polygon(
            image,
            [(0.36, 0.32), (0.64, 0.32), (0.68, 0.48), (0.68, 0.66), (0.32, 0.66), (0.32, 0.48)],
            cloth,
        )


def traffic_cone(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """An orange cone with white bands on a flat foot."""
    orange, bands = pick(rng, (240, 100, 25), (225, 70, 30)), rng.integers(1, 3)
    polygon(image, [(0.44, 0.05), (0.56, 0.05), (0.80, 0.86), (0.20, 0.86)], orange)
    for i in range(bands):
        y = 0.34 + 0.24 * i
        top, bottom = 0.06 + 0.30 * (y - 0.05), 0.06 + 0.30 * (y + 0.07)
        polygon(
            image,
            [(0.5 - top, y), (0.5 + top, y), (0.5 + bottom, y + 0.12), (0.5 - bottom, y + 0.12)],
            WHITE,
        )
    box(image, 0.08, 0.84, 0.92, 0.95, shade(orange, 0.75))


def traffic_light(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A dark housing with three lamps, one of them lit, on a pole."""
    housing, start = pick(rng, BLACK, (60, 65, 60), (200, 165, 40)), rng.integers(3)
    lit = (int(start) + int(phase / 2)) % 3
    box(image, 0.46, 0.66, 0.54, 0.95, GREY)
    box(image, 0.27, 0.03, 0.73, 0.76, housing)
    for i, lamp in enumerate(((245, 45, 35), (255, 195, 35), (50, 225, 85))):
        disc(image, 0.5, 0.16 + 0.235 * i, 0.105, lamp if i == lit else shade(lamp, 0.3))


def tree(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Free-standing: a round crown or a conifer."""
    conifer, leaf = rng.random() < 0.4, pick(rng, (50, 120, 45), (90, 145, 50), (190, 120, 40))
    wood, sway = pick(rng, *WOODS), 0.015 * math.sin(2 * phase)
    if conifer:
        leaf = shade(leaf, 0.75)
        box(image, 0.44, 0.78, 0.56, 0.95, wood)
        for i, (top, half) in enumerate(((0.48, 0.40), (0.26, 0.31), (0.04, 0.22))):
            polygon(
                image,
                [(0.5 + sway, top), (0.5 - half, top + 0.36), (0.5 + half, top + 0.36)],
                shade(leaf, 0.8 + 0.2 * i),
            )
        return
    polygon(image, [(0.45, 0.50), (0.55, 0.50), (0.60, 0.95), (0.40, 0.95)], wood)
    for x, y, radius, tint in (
        (0.28, 0.46, 0.22, 0.8),
        (0.72, 0.45, 0.22, 0.85),
        (0.50, 0.52, 0.20, 0.75),
        (0.48, 0.27, 0.24, 1.0),
        (0.60, 0.32, 0.18, 1.2),
    ):
        disc(image, x + sway, y, radius, shade(leaf, tint))


def umbrella(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A scalloped half-round canopy in two colours over a hooked stick."""
    colour, other = ink.random_colour(rng), ink.random_colour(rng)
    line(
        image,
        [(0.5, 0.05), (0.5, 0.86), (0.54, 0.93), (0.62, 0.93), (0.66, 0.84)],
        (70, 50, 40),
        0.06,
    )
    sector(image, 0.5, 0.52, 0.46, 0.42, colour, 180, 360)
    sector(image, 0.5, 0.52, 0.18, 0.42, other, 180, 360)
    for x in (0.16, 0.5, 0.84):  # alpha 0 cuts the scallops out of the canopy's rim
        oval(image, x, 0.53, 0.15, 0.07, BLACK, alpha=0.0)
    line(image, [(0.5, 0.44), (0.5, 0.56)], (70, 50, 40), 0.06)


def windmill(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A tapering tower with a cap and four turning sails."""
    tower, cap = pick(rng, WHITE, (180, 120, 90), (200, 190, 170)), pick(rng, *WOODS)
    sail, speed = pick(rng, WHITE, (225, 205, 160), (190, 60, 50)), rng.uniform(0.8, 2.0)
    start = rng.uniform(0, math.tau)
    polygon(image, [(0.39, 0.38), (0.61, 0.38), (0.72, 0.95), (0.28, 0.95)], tower)
    sector(image, 0.5, 0.38, 0.13, 0.13, cap, 180, 360)
    box(image, 0.45, 0.78, 0.55, 0.95, shade(cap, 0.7))
    for i in range(4):
        angle = start + speed * phase + i * math.tau / 4
        line(image, [(0.5, 0.38), around(0.5, 0.38, 0.37, angle)], shade(cap, 0.6), 0.04)
        polygon(
            image,
            [
                around(0.5, 0.38, 0.12, angle),
                around(0.5, 0.38, 0.38, angle),
                around(0.5, 0.38, 0.40, angle + 0.32),
                around(0.5, 0.38, 0.15, angle + 0.7),
            ],
            sail,
        )
    disc(image, 0.5, 0.38, 0.05, BLACK)


DRAW: dict[str, Callable[[np.ndarray, np.random.Generator, float], None]] = {
    "airplane": movers.airplane,
    "ball": ball,
    "bench": bench,
    "bicycle": movers.bicycle,
    "bird": movers.bird,
    "boat": movers.boat,
    "bottle": bottle,
    "bus": movers.bus,
    "car": movers.car,
    "cat": movers.cat,
    "chair": chair,
    "clock": clock,
    "cow": movers.cow,
    "dog": movers.dog,
    "guitar": guitar,
    "horse": movers.horse,
    "mailbox": mailbox,
    "motorcycle": movers.motorcycle,
    "person": movers.person,
    "sheep": movers.sheep,
    "suitcase": suitcase,
    "table": table,
    "traffic cone": traffic_cone,
    "traffic light": traffic_light,
    "tree": tree,
    "truck": movers.truck,
    "umbrella": umbrella,
    "windmill": windmill,
}
