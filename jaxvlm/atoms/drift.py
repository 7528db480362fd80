"""Whether what a camera shows now still fits its ordinary footage."""

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.quantile_sketch import quantiles

_CELLS = 10
_PSEUDO = 0.5  # frames added to a cell, so that an empty one has a logarithm
_LEVEL = 1e-3  # share of ordinary stretches beyond the bound
LEAST_STRETCHES = 8  # from which a bound can be taken


def occupancy_edges(counts: ArrayLike) -> np.ndarray:
    """[C, 9] deciles of every atom's ordinary margin, from its sketch [C, B]."""
    return quantiles(counts, np.arange(1, _CELLS) / _CELLS)


def instability(margins: ArrayLike, edges: ArrayLike) -> float:
    """How differently the latest margins fill the deciles of the ordinary ones, median over atoms.

    Ψ = median_c Σ_j (a_cj − ē) log(a_cj/ē),  a_cj = (n_cj + ½)/(T + 5),  ē = 1/10

    with n_cj of T frames of atom c between its deciles j and j + 1. It is 0 where every decile has
    its share. An event is a few atoms that rise, which leave the median where it is; a camera that
    was moved, covered or changed to night moves most of them.

    Args:
      margins: [T, C] of the latest frames.
      edges: [C, 9] of `occupancy_edges`.

    Raises:
      ValueError: shapes that do not fit.

    Source: the population stability index (Lewis 1994; Yurdakul 2018).
    """
    check_shapes("instability", margins=(margins, "T C"), edges=(edges, f"C {_CELLS - 1}"))
    margins, edges = np.asarray(margins, np.float64), np.asarray(edges, np.float64)
    cells = (margins[:, :, None] > edges[None]).sum(axis=2)
    filled = (cells[:, :, None] == np.arange(_CELLS)).sum(axis=0)
    share = (filled + _PSEUDO) / (len(margins) + _CELLS * _PSEUDO)
    return float(np.median(((share - 1 / _CELLS) * np.log(share * _CELLS)).sum(axis=1)))


def instability_bound(ordinary: ArrayLike) -> float | None:
    """The Ψ that ordinary stretches as long as the latest one hardly ever exceed.

    Q_0.9 + w log(0.1/0.001), w = (Q_0.9 − Q_0.5)/log 5: an exponential tail through two quantiles
    of the Ψ of held-out stretches [N], the highest tenth of which may be disturbed. The usual
    bounds of the index, 0.1 and 0.25, are of independent draws: frames of a minute are not.

    Returns None for fewer than 8 stretches.
    """
    ordinary = np.asarray(ordinary, np.float64)
    if len(ordinary) < LEAST_STRETCHES:
        return None
    low, high = np.quantile(ordinary, [0.5, 0.9])
    return float(high + (high - low) / np.log(5) * np.log(0.1 / _LEVEL))
