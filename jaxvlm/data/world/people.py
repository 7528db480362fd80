"""Drawings of the atoms that are people: one function per atom, all of the same form.

``draw(image, rng, phase)`` paints a transparent sprite in place. ``rng`` decides colours and
variants and is used the same way at any ``phase`` (seconds), so a video re-creates it from one
seed for each frame. Sprites are seen at 18 to 50 pixels: limbs are thick and props oversized.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxvlm.data.world import ink
from jaxvlm.data.world.ink import Colour, Look, Point, box, disc, line, oval, polygon

BLACK, WHITE, EDGE = (18, 18, 20), (245, 245, 245), (185, 185, 190)
NAVY, WOOD, RED, ROPE = (25, 35, 95), (125, 75, 30), (215, 25, 30), (225, 190, 120)
GROUND = 0.95  # y of the soles
STANDING: tuple[tuple[Point, ...], ...] = (((-0.10, 0.0),), ((0.10, 0.0),))


def people_punching(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two people face to face, each fist in the other's face in turn."""
    looks, flip = (ink.random_look(rng), ink.random_look(rng)), rng.random()
    blow = _wave(phase, 1.5)
    for look, x, facing, reach in zip(looks, (0.22, 0.78), (1, -1), (blow, -blow), strict=True):
        jab = (0.40, -0.74) if reach > 0 else (0.24, -0.80)
        guard = ((0.12, -0.50), (0.22, -0.66))
        _figure(
            image,
            look,
            x,
            1.0,
            (guard, ((0.2, -0.64), jab)),
            (((-0.16, 0),), ((0.12, 0),)),
            head=(0.03 - 0.04 * (reach < 0), -0.78),
            facing=facing,
            fist=0.075,
        )
    hit = 0.70 if blow > 0 else 0.30
    for angle in (20, 80, 140):
        dx, dy = 0.09 * math.cos(math.radians(angle)), 0.09 * math.sin(math.radians(angle))
        line(image, [(hit - dx, 0.17 - dy), (hit + dx, 0.17 + dy)], (255, 240, 120), 0.03)
    _mirror(image, flip)


