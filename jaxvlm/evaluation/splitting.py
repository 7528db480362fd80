"""Videos into parts, so that every event is in each part about as often as its size says."""

from collections.abc import Sequence

import numpy as np

from jaxvlm.errors import InputError

LEAST = 2  # videos with an event, and without it, that a figure per part needs


def stratified_parts(labels: np.ndarray, shares: Sequence[float], *, seed: int) -> np.ndarray:
    """The part, 0..P−1, of every video: iterative stratification of several labels.

    The rarest of the 2E properties "shows e" and "does not show e" that are left is dealt out
    first, each of its videos to the part that lacks most of it, then to the part that lacks most
    videos, then to the first. A part lacks what its share of the property's videos is, less what
    it was given.

    Args:
      labels: [N, E] of 0/1.
      shares: P positive numbers with sum 1.
      seed: of the order in which videos are dealt out.

    Returns:
      [N] int64.

    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-label Data, 2011.
    """
    labels = np.asarray(labels, bool)
    has = np.concatenate([labels, ~labels], axis=1)  # [N, 2E]
    lacks = np.outer(shares, has.sum(axis=0))  # [P, 2E]
    room = np.asarray(shares, float) * len(labels)
    parts = np.full(len(labels), -1)
    order = np.random.default_rng(seed).permutation(len(labels))
    while (parts < 0).any():
        left = has[parts < 0].sum(axis=0)
        rarest = int(np.where(left > 0, left, len(labels) + 1).argmin())
        for n in order[(parts < 0)[order] & has[order, rarest]]:
            part = max(range(len(room)), key=lambda p: (lacks[p, rarest], room[p], -p))
            parts[n] = part
            lacks[part] -= has[n]
            room[part] -= 1
    return parts


def lacking(labels: np.ndarray, parts: np.ndarray, events: Sequence[str]) -> dict[str, str]:
    """By event that cannot be measured what is lacking, in a phrase.

    Every part, and what is left without it, needs `LEAST` videos with each event and without it.
    """
    labels = np.asarray(labels, bool)
    found = {}
    for index, event in enumerate(events):
        sides = [rows for n in np.unique(parts) for rows in (parts == n, parts != n)]
        groups = [labels[rows, index] for rows in sides]
        if min(min(group.sum(), (~group).sum()) for group in groups) < LEAST:
            found[event] = (
                f"{int(labels[:, index].sum())} of {len(labels)} videos show {event}, and every "
                f"part needs {LEAST} that do and {LEAST} that do not"
            )
    return found


def folds(labels: np.ndarray, number: int, *, seed: int) -> np.ndarray:
    """`stratified_parts` of equal shares. Raises InputError for fewer than 2 or more than N."""
    if not 2 <= number <= len(labels):
        raise InputError(f"folds {number}: give 2 to {len(labels)}, the number of videos")
    return stratified_parts(labels, [1 / number] * number, seed=seed)
