"""Atoms of the rendered world that are things, not people: fire, smoke, stones, balloons.

The larger groups have modules of their own, ``stages`` and ``wrecks``; ``DRAW`` holds them all.

Every drawing fills a transparent sprite and stands on its lower edge. ``rng`` fixes colours and
variant, ``phase`` (seconds) animates. No random number depends on the phase, so a generator made
again from one seed gives the same thing at another time. Atoms differ by structure, and the
harmless ones are as bright as the others, so brightness tells nothing about events.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from jaxvlm.world import ink, stages, wrecks
from jaxvlm.world.forms import BLACK, DARK, PANE, PARTY, WHITE, flip, radial, turned, wave
from jaxvlm.world.ink import Colour, Point
from jaxvlm.world.shapes import around, pick, shade

Drawing = Callable[[np.ndarray, np.random.Generator, float], None]


def blast_flash(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A white-hot burst of long spikes."""
    spikes, turn, offset = int(rng.integers(8, 12)), *rng.random(2).tolist()
    grow = 0.93 + 0.07 * wave(phase, 5.3, offset)
    lengths = rng.uniform(0.8, 1.0, spikes).tolist()
    for scale, colour in ((1.0, (250, 130, 25)), (0.78, (255, 220, 70)), (0.52, WHITE)):
        radii = [grow * scale * r for length in lengths for r in (0.51 * length, 0.20)]
        radial(image, 0.5, 0.5, radii, turn, colour)


