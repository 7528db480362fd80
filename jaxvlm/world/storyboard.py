"""What happens in a video of the world: shots and actors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.world.laws import THRESHOLD, check_law
from jaxvlm.world.plans import draw_plan
from jaxvlm.world.scene import Actor, Scene, random_actor, random_camera, random_occluders, slots
from jaxvlm.world.vocabulary import BACKGROUNDS

_LIGHTING = ("bright", "dim", "foggy")


class Shot(NamedTuple):
    """A camera view from ``start`` to ``end`` seconds; a cut leads to the next one."""

    start: float
    end: float
    scene: Scene


def random_storyboard(
    rng: np.random.Generator, events: Sequence[str], duration: float, law: str = THRESHOLD
) -> tuple[Shot, ...]:
    """Three or four shots; each of ``events`` happens in one of them, the others are harmless.

    Harmless shots are full of signs that by the law of the world mean nothing, and of everyday
    things, so that no single sign gives an event away: `plans` has the shares. Raises InputError
    for an unknown law.
    """
    check_law(law)
    count = max(int(rng.integers(3, 5)), len(events))
    cuts = np.sort(rng.uniform(-0.06, 0.06, count - 1) + np.arange(1, count) / count)
    times = np.concatenate(([0.0], np.round(cuts * duration), [duration]))
    cast = list(events) + [None] * (count - len(events))
    cast = [cast[i] for i in rng.permutation(count)]
    return tuple(
        Shot(float(start), float(end), _scene(rng, event, (float(start), float(end)), law))
        for event, start, end in zip(cast, times[:-1], times[1:], strict=True)
    )


def _scene(
    rng: np.random.Generator, event: str | None, span: tuple[float, float], law: str
) -> Scene:
    plan = draw_plan(rng, event, law)
    start, end = span
    length = end - start
    inside = rng.uniform(0.45, 0.75) * length
    begin = start + rng.uniform(0.1, 0.9) * (length - inside)
    # Front to back order is back to front of the list: what decides the truth is drawn last.
    background_cast = [(name, start, end) for name in plan.scenery]
    decisive = [(name, start, end) for name in plan.always]
    decisive += [(name, round(begin, 2), round(begin + inside, 2)) for name in plan.passing]
    cast = background_cast + decisive
    actors: list[Actor] = []
    for (name, enters, leaves), slot in zip(cast, slots(rng, len(cast)), strict=True):
        moving = len(actors) < len(background_cast)
        actors.append(random_actor(rng, name, slot, start=enters, end=leaves, moving=moving))
    return Scene(
        background=BACKGROUNDS[rng.integers(len(BACKGROUNDS))],
        seed=int(rng.integers(2**31)),
        actors=tuple(actors),
        occluders=random_occluders(rng),
        camera=random_camera(rng, _LIGHTING[rng.choice(3, p=(0.75, 0.15, 0.10))]),
    )
