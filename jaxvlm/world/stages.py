"""Shows, sports and processions of the rendered world: harmless, and as loud as an event.

See ``things`` for what every drawing keeps to.
"""

import math

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.forms import BLACK, BLUE, PARTY, RED, WHITE, flip, radial, wave
from jaxvlm.world.shapes import pick, shade


def boxing_ring(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two boxers with red gloves on a roped platform with corner posts."""
    skirt = pick(rng, BLUE, (120, 30, 110), (30, 110, 80))
    ink.polygon(image, [(0.04, 0.82), (0.96, 0.82), (0.84, 0.62), (0.16, 0.62)], (225, 220, 205))
    ink.box(image, 0.04, 0.82, 0.96, 0.96, skirt)
    for x in (0.16, 0.84):
        ink.line(image, [(x, 0.26), (x, 0.64)], (170, 170, 175), 0.04)
    for y in (0.3, 0.42):
        ink.line(image, [(0.16, y), (0.84, y)], WHITE, 0.02)
    for x, side in ((0.33, 1), (0.67, -1)):
        jab = 0.05 * wave(phase, 1.37, x)
        hands = (side * (0.22 + jab), 0.02), (side * (0.24 - jab), -0.06)
        ink.person(image, x, 0.42, 0.72, ink.random_look(rng), ink.Pose(*hands))
        for shoulder, hand in zip((-0.1, 0.1), hands, strict=True):
            centre = x + 0.72 * (shoulder + hand[0]), 0.42 + 0.72 * (hand[1] - 0.26)
            ink.disc(image, *centre, 0.065, RED)
    for y, colour in ((0.56, RED), (0.66, WHITE), (0.76, RED)):
        ink.line(image, [(0.06, y), (0.94, y)], colour, 0.035)
    for x, colour in ((0.06, RED), (0.94, BLUE)):
        ink.line(image, [(x, 0.46), (x, 0.92)], colour, 0.09)


def shooting_target(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Concentric rings on a two-legged stand."""
    inks = (RED, BLACK, (30, 60, 170), (20, 110, 60))
    colour, wood = pick(rng, *inks), (120, 85, 50)
    for a, b in (((0.36, 0.6), (0.2, 0.96)), ((0.64, 0.6), (0.8, 0.96))):
        ink.line(image, [a, b], wood, 0.07)
    for k in range(5):
        ink.disc(image, 0.5, 0.42, 0.4 - 0.08 * k, WHITE if k % 2 else colour)


def theater_stage(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """An actor in a spotlight on a wooden floor between draped curtains."""
    red, sway = (int(rng.integers(140, 200)), 20, 35), 0.015 * wave(phase, 0.43, rng.random())
    ink.box(image, 0.03, 0.04, 0.97, 0.8, (35, 25, 40))
    ink.polygon(image, [(0.0, 0.97), (1.0, 0.97), (0.86, 0.76), (0.14, 0.76)], (170, 115, 65))
    for x in (0.2, 0.4, 0.6, 0.8):
        ink.line(image, [(0.5 + 0.75 * (x - 0.5), 0.77), (x, 0.96)], (120, 75, 40), 0.02)
    ink.polygon(image, [(0.46, 0.1), (0.54, 0.1), (0.72, 0.88), (0.28, 0.88)], (140, 130, 95))
    ink.oval(image, 0.5, 0.88, 0.23, 0.06, (255, 250, 200))
    lift = 0.1 * wave(phase, 0.53)
    pose = ink.Pose((-0.2, -0.1 + lift), (0.2, -0.1 - lift))
    ink.person(image, 0.5, 0.6, 0.56, ink.random_look(rng), pose)
    for side in (-1, 1):
        for k, colour in enumerate((red, shade(red, 0.6), red)):
            x = 0.5 + side * (0.47 - 0.08 * k)
            foot = x + side * (0.02 * k + sway)
            ink.polygon(
                image,
                [(x, 0.04), (x - side * 0.1, 0.04), (foot - side * 0.09, 0.92), (foot, 0.92)],
                colour,
            )
    for k in range(5):
        ink.sector(image, 0.1 + 0.2 * k, 0.03, 0.11, 0.16, shade(red, 1.15), 0, 180.0)


def fireworks_show(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Coloured bursts of dots in a night sky above a small stage."""
    ink.box(image, 0.03, 0.02, 0.97, 0.82, (14, 16, 44))
    colours = rng.permutation(len(PARTY)).tolist()
    for (x, y), colour, start in zip(
        ((0.27, 0.26), (0.73, 0.28), (0.5, 0.56)), colours, rng.random(3).tolist(), strict=False
    ):
        reach = 0.13 + 0.09 * ((start + 0.8 * phase) % 1)
        for k in range(8):
            dx, dy = math.cos(k * math.pi / 4 + start), math.sin(k * math.pi / 4 + start)
            ink.line(
                image,
                [(x + 0.4 * reach * dx, y + 0.4 * reach * dy), (x + reach * dx, y + reach * dy)],
                PARTY[colour],
                0.02,
            )
            ink.disc(image, x + reach * dx, y + reach * dy, 0.032, PARTY[colour])
        ink.disc(image, x, y, 0.035, WHITE)
    ink.box(image, 0.2, 0.82, 0.8, 0.97, (125, 85, 50))
    for x in (0.22, 0.78):
        ink.line(image, [(x, 0.68), (x, 0.9)], (200, 200, 205), 0.04)


def concert_stage(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A guitarist and a drum under a truss with sweeping coloured beams."""
    start = int(rng.integers(len(PARTY)))
    ink.box(image, 0.06, 0.08, 0.94, 0.84, (22, 18, 34))
    for k, offset in enumerate(rng.random(4).tolist()):
        x, foot = 0.17 + 0.22 * k, 0.5 + 0.36 * wave(phase, 0.53, offset)
        colour = PARTY[(start + k) % 5]
        ink.polygon(image, [(x, 0.16), (foot + 0.08, 0.84), (foot - 0.08, 0.84)], colour, 0.85)
        ink.disc(image, x, 0.18, 0.05, WHITE)
    ink.box(image, 0.02, 0.84, 0.98, 0.97, (60, 55, 70))
    look = ink.random_look(rng)
    ink.person(image, 0.36, 0.62, 0.5, look, ink.Pose((0.05, 0.2), (0.2, 0.1)))
    ink.line(image, [(0.28, 0.66), (0.54, 0.52)], (240, 190, 60), 0.04)
    ink.oval(image, 0.32, 0.65, 0.1, 0.07, (240, 190, 60), angle=-30)
    ink.disc(image, 0.72, 0.72, 0.13, (200, 40, 60))
    ink.disc(image, 0.72, 0.72, 0.095, WHITE)
    zigzag = [(0.04 + 0.092 * k, 0.13 if k % 2 else 0.03) for k in range(11)]
    for points in (
        zigzag,
        [(0.02, 0.03), (0.98, 0.03)],
        [(0.02, 0.14), (0.98, 0.14)],
        [(0.04, 0.04), (0.04, 0.96)],
        [(0.96, 0.04), (0.96, 0.96)],
    ):
        ink.line(image, points, (190, 190, 198), 0.03)
    flip(image, rng)


def carnival_parade(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A float on wheels with a feathered mask, bunting and confetti."""
    deck, trim, face, *_ = (PARTY[k] for k in rng.permutation(len(PARTY)).tolist())
    radii = [0.33, 0.2] * 9
    radial(image, 0.5, 0.42, radii, 0.02 * wave(phase, 1.07), trim)
    ink.oval(image, 0.5, 0.44, 0.18, 0.22, shade(face, 0.9) if face != trim else WHITE)
    for x in (0.43, 0.57):
        ink.oval(image, x, 0.4, 0.05, 0.035, BLACK)
    ink.sector(image, 0.5, 0.51, 0.09, 0.07, WHITE, 0, 180.0)
    ink.box(image, 0.05, 0.66, 0.95, 0.84, deck)
    for k in range(6):
        ink.sector(image, 0.125 + 0.15 * k, 0.68, 0.075, 0.09, trim, 0, 180.0)
    for x in (0.23, 0.77):
        ink.disc(image, x, 0.87, 0.09, BLACK)
    for k in range(6):
        x, y = 0.05 + 0.15 * k, 0.04 + 0.06 * math.sin(math.pi * (k + 0.5) / 6)
        ink.polygon(image, [(x, y), (x + 0.15, y), (x + 0.075, y + 0.15)], PARTY[k % 5])
    for k, (x, y) in enumerate(rng.random((12, 2)).tolist()):
        x = 0.04 + 0.24 * x + 0.68 * (k % 2)
        ink.disc(image, x, 0.2 + 0.44 * ((y + 0.4 * phase) % 1), 0.028, PARTY[k % 5])
