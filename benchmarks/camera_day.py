"""Hours of one rendered camera: its own scenery, ordinary traffic, and now and then an event.

Every frame is rendered and distinct; nothing is resampled. A camera has one background, things that
stand there all day, among them an atom that is a sign of an event elsewhere, light that changes
within the hour, passers-by, single signs of events and what makes such signs harmless.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxvlm.world.scene import Actor, Camera, Scene, random_actor, render
from jaxvlm.world.vocabulary import BACKGROUNDS, CLUTTER_ATOMS, EVENT_ROLES, EVENTS, OBJECTS

SIDE = 64  # pixels, the encoder's
_CHUNK = 600  # seconds of one scene
_CONTEXT, _LENGTH = 40, 20  # seconds before an event, and that it lasts


class Footage(NamedTuple):
    """A camera's number, which footage of it, and how long: hours, or events of a minute each."""

    camera: int
    kind: str  # "learn", "ordinary" or "events"
    count: float


class Standing(NamedTuple):
    """What a camera always shows."""

    background: str
    seed: int
    actors: tuple[Actor, ...]
    atom: str  # the sign among them
    noise: float


def standing(camera: int) -> Standing:
    """The scenery of a camera."""
    rng = np.random.default_rng((977, camera))
    signs = sorted({atom for roles in EVENT_ROLES.values() for atom in roles.indirect})
    atom = signs[rng.integers(len(signs))]
    names = [atom, *rng.choice(OBJECTS, 2, replace=False).tolist()]
    actors = [
        random_actor(rng, name, slot, moving=False)
        for name, slot in zip(names, (0.2, 0.55, 0.85), strict=True)
    ]
    background = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    noise = float(rng.uniform(2, 8))
    return Standing(background, int(rng.integers(2**31)), tuple(actors), atom, noise)


def images(footage: Footage) -> Iterator[np.ndarray]:
    """One frame a second [S, S, 3] uint8."""
    own = standing(footage.camera)
    rng = np.random.default_rng((978, footage.camera, *map(ord, footage.kind)))
    if footage.kind == "events":
        for number in range(int(footage.count)):
            event = EVENTS[number % len(EVENTS)]
            seconds = _CONTEXT + _LENGTH
            cast = _passers(rng, seconds) + _evidence(rng, event, own.atom)
            yield from _rendered(rng, own, cast, seconds)
        return
    for _ in range(round(footage.count * 3600 / _CHUNK)):
        yield from _rendered(rng, own, _passers(rng, _CHUNK) + _signs(rng, own.atom), _CHUNK)


def event_spans(footage: Footage) -> list[tuple[str, int, int]]:
    """The events of "events": name, first frame, frame after the last."""
    step = _CONTEXT + _LENGTH
    return [
        (EVENTS[n % len(EVENTS)], n * step + _CONTEXT, (n + 1) * step)
        for n in range(int(footage.count))
    ]


def _rendered(
    rng: np.random.Generator, own: Standing, cast: list[Actor], seconds: int
) -> Iterator[np.ndarray]:
    camera = Camera(
        exposure=rng.uniform(0.7, 1.15),
        exposure_swing=0.05,
        noise=own.noise,
        saturation=rng.uniform(0.85, 1.1),
    )
    scene = Scene(own.background, own.seed, (*own.actors, *cast), (), camera)
    for second in range(seconds):
        yield render(scene, float(second), SIDE).image


def _passers(rng: np.random.Generator, seconds: int) -> list[Actor]:
    """Things that pass, about one and a half at a time."""
    found, at = [], 0.0
    while (at := at + rng.exponential(14.0)) < seconds:
        pool = CLUTTER_ATOMS if rng.random() < 0.15 else OBJECTS
        name = pool[rng.integers(len(pool))]
        stays = rng.uniform(8, 35)
        found.append(random_actor(rng, name, rng.uniform(0.1, 0.9), start=at, end=at + stays))
    return found


def _signs(rng: np.random.Generator, standing_atom: str) -> list[Actor]:
    """Single signs of events, one at a time; some of them beside what makes evidence harmless."""
    found, at = [], 0.0
    while (at := at + rng.exponential(150.0)) < _CHUNK - 40:
        roles = EVENT_ROLES[EVENTS[rng.integers(len(EVENTS))]]
        stays, slot = rng.uniform(10, 30), rng.uniform(0.2, 0.8)
        names = [roles.indirect[rng.integers(len(roles.indirect))]]
        if rng.random() < 0.2:
            names = [roles.counter[rng.integers(len(roles.counter))]]
        for name in names:
            if name != standing_atom:
                found.append(random_actor(rng, name, slot, start=at, end=at + stays, moving=False))
        at += stays
    return found


def _evidence(rng: np.random.Generator, event: str, standing_atom: str) -> list[Actor]:
    """One direct atom, or two indirect ones, at the end of the minute."""
    roles = EVENT_ROLES[event]
    free = [atom for atom in roles.indirect if atom != standing_atom]
    names = [roles.direct[rng.integers(len(roles.direct))]]
    if rng.random() < 0.5:
        names = [free[i] for i in rng.choice(len(free), 2, replace=False)]
    end = float(_CONTEXT + _LENGTH)
    return [
        random_actor(rng, name, slot, start=float(_CONTEXT), end=end, moving=False)
        for name, slot in zip(names, (0.35, 0.65), strict=False)
    ]
