"""Presences of worlds whose law is known, without a picture: what form a model needs, and no more.

C = 30 atoms, E = 3 events with 10 atoms each: event e has the atoms 10 e … 10 e + 9, here called
0 … 9. Three laws:

``threshold``  (0, or 1, or any two of 2, 3, 4, 5) and neither 6 nor 7: a linear threshold.
``pairs``      0, or 2 with 3, or 4 with 5. Other pairs of 2 … 5 are clutter.
``specific``   0 unless 6, or 1 unless 7, or 2 with 3, or 4 with 5. Other pairs are clutter, and so
               is 0 with 6 or 1 with 7; 0 with 7 and 1 with 6 are the event.

A video has 40 frames and 2 to 5 scenes. A scene lasts 5 to 9 frames from a uniform place on,
is of one event drawn uniformly, and shows some of its atoms: with probability 0.4 a set of `SCENES`
that is the event, else one that is not, uniform within the kind. Besides, each of 0 to 2 single
atoms of all 30 is seen for 5 to 9 frames. v [T, C] are the atoms seen, where scenes overlap the
union. The truth of a frame is the law of v, so that an overlap is judged like all else. Presence is

    p = 0.2 + 0.6 v + 0.15 ε,  ε ~ N(0, 1) by itself for each frame and atom, clipped to [0, 1].

200 videos to learn from and 150 to test. All of it follows from (law, seed).
"""

import itertools
from typing import NamedTuple

import numpy as np

from jaxvlm.evaluation.rule_recovery import Rule

LAWS = ("threshold", "pairs", "specific")
ATOMS_PER_EVENT, EVENTS = 10, 3
ATOMS = ATOMS_PER_EVENT * EVENTS
TRAIN, TEST = 200, 150
NOISE, ABSENT, GAIN = 0.15, 0.2, 0.6
FRAMES, SCENES_PER_VIDEO, SCENE_FRAMES = 40, (2, 5), (5, 9)
SINGLES, SHARE_TRUE = (0, 2), 0.4

_RIGHT, _INDIRECT = ((2, 3), (4, 5)), (2, 3, 4, 5)
_WRONG = ((2, 4), (2, 5), (3, 4), (3, 5))
_ALONE = ((2,), (3,), (4,), (5,))
# What a scene shows: sets that are the event, and sets that are not.
SCENES = {
    "threshold": (
        ((0,), (1,), *itertools.combinations(_INDIRECT, 2)),
        (*_ALONE, (6,), (7,), (0, 6), (1, 7), (2, 3, 6), (4, 5, 7), (8,), (9,)),
    ),
    "pairs": (((0,), *_RIGHT), (*_WRONG, *_ALONE, (1,), (6,), (7,), (8,), (9,))),
    "specific": (
        ((0,), (1,), (0, 7), (1, 6), *_RIGHT),
        (*_WRONG, *_ALONE, (0, 6), (0, 6), (1, 7), (1, 7), (6,), (7,), (8,), (9,)),
    ),
}
# (atoms, unless): the rules of an event.
_LAW_RULES = {
    "threshold": [(atoms, (6, 7)) for atoms in ((0,), (1,), *itertools.combinations(_INDIRECT, 2))],
    "pairs": [((0,), ()), *((pair, ()) for pair in _RIGHT)],
    "specific": [((0,), (6,)), ((1,), (7,)), *((pair, ()) for pair in _RIGHT)],
}


class Part(NamedTuple):
    """Videos. presence, visible: [T, C] each; truth: [T, E] each; labels [N, E]."""

    presence: list[np.ndarray]
    visible: list[np.ndarray]
    truth: list[np.ndarray]
    labels: np.ndarray


class World(NamedTuple):
    """A law's videos, and the law as rules; a counter of all of them is in each."""

    law: str
    seed: int
    train: Part
    test: Part
    candidates: np.ndarray  # [C, E], 1 for an event's own atoms
    rules: frozenset[Rule]


def make_world(law: str, seed: int, *, train: int = TRAIN, test: int = TEST) -> World:
    """The world of a law and a seed."""
    rng = np.random.default_rng([LAWS.index(law), seed])
    parts = [_part(law, count, rng) for count in (train, test)]
    candidates = np.kron(np.eye(EVENTS), np.ones((ATOMS_PER_EVENT, 1)))
    return World(law, seed, *parts, candidates, law_rules(law))


def law_rules(law: str) -> frozenset[Rule]:
    """The rules of all events, in atoms of 0 … C − 1."""
    return frozenset(
        (e, *(tuple(ATOMS_PER_EVENT * e + c for c in atoms) for atoms in rule))
        for e in range(EVENTS)
        for rule in _LAW_RULES[law]
    )


def frame_truth(visible: np.ndarray, rules: frozenset[Rule]) -> np.ndarray:
    """[T, E] of 0/1: some rule's atoms are all seen, and none of its counters."""
    seen = np.asarray(visible) > 0
    truth = np.zeros((len(seen), EVENTS), np.uint8)
    for event, atoms, unless in rules:
        truth[:, event] |= seen[:, list(atoms)].all(axis=1) & ~seen[:, list(unless)].any(axis=1)
    return truth


def _part(law: str, count: int, rng: np.random.Generator) -> Part:
    visible = [_visible(law, rng) for _ in range(count)]
    truth = [frame_truth(v, law_rules(law)) for v in visible]
    presence = [
        np.clip(ABSENT + GAIN * v + NOISE * rng.standard_normal(v.shape), 0, 1).astype(np.float32)
        for v in visible
    ]
    return Part(presence, visible, truth, np.stack([t.max(axis=0) for t in truth]))


def _visible(law: str, rng: np.random.Generator) -> np.ndarray:
    visible = np.zeros((FRAMES, ATOMS), np.uint8)
    for _ in range(_draw(rng, SCENES_PER_VIDEO)):
        event = int(rng.integers(EVENTS))
        kind = SCENES[law][0 if rng.random() < SHARE_TRUE else 1]
        atoms = kind[rng.integers(len(kind))]
        _show(visible, [ATOMS_PER_EVENT * event + c for c in atoms], rng)
    for _ in range(_draw(rng, SINGLES)):
        _show(visible, [int(rng.integers(ATOMS))], rng)
    return visible


def _show(visible: np.ndarray, atoms: list[int], rng: np.random.Generator) -> None:
    length = _draw(rng, SCENE_FRAMES)
    start = int(rng.integers(len(visible) - length + 1))
    visible[start : start + length, atoms] = 1


def _draw(rng: np.random.Generator, bounds: tuple[int, int]) -> int:
    return int(rng.integers(bounds[0], bounds[1] + 1))
