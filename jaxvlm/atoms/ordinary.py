"""Presence read against what a camera ordinarily shows.

A camera's zero is, per atom, the height of the margin that its ordinary footage hardly ever
exceeds, and how quickly the margin fades there.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes
from jaxvlm.atoms.quantile_sketch import LARGEST, NUM_CELLS, quantiles

LEVEL = 1e-2  # share of ordinary frames on which an atom's presence exceeds one half
BODY = (0.5, 0.8)  # quantiles that the tail is continued from
_NARROWEST = 0.25  # a width, in units of the logit


class Zero(NamedTuple):
    """q and w of every atom, [C] each."""

    location: ArrayLike
    width: ArrayLike


def margin(presence: ArrayLike) -> np.ndarray:
    """By how much each atom stands out of a frame: the logit of its presence, within ±16.

    m_c(t) = log p_c(t) − log(1 − p_c(t))

    For contrast presence it is s (⟨v_t, t_c⟩ − ν(t)) again, for any other kind what that kind gives
    in its place, so that what follows needs to know no kind.

    Args:
      presence: [T, C] in [0, 1].

    Returns:
      [T, C] float32. From 14 on it is coarse, because float32 is near 1.
    """
    check_shapes("margin", presence=(presence, "T C"))
    p = np.clip(np.asarray(presence, np.float64), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -LARGEST, LARGEST).astype(np.float32)


def fit_zero(counts: ArrayLike, *, level: float = LEVEL) -> Zero:
    """q and w of every atom from the sketch of its ordinary margins.

    w = max((Q_0.8 − Q_0.5) / log(0.5/0.2), 0.25),  q = Q_0.8 + w log(0.2/level)

    This is the exponential tail of peaks over thresholds, matched at two quantiles and continued to
    the margin that a share ``level`` of the frames exceeds: on ordinary footage σ((m − q)/w) is
    level/(level + a), a the share of frames at or above m. Nothing above Q_0.8 has a part in it: a
    disturbance on a share ε of the frames, however strong, moves the quantiles to Q_0.5/(1−ε) and
    Q_0.8/(1−ε) of the undisturbed footage at most; with ε = 5 % to Q_0.53 and Q_0.84.

    Args:
      counts: [C, B] of `quantile_sketch.sketch`; every atom has a value.
      level: see above.

    Raises:
      ValueError: another number of cells.

    Source: peaks over thresholds (Pickands 1975) with shape 0; the quantiles, the level and the
    narrowest width: docs/results.md, Ordinary footage.
    """
    check_shapes("fit_zero", counts=(counts, f"C {NUM_CELLS}"))
    location, width = fit_tail(*quantiles(counts, BODY).T, narrowest=_NARROWEST, level=level)
    return Zero(location.astype(np.float32), width.astype(np.float32))


def fit_tail(
    low: ArrayLike, high: ArrayLike, *, narrowest: float, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """q and w of `fit_zero`, from the quantiles at `BODY`; ``narrowest``: the least w."""
    width = (np.asarray(high) - np.asarray(low)) / np.log((1 - BODY[0]) / (1 - BODY[1]))
    width = np.maximum(width, narrowest)
    return np.asarray(high) + width * np.log((1 - BODY[1]) / level), width


@jax.jit
def ordinary_presence(margin: ArrayLike, location: ArrayLike, width: ArrayLike) -> jax.Array:
    """Presence as the evidence that an atom stands out more than this camera ordinarily shows it.

    p_c(t) = σ((m_c(t) − q_c) / w_c)

    An atom that the camera always shows is worth nothing, for its q is as high as its margin.

    Args:
      margin: [T, C] of `margin`.
      location, width: q and w [C], or [T, C] where the zero changes over the day.

    Returns:
      [T, C] in [0, 1].

    Raises:
      ValueError: shapes that do not fit.

    Source: docs/mathematics.md, Ordinary footage.
    """
    axes = "C" if jnp.ndim(location) == 1 else "T C"
    check_shapes(
        "ordinary_presence", margin=(margin, "T C"), location=(location, axes), width=(width, axes)
    )
    return jax.nn.sigmoid((jnp.asarray(margin) - jnp.asarray(location)) / jnp.asarray(width))
