"""How many of the roles that an event's atoms truly have does a model give back?"""

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.atoms.roles import ROLES
from jaxvlm.errors import InputError

NO_ROLE = ("none", "")

# The event, the atoms that together suffice, and those that hold them back; atoms ascending.
Rule = tuple[int, tuple[int, ...], tuple[int, ...]]


def role_recovery(
    assigned: ArrayLike, true: ArrayLike, *, candidates: ArrayLike | None = None
) -> dict[str, dict[str, float]]:
    """Recall and precision of learned roles, with the recall that chance would give.

    For role r, with k_e atoms of event e truly in r, a_e given r, and n_e candidates, permuting
    the given labels at random within the candidates makes the hits hypergeometric, so

        chance_r = Σ_e k_e a_e / n_e  /  Σ_e (number of true r in e).

    Args:
      assigned: [C, E] of "direct", "indirect", "counter", or "none" (also "").
      true: [C, E] of the same.
      candidates: [C, E] bool; an atom outside takes no part, so a true role there is missed and
        a label given there is ignored. Default: all.

    Returns:
      Per role: ``true``, ``assigned``, ``recovered`` (counts), ``fraction`` (recovered / true),
      ``precision`` (recovered / assigned), ``chance``. A ratio over zero is nan.

    Raises:
      InputError: shapes differ, or a label is unknown.
    """
    assigned, true = np.asarray(assigned, dtype=str), np.asarray(true, dtype=str)
    mask = np.ones(true.shape, bool) if candidates is None else np.asarray(candidates, bool)
    if not assigned.shape == true.shape == mask.shape or true.ndim != 2:
        raise InputError(
            f"roles: assigned {list(assigned.shape)}, true {list(true.shape)}, candidates "
            f"{list(mask.shape)}; give one label per atom and event"
        )
    unknown = sorted({*assigned.flat, *true.flat} - {*ROLES, *NO_ROLE})
    if unknown:
        raise InputError(
            f"roles: unknown label {str(unknown[0])!r}; use {', '.join(ROLES)} or none"
        )
    return {role: _recovery((assigned == role) & mask, true == role, mask) for role in ROLES}


def _recovery(given: np.ndarray, true: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    recovered = int((given & true).sum())
    hits = (true & mask).sum(axis=0) * given.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    return {
        "true": int(true.sum()),
        "assigned": int(given.sum()),
        "recovered": recovered,
        "fraction": _ratio(recovered, true.sum()),
        "precision": _ratio(recovered, given.sum()),
        "chance": _ratio(hits.sum(), true.sum()),
    }


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
