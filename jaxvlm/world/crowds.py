"""Crowds, and the people whose presence makes a picture harmless.

Drawn as described in ``people``.
"""

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.figures import (
    BLACK,
    EDGE,
    GROUND,
    NAVY,
    RED,
    WHITE,
    WOOD,
    Figure,
    draw_cross,
    draw_figure,
    draw_pistol,
    draw_target,
    mirror,
    shade,
    wave,
)
from jaxvlm.world.ink import Look, box, disc, line, oval, polygon, sector


def people_running_away(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Three people running in one direction, leaning forward, with long strides."""
    looks, flip = [ink.random_look(rng) for _ in range(3)], rng.random()
    for index, (look, x, size, lift) in enumerate(
        zip(looks, (0.48, 0.21, 0.71), (0.56, 0.64, 0.64), (0.34, 0.04, 0.0), strict=True)
    ):
        stride = 0.75 + 0.25 * wave(phase, 2.0, index / 3)
        legs = ((-0.14, -0.30), (-0.42 * stride, -0.22)), ((0.22, -0.36), (0.34 * stride, -0.04))
        arms = ((-0.02, -0.48), (-0.22, -0.46)), ((0.26, -0.48), (0.38, -0.62))
        draw_figure(image, look, x, size, Figure(arms, legs, head=(0.19, -0.84)), lift=lift)
    mirror(image, flip)


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
        y += 0.02 * wave(phase, 1.5, index / 4)
        if index < 4:
            up = 0.11 + 0.05 * wave(phase, 1.5, index / 3)
            line(image, [(x + 0.08, y + 0.1), (x + 0.08, up)], look.shirt, 0.07)
            disc(image, x + 0.08, up, 0.062, look.skin)
        line(image, [(x, y + 0.22), (x, 0.86)], look.shirt, 0.20)
        disc(image, x, y - 0.015, 0.105, look.hair)
        disc(image, x, y + 0.015, 0.09, look.skin)
        disc(image, x, y + 0.05, 0.042, (120, 15, 15))
    mirror(image, flip)


def riot_shields(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A row of three helmets behind tall blue shields."""
    looks, tint, flip = [ink.random_look(rng) for _ in range(3)], rng.random(), rng.random()
    glass = (95 + int(60 * tint), 165 + int(40 * tint), 235)
    for index, (look, x) in enumerate(zip(looks, (0.18, 0.50, 0.82), strict=True)):
        y = 0.02 * wave(phase, 1.0, index / 3)
        disc(image, x, y + 0.19, 0.12, NAVY)
        box(image, x - 0.08, y + 0.18, x + 0.08, y + 0.27, look.skin)
        box(image, x - 0.145, y + 0.33, x + 0.145, GROUND, NAVY)
        box(image, x - 0.12, y + 0.355, x + 0.12, GROUND - 0.03, glass)
        line(image, [(x - 0.06, y + 0.84), (x + 0.07, y + 0.64)], WHITE, 0.03)
        box(image, x - 0.12, y + 0.46, x + 0.12, y + 0.57, WHITE)
    mirror(image, flip)


def crowd_attacking_police(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Several people with sticks set upon one helmeted officer behind a shield."""
    looks, flip = [ink.random_look(rng) for _ in range(4)], rng.random()
    skin = looks.pop().skin
    body = Figure(
        arms=(),
        legs=(((-0.1, 0),), ((0.14, 0),)),
        head=(0.05, -0.72),
        hip=(0.02, -0.36),
        head_size=0.15,
    )
    draw_figure(image, Look(skin, NAVY, NAVY, NAVY), 0.78, 0.96, body)
    sector(image, 0.83, 0.25, 0.15, 0.15, NAVY, 180, 360)
    line(image, [(0.70, 0.27), (0.95, 0.27)], WHITE, 0.055)
    line(image, [(0.66, 0.45), (0.66, 0.83)], WHITE, 0.20)
    line(image, [(0.66, 0.45), (0.66, 0.83)], (70, 150, 245), 0.15)
    for index, (look, x, base) in enumerate(
        zip(looks, (0.40, 0.13, 0.28), (0.78, 0.82, 0.95), strict=True)
    ):
        hand = (x + 0.10, base - 0.56 + 0.05 * wave(phase, 1.8, index / 3))
        line(image, [(x, base - 0.24), (x, base - 0.05)], look.shirt, 0.17)
        line(
            image,
            [(hand[0] - 0.05, hand[1] + 0.06), (hand[0] + 0.15, hand[1] - 0.14)],
            (160, 95, 35),
            0.055,
        )
        line(image, [(x + 0.06, base - 0.26), hand], shade(look.shirt, 0.75), 0.06)
        disc(image, *hand, 0.045, look.skin)
        disc(image, x, base - 0.40, 0.09, look.hair)
        disc(image, x + 0.015, base - 0.38, 0.075, look.skin)
        disc(image, x + 0.04, base - 0.355, 0.03, (120, 15, 15))
    mirror(image, flip)


def referee(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A black and white striped shirt, one arm straight up with a card."""
    look, card, flip = ink.random_look(rng), rng.random(), rng.random()
    up = 0.16 + 0.03 * wave(phase, 1.0)
    dark = Look(look.skin, WHITE, BLACK, look.hair)
    draw_figure(
        image, dark, 0.45, 0.92, Figure(arms=(((-0.24, -0.34),),), head=(0, -0.84), hip=(0, -0.36))
    )
    line(image, [(0.58, 0.39), (0.72, up)], BLACK, 0.10)
    for stripe in range(6):
        left = 0.27 + 0.06 * stripe
        box(image, left, 0.32, left + 0.06, 0.68, (BLACK, WHITE)[stripe % 2])
    disc(image, 0.72, up, 0.05, look.skin)
    box(image, 0.69, up - 0.13, 0.82, up + 0.02, (250, 220, 20) if card < 0.5 else RED)
    mirror(image, flip)


def nurse(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A white dress and cap with red crosses, a red-cross bag in the hand."""
    look, flip = ink.random_look(rng), rng.random()
    swing = 0.02 * wave(phase, 0.8)
    white = Look(look.skin, WHITE, look.skin, look.hair)
    body = Figure(
        arms=(((-0.20, -0.36),), ((0.22, -0.38),)),
        legs=(((-0.07, 0),), ((0.07, 0),)),
        head_size=0.12,
    )
    draw_figure(image, white, 0.42, 0.98, body)
    polygon(image, [(0.32, 0.34), (0.52, 0.34), (0.66, 0.82), (0.18, 0.82)], WHITE)
    box(image, 0.28, 0.03, 0.56, 0.13, WHITE)
    draw_cross(image, 0.42, 0.08, 0.055)
    draw_cross(image, 0.42, 0.56, 0.13)
    box(image, 0.60 + swing, 0.62, 0.94 + swing, 0.88, (230, 230, 235))
    draw_cross(image, 0.77 + swing, 0.75, 0.10)
    mirror(image, flip)


def film_crew(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A film camera with two reels on a tripod, its operator, a boom microphone."""
    look, flip = ink.random_look(rng), rng.random()
    pan = 0.015 * wave(phase, 0.4)
    draw_figure(image, look, 0.17, 0.86, Figure(arms=(((0.22, -0.56),),)))
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
    mirror(image, flip)


def street_vendor(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A wheeled cart with goods under a striped awning, the seller behind it."""
    look, cart = ink.random_look(rng), ink.random_colour(rng)
    awning, flip = ((205, 40, 40), (30, 120, 60), (40, 80, 190))[rng.integers(3)], rng.random()
    goods = [ink.random_colour(rng, 120, 250) for _ in range(4)]
    x = 0.46 + 0.05 * wave(phase, 0.4)
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
    mirror(image, flip)


def crash_test_dummy(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A yellow body with black and yellow quartered discs on head, chest and knees."""
    green, flip = int(rng.integers(180, 215)), rng.random()
    yellow, nod = (245, green, 30), 0.02 * wave(phase, 1.0)
    line(image, [(0.5, 0.14 + nod), (0.5, 0.40)], shade(yellow, 0.6), 0.09)
    for side in (-1, 1):
        line(image, [(0.5 + side * 0.10, 0.66), (0.5 + side * 0.14, GROUND - 0.05)], yellow, 0.13)
        line(
            image,
            [(0.5 + side * 0.18, 0.42), (0.5 + side * 0.36, 0.56), (0.5 + side * 0.38, 0.72)],
            yellow,
            0.11,
        )
        draw_target(image, 0.5 + side * 0.12, 0.82, 0.075, yellow)
        draw_target(image, 0.5 + side * 0.36, 0.55, 0.07, yellow)
    box(image, 0.28, 0.36, 0.72, 0.70, yellow)
    draw_target(image, 0.5, 0.53, 0.15, yellow)
    oval(image, 0.5, 0.18 + nod, 0.14, 0.15, yellow)
    draw_target(image, 0.5, 0.18 + nod, 0.10, yellow)
    mirror(image, flip)


def toy_gun(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A child squirting water from a bright plastic gun with a tank on top."""
    look, flip = ink.random_look(rng), rng.random()
    plastic, tank = (((255, 120, 0), (120, 250, 30)), ((130, 250, 20), (255, 125, 10)))[
        rng.integers(2)
    ]
    hand = (0.42, 0.58 + 0.02 * wave(phase, 0.8))
    body = Figure(arms=(((0.27, -0.48),),), head=(0, -0.76), hip=(0, -0.3), head_size=0.19)
    draw_figure(image, look, 0.21, 0.72, body)
    line(image, [(hand[0] + 0.06, hand[1] - 0.14), (hand[0] + 0.16, hand[1] - 0.14)], tank, 0.13)
    draw_pistol(image, *hand, plastic, shade(plastic, 0.6))
    disc(image, hand[0] + 0.36, hand[1] - 0.03, 0.06, tank)
    disc(image, hand[0] + 0.02, hand[1] + 0.06, 0.05, look.skin)
    for drop in range(3):
        fly = (phase * 1.5 + drop / 3) % 1.0
        disc(image, 0.86 + 0.08 * fly, hand[1] - 0.02 + 0.24 * fly * fly, 0.035, (70, 190, 255))
    mirror(image, flip)


def protest_sign(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """One person holding up a large white placard with lines of writing."""
    look, text, flip = ink.random_look(rng), ink.random_colour(rng, 0, 140), rng.random()
    lengths = rng.uniform(0.45, 0.66, 3).tolist()
    sway = 0.03 * wave(phase, 0.8)
    arms = ((-0.24, -0.60), (-0.06, -0.86)), ((0.24, -0.60), (0.06, -0.80))
    draw_figure(image, look, 0.5, 0.56, Figure(arms))
    line(image, [(0.5, 0.64), (0.5 + sway, 0.3)], WOOD, 0.05)
    box(image, 0.08 + sway, 0.04, 0.92 + sway, 0.46, (60, 60, 60))
    box(image, 0.105 + sway, 0.065, 0.895 + sway, 0.435, (250, 248, 235))
    for y, length in zip((0.14, 0.25, 0.36), lengths, strict=True):
        line(image, [(0.17 + sway, y), (0.17 + sway + length, y)], text, 0.06)
    mirror(image, flip)
