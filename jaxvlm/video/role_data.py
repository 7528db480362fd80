"""What roles are learned from: the videos of a manifest, in memory."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class RoleData(NamedTuple):
    """p̄ and p [T_n, C] per video, labels [N, E], and where each came from.

    ``presences`` is empty where a run lacks p, as runs of the prototype may. ``frame_labels``
    [T_n, E], −1 unknown: only where labels say something of single frames. ``embeddings``: of
    frames [≤ T_n, D], where the runs have them. clip: the encoder that all are of, see
    `clip.identity`; None where no run says it.
    """

    videos: list[np.ndarray]
    labels: np.ndarray
    names: list[str]
    presences: list[np.ndarray]
    frame_labels: Sequence[np.ndarray] = ()
    embeddings: Sequence[np.ndarray] = ()
    clip: Mapping[str, Any] | None = None

    def of(self, kept: np.ndarray) -> "RoleData":
        """The videos where ``kept`` [N] is True, in their order."""
        places = np.flatnonzero(kept)

        def some(items: Sequence) -> list:
            return [items[n] for n in places] if len(items) else []

        return RoleData(
            some(self.videos),
            self.labels[places],
            some(self.names),
            some(self.presences),
            some(self.frame_labels),
            some(self.embeddings),
            self.clip,
        )
