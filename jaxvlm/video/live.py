"""Event probabilities one frame at a time, of one camera or of many: the numbers of `score_video`,
without the video.

The window is causal, so a frame needs a fixed number of frames before it and none after it. What
needs the whole video is refused.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm import clip
from jaxvlm.atoms.boundary import auto_kappa
from jaxvlm.atoms.segments import StreamState, init_stream, stream_step
from jaxvlm.clip import preprocessing
from jaxvlm.errors import InputError
from jaxvlm.video import ordinary_reading
from jaxvlm.video.config import AtomsConfig, PresenceConfig, threshold
from jaxvlm.video.frame_presence import FrameFeatures, features_presence, frame_features
from jaxvlm.video.scoring import Scorer

LARGEST_BATCH = 32  # frames of one step; more wait for the next one


class Scores(NamedTuple):
    """One frame: P of the scorer's signals, b, p̄ [C], the image embedding [D], and p [C] as the
    encoder and the texts give it. Of B frames, a row each."""

    probability: np.ndarray
    boundary: float | np.ndarray
    segment_presence: np.ndarray
    image_embedding: np.ndarray
    presence: np.ndarray


Step = Callable[[StreamState, np.ndarray], tuple[StreamState, Scores]]
BatchStep = Callable[[StreamState, Sequence[int], FrameFeatures], tuple[StreamState, Scores]]


def batch_size(num_frames: int) -> int:
    """The number of rows in which so many frames are computed: the next power of two."""
    return 1 << (num_frames - 1).bit_length()


def batch_sizes(num_cameras: int) -> list[int]:
    """All numbers of rows that cameras can need: 1, 2, 4 …, up to `LARGEST_BATCH`."""
    largest = batch_size(min(num_cameras, LARGEST_BATCH))
    return [1 << n for n in range(largest.bit_length())]


def looks_at_patches(scorers: Sequence[Scorer]) -> bool:
    """Whether one of them needs the patches of a frame."""
    return any(scorer.roles.config.presence.kind == "local" for scorer in scorers)


def encode_crops(
    model: clip.ClipModel, crops: Sequence[np.ndarray], *, patches: bool
) -> FrameFeatures:
    """One forward pass over what the encoder sees of frames (`preprocessing.crop`).

    Rows of zeros are added up to `batch_size`, so that few shapes are compiled: [B, D], [B, P, D].
    """
    rows = np.zeros((batch_size(len(crops)), *crops[0].shape), np.uint8)
    rows[: len(crops)] = crops
    pixels = preprocessing.pixel_values(preprocessing.pixel_table(model.preprocessing), rows)
    return frame_features(model, pixels, PresenceConfig(kind="local" if patches else "contrast"))


def live_batch(scorer: Scorer, num_cameras: int) -> tuple[StreamState, BatchStep]:
    """The states of N cameras before their first frames, stacked, and the function that takes them
    one frame on.

    The function takes the states [N, ...], the places in them of the cameras that have a frame, and
    `encode_crops` of these frames, in this order, [B, ...] with B ≥ their number. It returns the
    states and a row of `Scores` per camera; the other cameras' states are as they were. It compiles
    once for each B.

    Raises:
      InputError: δ or κ is no number (κ = "auto" of a number δ is one), or a survival floor.
    """
    roles, config = scorer.roles, scorer.roles.config
    delta, kappa = _fixed_boundary(config)
    advance = functools.partial(
        _advance,
        delta=delta,
        kappa=kappa,
        weighting=config.segments.weighting,
        normalize=config.segments.normalize,
        reduction=config.boundary.divergence,
    )

    def step(
        states: StreamState, places: Sequence[int], features: FrameFeatures
    ) -> tuple[StreamState, Scores]:
        num_frames, num_rows = len(places), len(features.image)
        slots = np.full(num_rows, num_cameras, np.int32)  # rows of nobody
        slots[:num_frames] = places
        presence = features_presence(features, scorer.bank, config.presence)
        read = ordinary_reading.read_presence(scorer.ordinary, presence)
        states, (boundary, pbar) = advance(states, slots, read)
        embeddings = np.asarray(features.image)
        probability = roles.probability(pbar)
        probability = ordinary_reading.add_novelty(scorer.ordinary, probability, embeddings)
        found = Scores(probability, boundary, pbar, embeddings, presence)
        return states, Scores(*(np.asarray(rows)[:num_frames] for rows in found))

    first = init_stream(len(roles.atoms), config.segments.window)
    return jax.tree.map(lambda leaf: jnp.stack([leaf] * num_cameras), first), step


def live_step(scorer: Scorer) -> tuple[StreamState, Step]:
    """The state before the first frame, and the function from (state, image) to (state, scores).

    An image is HxWx3 uint8 RGB, of any size. The function is compiled by its first call.

    Raises InputError as `live_batch`, of which this is one camera.
    """
    states, advance = live_batch(scorer, 1)
    patches = looks_at_patches([scorer])

    def step(state: StreamState, image: np.ndarray) -> tuple[StreamState, Scores]:
        model = scorer.encoder.model
        features = encode_crops(model, [preprocessing.crop(model, image)], patches=patches)
        states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], state)
        states, scores = advance(states, [0], features)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[0], states), _row(scores, 0)

    return jax.tree.map(lambda leaf: leaf[0], states), step


def rows_of(scores: Scores) -> list[Scores]:
    """A `Scores` of one frame for each row."""
    return [_row(scores, n) for n in range(len(scores.boundary))]


def _row(scores: Scores, n: int) -> Scores:
    return Scores(*(rows[n] for rows in scores))._replace(boundary=float(scores.boundary[n]))


@functools.partial(jax.jit, static_argnames=["weighting", "normalize", "reduction"])
def _advance(
    states: StreamState, slots: jax.Array, presence: jax.Array, **settings: Any
) -> tuple[StreamState, tuple[jax.Array, jax.Array]]:
    """`stream_step` of the states in some slots; a slot that there is not is read as zeros and not
    written."""
    own = jax.tree.map(lambda leaf: leaf.at[slots].get(mode="fill", fill_value=0), states)
    own, found = jax.vmap(functools.partial(stream_step, **settings))(own, presence)
    states = jax.tree.map(lambda leaf, rows: leaf.at[slots].set(rows, mode="drop"), states, own)
    return states, found


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