def fireball(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A mushroom of fire puffs with a dark, scalloped rim."""
    count, turn = 8, rng.random()
    sizes = rng.uniform(0.11, 0.15, count).tolist()
    puffs = [
        (0.5, 0.33, 0.16),
        (0.5, 0.58, 0.12),
        (0.5, 0.72, 0.13),
        (0.31, 0.86, 0.09),
        (0.5, 0.86, 0.1),
        (0.69, 0.86, 0.09),
    ]
    for k, size in enumerate(sizes):
        angle = 2 * math.pi * (turn + k / count)
        size += 0.015 * wave(phase, 1.37, 0.4 * k)
        puffs.append((0.5 + 0.28 * math.cos(angle), 0.32 + 0.13 * math.sin(angle), size))
    _billow(
        image,
        puffs,
        [
            (1.35, 0.0, (60, 28, 20), 1.0),
            (1.0, 0.0, (205, 50, 20), 1.0),
            (0.7, 0.0, (245, 130, 25), 1.0),
            (0.35, 0.02, (255, 215, 90), 1.0),
        ],
    )


def smoke_plume(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A leaning column of smoke that widens upwards."""
    lean, offset, grey = rng.uniform(-0.16, 0.16), rng.random(), int(rng.integers(35, 110))
    puffs = []
    for k in range(10):
        t = k / 9
        spread = 0.2 * (k % 3 - 1 if k < 9 else 0) + 0.04 * wave(phase, 0.63, offset - t)
        x = 0.5 + lean * (2 * t - 1) + t * spread
        puffs.append((x, 0.91 - 0.66 * t, 0.07 + 0.12 * t + 0.01 * wave(phase, 1.07, 0.3 * k)))
    _billow(
        image,
        puffs,
        [
            (1.3, 0.0, (grey,) * 3, 0.45),
            (1.0, 0.0, (grey,) * 3, 0.95),
            (0.6, -0.03, (grey + 45,) * 3, 0.95),
        ],
    )


def flying_debris(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Dark angular fragments flying apart, each with a straight streak behind it."""
    for k, (jitter, start, size, spin) in enumerate(rng.random((10, 4)).tolist()):
        angle = 2 * math.pi * (k + 0.8 * jitter) / 10
        reach = 0.24 + 0.2 * ((0.6 * start + 0.5 * k + 0.5 * phase) % 1)
        tail, (x, y) = around(0.5, 0.5, 0.35 * reach, angle), around(0.5, 0.5, reach, angle)
        size = 0.06 + 0.07 * size
        ink.line(image, [tail, (x, y)], (205, 190, 165), 0.025, 0.85)
        shape = [size, 0.9 * size, 0.8 * size, *([0.6 * size] * (k % 2))]
        radial(image, x, y, shape, spin + 0.5 * phase, (35 + 30 * (k % 2), 34, 32))


def shattered_window(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A window with a jagged hole and cracks running from it to the frame."""
    frame = pick(rng, (225, 225, 220), (130, 85, 50), (45, 95, 75), (110, 112, 120))
    x, y, turn = rng.uniform(0.42, 0.58, 3).tolist()
    ink.box(image, 0.06, 0.04, 0.94, 0.96, frame)
    ink.box(image, 0.15, 0.13, 0.85, 0.87, PANE)
    for k in range(9):
        angle = 2 * math.pi * (turn + k / 9)
        dx, dy = math.cos(angle), math.sin(angle)
        reach = 0.34 / max(abs(dx), abs(dy))
        ink.line(image, [(x, y), (0.5 + reach * dx, 0.5 + reach * dy)], WHITE, 0.02)
    radii = [r for far in rng.uniform(0.2, 0.3, 9).tolist() for r in (far, 0.11)]
    radial(image, x, y, radii, turn, BLACK)
    ink.box(image, 0.02, 0.9, 0.98, 0.98, shade(frame, 0.6))


def knocked_over_chair(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A chair on its back: rest along the floor, seat upright, legs in the air."""
    wood = pick(rng, (150, 95, 50), (200, 155, 95), (110, 40, 35), (60, 90, 120))
    dark, tilt = shade(wood, 0.65), rng.uniform(-5, 5)
    for a, b in (((0.58, 0.72), (0.96, 0.68)), ((0.58, 0.16), (0.94, 0.06))):
        ink.line(image, turned([a, b], 0.5, 0.5, tilt), dark, 0.06)
    rest = [(0.06, 0.76), (0.56, 0.72), (0.44, 0.9), (0.02, 0.94)]
    ink.line(image, turned([*rest, rest[0]], 0.5, 0.5, tilt), dark, 0.06)
    for a, b in (((0.22, 0.75), (0.17, 0.92)), ((0.38, 0.74), (0.31, 0.91))):
        ink.line(image, turned([a, b], 0.5, 0.5, tilt), dark, 0.05)
    seat = [(0.37, 0.30), (0.62, 0.10), (0.62, 0.73), (0.37, 0.95)]
    ink.polygon(image, turned(seat, 0.5, 0.5, tilt), wood)
    for a, b in (((0.4, 0.91), (0.84, 0.93)), ((0.4, 0.31), (0.82, 0.28))):
        ink.line(image, turned([a, b], 0.5, 0.5, tilt), wood, 0.07)
    flip(image, rng)


def muzzle_flash(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A large black gun with a cone of fire at its muzzle."""
    offset, steel = rng.random(), pick(rng, BLACK, (35, 38, 45), (55, 50, 45))
    reach = 0.85 + 0.15 * wave(phase, 6.7, offset)
    for scale, colour in ((1.0, (250, 135, 25)), (0.75, (255, 225, 80)), (0.45, WHITE)):
        cone = ((0.0, 0.05), (0.3, 0.34), (0.25, 0.17), (0.45, 0.16), (0.38, 0.06), (0.5, 0.0))
        upper = [(0.48 + scale * reach * x, 0.4 - scale * y) for x, y in cone]
        ink.polygon(image, [*upper, *((x, 0.8 - y) for x, y in reversed(upper))], colour)
    ink.box(image, 0.02, 0.29, 0.52, 0.51, steel)
    ink.box(image, 0.44, 0.22, 0.5, 0.3, steel)
    ink.polygon(image, [(0.06, 0.48), (0.27, 0.48), (0.22, 0.95), (0.0, 0.95)], steel)
    ink.line(image, [(0.25, 0.62), (0.38, 0.62), (0.4, 0.5)], steel, 0.04)
    ink.line(image, [(0.04, 0.34), (0.5, 0.34)], (130, 130, 138), 0.03)
    flip(image, rng)


def bullet_holes(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A piece of wall with a row of dark holes in chipped, cracked rims."""
    wall = pick(rng, (165, 95, 70), (165, 160, 150), (200, 180, 140), (110, 130, 125))
    ink.box(image, 0.03, 0.06, 0.97, 0.96, wall)
    for k in range(1, 4):
        ink.line(
            image, [(0.03, 0.06 + 0.225 * k), (0.97, 0.06 + 0.225 * k)], shade(wall, 0.75), 0.02
        )
    slope, count = rng.uniform(-0.35, 0.35), int(rng.integers(3, 5))
    for k, (jitter, turn) in enumerate(rng.random((count, 2)).tolist()):
        x = 0.03 + 0.94 * (k + 0.5) / count
        y = 0.5 + slope * (x - 0.5) + 0.12 * (jitter - 0.5)
        radial(image, x, y, [0.2, 0.05, 0.15, 0.05] * 2 + [0.18, 0.05], turn, DARK)
        radial(image, x, y, [0.13, 0.1] * 4, turn, (235, 228, 215))
        ink.disc(image, x, y, 0.075, BLACK)


def burning_barricade(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A row of tyres and planks with flames on top."""
    offsets, bend = rng.random(5).tolist(), rng.uniform(-0.08, 0.08)
    for scale, colour in ((1.0, (215, 60, 20)), (0.72, (248, 145, 30)), (0.4, (255, 225, 95))):
        for k, offset in enumerate(offsets):
            x, flicker = 0.14 + 0.18 * k, wave(phase, 2.3, offset)
            top = 0.72 - scale * (0.46 + 0.14 * (k % 2) + 0.06 * flicker)
            ink.polygon(
                image,
                [
                    (x + bend + 0.04 * flicker, top),
                    (x + 0.13 * scale, 0.62),
                    (x, 0.78),
                    (x - 0.13 * scale, 0.62),
                ],
                colour,
            )
    for x0, y0, x1, y1 in ((0.06, 0.58, 0.5, 0.9), (0.94, 0.56, 0.55, 0.92), (0.3, 0.9, 0.7, 0.55)):
        ink.line(image, [(x0, y0), (x1, y1)], (135, 90, 50), 0.07)
    for k in range(4):
        ink.disc(image, 0.15 + 0.233 * k, 0.83, 0.13, BLACK)
        ink.disc(image, 0.15 + 0.233 * k, 0.83, 0.055, (120, 115, 110))


def thrown_stones(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """Grey stones on their way along arcs, with the arcs behind them."""
    for k, (start, height, size, grey) in enumerate(rng.random((6, 4)).tolist()):
        base, rise = 0.48 + 0.09 * k, 0.3 + 0.1 * height

        def at(t: float, base: float = base, rise: float = rise) -> Point:
            return 0.04 + 0.84 * t, base - 4 * rise * t * (1 - t)

        t = 0.3 + 0.7 * ((0.1 * start + 0.386 * k + 0.5 * phase) % 1)
        shade, size = int(125 + 80 * grey), 0.075 + 0.03 * size
        ink.line(image, [at(t - 0.06 * back) for back in range(6)], WHITE, 0.015, 0.75)
        radii = [size * r for r in (1.0, 0.85, 1.0, 0.8, 1.05, 0.9)]
        radial(image, *at(t), [1.3 * r for r in radii], start + phase, (60, 58, 56))
        radial(image, *at(t), radii, start + phase, (shade, shade, shade - 6))
    flip(image, rng)


def balloons(image: np.ndarray, rng: np.random.Generator, phase: float) -> None:
    """A bunch of balloons on strings that meet in one hand's place."""
    places = ((0.5, 0.2), (0.22, 0.27), (0.78, 0.27), (0.36, 0.42), (0.65, 0.43))
    start, offset = int(rng.integers(len(PARTY))), rng.random()
    moved = [(x + 0.02 * wave(phase, 0.53, offset + x), y) for x, y in places]
    for x, y in moved:
        ink.line(image, [(x, y), (0.5, 0.96)], (225, 225, 225), 0.02)
    for k, (x, y) in enumerate(moved):
        ink.oval(image, x, y, 0.14, 0.17, PARTY[(start + k) % 5])
        ink.disc(image, x - 0.05, y - 0.07, 0.03, WHITE)


def _billow(
    image: np.ndarray,
    puffs: Sequence[tuple[float, float, float]],
    layers: Sequence[tuple[float, float, Colour, float]],
) -> None:
    """Discs (x, y, radius) once per layer (scale of the radius, downward shift, colour, alpha)."""
    for scale, shift, colour, alpha in layers:
        for x, y, radius in puffs:
            ink.disc(image, x, y + shift, scale * radius, colour, alpha)


DRAW: dict[str, Drawing] = {
    drawing.__name__.replace("_", " "): drawing
    for drawing in (
        balloons,
        blast_flash,
        bullet_holes,
        burning_barricade,
        fireball,
        flying_debris,
        knocked_over_chair,
        muzzle_flash,
        shattered_window,
        smoke_plume,
        thrown_stones,
        stages.boxing_ring,
        stages.carnival_parade,
        stages.concert_stage,
        stages.fireworks_show,
        stages.shooting_target,
        stages.theater_stage,
        wrecks.ambulance,
        wrecks.broken_glass,
        wrecks.crashed_cars,
        wrecks.crumpled_hood,
        wrecks.overturned_car,
        wrecks.police_car,
        wrecks.skid_marks,
    )
}
