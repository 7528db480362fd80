"""Worlds of a known law for the study of rules, simulated or rendered, in one shape."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import simulated_laws
from benchmarks.rule_worlds import ONTOLOGY, read_world
from jaxvlm import resources
from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rules import NOBODY, Rules
from jaxvlm.evaluation.rule_recovery import Rule, atom_levels
from jaxvlm.ontology.ontology import load_ontology
from jaxvlm.world.laws import numbered_rules

STRENGTH = 0.9  # of what is written


class LawWorld(NamedTuple):
    """A world: p̄ of videos to learn from and to test on, and what is true of them.

    rules: counters of all rules of an event are in each of them.
    """

    law: str
    seed: int
    train: list[np.ndarray]  # [T, C]
    labels: np.ndarray  # [N, E]
    test: list[np.ndarray]  # [T, C]
    truth: list[np.ndarray]  # [T, E], of the test videos
    candidates: np.ndarray  # [C, E]
    rules: frozenset[Rule]
    absent: np.ndarray  # [C] mean p̄ of the training frames that do not show the atom
    shown: np.ndarray  # [C] 0.9 quantile of those that do: a video is judged by its highest frames


class Written(NamedTuple):
    """The law as an ontology states it: strengths [C, E], and rules where lists cannot say it."""

    direct: np.ndarray
    indirect: np.ndarray
    counter: np.ndarray
    rules: Rules | None

    def params(self) -> RoleParams:
        """Roles as written, without training."""
        *tables, rules = self
        return roles_from_strengths(*tables, rules=rules)

    def prior(self) -> tuple:
        """As `train_roles` takes it."""
        return tuple(self) if self.rules is not None else tuple(self[:3])


def simulated(law: str, seed: int, test: int = simulated_laws.TEST) -> LawWorld:
    """A world of `simulated_laws`."""
    world = simulated_laws.make_world(law, seed, test=test)
    levels = atom_levels(world.train.presence, world.train.visible)
    return LawWorld(
        law,
        seed,
        world.train.presence,
        world.train.labels,
        world.test.presence,
        world.test.truth,
        world.candidates,
        world.rules,
        *levels,
    )


def rendered(folder: Path, field: str) -> LawWorld:
    """A world of `rule_worlds`; field: which of the videos' presences."""
    world = read_world(folder)
    train, test = ([getattr(v, field) for v in part] for part in (world.train, world.test))
    ontology = load_ontology(resources.path(ONTOLOGY))
    return LawWorld(
        world.law,
        world.seed,
        train,
        np.stack([video.events.max(axis=0) for video in world.train]),
        test,
        [video.events for video in world.test],
        np.asarray(ontology.candidates, np.float32),
        numbered_rules(world.law, world.events, world.atoms),
        *atom_levels(train, [video.atoms for video in world.train]),
    )


def write(world: LawWorld, *, with_rules: bool) -> Written:
    """The world's law as a person would write it.

    An atom that is a rule alone is direct, those of whose pairs each is a rule are indirect, a
    counter of all rules of an event is a counter. What these lists cannot say is rules; without
    rules, it is said as well as lists can: the atoms of pairs are indirect, own counters counters.
    """
    shape = world.candidates.shape
    direct, indirect, counter = np.zeros((3, *shape), np.float32)
    listed: list[list[Rule]] = []
    for event in range(shape[1]):
        own = sorted(rule for rule in world.rules if rule[0] == event)
        common = set.intersection(*(set(unless) for *_, unless in own))
        pairs = [atoms for _, atoms, _ in own if len(atoms) == 2]
        members = sorted({atom for pair in pairs for atom in pair})
        any_two = set(pairs) == set(combinations(members, 2))
        counter[sorted(common), event] = STRENGTH
        rest = []
        for _, atoms, unless in own:
            left = tuple(sorted(set(unless) - common))
            if with_rules and (left or (len(atoms) == 2 and not any_two)):
                rest.append((event, atoms, left))
                continue
            (direct if len(atoms) == 1 else indirect)[list(atoms), event] = STRENGTH
            counter[list(left), event] = STRENGTH
        listed.append(rest)
    return Written(direct, indirect, counter, _rules_of(listed))


def nested_subsets(count: int, sizes: Sequence[int], seed: int) -> dict[int, np.ndarray]:
    """The first so many videos of one random order: each subset holds the smaller ones."""
    order = np.random.default_rng(seed).permutation(count)
    return {size: np.sort(order[:size]) for size in sizes if size <= count}


def _rules_of(listed: list[list[Rule]]) -> Rules | None:
    places = max(map(len, listed))
    if not places:
        return None
    most = max(len(unless) for own in listed for *_, unless in own)
    atoms = np.full((len(listed), places, 2), NOBODY, np.int32)
    unless = np.full((len(listed), places, max(most, 1)), NOBODY, np.int32)
    for event, own in enumerate(listed):
        for n, (_, rule, counters) in enumerate(own):
            atoms[event, n, : len(rule)] = rule
            unless[event, n, : len(counters)] = counters
    theta = np.float32(np.log(STRENGTH / (1 - STRENGTH)))
    strength = np.full(atoms.shape[:2], theta, np.float32)
    return Rules(atoms, strength, unless, np.full(unless.shape, theta, np.float32))
