"""In or out: a threshold that keeps a share of the pictures known to be in-distribution."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxvlm.errors import InputError
from jaxvlm.names import number_of

KEEP_ID = 0.95  # the share that FPR@95 keeps


class Decision(NamedTuple):
    """What is called out: scores below ``threshold``, which ``keep_id`` of the ID pictures reach.

    known: the ID pictures' scores, sorted [N_id]. share_of_id_below: per picture the share of these
    that are lower than its score [N]. is_out: [N] bool.
    """

    keep_id: float
    threshold: float
    known: np.ndarray
    share_of_id_below: np.ndarray
    is_out: np.ndarray

    def record(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            "keep_id": self.keep_id,
            "threshold": self.threshold,
            "id_pictures": len(self.known),
            "out": int(self.is_out.sum()),
        }


def check_keep_id(keep_id: float) -> None:
    """Raises InputError for a share that is not above 0 and at most 1."""
    if not 0 < keep_id <= 1:
        raise InputError(f"keep_id {keep_id}: no share; give a number above 0, at most 1")


def decide(scores: ArrayLike, id_scores: ArrayLike, keep_id: float = KEEP_ID) -> Decision:
    """Calls pictures in or out by the ID pictures' scores; higher = in-distribution.

    threshold = the ⌈keep_id·N_id⌉-th highest ID score, the highest that at least this share of the
    ID pictures reaches; out: score < threshold. It is the threshold of FPR@95 for 0.95.

    Args:
      scores: [N]. id_scores: [N_id], at least one.

    Raises InputError: a share outside (0, 1].
    """
    check_keep_id(keep_id)
    scores, known = np.asarray(scores), np.sort(np.asarray(id_scores))
    count = math.ceil(round(keep_id * len(known), 9))  # 0.7·10 is 7, whatever binary makes of it
    threshold = known[len(known) - count]
    below = np.searchsorted(known, scores) / len(known)
    return Decision(keep_id, float(threshold), known, below, scores < threshold)


def rule(decision: Decision | None) -> str:
    """The decision in a sentence; without one, that there is none, and how to get it."""
    if decision is None:
        return (
            "No picture is called in or out: that takes pictures known to be in-distribution; "
            "give them as --id_dir"
        )
    return (
        f"Out below {decision.threshold:.3g}, which {100 * decision.keep_id:g} % of the "
        f"ID pictures ({len(decision.known)}) reach: {decision.is_out.sum()} of "
        f"{number_of(len(decision.is_out), 'picture')}"
    )
