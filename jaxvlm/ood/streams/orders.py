"""Which pictures come when: a stream as indices, from counts and a seed."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxvlm.errors import InputError

ORDERS = ("shuffled", "id_first", "blocks", "temporal_shift")


class Arrival(NamedTuple):
    """How pictures arrive.

    order: ``shuffled``; ``id_first``, all ID pictures before all others; ``blocks``, runs of
    ``block`` pictures of one side in a random order; ``temporal_shift``, the OOD sets one after
    another, in a random order, among the shuffled ID pictures.
    ood_share: of the stream. class_skew: a of Zipf's law; the class of random rank r keeps the
    share r^−a of its pictures; 0: all. warm_start: pictures at the front that are learned from
    and not counted.
    """

    order: str = "shuffled"
    ood_share: float = 0.5
    class_skew: float = 0.0
    warm_start: int = 0
    block: int = 256


class Plan(NamedTuple):
    """indices [n] into the ID pictures followed by the OOD sets' in their order; source [n]: 0 for
    ID, 1 and up for the OOD sets; counted [n]: after the warm start."""

    indices: np.ndarray
    source: np.ndarray
    counted: np.ndarray


def check(arrival: Arrival) -> None:
    """Raises InputError for a field out of range."""
    if arrival.order not in ORDERS:
        raise InputError(f"order {arrival.order!r}: unknown; use one of {', '.join(ORDERS)}")
    if not 0 < arrival.ood_share < 1:
        raise InputError(f"ood_share {arrival.ood_share}: give a number between 0 and 1")
    if arrival.class_skew < 0 or arrival.warm_start < 0 or arrival.block < 1:
        raise InputError("class_skew, warm_start, block: give 0 or more, block at least 1")


def plan(
    arrival: Arrival,
    num_id: int,
    num_ood: Sequence[int],
    *,
    seed: int,
    id_labels: Sequence | None = None,
) -> Plan:
    """A stream with as many pictures as the share allows: of all ID pictures (after the skew) and
    equally many of each OOD set, one side cut to a random part to give ``ood_share``.

    Args:
      num_id: N; num_ood: of each OOD set. id_labels: [N], the classes; needed for a skew.

    Raises InputError: as `check`; no picture on a side, a skew without labels, a warm start that
    leaves none to count.
    """
    check(arrival)
    random = np.random.default_rng([seed, 19])
    known = _skewed(arrival.class_skew, num_id, id_labels, random)
    least = min(num_ood, default=0)
    if not len(known) or not least:
        raise InputError("stream: no picture on one side; give at least one ID and one OOD picture")
    ratio = arrival.ood_share / (1 - arrival.ood_share)
    sets = len(num_ood)
    each = int(min(least, max(1, round(len(known) * ratio / sets))))
    keep = int(min(len(known), max(1, round(each * sets / ratio))))
    known = random.permutation(known)[:keep]
    starts = num_id + np.concatenate([[0], np.cumsum(num_ood)[:-1]]).astype(int)
    parts = [s + random.permutation(n)[:each] for s, n in zip(starts, num_ood, strict=True)]
    indices, source = _ordered(arrival, known, parts, random)
    counted = np.arange(len(indices)) >= arrival.warm_start
    missing = [side for side in range(sets + 1) if not (counted & (source == side)).any()]
    if missing:
        side = "ID" if 0 in missing else "an OOD set"
        raise InputError(
            f"warm_start {arrival.warm_start}: leaves no picture of {side} among the "
            f"{len(indices)} of the stream; give fewer"
        )
    return Plan(indices, source, counted)


def _skewed(skew: float, count: int, labels, random: np.random.Generator) -> np.ndarray:
    """The ID pictures that a skew leaves; of every class at least one."""
    if not skew:
        return np.arange(count)
    if labels is None:
        raise InputError("class_skew: takes the classes of the ID pictures; give labels")
    classes, of = np.unique(np.asarray(labels), return_inverse=True)
    rank = random.permutation(len(classes)) + 1
    kept = []
    for k in range(len(classes)):
        own = random.permutation(np.flatnonzero(of == k))
        kept.append(own[: max(1, round(len(own) * rank[k] ** -skew))])
    return np.sort(np.concatenate(kept))


def _ordered(arrival: Arrival, known: np.ndarray, parts: list, random: np.random.Generator):
    others = np.concatenate(parts)
    indices = np.concatenate([known, others])
    side = [np.full(len(part), k) for k, part in enumerate([known, *parts])]
    source = np.concatenate(side)
    total = len(indices)
    if arrival.order == "shuffled":
        order = random.permutation(total)
    elif arrival.order == "id_first":
        order = np.arange(total)
        order[len(known) :] = len(known) + random.permutation(len(others))
    elif arrival.order == "blocks":
        mixed = len(known) + random.permutation(len(others))
        cuts = [
            run[first : first + arrival.block]
            for run in (np.arange(len(known)), mixed)
            for first in range(0, len(run), arrival.block)
        ]
        order = np.concatenate([cuts[i] for i in random.permutation(len(cuts))])
    else:
        sets = random.permutation(len(parts)) + 1
        late = np.concatenate([np.flatnonzero(source == k) for k in sets])
        order = np.arange(total)
        places = np.zeros(total, bool)
        places[random.permutation(total)[: len(others)]] = True
        order[places] = late
        order[~places] = np.arange(len(known))
    return indices[order], source[order]
