"""What speaks against trusting the scores of videos, decided from embeddings that are there."""

from collections.abc import Mapping

import numpy as np

from jaxvlm import clip
from jaxvlm.clip import familiarity
from jaxvlm.clip.similar_texts import text_doubts
from jaxvlm.video.frame_presence import AtomBank
from jaxvlm.video.role_model import RoleModel


def video_doubts(
    model: clip.ClipModel | None,
    bank: AtomBank,
    roles: RoleModel,
    frames: Mapping[str, np.ndarray],
) -> list[str]:
    """A line for each reason for doubt; none where nothing is known against the scores.

    The videos are unlike what the encoder was made on, or unlike those that the roles were trained
    on; or the encoder cannot tell the atoms apart. See `familiarity` and `similar_texts`.

    Args:
      model: None where only embeddings are there, and nothing is known of their encoder.
      frames: image embeddings [T, D] by video.
    """
    what = "video" if len(frames) == 1 else "videos"
    return [*unlike(model, roles, frames, what), *text_doubts(bank.atoms, roles.atoms, "atoms")]


def unlike(
    model: clip.ClipModel, roles: RoleModel, frames: Mapping[str, np.ndarray], what: str
) -> list[str]:
    """The lines of `video_doubts` that say what the pictures are unlike. what: what they are, as
    of `familiarity.doubts`."""
    lines = familiarity.doubts(
        None if model is None else model.familiar,
        frames,
        what=what,
        made="the pictures that the encoder was made on",
        cure="its probabilities say nothing about them; take another --clip",
    )
    return lines + familiarity.doubts(
        roles.familiar,
        frames,
        what=what,
        made="those that the roles were trained on",
        cure="train roles on videos like these, or write them (--roles=ontology)",
    )
