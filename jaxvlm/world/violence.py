"""Fighting, shooting and abuse: the atoms that are people doing or suffering it.

Drawn as described in ``people``.
"""

import math

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.figures import (
    BLACK,
    EDGE,
    GROUND,
    ROPE,
    WHITE,
    WOOD,
    Figure,
    draw_figure,
    draw_pistol,
    mirror,
    shade,
    wave,
)
from jaxvlm.world.ink import Look, box, disc, line, oval


def people_punching(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two people face to face, each fist in the other's face in turn."""
    looks, flip = (ink.random_look(rng), ink.random_look(rng)), rng.random()
    blow = wave(phase, 1.5)
    for look, x, facing, reach in zip(looks, (0.22, 0.78), (1, -1), (blow, -blow), strict=True):
        jab = (0.40, -0.74) if reach > 0 else (0.24, -0.80)
        guard = ((0.12, -0.50), (0.22, -0.66))
        body = Figure(
            arms=(guard, ((0.2, -0.64), jab)),
            legs=(((-0.16, 0),), ((0.12, 0),)),
            head=(0.03 - 0.04 * (reach < 0), -0.78),
            fist=0.075,
        )
        draw_figure(image, look, x, 1.0, body, facing=facing)
    hit = 0.70 if blow > 0 else 0.30
    for angle in (20, 80, 140):
        dx, dy = 0.09 * math.cos(math.radians(angle)), 0.09 * math.sin(math.radians(angle))
        line(image, [(hit - dx, 0.17 - dy), (hit + dx, 0.17 + dy)], (255, 240, 120), 0.03)
    mirror(image, flip)


def person_kicking(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person leaning back, a leg thrown out at chest height."""
    look, flip = ink.random_look(rng), rng.random()
    foot = (0.58, -0.56 + 0.10 * wave(phase, 1.5))
    body = Figure(
        arms=(((-0.22, -0.50),), ((0.12, -0.72), (0.20, -0.88))),
        legs=(((0.03, -0.2), (-0.06, 0)), ((0.25, -0.50), foot)),
        head=(-0.16, -0.78),
        hip=(0.02, -0.42),
    )
    draw_figure(image, look, 0.36, 1.0, body)
    shoe = (0.36 + foot[0], GROUND + foot[1])
    line(image, [(shoe[0] - 0.02, shoe[1] + 0.02), (shoe[0] + 0.01, shoe[1] - 0.1)], BLACK, 0.1)
    for gap in (0.14, 0.26):
        line(image, [(0.62, 0.50 + gap), (0.76, 0.46 + gap), (0.86, 0.39 + gap)], WHITE, 0.035)
    mirror(image, flip)


def raised_fists(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Three large forearms with clenched fists."""
    looks, flip = [ink.random_look(rng) for _ in range(3)], rng.random()
    for index, (look, x, top) in enumerate(
        zip(looks, (0.20, 0.80, 0.50), (0.34, 0.28, 0.14), strict=True)
    ):
        top += 0.05 * wave(phase, 1.5, index / 3)
        box(image, x - 0.09, top + 0.1, x + 0.09, 0.6, look.skin)
        box(image, x - 0.11, top + 0.33, x + 0.11, GROUND, look.shirt)
        line(image, [(x - 0.07, top + 0.02), (x + 0.07, top + 0.02)], look.skin, 0.19)
        crease = shade(look.skin, 0.55)
        for finger in (-0.06, 0.0, 0.06):
            line(image, [(x + finger, top - 0.06), (x + finger, top + 0.03)], crease, 0.018)
        line(image, [(x - 0.08, top + 0.07), (x + 0.06, top + 0.07)], crease, 0.03)
    mirror(image, flip)


def person_on_the_ground(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person lying flat, limbs thrown out, seen from slightly above; breathes faintly."""
    look, flip = ink.random_look(rng), rng.random()
    breath = 0.01 * wave(phase, 0.5)
    oval(image, 0.46, 0.76, 0.38, 0.18, (105, 20, 25))
    body = Figure(
        arms=(((-0.18, -0.36), (-0.08, -0.44)), ((-0.24, -0.02),)),
        legs=(((0.20, -0.34), (0.36, -0.32)), ((0.20, -0.08), (0.37, -0.01))),
        head=(-0.30, -0.22 + breath),
        hip=(0.02, -0.18),
    )
    draw_figure(image, look, 0.5, 1.15, body)
    mirror(image, flip)


def crowd_in_a_circle(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A ring of onlookers seen from above, an empty place in its middle."""
    looks, flip = [ink.random_look(rng) for _ in range(9)], rng.random()
    oval(image, 0.5, 0.60, 0.40, 0.27, (222, 214, 190))
    ring = [2 * math.pi * (index + 0.75) / 9 for index in range(9)]
    for index, angle in sorted(enumerate(ring), key=lambda item: math.sin(item[1])):
        look, front = looks[index], math.sin(angle) > 0
        x, y = 0.5 + 0.38 * math.cos(angle), 0.63 + 0.27 * math.sin(angle)
        y += 0.015 * wave(phase, 1.0, index / 3)
        line(image, [(x, y - 0.11), (x, y)], look.shirt, 0.15)
        disc(image, x, y - 0.24, 0.08, look.hair)
        if not front:  # those in front show the backs of their heads
            disc(image, x, y - 0.22, 0.065, look.skin)
    mirror(image, flip)


def masked_gunman(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """All in black with a balaclava, a long rifle at the shoulder."""
    look, shade, flip = ink.random_look(rng), int(rng.integers(14, 34)), rng.random()
    black = (shade, shade, shade)
    aim = 0.02 * wave(phase, 0.7)
    figure = Look(black, black, black, black)
    body = Figure(arms=(), legs=(((-0.17, 0),), ((0.15, 0),)), head_size=0.13)
    draw_figure(image, figure, 0.38, 1.0, body)
    line(image, [(0.27, 0.14), (0.49, 0.14)], WHITE, 0.03)
    line(image, [(0.30, 0.17), (0.47, 0.17)], look.skin, 0.055)
    barrel = 0.42 + aim
    for grow, colour in ((0.035, EDGE), (0.0, (45, 42, 42))):
        line(image, [(0.10, barrel + 0.10), (0.28, barrel + 0.03)], colour, 0.10 + grow)
        line(image, [(0.28, barrel), (0.66, barrel)], colour, 0.085 + grow)
        line(image, [(0.66, barrel - 0.01), (0.95, barrel - 0.01)], colour, 0.04 + grow)
        line(image, [(0.54, barrel), (0.60, barrel + 0.17)], colour, 0.065 + grow)
    for x in (0.36, 0.70):
        disc(image, x, barrel + 0.04, 0.05, look.skin)
    mirror(image, flip)


def gun_in_hand(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """An ordinary person holding out a large black pistol, level or lowered."""
    look, lowered, flip = ink.random_look(rng), rng.random(), rng.random()
    hand = (0.27, -0.62 + 0.14 * (lowered < 0.4) + 0.02 * wave(phase, 0.8))
    draw_figure(image, look, 0.25, 1.0, Figure(arms=(((-0.15, -0.42),), (hand,))))
    draw_pistol(image, 0.25 + hand[0], GROUND + hand[1], BLACK, EDGE)
    disc(image, 0.25 + hand[0] + 0.02, GROUND + hand[1] + 0.05, 0.05, look.skin)
    mirror(image, flip)


def people_taking_cover(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two people ducking behind a brick wall, arms folded over their heads."""
    looks, flip = [ink.random_look(rng) for _ in range(2)], rng.random()
    brick = (int(rng.integers(150, 205)), int(rng.integers(60, 95)), 50)
    for index, (look, x) in enumerate(zip(looks, (0.27, 0.73), strict=True)):
        y = 0.36 + 0.04 * wave(phase, 0.8, index / 2)
        disc(image, x, y - 0.01, 0.145, look.hair)
        oval(image, x, y + 0.05, 0.115, 0.10, look.skin)
        for side in (-1, 1):
            disc(image, x + side * 0.045, y + 0.05, 0.022, BLACK)
            line(
                image,
                [
                    (x + side * 0.13, y + 0.27),
                    (x + side * 0.20, y + 0.02),
                    (x + side * 0.04, y - 0.14),
                ],
                look.shirt,
                0.085,
            )
        disc(image, x, y - 0.14, 0.06, look.skin)
    box(image, 0.03, 0.53, 0.97, GROUND, (225, 215, 200))
    for row, y in enumerate((0.56, 0.77)):
        for left in np.arange(-0.2 * (row % 2), 0.9, 0.4).tolist():
            box(image, max(0.05, left + 0.05), y, min(0.95, left + 0.41), y + 0.16, brick)
    mirror(image, flip)


def person_beating_a_victim(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person bent over another on the ground, the arm swinging down."""
    attacker, victim, flip = ink.random_look(rng), ink.random_look(rng), rng.random()
    swing = wave(phase, 1.5)
    lying = Figure(
        arms=(((-0.02, -0.26), (-0.14, -0.30)),),
        legs=(((0.26, -0.22), (0.30, 0.0)),),
        head=(-0.14, -0.14),
        hip=(0.16, -0.09),
    )
    draw_figure(image, victim, 0.66, 0.9, lying)
    bent = Figure(
        arms=(((0.26, -0.56), (0.30, -0.40)), ((0.24, -0.92), (0.44, -0.80 + 0.10 * swing))),
        legs=(((-0.14, 0),), ((0.10, -0.22), (0.10, 0))),
        head=(0.12, -0.78),
        hip=(-0.04, -0.42),
        fist=0.075,
    )
    draw_figure(image, attacker, 0.24, 1.0, bent)
    for x in (0.76, 0.86):
        line(image, [(x, 0.28), (x - 0.04, 0.48)], WHITE, 0.03)
    mirror(image, flip)


def victim_tied_up(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A seated person, mouth taped, ropes around chest and ankles."""
    look, flip = ink.random_look(rng), rng.random()
    x = 0.45 + 0.015 * wave(phase, 1.2)
    line(image, [(0.45, 0.80), (0.62, 0.74), (0.84, 0.88)], look.trousers, 0.15)
    line(image, [(0.40, 0.86), (0.84, 0.88)], look.trousers, 0.13)
    box(image, 0.27, 0.38, 0.63, 0.92, look.shirt)
    for side in (-0.20, 0.20):
        line(
            image,
            [(0.45 + side * 0.9, 0.42), (0.45 + side * 1.2, 0.74)],
            shade(look.shirt, 0.75),
            0.09,
        )
    for y in (0.46, 0.58, 0.70):
        line(image, [(0.19, y), (0.71, y + 0.02)], (90, 60, 25), 0.085)
        line(image, [(0.19, y), (0.71, y + 0.02)], ROPE, 0.055)
    line(image, [(0.78, 0.80), (0.76, 0.94)], ROPE, 0.055)
    disc(image, x, 0.19, 0.15, look.hair)
    disc(image, x, 0.22, 0.13, look.skin)
    line(image, [(x - 0.09, 0.28), (x + 0.09, 0.28)], WHITE, 0.06)
    mirror(image, flip)


def cowering_person(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A crouched, trembling person, round back, arms over the lowered head."""
    look, flip = ink.random_look(rng), rng.random()
    x = 0.012 * wave(phase, 4.0)
    arm = shade(look.shirt, 0.7)
    line(image, [(0.24, 0.80), (0.60, 0.62), (0.54, 0.90), (0.66, 0.91)], look.trousers, 0.14)
    oval(image, x + 0.34, 0.60, 0.34, 0.23, look.shirt, -50)
    disc(image, x + 0.70, 0.47, 0.16, look.hair)
    disc(image, x + 0.72, 0.51, 0.13, look.skin)
    line(image, [(x + 0.42, 0.44), (x + 0.64, 0.28), (x + 0.84, 0.38)], arm, 0.11)
    line(image, [(x + 0.46, 0.58), (x + 0.70, 0.66), (x + 0.86, 0.52)], arm, 0.10)
    disc(image, x + 0.86, 0.40, 0.065, look.skin)
    disc(image, x + 0.87, 0.51, 0.06, look.skin)
    mirror(image, flip)


def raised_stick(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person swinging a long stick above the head."""
    look, flip = ink.random_look(rng), rng.random()
    tilt = math.radians(-22 + 14 * wave(phase, 1.2))
    dx, dy = 0.44 * math.cos(tilt), 0.44 * math.sin(tilt)
    body = Figure(arms=(((-0.24, -0.74), (-0.16, -0.88)), ((0.24, -0.78), (0.16, -1))))
    draw_figure(image, look, 0.5, 0.82, body)
    line(image, [(0.5 - dx, 0.19 - dy), (0.5 + dx, 0.19 + dy)], shade(WOOD, 0.5), 0.12)
    line(image, [(0.5 - dx, 0.19 - dy), (0.5 + dx, 0.19 + dy)], (170, 105, 45), 0.08)
    for reach in (-0.3, 0.3):
        disc(image, 0.5 + reach * dx, 0.19 + reach * dy, 0.055, look.skin)
    mirror(image, flip)


def crying_child(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A child with a large head, hands at the face, streams of tears."""
    look, flip = ink.random_look(rng), rng.random()
    body = Figure(arms=(), legs=(((-0.13, 0),), ((0.13, 0),)), head=(0, -0.66), hip=(0, -0.3))
    draw_figure(image, look, 0.5, 0.62, body)
    disc(image, 0.5, 0.33, 0.29, look.hair)
    oval(image, 0.5, 0.38, 0.25, 0.23, look.skin)
    oval(image, 0.5, 0.51, 0.10, 0.07 + 0.02 * wave(phase, 1.0), (110, 20, 25))
    for side in (-1, 1):
        line(image, [(0.5 + side * 0.06, 0.33), (0.5 + side * 0.19, 0.35)], BLACK, 0.035)
        line(image, [(0.5 + side * 0.14, 0.39), (0.5 + side * 0.17, 0.56)], (60, 160, 255), 0.07)
        for drop in (0.0, 0.5):
            fall = (phase * 1.2 + drop) % 1.0
            oval(
                image,
                0.5 + side * (0.24 + 0.12 * fall),
                0.55 + 0.3 * fall,
                0.04,
                0.055,
                (60, 160, 255),
            )
        line(
            image,
            [(0.5 + side * 0.13, 0.66), (0.5 + side * 0.36, 0.60), (0.5 + side * 0.27, 0.40)],
            look.shirt,
            0.08,
        )
        disc(image, 0.5 + side * 0.26, 0.38, 0.07, look.skin)
    mirror(image, flip)
