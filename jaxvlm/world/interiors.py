"""Rooms: the indoor places of the rendered world.

Drawn as described in ``backgrounds``.
"""

import numpy as np

from jaxvlm.world import ink
from jaxvlm.world.ink import box, disc, line, oval, polygon
from jaxvlm.world.shapes import WOODS, between, gradient, pick, shade


def shop(image: np.ndarray, rng: np.random.Generator) -> None:
    """Shelves full of goods over a tiled floor under strip lights."""
    wall = pick(rng, (225, 220, 205), (190, 205, 210), (215, 200, 170))
    floor_y = rng.uniform(0.66, 0.78)
    gradient(image, 0.0, floor_y, shade(wall, 0.9), wall)
    for x in (0.2, 0.55):
        polygon(
            image,
            [(x, 0.02), (x + 0.25, 0.02), (x + 0.22, 0.05), (x + 0.03, 0.05)],
            (255, 255, 240),
        )
    floor = pick(rng, (205, 200, 190), (170, 165, 160), (180, 150, 120))
    gradient(image, floor_y, 1.0, shade(floor, 0.85), floor)
    for foot in np.arange(-1.0, 2.1, 0.25):
        line(image, [(foot, 1.0), (0.5 + 0.5 * (foot - 0.5), floor_y)], shade(floor, 0.8), 0.01)
    for y in (floor_y + 0.07, floor_y + 0.17):
        line(image, [(0.0, y), (1.0, y)], shade(floor, 0.8), 0.01)
    frame, rows = pick(rng, *WOODS, (120, 125, 130), (235, 235, 235)), int(rng.integers(3, 6))
    top, aisle = rng.uniform(0.08, 0.16), rng.uniform(0.3, 0.7) if rng.random() < 0.5 else 2.0
    pitch = (floor_y - top) / rows
    box(image, 0.0, top, 1.0, floor_y, shade(frame, 0.45))
    for row in range(rows):
        base, x = top + (row + 1) * pitch, 0.0
        while x < 1:
            width, goods = rng.uniform(0.03, 0.08), ink.random_colour(rng, 60, 240)
            for _ in range(rng.integers(1, 4)):
                box(image, x, base - pitch * rng.uniform(0.5, 0.8), x + 0.85 * width, base, goods)
                x += width
        box(image, 0.0, base - 0.015, 1.0, base + 0.015, frame)
    if aisle < 1:  # a gap between two racks
        box(image, aisle - 0.09, top, aisle + 0.09, floor_y, wall)
    for x in (0.0, aisle - 0.1, aisle + 0.1, 0.99):
        box(image, x - 0.015, top - 0.02, x + 0.015, floor_y, frame)


def subway_station(image: np.ndarray, rng: np.random.Generator) -> None:
    """A platform with a yellow edge along a sunken track, tiled walls, a tunnel mouth."""
    x, y = rng.uniform(0.55, 0.72), rng.uniform(0.36, 0.46)
    tile = pick(rng, (225, 225, 215), (170, 195, 185), (200, 180, 140), (150, 170, 195))
    joint, floor = shade(tile, 0.75), pick(rng, (150, 148, 145), (120, 120, 125), (175, 165, 150))
    top, base, half = y - 0.17, y + 0.14, 0.2
    image[:] = shade(tile, 0.85)
    polygon(image, [(0.0, 0.0), (1.0, 0.0), (x + half, top), (x - half, top)], shade(floor, 0.55))
    polygon(image, [(0.0, 0.0), (x - half, top), (x - half, base), (0.0, 0.86)], tile)
    for share in (0.2, 0.4, 0.6, 0.8):
        line(image, [(0.0, 0.86 * share), (x - half, top + (base - top) * share)], joint, 0.01)
    for share in (0.15, 0.35, 0.52, 0.67, 0.8, 0.91):
        at = share * (x - half)
        line(image, [(at, top * share), (at, 0.86 + (base - 0.86) * share)], joint, 0.01)
    sign = ink.random_colour(rng, 20, 200)
    polygon(image, [(0.04, 0.28), (0.28, 0.305), (0.28, 0.40), (0.04, 0.41)], sign)
    line(image, [(0.08, 0.345), (0.24, 0.352)], (245, 245, 245), 0.025)
    box(image, x - half, top, x + half, base, shade(tile, 0.7))
    polygon(image, [(0.0, 0.86), (x - half, base), (x, base), (0.52, 1.0), (0.0, 1.0)], floor)
    pit = shade(floor, 0.3)
    polygon(image, [(x, base), (x + half, base), (1.0, 0.80), (1.0, 1.0), (0.52, 1.0)], pit)
    oval(image, x + 0.1, top + 0.12, 0.1, 0.1, (12, 12, 15))
    box(image, x, top + 0.12, x + half, base, (12, 12, 15))
    if rng.random() < 0.5:  # a train along the right wall
        paint = ink.random_colour(rng, 60, 230)
        near, far = (1.02, x + 0.07)
        polygon(image, [(near, 0.02), (far, top + 0.06), (far, base), (near, 0.94)], paint)
        for share in (0.08, 0.32, 0.54, 0.73):
            a, b = share, share + 0.17 * (1 - 0.6 * share)
            (xa, ya), (xb, yb) = (between((near, 0.20), (far, top + 0.10), s) for s in (a, b))
            (_, za), (_, zb) = (between((near, 0.50), (far, base - 0.12), s) for s in (a, b))
            polygon(image, [(xa, ya), (xb, yb), (xb, zb), (xa, za)], (240, 235, 190))
    else:
        for foot in (0.72, 0.92):
            line(image, [(foot, 1.0), (x + 0.5 * foot - 0.32, base)], (170, 170, 175), 0.015)
    line(image, [(0.50, 1.0), (x - 0.005, base)], (245, 205, 50), 0.04)
    for share in (0.1, 0.45, 0.7):
        ends = [between((0.3, 0.0), (x - 0.05, top), s) for s in (share, share + 0.15)]
        line(image, ends, (255, 255, 235), 0.03)


