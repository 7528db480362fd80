"""Where P = 1/2 lies: training fits video probabilities, a reader looks at frames."""

import functools
from collections.abc import Sequence

import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.atoms.roles import RoleParams, event_logits


def center_decision(
    params: RoleParams,
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    candidates: ArrayLike | None = None,
    temperature: float = 2.0,
) -> RoleParams:
    """Moves each bias so that a frame with P(e|u) > 1/2 is a reason to report the event.

    b_e ← b_e − z_e,  z_e = argmax_z F_½(max_u logit P(e|u) > z against y_e) over the videos

    Training sets b so that the noisy-OR of ten frames fits a video's label, which leaves every
    single frame far below 1/2. The order of an event's frames does not change.

    Args:
      params: trained roles.
      videos: N arrays [T_n, C] of p̄, the training videos.
      labels: [N, E] 0/1.
      candidates, temperature: as the roles were trained with.

    Returns:
      The parameters with another bias; an event that all videos or none show keeps its own.

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Training.
    """
    check_shapes("center_decision", bias=(params.bias, "E"), labels=(labels, f"{len(videos)} E"))
    logits = functools.partial(event_logits, params, candidates=candidates, temperature=temperature)
    highest = np.stack(
        [np.asarray(logits(pad_frames(video)))[: len(video)].max(axis=0) for video in videos]
    )
    labels = np.asarray(labels)
    shift = [best_threshold(z, y) for z, y in zip(highest.T, labels.T, strict=True)]
    return params._replace(bias=params.bias - np.float32(shift))


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the highest F_½ = 1.25 TP/(1.25 TP + FP + FN/4), between two scores [N].

    F_½ and not F_1, because a false alarm costs a reader more than a miss. 0 if labels [N] are
    all equal. Of equal thresholds the highest. Raises ValueError for shapes that do not fit.
    """
    check_shapes("best_threshold", scores=(scores, "N"), labels=(labels, "N"))
    if labels.min() == labels.max():
        return 0.0
    ordered = np.unique(scores)
    cuts = np.concatenate([[ordered[0] - 1.0], (ordered[1:] + ordered[:-1]) / 2.0])
    reported = scores[None, :] > cuts[:, None]
    true_positives = (reported & (labels > 0)).sum(axis=1)
    score = 1.25 * true_positives / (reported.sum(axis=1) + 0.25 * (labels > 0).sum())
    return float(cuts[np.flatnonzero(score == score.max())[-1]])
