"""What happens in a video of the world: shots, actors and the event rule they obey."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.world.scene import Actor, Scene, random_actor, random_camera, random_occluders, slots
from jaxvlm.world.vocabulary import BACKGROUNDS, CLUTTER_ATOMS, EVENT_ROLES, EVENTS, OBJECTS

_LIGHTING = ("bright", "dim", "foggy")


class Shot(NamedTuple):
    """A camera view from ``start`` to ``end`` seconds; a cut leads to the next one."""

    start: float
    end: float
    scene: Scene


def events_of(visible: Collection[str]) -> tuple[str, ...]:
    """The events that hold for a set of visible atoms: the world's law.

    event e ⟺ (a direct atom of e, or two different indirect atoms of e) and no counter atom of e
    """
    seen = set(visible)
    return tuple(
        event
        for event, roles in EVENT_ROLES.items()
        if (seen & set(roles.direct) or len(seen & set(roles.indirect)) >= 2)
        and not seen & set(roles.counter)
    )


def random_storyboard(
    rng: np.random.Generator, events: Sequence[str], duration: float
) -> tuple[Shot, ...]:
    """Three or four shots; each of ``events`` happens in one of them, the others are harmless.

    Harmless shots are full of single indirect cues, of counter atoms beside the very evidence
    that they cancel, and of everyday things, so that no single sign gives an event away.
    """
    count = max(int(rng.integers(3, 5)), len(events))
    cuts = np.sort(rng.uniform(-0.06, 0.06, count - 1) + np.arange(1, count) / count)
    times = np.concatenate(([0.0], np.round(cuts * duration), [duration]))
    cast = list(events) + [None] * (count - len(events))
    cast = [cast[i] for i in rng.permutation(count)]
    return tuple(
        Shot(float(start), float(end), _scene(rng, event, float(start), float(end)))
        for event, start, end in zip(cast, times[:-1], times[1:], strict=True)
    )


def _scene(rng: np.random.Generator, event: str | None, start: float, end: float) -> Scene:
    # Rejection keeps the law simple: a shot is drawn until exactly the wanted events hold in it.
    wanted = (event,) if event else ()
    while True:
        plan = _event_plan(rng, event) if event else _harmless_plan(rng)
        if events_of([*plan.always, *plan.passing]) == wanted:
            break
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


class _Plan(NamedTuple):
    always: tuple[str, ...]  # atoms present for the whole shot
    passing: tuple[str, ...]  # atoms present for a while, together
    scenery: tuple[str, ...]  # objects and role-less atoms


def _evidence(rng: np.random.Generator, event: str) -> tuple[str, ...]:
    """One direct atom, or two indirect ones."""
    roles = EVENT_ROLES[event]
    if rng.random() < 0.5:
        return (_pick(rng, roles.direct),)
    return tuple(roles.indirect[i] for i in rng.choice(len(roles.indirect), 2, replace=False))


def _event_plan(rng: np.random.Generator, event: str) -> _Plan:
    return _Plan((), _evidence(rng, event), _scenery(rng, 1))


def _harmless_plan(rng: np.random.Generator) -> _Plan:
    event = _pick(rng, EVENTS)
    kind = rng.choice(4, p=(0.40, 0.35, 0.08, 0.17))
    if kind == 0:  # a single indirect cue
        return _Plan((), (_pick(rng, EVENT_ROLES[event].indirect),), _scenery(rng, 2))
    counter = _pick(rng, EVENT_ROLES[event].counter)
    if kind == 1:  # the evidence, and what makes it harmless
        return _Plan((counter,), _evidence(rng, event), _scenery(rng, 1))
    if kind == 2:  # a counter atom alone
        return _Plan((counter,), (), _scenery(rng, 2))
    return _Plan((), (), _scenery(rng, 3))


def _scenery(rng: np.random.Generator, most: int) -> tuple[str, ...]:
    count = int(rng.integers(0, most + 1))
    pools = [CLUTTER_ATOMS if rng.random() < 0.3 else OBJECTS for _ in range(count)]
    return tuple(dict.fromkeys(_pick(rng, pool) for pool in pools))


def _pick(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[rng.integers(len(names))]
