"""Quantiles of many numbers in constant memory: counts in cells that grow with the number.

DDSketch (Masson, Rim and Lee 2019) over a fixed range. Of the sketches that are known, this one
because its state is an array of counts: merging is addition, so that neither the order of the
footage nor how it was cut changes a bit of it. t-digest and KLL keep samples, which depend on both.
"""

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.arrays import check_shapes

SMALLEST, LARGEST = 1e-3, 16.0  # absolute values: below one they are 0, above the other that
_RATIO = 1.01  # of the edges of a cell
_CELLS = int(np.ceil(np.log(LARGEST / SMALLEST) / np.log(_RATIO)))  # on each side of 0
NUM_CELLS = 2 * _CELLS + 1


def _edges() -> np.ndarray:
    above = SMALLEST * _RATIO ** np.arange(_CELLS + 1)
    return np.concatenate([-above[::-1], above])


_EDGES = _edges()  # of the cells, in order: NUM_CELLS + 1


def empty_sketch(num_atoms: int) -> np.ndarray:
    """[C, B] of zeros: the sketch of nothing."""
    return np.zeros((num_atoms, NUM_CELLS), np.int64)


def sketch(values: ArrayLike) -> np.ndarray:
    """How many of an atom's values lie in each cell.

    Cell k > 0 holds 1.01^(k−1) < x/0.001 ≤ 1.01^k, cell −k the same of −x, cell 0 what is smaller;
    |x| above 16 counts as 16. The sketch of two pieces of footage is the sum of theirs.

    Args:
      values: [T, C], finite.

    Returns:
      [C, B] int64 counts, B = `NUM_CELLS`, whatever T is.

    Raises:
      ValueError: another shape.

    Source: DDSketch (Masson, Rim, Lee, VLDB 2019), with cells on both sides of 0.
    """
    sizes = check_shapes("sketch", values=(values, "T C"))
    values = np.asarray(values, np.float64)
    size = np.maximum(np.abs(values), SMALLEST)
    steps = np.ceil(np.log(size / SMALLEST) / np.log(_RATIO) - 1e-9).astype(np.int64)
    cells = _CELLS + np.sign(values).astype(np.int64) * np.minimum(steps, _CELLS)
    flat = (cells + NUM_CELLS * np.arange(sizes["C"])).ravel()
    counts = np.bincount(flat, minlength=sizes["C"] * NUM_CELLS)
    return counts.reshape(sizes["C"], NUM_CELLS)


def quantiles(counts: ArrayLike, levels: ArrayLike) -> np.ndarray:
    """Quantiles of sketched values: x with a share ``levels`` of them below.

    Within a cell the values are taken as evenly spread, so that x is within 1 % of the quantile, or
    within 0.001 near 0.

    Args:
      counts: [C, B] of `sketch`.
      levels: [Q] in [0, 1].

    Returns:
      [C, Q]; NaN for an atom without a value.

    Raises:
      ValueError: another number of cells.
    """
    check_shapes("quantiles", counts=(counts, f"C {NUM_CELLS}"), levels=(levels, "Q"))
    counts, levels = np.asarray(counts, np.float64), np.asarray(levels, np.float64)
    found = np.full((len(counts), len(levels)), np.nan)
    for atom, own in enumerate(counts):
        used = np.flatnonzero(own)
        if len(used):
            below = np.concatenate([[0.0], np.cumsum(own[used])])
            wanted = levels * below[-1]
            place = np.clip(np.searchsorted(below, wanted, side="left") - 1, 0, len(used) - 1)
            share = np.clip((wanted - below[place]) / own[used[place]], 0.0, 1.0)
            low, high = _EDGES[used[place]], _EDGES[used[place] + 1]
            found[atom] = low + share * (high - low)
    return found


def shares(counts: ArrayLike, edges: ArrayLike) -> np.ndarray:
    """[C, K + 1]: which share of each atom's sketched values lies below edge 0, between 0 and 1, …,
    above edge K − 1.

    Args:
      counts: [C, B] of `sketch`; an atom without a value gets zeros.
      edges: [C, K], increasing.
    """
    check_shapes("shares", counts=(counts, f"C {NUM_CELLS}"), edges=(edges, "C K"))
    counts, edges = np.asarray(counts, np.float64), np.asarray(edges, np.float64)
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    cumulated = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    below = np.stack([np.interp(e, _EDGES, c) for e, c in zip(edges, cumulated, strict=True)])
    whole = np.concatenate([np.zeros_like(total), below / total, cumulated[:, -1:] / total], axis=1)
    return np.diff(whole, axis=1)
