"""Event probabilities one frame at a time: the numbers of `score_video`, without the video.

The window is causal, so a frame needs a fixed number of frames before it and none after it. What
needs the whole video is refused.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxvlm import clip
from jaxvlm.atoms.boundary import auto_kappa
from jaxvlm.atoms.segments import StreamState, init_stream, stream_step
from jaxvlm.errors import InputError
from jaxvlm.video import ordinary_reading
from jaxvlm.video.config import AtomsConfig, threshold
from jaxvlm.video.frame_presence import features_presence, frame_features
from jaxvlm.video.scoring import Scorer


class Scores(NamedTuple):
    """One frame: P of the scorer's signals, b, p̄ [C], the image embedding [D], and p [C] as the
    encoder and the texts give it."""

    probability: np.ndarray
    boundary: float
    segment_presence: np.ndarray
    image_embedding: np.ndarray
    presence: np.ndarray


Step = Callable[[StreamState, np.ndarray], tuple[StreamState, Scores]]


def live_step(scorer: Scorer) -> tuple[StreamState, Step]:
    """The state before the first frame, and the function from (state, image) to (state, scores).

    An image is HxWx3 uint8 RGB, of any size. The function is compiled by its first call.

    Raises:
      InputError: δ or κ is no number (κ = "auto" of a number δ is one), or a survival floor.
    """
    roles, config = scorer.roles, scorer.roles.config
    delta, kappa = _fixed_boundary(config)
    advance = functools.partial(
        stream_step,
        delta=delta,
        kappa=kappa,
        weighting=config.segments.weighting,
        normalize=config.segments.normalize,
        reduction=config.boundary.divergence,
    )

    def step(state: StreamState, image: np.ndarray) -> tuple[StreamState, Scores]:
        model, settings = scorer.encoder.model, config.presence
        features = frame_features(model, clip.preprocess(model, [image]), settings)
        presence = np.asarray(features_presence(features, scorer.bank, settings))
        read = ordinary_reading.read_presence(scorer.ordinary, presence)
        state, (boundary, pbar) = advance(state, read[0])
        embeddings = np.asarray(features.image)
        probability = roles.probability(pbar[None])
        probability = ordinary_reading.add_novelty(scorer.ordinary, probability, embeddings)
        found = (probability[0], float(boundary), np.asarray(pbar), embeddings[0], presence[0])
        return state, Scores(*found)

    return init_stream(len(roles.atoms), config.segments.window), step


def _fixed_boundary(config: AtomsConfig) -> tuple[float, float]:
    delta = threshold("boundary.delta", config.boundary.delta)
    kappa = threshold("boundary.kappa", config.boundary.kappa)
    if kappa == "auto" and not isinstance(delta, str):
        kappa = float(auto_kappa(delta))
    for field, value in (("delta", delta), ("kappa", kappa)):
        if isinstance(value, str):
            raise InputError(
                f"config boundary.{field}={value}: needs the whole video, and a live source has "
                f"no end; use a role model whose pipeline ran with --{field}=NUMBER"
            )
    if config.segments.survival_floor > 0:
        raise InputError(
            f"config segments.survival_floor={config.segments.survival_floor}: cannot be used "
            "live; use a role model whose pipeline ran with 0"
        )
    return delta, kappa
