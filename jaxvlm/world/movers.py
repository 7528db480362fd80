"""Vehicles, animals and people: the objects of the rendered world that move.

Drawn as described in ``objects``.
"""

import math

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.ink import Colour, box, disc, line, oval, polygon
from jaxvlm.world.shapes import BLACK, GLASS, GREY, WHITE, around, pick, ring, shade

FURS: tuple[Colour, ...] = (
    (120, 75, 40),
    (60, 45, 38),
    (200, 160, 110),
    (165, 105, 55),
    (120, 118, 115),
    (225, 215, 200),
)


def _wheel(image: np.ndarray, x: float, radius: float) -> None:
    """A wheel standing on the lower edge."""
    disc(image, x, 0.95 - radius, radius, BLACK)
    disc(image, x, 0.95 - radius, 0.45 * radius, (190, 190, 195))


def _legs(
    image: np.ndarray,
    places: tuple[float, ...],
    top: float,
    colour: Colour,
    width: float,
    phase: float,
    stride: float = 0.06,
) -> None:
    """Legs of an animal, neighbours swinging against each other."""
    swing = stride * math.sin(2 * math.pi * 1.5 * phase)
    for i, x in enumerate(places):
        tint = shade(colour, 0.75 if i % 2 else 1.0)
        line(image, [(x, top), (x + (swing if i % 2 else -swing), 0.93)], tint, width)


