"""What a camera has shown before, in constant memory, and how far a frame is from all of it.

No atom has a part in it, so that what no atom names is not missed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.arrays import check_shapes

CAPACITY = 512  # rows
SIGNAL = "unlike anything seen before"  # beside the events; none may be called so
_APART = 2  # occasions; a sight that lasts over the end of one is in two neighbours
_GROWTH = 1.25  # of the radius where there are too many rows


class Memory(NamedTuple):
    """Unit rows [R, D], R ≤ `CAPACITY`, that lie within ``radius`` of all that was seen, and the
    first and the last occasion [R] on which each was seen."""

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray
    radius: float


def empty_memory(dimension: int) -> Memory:
    """The memory of nothing, of embeddings of D numbers."""
    none = np.zeros(0, np.int32)
    return Memory(np.zeros((0, dimension), np.float32), none, none, 0.0)


def remember(
    memory: Memory, embeddings: ArrayLike, occasion: int, *, capacity: int = CAPACITY
) -> Memory:
    """The memory after more frames, all of one occasion.

    A frame within the radius of a row is that row seen again; any other becomes a row. Where there
    are more than ``capacity`` rows the radius grows by a quarter until no more than 3/4 of it are
    left, of which none is within the radius of another: greedy k-centre, in one pass, so that rare
    sights stay and frequent ones take no room.

    Args:
      embeddings: [T, D] unit rows.
      occasion: which stretch of footage this is; later ones have higher numbers.

    Raises:
      ValueError: shapes that do not fit.

    Source: the doubling algorithm (Charikar, Chekuri, Feder, Motwani, STOC 1997).
    """
    check_shapes("remember", embeddings=(embeddings, "T D"), rows=(memory.rows, "R D"))
    rows = np.asarray(embeddings, np.float32)
    seen = np.full(len(rows), occasion, np.int32)
    start = 0
    while start < len(rows):
        memory, count = _cover(memory, rows[start:], seen[start:], seen[start:], capacity)
        start += count
        if start < len(rows) or len(memory.rows) > capacity:
            memory = _shrunk(memory, 3 * capacity // 4)
    return memory


def novelty(embeddings: ArrayLike, memory: Memory) -> np.ndarray:
    """How far each frame is from anything that was seen before, on two occasions.

    d(v) = the smallest r such that two occasions, not neighbours, have a row within r of v,
    with distances ‖v − m‖ = √(2 − 2⟨v, m⟩). Two, because something that happened once while the
    ordinary was learned is not ordinary. Where all was one occasion, d is the nearest row's.

    Args:
      embeddings: [T, D] unit rows.
      memory: of at least one row.

    Returns:
      [T] in [0, 2].

    Raises:
      ValueError: shapes that do not fit, or an empty memory.
    """
    check_shapes("novelty", embeddings=(embeddings, "T D"), rows=(memory.rows, "R D"))
    if not len(memory.rows):
        raise ValueError("novelty: the memory is empty")
    away = _distances(np.asarray(embeddings, np.float32), memory.rows)
    nearest = away.argmin(axis=1)
    first, last = memory.first[nearest][:, None], memory.last[nearest][:, None]
    other = np.maximum(np.abs(memory.first - last), np.abs(memory.last - first)) >= _APART
    second = np.where(other, away, np.inf).min(axis=1, initial=np.inf)
    least = away[np.arange(len(away)), nearest]
    return np.where(np.isfinite(second), np.maximum(least, second), least)


def _distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(2.0 - 2.0 * (rows @ others.T), 0.0))


def _cover(
    memory: Memory, rows: np.ndarray, first: np.ndarray, last: np.ndarray, most: int
) -> tuple[Memory, int]:
    """The memory with rows in it, one after the other: seen again, or new; and how many were taken,
    for with more than ``most`` it ends."""
    size = len(memory.rows)
    room = max(size, most) + 1
    known = np.zeros((room, rows.shape[1]), np.float32)
    firsts, lasts = np.zeros(room, np.int32), np.zeros(room, np.int32)
    known[:size], firsts[:size], lasts[:size] = memory[:3]
    # ‖v − m‖ ≤ r is ⟨v, m⟩ ≥ 1 − r²/2.
    least = 1.0 - 0.5 * memory.radius**2
    taken = 0
    for row, from_, to in zip(rows, first, last, strict=True):
        if size > most:
            break
        near = known[:size] @ row
        at = int(near.argmax()) if size else -1
        if size and near[at] >= least:
            firsts[at], lasts[at] = min(firsts[at], from_), max(lasts[at], to)
        else:
            known[size], firsts[size], lasts[size] = row, from_, to
            size += 1
        taken += 1
    return Memory(known[:size], firsts[:size], lasts[:size], memory.radius), taken


def _shrunk(memory: Memory, wanted: int) -> Memory:
    """The memory with at most ``wanted`` rows, under a radius that makes it so."""
    away = _distances(memory.rows, memory.rows)
    np.fill_diagonal(away, np.inf)
    # Below this hardly any two rows would meet.
    radius = max(memory.radius * _GROWTH, float(np.quantile(away.min(axis=1), 0.1)), 1e-4)
    while True:
        none = empty_memory(memory.rows.shape[1])._replace(radius=radius)
        small, _ = _cover(none, *memory[:3], len(memory.rows))
        if len(small.rows) <= wanted:
            return small
        radius *= _GROWTH
