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
    that are lower than its score [N]. id_p_value: what of ID pictures in general is expected to
    score as low or lower [N]. is_out: [N] bool.
    """

    keep_id: float
    threshold: float
    known: np.ndarray
    share_of_id_below: np.ndarray
    id_p_value: np.ndarray
    is_out: np.ndarray

    @property
    def expected_kept(self) -> float:
        """The share of other ID pictures that is expected to be called in, at least."""
        count = len(self.known)
        return _kept(self.keep_id, count) / (count + 1)

    def record(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            "keep_id": self.keep_id,
            "expected_kept": self.expected_kept,
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
    p = (1 + |{i: s_i ≤ s}|)/(N_id + 1).

    A further ID picture that is drawn as these were is as likely to stand at each of the N_id + 1
    places among them, whatever the scores' distribution. So P(p ≤ α) ≤ α for every α, with equality
    at α = k/(N_id + 1) where no scores tie; the share |{i: s_i < s}|/N_id is 0 with a chance of
    1/(N_id + 1) and would say too much. It reaches the threshold with a chance of at least
    ⌈keep_id·N_id⌉/(N_id + 1).

    Args:
      scores: [N]. id_scores: [N_id], at least one.

    Raises InputError: a share outside (0, 1].

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), §2.2, of
    p-values; docs/results.md has how often they hold.
    """
    check_keep_id(keep_id)
    scores, known = np.asarray(scores), np.sort(np.asarray(id_scores))
    threshold = known[len(known) - _kept(keep_id, len(known))]
    below = np.searchsorted(known, scores) / len(known)
    p_value = (1 + np.searchsorted(known, scores, side="right")) / (len(known) + 1)
    return Decision(keep_id, float(threshold), known, below, p_value, scores < threshold)


def _kept(keep_id: float, count: int) -> int:
    return math.ceil(round(keep_id * count, 9))  # 0.7·10 is 7, whatever binary makes of it


def rule(decision: Decision | None) -> str:
    """The decision in a sentence; without one, that there is none, and how to get it."""
    if decision is None:
        return (
            "No picture is called in or out: that takes pictures known to be in-distribution; "
            "give them as --id_dir"
        )
    shown_percent = f"{100 * decision.expected_kept:.3g}"
    return (
        f"Out below {decision.threshold:.3g}, which {100 * decision.keep_id:g} % of the "
        f"ID pictures ({len(decision.known)}) reach, and of others {shown_percent} %: "
        f"{decision.is_out.sum()} of {number_of(len(decision.is_out), 'picture')}"
    )