def airplane(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """White or light, with a coloured tail and wings."""
    paint, body = ink.random_colour(rng), pick(rng, (230, 230, 235), (205, 210, 220))
    y = 0.52 + 0.02 * math.sin(3 * phase)
    polygon(image, [(0.42, y), (0.30, y - 0.32), (0.40, y - 0.32), (0.64, y)], shade(paint, 0.7))
    polygon(image, [(0.05, y - 0.30), (0.17, y - 0.30), (0.33, y), (0.10, y)], paint)
    oval(image, 0.52, y, 0.45, 0.10, body)
    oval(image, 0.88, y - 0.02, 0.05, 0.04, BLACK)
    line(image, [(0.28, y - 0.02), (0.74, y - 0.02)], (70, 100, 140), 0.035)
    polygon(image, [(0.42, y + 0.03), (0.20, y + 0.38), (0.32, y + 0.38), (0.66, y + 0.03)], paint)
    oval(image, 0.46, y + 0.20, 0.08, 0.05, GREY)


def bicycle(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two thin wheels, a diamond frame, saddle and handlebar."""
    paint = ink.random_colour(rng)
    left, right, pedals = (0.24, 0.72), (0.76, 0.72), (0.47, 0.72)
    for x, y in (left, right):
        ring(image, x, y, 0.20, BLACK, 0.05)
        for angle in (4 * phase, 4 * phase + math.pi / 2):
            line(image, [around(x, y, 0.18, angle), around(x, y, -0.18, angle)], GREY, 0.015)
    line(image, [left, (0.38, 0.42), (0.66, 0.42), pedals, left], paint, 0.055)
    line(image, [pedals, (0.35, 0.32)], paint, 0.055)
    line(image, [right, (0.64, 0.27), (0.76, 0.23)], paint, 0.055)
    line(image, [(0.26, 0.31), (0.44, 0.31)], BLACK, 0.07)
    line(image, [around(*pedals, 0.09, 4 * phase), around(*pedals, -0.09, 4 * phase)], BLACK, 0.05)


def bird(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """In flight, flapping two wings."""
    colour = ink.random_colour(rng, 40, 220)
    beat = math.cos(2 * math.pi * 2 * phase)
    tip = 0.34 - 0.30 * beat
    polygon(image, [(0.62, 0.48), (0.28, 0.50), (0.40, tip - 0.02)], shade(colour, 0.6))
    polygon(image, [(0.30, 0.52), (0.03, 0.40), (0.04, 0.62)], shade(colour, 0.8))
    oval(image, 0.48, 0.54, 0.27, 0.13, colour, angle=-8)
    disc(image, 0.76, 0.44, 0.11, colour)
    polygon(image, [(0.84, 0.39), (0.98, 0.46), (0.84, 0.49)], (240, 165, 40))
    disc(image, 0.79, 0.42, 0.025, BLACK)
    polygon(image, [(0.60, 0.54), (0.30, 0.54), (0.20, tip)], shade(colour, 1.3))


def boat(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A sailing boat or a motor boat, rocking on its wave."""
    sails, hull, cloth = rng.random() < 0.6, ink.random_colour(rng), pick(rng, WHITE, WHITE, GLASS)
    rock = 0.03 * math.sin(2.5 * phase)
    if sails:
        line(image, [(0.48, 0.06), (0.48, 0.70)], (90, 60, 40), 0.05)
        polygon(image, [(0.53, 0.08 + rock), (0.53, 0.62), (0.90, 0.62)], cloth)
        polygon(image, [(0.44, 0.16 + rock), (0.44, 0.62), (0.14, 0.62)], shade(cloth, 0.85))
    else:
        box(image, 0.24, 0.42, 0.62, 0.70, WHITE)
        box(image, 0.40, 0.48, 0.58, 0.58, (70, 110, 150))
        line(image, [(0.32, 0.22), (0.32, 0.44)], GREY, 0.05)
        box(image, 0.20, 0.38, 0.66, 0.44, hull)
    polygon(image, [(0.04, 0.68 - rock), (0.97, 0.66 + rock), (0.80, 0.90), (0.18, 0.90)], hull)
    line(image, [(0.08, 0.72 - rock), (0.92, 0.71 + rock)], shade(hull, 1.5), 0.04)
    line(
        image,
        [(0.04, 0.92), (0.25, 0.89), (0.5, 0.93), (0.75, 0.89), (0.96, 0.92)],
        (190, 220, 240),
        0.05,
    )


def bus(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A long tall box with a row of windows and a door."""
    paint, stripe = ink.random_colour(rng), ink.random_colour(rng)
    box(image, 0.03, 0.22, 0.97, 0.84, paint)
    box(image, 0.03, 0.66, 0.97, 0.72, stripe)
    for i in range(4):
        box(image, 0.07 + 0.17 * i, 0.30, 0.20 + 0.17 * i, 0.55, GLASS)
    box(image, 0.76, 0.30, 0.86, 0.84, shade(GLASS, 0.6))
    box(image, 0.89, 0.30, 0.97, 0.60, GLASS)
    _wheel(image, 0.22, 0.12)
    _wheel(image, 0.66, 0.12)


def car(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A low body, a cabin with two windows, two wheels."""
    paint, roof = ink.random_colour(rng), rng.uniform(0.30, 0.38)
    polygon(image, [(0.18, 0.58), (0.30, roof), (0.66, roof), (0.80, 0.58)], shade(paint, 0.85))
    polygon(image, [(0.24, 0.57), (0.33, roof + 0.05), (0.46, roof + 0.05), (0.46, 0.57)], GLASS)
    polygon(image, [(0.51, 0.57), (0.51, roof + 0.05), (0.63, roof + 0.05), (0.73, 0.57)], GLASS)
    polygon(
        image,
        [(0.03, 0.60), (0.10, 0.55), (0.84, 0.55), (0.97, 0.64), (0.97, 0.83), (0.03, 0.83)],
        paint,
    )
    disc(image, 0.93, 0.66, 0.04, (255, 240, 170))
    _wheel(image, 0.24, 0.14)
    _wheel(image, 0.76, 0.14)


def cat(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Sitting, seen from the front, with pointed ears and a waving tail."""
    fur = pick(rng, (45, 45, 48), (215, 135, 60), (150, 150, 150), (235, 225, 210))
    eyes = pick(rng, (150, 200, 70), (230, 190, 60))
    wave = 0.06 * math.sin(3 * phase)
    line(image, [(0.62, 0.90), (0.86, 0.86), (0.90, 0.66), (0.82 + wave, 0.50)], fur, 0.09)
    oval(image, 0.46, 0.74, 0.25, 0.23, shade(fur, 0.85))
    oval(image, 0.46, 0.80, 0.12, 0.15, shade(fur, 1.3))
    for side in (-1, 1):
        polygon(
            image,
            [(0.46 + 0.25 * side, 0.04), (0.46 + 0.25 * side, 0.32), (0.46 + 0.04 * side, 0.20)],
            fur,
        )
    oval(image, 0.46, 0.36, 0.26, 0.20, fur)
    for side in (-1, 1):
        disc(image, 0.46 + 0.11 * side, 0.33, 0.05, eyes)
    disc(image, 0.46, 0.43, 0.035, (235, 130, 140))


def cow(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A heavy patched body, horns, an udder."""
    hide = pick(rng, WHITE, WHITE, (150, 85, 50))
    patch = pick(rng, BLACK, (120, 70, 40))
    _legs(image, (0.16, 0.24, 0.56, 0.64), 0.66, hide, 0.09, phase, 0.03)
    line(image, [(0.07, 0.40), (0.04, 0.70)], patch, 0.04)
    oval(image, 0.36, 0.72, 0.07, 0.07, (240, 165, 165))
    oval(image, 0.40, 0.50, 0.35, 0.22, hide)
    oval(image, 0.26, 0.42, 0.12, 0.10, patch)
    oval(image, 0.50, 0.54, 0.11, 0.11, patch)
    line(image, [(0.68, 0.13), (0.72, 0.24), (0.90, 0.24), (0.95, 0.13)], (235, 220, 170), 0.06)
    oval(image, 0.81, 0.34, 0.12, 0.15, patch)
    oval(image, 0.84, 0.46, 0.11, 0.08, (235, 175, 165))


def dog(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A slim body, a hanging ear, a snout and a wagging tail."""
    fur = pick(rng, *FURS)
    ear, wag = shade(fur, 0.55), 0.07 * math.sin(12 * phase)
    line(image, [(0.18, 0.50), (0.06 + wag, 0.22)], fur, 0.09)
    _legs(image, (0.18, 0.27, 0.56, 0.65), 0.58, fur, 0.10, phase, 0.07)
    polygon(
        image,
        [
            (0.12, 0.46),
            (0.55, 0.44),
            (0.62, 0.28),
            (0.78, 0.36),
            (0.70, 0.70),
            (0.50, 0.64),
            (0.14, 0.66),
        ],
        fur,
    )
    disc(image, 0.72, 0.28, 0.17, fur)
    box(image, 0.74, 0.27, 0.95, 0.41, fur)
    disc(image, 0.94, 0.29, 0.05, BLACK)
    disc(image, 0.78, 0.22, 0.03, BLACK)
    oval(image, 0.61, 0.31, 0.08, 0.17, ear, angle=10)


def horse(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Long legs, a long raised neck with a mane, a hanging tail."""
    coat = pick(rng, *FURS)
    mane = shade(coat, 0.45)
    sway = 0.03 * math.sin(4 * phase)
    line(image, [(0.14, 0.42), (0.06, 0.50), (0.05 + sway, 0.74)], mane, 0.08)
    _legs(image, (0.17, 0.25, 0.53, 0.61), 0.52, coat, 0.07, phase, 0.07)
    oval(image, 0.38, 0.48, 0.27, 0.14, coat)
    polygon(image, [(0.48, 0.42), (0.66, 0.10), (0.82, 0.16), (0.66, 0.54)], coat)
    polygon(image, [(0.68, 0.09), (0.80, 0.09), (0.97, 0.29), (0.90, 0.36), (0.74, 0.28)], coat)
    polygon(image, [(0.69, 0.12), (0.71, 0.01), (0.77, 0.11)], coat)
    line(image, [(0.70, 0.08), (0.59, 0.20), (0.50, 0.40)], mane, 0.08)
    disc(image, 0.80, 0.17, 0.025, BLACK)


def motorcycle(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two thick wheels, a full body with tank and seat, exhaust, headlight."""
    paint = ink.random_colour(rng)
    line(image, [(0.80, 0.74), (0.66, 0.30), (0.54, 0.24)], GREY, 0.07)
    for x in (0.21, 0.79):
        _wheel(image, x, 0.20)
    polygon(image, [(0.28, 0.62), (0.66, 0.52), (0.60, 0.84), (0.34, 0.84)], (85, 85, 92))
    polygon(image, [(0.10, 0.44), (0.42, 0.50), (0.42, 0.60), (0.06, 0.52)], BLACK)
    oval(image, 0.54, 0.47, 0.16, 0.10, paint, angle=-8)
    polygon(image, [(0.02, 0.50), (0.30, 0.52), (0.36, 0.64), (0.20, 0.60)], paint)
    line(image, [(0.04, 0.84), (0.46, 0.80)], (200, 200, 205), 0.06)
    disc(image, 0.74, 0.40, 0.07, (255, 235, 150))


def person(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Walking."""
    look, pace = ink.random_look(rng), rng.uniform(0.9, 1.6)
    ink.person(image, 0.5, 0.485, 0.90, look, ink.walking(phase, pace))


def sheep(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A cloud of wool, a dark face, short thin legs."""
    wool, face = pick(rng, WHITE, (225, 215, 195)), pick(rng, BLACK, (70, 60, 55))
    _legs(image, (0.24, 0.33, 0.55, 0.64), 0.74, face, 0.07, phase, 0.03)
    for x, y, radius in (
        (0.22, 0.50, 0.17),
        (0.36, 0.36, 0.17),
        (0.56, 0.38, 0.17),
        (0.28, 0.64, 0.16),
        (0.48, 0.66, 0.17),
        (0.64, 0.58, 0.16),
        (0.42, 0.50, 0.20),
    ):
        disc(image, x, y, radius, wool)
    oval(image, 0.70, 0.41, 0.09, 0.045, face, angle=-20)
    oval(image, 0.83, 0.47, 0.10, 0.16, face, angle=-25)
    disc(image, 0.76, 0.30, 0.10, wool)


def truck(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A cargo box behind a separate cab."""
    cargo, cab = ink.random_colour(rng), ink.random_colour(rng)
    box(image, 0.03, 0.78, 0.95, 0.86, (60, 60, 65))
    box(image, 0.02, 0.14, 0.62, 0.78, cargo)
    for x in (0.17, 0.32, 0.47):
        line(image, [(x, 0.18), (x, 0.75)], shade(cargo, 0.75), 0.03)
    polygon(image, [(0.67, 0.34), (0.86, 0.34), (0.97, 0.58), (0.97, 0.84), (0.67, 0.84)], cab)
    polygon(image, [(0.73, 0.40), (0.84, 0.40), (0.92, 0.57), (0.73, 0.57)], GLASS)
    for x in (0.16, 0.40, 0.81):
        _wheel(image, x, 0.12)
