"""A camera whose margins and embeddings are drawn, with written roles over three atoms."""

import numpy as np

from jaxvlm.atoms.role_tables import roles_from_strengths
from jaxvlm.video.config import AtomsConfig
from jaxvlm.video.role_model import RoleModel

FPS = 1.0
ATOMS, EVENTS = ("crowd", "gun", "smoke"), ("shooting", "fire")
MADE_BY = {
    "path": None,
    "name": "drawn",
    "embedding_dimension": 8,
    "logit_scale": 100.0,
}
CENTRES = np.array([[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]], float)


def roles() -> RoleModel:
    """gun is a direct sign of a shooting, smoke of fire; crowd is always there."""
    none = np.zeros((3, 2), np.float32)
    direct = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    params = roles_from_strengths(direct, none, none)
    return RoleModel(params, ATOMS, EVENTS, None, AtomsConfig(fps=FPS), ("a photo of {}",), ("a",))


def footage(seed: int, frames: int, *, gun: slice | None = None, strange: slice | None = None):
    """p [T, 3] and embeddings [T, 8]; with a gun, or of something new, on some frames."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(size=(frames, 3)) + np.array([4.0, -6.0, -5.0])
    rows = CENTRES[np.arange(frames) // 40 % 2] + 0.05 * rng.normal(size=(frames, 8))
    if gun is not None:
        margins[gun, 1] += 9.0
    if strange is not None:
        rows[strange] = np.roll(CENTRES[0], 5)
    presence = 1 / (1 + np.exp(-margins))
    return presence.astype(np.float32), (7 * rows).astype(np.float32)