def person_kicking(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person leaning back, a leg thrown out at chest height."""
    look, flip = ink.random_look(rng), rng.random()
    foot = (0.58, -0.56 + 0.10 * _wave(phase, 1.5))
    _figure(
        image,
        look,
        0.36,
        1.0,
        (((-0.22, -0.50),), ((0.12, -0.72), (0.20, -0.88))),
        (((0.03, -0.2), (-0.06, 0)), ((0.25, -0.50), foot)),
        head=(-0.16, -0.78),
        hip=(0.02, -0.42),
    )
    shoe = (0.36 + foot[0], GROUND + foot[1])
    line(image, [(shoe[0] - 0.02, shoe[1] + 0.02), (shoe[0] + 0.01, shoe[1] - 0.1)], BLACK, 0.1)
    for gap in (0.14, 0.26):
        line(image, [(0.62, 0.50 + gap), (0.76, 0.46 + gap), (0.86, 0.39 + gap)], WHITE, 0.035)
    _mirror(image, flip)


def raised_fists(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Three large forearms with clenched fists."""
    looks, flip = [ink.random_look(rng) for _ in range(3)], rng.random()
    for index, (look, x, top) in enumerate(
        zip(looks, (0.20, 0.80, 0.50), (0.34, 0.28, 0.14), strict=True)
    ):
        top += 0.05 * _wave(phase, 1.5, index / 3)
        box(image, x - 0.09, top + 0.1, x + 0.09, 0.6, look.skin)
        box(image, x - 0.11, top + 0.33, x + 0.11, GROUND, look.shirt)
        line(image, [(x - 0.07, top + 0.02), (x + 0.07, top + 0.02)], look.skin, 0.19)
        crease = _shade(look.skin, 0.55)
        for finger in (-0.06, 0.0, 0.06):
            line(image, [(x + finger, top - 0.06), (x + finger, top + 0.03)], crease, 0.018)
        line(image, [(x - 0.08, top + 0.07), (x + 0.06, top + 0.07)], crease, 0.03)
    _mirror(image, flip)


def person_on_the_ground(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person lying flat, limbs thrown out, seen from slightly above; breathes faintly."""
    look, flip = ink.random_look(rng), rng.random()
    breath = 0.01 * _wave(phase, 0.5)
    oval(image, 0.46, 0.76, 0.38, 0.18, (105, 20, 25))
    _figure(
        image,
        look,
        0.5,
        1.15,
        (((-0.18, -0.36), (-0.08, -0.44)), ((-0.24, -0.02),)),
        (((0.20, -0.34), (0.36, -0.32)), ((0.20, -0.08), (0.37, -0.01))),
        head=(-0.30, -0.22 + breath),
        hip=(0.02, -0.18),
    )
    _mirror(image, flip)


def crowd_in_a_circle(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A ring of onlookers seen from above, an empty place in its middle."""
    looks, flip = [ink.random_look(rng) for _ in range(9)], rng.random()
    oval(image, 0.5, 0.60, 0.40, 0.27, (222, 214, 190))
    ring = [2 * math.pi * (index + 0.75) / 9 for index in range(9)]
    for index, angle in sorted(enumerate(ring), key=lambda item: math.sin(item[1])):
        look, front = looks[index], math.sin(angle) > 0
        x, y = 0.5 + 0.38 * math.cos(angle), 0.63 + 0.27 * math.sin(angle)
        y += 0.015 * _wave(phase, 1.0, index / 3)
        line(image, [(x, y - 0.11), (x, y)], look.shirt, 0.15)
        disc(image, x, y - 0.24, 0.08, look.hair)
        if not front:  # those in front show the backs of their heads
            disc(image, x, y - 0.22, 0.065, look.skin)
    _mirror(image, flip)


def masked_gunman(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """All in black with a balaclava, a long rifle at the shoulder."""
    look, shade, flip = ink.random_look(rng), int(rng.integers(14, 34)), rng.random()
    black = (shade, shade, shade)
    aim = 0.02 * _wave(phase, 0.7)
    figure = Look(black, black, black, black)
    _figure(image, figure, 0.38, 1.0, (), (((-0.17, 0),), ((0.15, 0),)), head_size=0.13)
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
    _mirror(image, flip)


def gun_in_hand(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """An ordinary person holding out a large black pistol, level or lowered."""
    look, lowered, flip = ink.random_look(rng), rng.random(), rng.random()
    hand = (0.27, -0.62 + 0.14 * (lowered < 0.4) + 0.02 * _wave(phase, 0.8))
    _figure(image, look, 0.25, 1.0, (((-0.15, -0.42),), (hand,)))
    _pistol(image, 0.25 + hand[0], GROUND + hand[1], BLACK, EDGE)
    disc(image, 0.25 + hand[0] + 0.02, GROUND + hand[1] + 0.05, 0.05, look.skin)
    _mirror(image, flip)


def people_taking_cover(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two people ducking behind a brick wall, arms folded over their heads."""
    looks, flip = [ink.random_look(rng) for _ in range(2)], rng.random()
    brick = (int(rng.integers(150, 205)), int(rng.integers(60, 95)), 50)
    for index, (look, x) in enumerate(zip(looks, (0.27, 0.73), strict=True)):
        y = 0.36 + 0.04 * _wave(phase, 0.8, index / 2)
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
    _mirror(image, flip)


def person_beating_a_victim(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person bent over another on the ground, the arm swinging down."""
    attacker, victim, flip = ink.random_look(rng), ink.random_look(rng), rng.random()
    swing = _wave(phase, 1.5)
    _figure(
        image,
        victim,
        0.66,
        0.9,
        (((-0.02, -0.26), (-0.14, -0.30)),),
        (((0.26, -0.22), (0.30, 0.0)),),
        head=(-0.14, -0.14),
        hip=(0.16, -0.09),
    )
    _figure(
        image,
        attacker,
        0.24,
        1.0,
        (((0.26, -0.56), (0.30, -0.40)), ((0.24, -0.92), (0.44, -0.80 + 0.10 * swing))),
        (((-0.14, 0),), ((0.10, -0.22), (0.10, 0))),
        head=(0.12, -0.78),
        hip=(-0.04, -0.42),
        fist=0.075,
    )
    for x in (0.76, 0.86):
        line(image, [(x, 0.28), (x - 0.04, 0.48)], WHITE, 0.03)
    _mirror(image, flip)


def victim_tied_up(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A seated person, mouth taped, ropes around chest and ankles."""
    look, flip = ink.random_look(rng), rng.random()
    x = 0.45 + 0.015 * _wave(phase, 1.2)
    line(image, [(0.45, 0.80), (0.62, 0.74), (0.84, 0.88)], look.trousers, 0.15)
    line(image, [(0.40, 0.86), (0.84, 0.88)], look.trousers, 0.13)
    box(image, 0.27, 0.38, 0.63, 0.92, look.shirt)
    for side in (-0.20, 0.20):
        line(
            image,
            [(0.45 + side * 0.9, 0.42), (0.45 + side * 1.2, 0.74)],
            _shade(look.shirt, 0.75),
            0.09,
        )
    for y in (0.46, 0.58, 0.70):
        line(image, [(0.19, y), (0.71, y + 0.02)], (90, 60, 25), 0.085)
        line(image, [(0.19, y), (0.71, y + 0.02)], ROPE, 0.055)
    line(image, [(0.78, 0.80), (0.76, 0.94)], ROPE, 0.055)
    disc(image, x, 0.19, 0.15, look.hair)
    disc(image, x, 0.22, 0.13, look.skin)
    line(image, [(x - 0.09, 0.28), (x + 0.09, 0.28)], WHITE, 0.06)
    _mirror(image, flip)


def cowering_person(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A crouched, trembling person, round back, arms over the lowered head."""
    look, flip = ink.random_look(rng), rng.random()
    x = 0.012 * _wave(phase, 4.0)
    arm = _shade(look.shirt, 0.7)
    line(image, [(0.24, 0.80), (0.60, 0.62), (0.54, 0.90), (0.66, 0.91)], look.trousers, 0.14)
    oval(image, x + 0.34, 0.60, 0.34, 0.23, look.shirt, -50)
    disc(image, x + 0.70, 0.47, 0.16, look.hair)
    disc(image, x + 0.72, 0.51, 0.13, look.skin)
    line(image, [(x + 0.42, 0.44), (x + 0.64, 0.28), (x + 0.84, 0.38)], arm, 0.11)
    line(image, [(x + 0.46, 0.58), (x + 0.70, 0.66), (x + 0.86, 0.52)], arm, 0.10)
    disc(image, x + 0.86, 0.40, 0.065, look.skin)
    disc(image, x + 0.87, 0.51, 0.06, look.skin)
    _mirror(image, flip)


def raised_stick(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person swinging a long stick above the head."""
    look, flip = ink.random_look(rng), rng.random()
    tilt = math.radians(-22 + 14 * _wave(phase, 1.2))
    dx, dy = 0.44 * math.cos(tilt), 0.44 * math.sin(tilt)
    _figure(image, look, 0.5, 0.82, (((-0.24, -0.74), (-0.16, -0.88)), ((0.24, -0.78), (0.16, -1))))
    line(image, [(0.5 - dx, 0.19 - dy), (0.5 + dx, 0.19 + dy)], _shade(WOOD, 0.5), 0.12)
    line(image, [(0.5 - dx, 0.19 - dy), (0.5 + dx, 0.19 + dy)], (170, 105, 45), 0.08)
    for reach in (-0.3, 0.3):
        disc(image, 0.5 + reach * dx, 0.19 + reach * dy, 0.055, look.skin)
    _mirror(image, flip)


def crying_child(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A child with a large head, hands at the face, streams of tears."""
    look, flip = ink.random_look(rng), rng.random()
    _figure(
        image, look, 0.5, 0.62, (), (((-0.13, 0),), ((0.13, 0),)), head=(0, -0.66), hip=(0, -0.3)
    )
    disc(image, 0.5, 0.33, 0.29, look.hair)
    oval(image, 0.5, 0.38, 0.25, 0.23, look.skin)
    oval(image, 0.5, 0.51, 0.10, 0.07 + 0.02 * _wave(phase, 1.0), (110, 20, 25))
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
    _mirror(image, flip)


def people_running_away(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Three people running in one direction, leaning forward, with long strides."""
    looks, flip = [ink.random_look(rng) for _ in range(3)], rng.random()
    for index, (look, x, size, lift) in enumerate(
        zip(looks, (0.48, 0.21, 0.71), (0.56, 0.64, 0.64), (0.34, 0.04, 0.0), strict=True)
    ):
        stride = 0.75 + 0.25 * _wave(phase, 2.0, index / 3)
        legs = ((-0.14, -0.30), (-0.42 * stride, -0.22)), ((0.22, -0.36), (0.34 * stride, -0.04))
        arms = ((-0.02, -0.48), (-0.22, -0.46)), ((0.26, -0.48), (0.38, -0.62))
        _figure(image, look, x, size, arms, legs, head=(0.19, -0.84), lift=lift)
    _mirror(image, flip)


def angry_crowd(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Two packed rows of shouting heads under raised fists."""
    looks, flip = [ink.random_look(rng) for _ in range(7)], rng.random()
    places = [
        (0.14, 0.42),
        (0.38, 0.40),
        (0.62, 0.42),
        (0.86, 0.40),
        (0.20, 0.66),
        (0.50, 0.64),
        (0.80, 0.66),
    ]
    for index, (look, (x, y)) in enumerate(zip(looks, places, strict=True)):
        y += 0.02 * _wave(phase, 1.5, index / 4)
        if index < 4:
            up = 0.11 + 0.05 * _wave(phase, 1.5, index / 3)
            line(image, [(x + 0.08, y + 0.1), (x + 0.08, up)], look.shirt, 0.07)
            disc(image, x + 0.08, up, 0.062, look.skin)
        line(image, [(x, y + 0.22), (x, 0.86)], look.shirt, 0.20)
        disc(image, x, y - 0.015, 0.105, look.hair)
        disc(image, x, y + 0.015, 0.09, look.skin)
        disc(image, x, y + 0.05, 0.042, (120, 15, 15))
    _mirror(image, flip)


def riot_shields(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A row of three helmets behind tall blue shields."""
    looks, tint, flip = [ink.random_look(rng) for _ in range(3)], rng.random(), rng.random()
    glass = (95 + int(60 * tint), 165 + int(40 * tint), 235)
    for index, (look, x) in enumerate(zip(looks, (0.18, 0.50, 0.82), strict=True)):
        y = 0.02 * _wave(phase, 1.0, index / 3)
        disc(image, x, y + 0.19, 0.12, NAVY)
        box(image, x - 0.08, y + 0.18, x + 0.08, y + 0.27, look.skin)
        box(image, x - 0.145, y + 0.33, x + 0.145, GROUND, NAVY)
        box(image, x - 0.12, y + 0.355, x + 0.12, GROUND - 0.03, glass)
        line(image, [(x - 0.06, y + 0.84), (x + 0.07, y + 0.64)], WHITE, 0.03)
        box(image, x - 0.12, y + 0.46, x + 0.12, y + 0.57, WHITE)
    _mirror(image, flip)


def crowd_attacking_police(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Several people with sticks set upon one helmeted officer behind a shield."""
    looks, flip = [ink.random_look(rng) for _ in range(4)], rng.random()
    skin = looks.pop().skin
    _figure(
        image,
        Look(skin, NAVY, NAVY, NAVY),
        0.78,
        0.96,
        (),
        (((-0.1, 0),), ((0.14, 0),)),
        head=(0.05, -0.72),
        hip=(0.02, -0.36),
        head_size=0.15,
    )
    oval(image, 0.83, 0.25, 0.15, 0.15, NAVY, start=180, end=360)
    line(image, [(0.70, 0.27), (0.95, 0.27)], WHITE, 0.055)
    line(image, [(0.66, 0.45), (0.66, 0.83)], WHITE, 0.20)
    line(image, [(0.66, 0.45), (0.66, 0.83)], (70, 150, 245), 0.15)
    for index, (look, x, base) in enumerate(
        zip(looks, (0.40, 0.13, 0.28), (0.78, 0.82, 0.95), strict=True)
    ):
        hand = (x + 0.10, base - 0.56 + 0.05 * _wave(phase, 1.8, index / 3))
        line(image, [(x, base - 0.24), (x, base - 0.05)], look.shirt, 0.17)
        line(
            image,
            [(hand[0] - 0.05, hand[1] + 0.06), (hand[0] + 0.15, hand[1] - 0.14)],
            (160, 95, 35),
            0.055,
        )
        line(image, [(x + 0.06, base - 0.26), hand], _shade(look.shirt, 0.75), 0.06)
        disc(image, *hand, 0.045, look.skin)
        disc(image, x, base - 0.40, 0.09, look.hair)
        disc(image, x + 0.015, base - 0.38, 0.075, look.skin)
        disc(image, x + 0.04, base - 0.355, 0.03, (120, 15, 15))
    _mirror(image, flip)


def referee(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A black and white striped shirt, one arm straight up with a card."""
    look, card, flip = ink.random_look(rng), rng.random(), rng.random()
    up = 0.16 + 0.03 * _wave(phase, 1.0)
    dark = Look(look.skin, WHITE, BLACK, look.hair)
    _figure(image, dark, 0.45, 0.92, (((-0.24, -0.34),),), head=(0, -0.84), hip=(0, -0.36))
    line(image, [(0.58, 0.39), (0.72, up)], BLACK, 0.10)
    for stripe in range(6):
        left = 0.27 + 0.06 * stripe
        box(image, left, 0.32, left + 0.06, 0.68, (BLACK, WHITE)[stripe % 2])
    disc(image, 0.72, up, 0.05, look.skin)
    box(image, 0.69, up - 0.13, 0.82, up + 0.02, (250, 220, 20) if card < 0.5 else RED)
    _mirror(image, flip)


def nurse(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A white dress and cap with red crosses, a red-cross bag in the hand."""
    look, flip = ink.random_look(rng), rng.random()
    swing = 0.02 * _wave(phase, 0.8)
    white = Look(look.skin, WHITE, look.skin, look.hair)
    _figure(
        image,
        white,
        0.42,
        0.98,
        (((-0.20, -0.36),), ((0.22, -0.38),)),
        (((-0.07, 0),), ((0.07, 0),)),
        head_size=0.12,
    )
    polygon(image, [(0.32, 0.34), (0.52, 0.34), (0.66, 0.82), (0.18, 0.82)], WHITE)
    box(image, 0.28, 0.03, 0.56, 0.13, WHITE)
    _cross(image, 0.42, 0.08, 0.055)
    _cross(image, 0.42, 0.56, 0.13)
    box(image, 0.60 + swing, 0.62, 0.94 + swing, 0.88, (230, 230, 235))
    _cross(image, 0.77 + swing, 0.75, 0.10)
    _mirror(image, flip)


def film_crew(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A film camera with two reels on a tripod, its operator, a boom microphone."""
    look, flip = ink.random_look(rng), rng.random()
    pan = 0.015 * _wave(phase, 0.4)
    _figure(image, look, 0.17, 0.86, (((0.22, -0.56),),))
    for foot in (0.36, 0.60, 0.86):
        line(image, [(0.60, 0.60), (foot, GROUND)], (70, 70, 75), 0.05)
    for reel in (0.50, 0.69):
        disc(image, reel + pan, 0.32, 0.115, BLACK)
        disc(image, reel + pan, 0.32, 0.05, EDGE)
    box(image, 0.42 + pan, 0.40, 0.78 + pan, 0.64, BLACK)
    polygon(image, [(0.78 + pan, 0.52), (0.95 + pan, 0.42), (0.95 + pan, 0.64)], (60, 60, 66))
    disc(image, 0.52 + pan, 0.48, 0.035, RED)
    line(image, [(0.04, 0.10), (0.76, 0.07)], EDGE, 0.035)
    line(image, [(0.76, 0.09), (0.90, 0.14)], (95, 95, 100), 0.12)
    _mirror(image, flip)


def street_vendor(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A wheeled cart with goods under a striped awning, the seller behind it."""
    look, cart = ink.random_look(rng), ink.random_colour(rng)
    awning, flip = ((205, 40, 40), (30, 120, 60), (40, 80, 190))[rng.integers(3)], rng.random()
    goods = [ink.random_colour(rng, 120, 250) for _ in range(4)]
    x = 0.46 + 0.05 * _wave(phase, 0.4)
    line(image, [(x, 0.52), (x, 0.66)], look.shirt, 0.2)
    disc(image, x, 0.40, 0.085, look.hair)
    disc(image, x, 0.42, 0.075, look.skin)
    for post in (0.12, 0.88):
        line(image, [(post, 0.2), (post, 0.7)], (90, 70, 55), 0.04)
    for stripe in range(6):
        left = 0.04 + 0.92 / 6 * stripe
        colour = (awning, WHITE)[stripe % 2]
        box(image, left, 0.07, left + 0.92 / 6, 0.26, colour)
        disc(image, left + 0.92 / 12, 0.26, 0.92 / 12, colour)
    for index, colour in enumerate(goods):
        disc(image, 0.20 + 0.2 * index, 0.60, 0.085, colour)
    box(image, 0.07, 0.62, 0.93, 0.83, cart)
    for wheel in (0.26, 0.74):
        disc(image, wheel, 0.84, 0.11, BLACK)
        disc(image, wheel, 0.84, 0.05, EDGE)
    _mirror(image, flip)


def crash_test_dummy(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A yellow body with black and yellow quartered discs on head, chest and knees."""
    green, flip = int(rng.integers(180, 215)), rng.random()
    yellow, nod = (245, green, 30), 0.02 * _wave(phase, 1.0)
    line(image, [(0.5, 0.14 + nod), (0.5, 0.40)], _shade(yellow, 0.6), 0.09)
    for side in (-1, 1):
        line(image, [(0.5 + side * 0.10, 0.66), (0.5 + side * 0.14, GROUND - 0.05)], yellow, 0.13)
        line(
            image,
            [(0.5 + side * 0.18, 0.42), (0.5 + side * 0.36, 0.56), (0.5 + side * 0.38, 0.72)],
            yellow,
            0.11,
        )
        _target(image, 0.5 + side * 0.12, 0.82, 0.075, yellow)
        _target(image, 0.5 + side * 0.36, 0.55, 0.07, yellow)
    box(image, 0.28, 0.36, 0.72, 0.70, yellow)
    _target(image, 0.5, 0.53, 0.15, yellow)
    oval(image, 0.5, 0.18 + nod, 0.14, 0.15, yellow)
    _target(image, 0.5, 0.18 + nod, 0.10, yellow)
    _mirror(image, flip)


def toy_gun(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A child squirting water from a bright plastic gun with a tank on top."""
    look, flip = ink.random_look(rng), rng.random()
    plastic, tank = (((255, 120, 0), (120, 250, 30)), ((130, 250, 20), (255, 125, 10)))[
        rng.integers(2)
    ]
    hand = (0.42, 0.58 + 0.02 * _wave(phase, 0.8))
    _figure(
        image, look, 0.21, 0.72, (((0.27, -0.48),),), head=(0, -0.76), hip=(0, -0.3), head_size=0.19
    )
    line(image, [(hand[0] + 0.06, hand[1] - 0.14), (hand[0] + 0.16, hand[1] - 0.14)], tank, 0.13)
    _pistol(image, *hand, plastic, _shade(plastic, 0.6))
    disc(image, hand[0] + 0.36, hand[1] - 0.03, 0.06, tank)
    disc(image, hand[0] + 0.02, hand[1] + 0.06, 0.05, look.skin)
    for drop in range(3):
        fly = (phase * 1.5 + drop / 3) % 1.0
        disc(image, 0.86 + 0.08 * fly, hand[1] - 0.02 + 0.24 * fly * fly, 0.035, (70, 190, 255))
    _mirror(image, flip)


def protest_sign(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person holding up a large white placard with lines of writing."""
    look, text, flip = ink.random_look(rng), ink.random_colour(rng, 0, 140), rng.random()
    lengths = rng.uniform(0.45, 0.66, 3).tolist()
    sway = 0.03 * _wave(phase, 0.8)
    arms = ((-0.24, -0.60), (-0.06, -0.86)), ((0.24, -0.60), (0.06, -0.80))
    _figure(image, look, 0.5, 0.56, arms)
    line(image, [(0.5, 0.64), (0.5 + sway, 0.3)], WOOD, 0.05)
    box(image, 0.08 + sway, 0.04, 0.92 + sway, 0.46, (60, 60, 60))
    box(image, 0.105 + sway, 0.065, 0.895 + sway, 0.435, (250, 248, 235))
    for y, length in zip((0.14, 0.25, 0.36), lengths, strict=True):
        line(image, [(0.17 + sway, y), (0.17 + sway + length, y)], text, 0.06)
    _mirror(image, flip)


DRAW: dict[str, Callable[[np.ndarray, np.random.Generator, float], None]] = {
    draw.__name__.replace("_", " "): draw
    for draw in (
        people_punching,
        person_kicking,
        raised_fists,
        person_on_the_ground,
        crowd_in_a_circle,
        masked_gunman,
        gun_in_hand,
        people_taking_cover,
        person_beating_a_victim,
        victim_tied_up,
        cowering_person,
        raised_stick,
        crying_child,
        people_running_away,
        angry_crowd,
        riot_shields,
        crowd_attacking_police,
        referee,
        nurse,
        film_crew,
        street_vendor,
        crash_test_dummy,
        toy_gun,
        protest_sign,
    )
}


def _figure(
    image: np.ndarray,
    look: Look,
    x: float,
    size: float,
    arms: Sequence[Sequence[Point]],
    legs: Sequence[Sequence[Point]] = STANDING,
    head: Point = (0.0, -0.78),
    hip: Point = (0.0, -0.40),
    facing: int = 1,
    fist: float = 0.055,
    head_size: float = 0.105,
    lift: float = 0.0,
) -> None:
    """A thick-limbed person from joint positions in body heights, (0, 0) between the soles.

    ``arms`` are paths from the shoulder to the hand, ``legs`` from the hip to the foot; ``lift``
    raises the soles above the ground line, for people further away.
    """

    def place(point: Point) -> Point:
        return x + facing * size * point[0], GROUND - lift + size * point[1]

    dx, dy = hip[0] - head[0], hip[1] - head[1]
    neck = 0.19 / math.hypot(dx, dy)
    shoulder = place((head[0] + neck * dx, head[1] + neck * dy))
    for leg in legs:
        line(image, [place(hip), *map(place, leg)], look.trousers, 0.10 * size)
    line(image, [shoulder, place(hip)], look.shirt, 0.20 * size)
    disc(image, *place((head[0], head[1] - 0.015)), (head_size + 0.01) * size, look.hair)
    disc(image, *place((head[0] + 0.012, head[1] + 0.015)), (head_size - 0.01) * size, look.skin)
    for arm in arms:
        line(image, [shoulder, *map(place, arm)], _shade(look.shirt, 0.75), 0.085 * size)
        disc(image, *place(arm[-1]), fist * size, look.skin)


def _pistol(image: np.ndarray, x: float, y: float, colour: Colour, edge: Colour) -> None:
    """An outlined pistol pointing right, its grip at (x, y)."""
    for grow, paint in ((0.035, edge), (0.0, colour)):
        line(image, [(x, y - 0.03), (x + 0.36, y - 0.03)], paint, 0.10 + grow)
        line(image, [(x + 0.02, y), (x - 0.01, y + 0.14)], paint, 0.085 + grow)
        line(image, [(x + 0.13, y + 0.04), (x + 0.09, y + 0.08)], paint, 0.03 + grow)


def _cross(image: np.ndarray, x: float, y: float, arm: float) -> None:
    box(image, x - arm, y - arm / 3, x + arm, y + arm / 3, RED)
    box(image, x - arm / 3, y - arm, x + arm / 3, y + arm, RED)


def _target(image: np.ndarray, x: float, y: float, radius: float, yellow: Colour) -> None:
    disc(image, x, y, radius, BLACK)
    for start in (0, 180):
        oval(image, x, y, 0.85 * radius, 0.85 * radius, yellow, start=start, end=start + 90)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return int(red * factor), int(green * factor), int(blue * factor)


def _wave(phase: float, hertz: float, turn: float = 0.0) -> float:
    return math.sin(2 * math.pi * (hertz * phase + turn) + 0.5)


def _mirror(image: np.ndarray, flip: float) -> None:
    if flip < 0.5:
        image[:] = image[:, ::-1].copy()