def hallway(image: np.ndarray, rng: np.random.Generator) -> None:
    """A corridor: doors in both walls, a lit ceiling, the end wall far away."""
    x, y = rng.uniform(0.35, 0.65), rng.uniform(0.38, 0.5)
    half = rng.uniform(0.10, 0.16)
    top, base = y - 1.2 * half, y + 1.2 * half
    wall = pick(rng, (220, 215, 200), (185, 200, 205), (205, 190, 160), (175, 185, 165))
    floor = pick(rng, (150, 130, 105), (125, 125, 130), (165, 100, 80), (95, 110, 120))
    door, frame = pick(rng, *WOODS, (100, 130, 150), (170, 60, 50)), shade(wall, 0.5)
    image[:] = wall
    polygon(image, [(0.0, 0.0), (1.0, 0.0), (x + half, top), (x - half, top)], shade(wall, 1.15))
    polygon(image, [(0.0, 1.0), (1.0, 1.0), (x + half, base), (x - half, base)], floor)
    polygon(image, [(1.0, 0.0), (1.0, 1.0), (x + half, base), (x + half, top)], shade(wall, 0.88))
    box(image, x - half, top, x + half, base, shade(wall, 0.75))
    box(image, x - 0.4 * half, y - 0.5 * half, x + 0.4 * half, base, shade(door, 0.8))
    for share in (0.0, 0.3, 0.52, 0.7, 0.85):
        left, right = (
            between((side, 1.0), (x + (2 * side - 1) * half, base), share) for side in (0.0, 1.0)
        )
        line(image, [left, right], shade(floor, 0.75), 0.012)
        a, b = (between((0.5, 0.0), (x, top), share + step) for step in (0.05, 0.16))
        wide = 0.12 * (1 - share) + 0.02
        polygon(
            image,
            [
                (a[0] - wide, a[1]),
                (a[0] + wide, a[1]),
                (b[0] + 0.8 * wide, b[1]),
                (b[0] - 0.8 * wide, b[1]),
            ],
            (255, 255, 240),
        )
    for side in (0.0, 1.0):
        end = x + (2 * side - 1) * half
        offset = rng.uniform(0.05, 0.2)
        for share in (offset, offset + 0.32, offset + 0.56):
            ends = []
            for s in (share, share + 0.2 * (1 - 0.7 * share)):
                foot = between((side, 1.0), (end, base), s)
                head = between((side, 0.0), (end, top), s)
                ends.append((foot, between(foot, head, 0.68)))
            (foot_a, head_a), (foot_b, head_b) = ends
            polygon(image, [foot_a, head_a, head_b, foot_b], door)
            line(image, [foot_a, head_a, head_b, foot_b], frame, 0.018)
            knob = between(between(foot_a, head_a, 0.45), between(foot_b, head_b, 0.45), 0.8)
            disc(image, *knob, 0.012, (235, 215, 130))
    for side in (0.0, 1.0):
        line(image, [(side, 1.0), (x + (2 * side - 1) * half, base)], frame, 0.015)
