"""What speaks against trusting the scores of videos, decided from embeddings that are there."""

from collections.abc import Mapping, Sequence

import numpy as np
from jax.typing import ArrayLike

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


def often_detected(probability: np.ndarray, threshold: ArrayLike) -> int:
    """How many of the E events have P ≥ max(threshold, ½) on at least half of the frames.

    probability: [T, E], T ≥ 1. A lower threshold is the user's wish, and tells nothing of P.
    """
    detected = np.asarray(probability) >= np.maximum(threshold, 0.5)
    return int((2 * detected.sum(axis=0) >= len(detected)).sum())


def fires_everywhere(often: int, num_events: int) -> bool:
    """At least half of the events, and two of them, `often_detected`: none of them stands out."""
    return often >= max(2, -(-num_events // 2))


def no_information(often: Sequence[int], num_events: int) -> list[str]:
    """A line where more than half of the videos `fires_everywhere`; else none.

    often: by video, how many events are `often_detected`.
    """
    found = sum(fires_everywhere(count, num_events) for count in often)
    if 2 * found <= len(often):
        return []
    videos = "the video" if len(often) == 1 else f"{found} of {len(often)} videos"
    least = max(2, -(-num_events // 2))
    events = f"all {num_events}" if least == num_events else f"{least} or more of {num_events}"
    return [
        f"the scores carry no information: in {videos} {events} events are detected on most "
        "frames; the encoder or the neutral prompts do not fit: take another --clip, or "
        "neutral_prompts of what these cameras show every day"
    ]


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
