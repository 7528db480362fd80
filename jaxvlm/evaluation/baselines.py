"""Cheap detectors that a result has to beat, each given its best chance."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.atoms.padding import pad_frames
from jaxvlm.evaluation.mil import mil_scores


def mean_pixel_change(frames: ArrayLike) -> np.ndarray:
    """Mean absolute change of each frame against the one before: m_t = mean |f_t − f_{t−1}|.

    Args:
      frames: [T, H, W, 3], uint8 or float in grey levels.

    Returns:
      [T] float32, in grey levels; m_0 = 0.

    Raises:
      ValueError: another shape.
    """
    check_shapes("mean_pixel_change", frames=(frames, "T H W 3"))
    frames = np.asarray(frames)
    change = np.zeros(len(frames), np.float32)
    for t in range(1, len(frames)):  # two frames in memory as float, not the video
        step = frames[t].astype(np.float32) - frames[t - 1].astype(np.float32)
        change[t] = np.abs(step).mean()
    return change


def zero_shot(
    image_embeddings: ArrayLike,
    event_text_embeddings: ArrayLike,
    neutral_text_embeddings: ArrayLike,
    scale: ArrayLike,
) -> np.ndarray:
    """CLIP on the event names: a softmax over the event prompts and the neutral ones.

    P(e|t) = exp(s⟨v_t, t_e⟩) / (Σ_e' exp(s⟨v_t, t_e'⟩) + Σ_m exp(s⟨v_t, n_m⟩)).

    Args:
      image_embeddings: [T, D]; rows are made unit here, as are all others.
      event_text_embeddings: [E, D], one per event (average prompt templates first).
      neutral_text_embeddings: [L, D], prompts of nothing happening; L may be 0.
      scale: s = exp(logit_scale) of the encoder, about 100 for CLIP.

    Returns:
      [T, E].

    Raises:
      ValueError: shapes that do not fit.

    Source: Radford et al. 2021, section 3.1.
    """
    check_shapes(
        "zero_shot",
        image_embeddings=(image_embeddings, "T D"),
        event_text_embeddings=(event_text_embeddings, "E D"),
        neutral_text_embeddings=(neutral_text_embeddings, "L D"),
        scale=(scale, ""),
    )
    texts = np.concatenate([event_text_embeddings, neutral_text_embeddings])
    shares = _softmax_over_texts(pad_frames(image_embeddings), texts, scale)
    return np.asarray(shares)[: len(image_embeddings), : len(event_text_embeddings)]


def mil_linear(
    train_videos: Sequence[ArrayLike],
    train_labels: ArrayLike,
    test_videos: Sequence[ArrayLike],
    **options: Any,
) -> list[np.ndarray]:
    """Frame probabilities [T, E] of the linear multiple-instance model: `mil.mil_scores`."""
    return mil_scores(train_videos, train_labels, test_videos, form="linear", **options)


@jax.jit
def _softmax_over_texts(images: jax.Array, texts: jax.Array, scale: jax.Array) -> jax.Array:
    return jax.nn.softmax(scale * unit(images) @ unit(texts).T, axis=-1)
