"""Cheap detectors that a result has to beat, each given its best chance."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, unit
from jaxvlm.atoms.descent import minimise
from jaxvlm.atoms.padding import pad_frames, shorten
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.errors import InputError

POOLINGS = ("noisy_or", "mean")
INPUTS = ("global", "video")
L2_GRID = (1e-4, 1e-3, 1e-2)
FOLDS = 3


class MilLinear(NamedTuple):
    """A linear multiple-instance model on standardised p̄ and how it was chosen."""

    weights: np.ndarray  # [C, E]
    bias: np.ndarray  # [E]
    mean: np.ndarray  # [C], of the training frames
    std: np.ndarray  # [C]
    inputs: str
    pooling: str
    l2: float


class _Bags(NamedTuple):
    """Padded training videos."""

    inputs: np.ndarray  # [N, T, C]
    mask: np.ndarray  # [N, T], True for a frame
    labels: np.ndarray  # [N, E]
    allowed: np.ndarray  # [C, E], 0 for a weight that stays 0


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
    *,
    seed: int,
    candidates: ArrayLike | None = None,
    topk: int = 10,
    steps: int = 200,
) -> list[np.ndarray]:
    """Frame probabilities of the linear multiple-instance model chosen by `fit_mil_linear`.

    Args:
      train_videos: one p̄ [T_n, C] per training video.
      train_labels: [N, E] of 0/1.
      test_videos: one p̄ [T, C] per test video.
      seed, candidates, topk, steps: as in `fit_mil_linear`.

    Returns:
      One [T, E] per test video, in [0, 1].

    Raises:
      InputError, ValueError: as in `fit_mil_linear`; ValueError: a test video of other atoms.
    """
    model = fit_mil_linear(
        train_videos, train_labels, seed=seed, candidates=candidates, topk=topk, steps=steps
    )
    return [mil_probability(model, video) for video in test_videos]


def fit_mil_linear(
    train_videos: Sequence[ArrayLike],
    train_labels: ArrayLike,
    *,
    seed: int,
    candidates: ArrayLike | None = None,
    topk: int = 10,
    steps: int = 200,
) -> MilLinear:
    """Fits σ(xᵀw_e + b_e) per frame from video labels, on standardised p̄.

    The video probability is 1 − Π_{top-k}(1 − p) (``noisy_or``) or the sigmoid of the mean of the
    top-k logits (``mean``). Inputs are z-scores over the training frames (``global``), or those
    less their median over the video (``video``: fixed cameras cancel). Input and pooling, then
    the L2 weight, are those with the lowest held-out cross-entropy in 3-fold cross-validation
    over the training videos, so the baseline does not lose by a bad choice of ours.

    Args:
      train_videos: one p̄ [T_n, C] per video, T_n ≥ 1; long ones are shortened as for the roles.
      train_labels: [N, E] of 0/1.
      seed: of the folds and of the initial weights.
      candidates: [C, E] 0/1; the other weights stay 0. None: every atom may count.
      topk: k.
      steps: Adam steps per fit, full batch, lr 0.05 with cosine decay.

    Raises:
      InputError: NaN, an empty video, fewer videos than folds, or sizes that do not agree.
      ValueError: candidates of another shape.
    """
    labels = np.asarray(train_labels, np.float32)
    videos = [shorten(np.asarray(video, np.float32)) for video in train_videos]
    _check(videos, labels)
    frames = np.concatenate(videos)
    mean, std = frames.mean(axis=0), np.maximum(frames.std(axis=0), 1e-6)
    mask = np.zeros((len(videos), max(map(len, videos))), bool)
    inputs = {kind: np.zeros((*mask.shape, frames.shape[1]), np.float32) for kind in INPUTS}
    for n, video in enumerate(videos):
        mask[n, : len(video)] = True
        for kind in INPUTS:
            inputs[kind][n, : len(video)] = _standardise(video, mean, std, kind)

    fold = np.random.default_rng(seed).permutation(len(videos)) % FOLDS
    train_weights = (fold[None] != np.arange(FOLDS)[:, None]).astype(np.float32)
    key = jax.random.key(seed)
    shape = frames.shape[1], labels.shape[1]
    check_shapes("fit_mil_linear", candidates=(candidates, f"{shape[0]} {shape[1]}"))
    allowed = np.ones(shape, np.float32) if candidates is None else np.asarray(candidates)
    bags = {kind: _Bags(inputs[kind], mask, labels, allowed) for kind in INPUTS}

    def held_out(kind: str, pooling: str, l2: float) -> float:
        fit = functools.partial(_fit, pooling=pooling, topk=topk, steps=steps)
        folds = jax.vmap(fit, in_axes=(None, None, 0, None))
        return float(folds(key, bags[kind], train_weights, l2)[1].sum())

    # In turn, not over the whole product: half the fits.
    kind, pooling = min(
        itertools.product(INPUTS, POOLINGS), key=lambda choice: held_out(*choice, L2_GRID[1])
    )
    l2 = min(L2_GRID, key=lambda value: held_out(kind, pooling, value))
    everything = np.ones(len(videos), np.float32)
    fit = functools.partial(_fit, pooling=pooling, topk=topk, steps=steps)
    (weights, bias), _ = fit(key, bags[kind], everything, l2)
    return MilLinear(np.asarray(weights) * allowed, np.asarray(bias), mean, std, kind, pooling, l2)


def mil_probability(model: MilLinear, video: ArrayLike) -> np.ndarray:
    """Frame probabilities [T, E] of one video p̄ [T, C] under a fitted model.

    Raises ValueError for shapes that do not fit.
    """
    check_shapes("mil_probability", weights=(model.weights, "C E"), video=(video, "T C"))
    inputs = _standardise(np.asarray(video, np.float32), model.mean, model.std, model.inputs)
    logits = pad_frames(inputs @ model.weights + model.bias)
    return np.asarray(jax.nn.sigmoid(logits))[: len(inputs)]


@jax.jit
def _softmax_over_texts(images: jax.Array, texts: jax.Array, scale: jax.Array) -> jax.Array:
    return jax.nn.softmax(scale * unit(images) @ unit(texts).T, axis=-1)


@functools.partial(jax.jit, static_argnames=("pooling", "topk", "steps"))
def _fit(key, bags, video_weights, l2, *, pooling, topk, steps):
    """Fits on videos of weight 1; returns ((w, b), summed cross-entropy of the others)."""
    rate = jnp.clip(video_weights @ bags.labels / video_weights.sum(), 0.01, 0.99)
    k = min(topk, bags.inputs.shape[1])
    weights = 0.01 * jax.random.normal(key, bags.allowed.shape) * bags.allowed

    def losses(params):
        logits = bags.inputs @ (params[0] * bags.allowed) + params[1]
        one = _mean_cross_entropy if pooling == "mean" else video_cross_entropy
        each = jax.vmap(lambda z, label, mask: one(z, label, k=k, mask=mask))
        return each(logits, bags.labels, bags.mask).sum(axis=-1)

    def objective(params):
        return video_weights @ losses(params) / video_weights.sum() + l2 * (params[0] ** 2).sum()

    start = (weights, _start_bias(rate, k, pooling))
    falling = optax.cosine_decay_schedule(0.05, steps)
    params = minimise(objective, start, steps=steps, rate=falling)
    return params, (1 - video_weights) @ losses(params)


def _mean_cross_entropy(logits, label, *, k, mask):
    """Cross-entropy [E] of the sigmoid of the mean of the k largest logits [T, E] of a video."""
    top = jax.lax.top_k(jnp.where(mask[:, None], logits, -jnp.inf).T, k)[0]  # [E, k]
    valid = jnp.isfinite(top)
    pooled = jnp.where(valid, top, 0.0).sum(axis=-1) / valid.sum(axis=-1)
    return optax.sigmoid_binary_cross_entropy(pooled, label)


def _start_bias(rate, k, pooling):
    """The frame bias at which a video of k frames gets the base rate; 0 saturates a noisy-OR."""
    start = 1 - (1 - rate) ** (1 / k) if pooling == "noisy_or" else rate
    return jnp.log(start) - jnp.log1p(-start)


def _standardise(video, mean, std, kind):
    scores = (video - mean) / std
    return scores - np.median(scores, axis=0) if kind == "video" else scores


def _check(videos: list[np.ndarray], labels: np.ndarray) -> None:
    if labels.ndim != 2 or len(videos) != len(labels) or len(videos) < FOLDS:
        raise InputError(
            f"{len(videos)} training videos, labels {list(labels.shape)}; give [videos, events] "
            f"labels and at least {FOLDS} videos"
        )
    for n, video in enumerate(videos):
        if video.ndim != 2 or not len(video) or video.shape[1] != videos[0].shape[-1]:
            raise InputError(
                f"training video {n}: p̄ {list(video.shape)}; give [frames, atoms] with frames and "
                "the same atoms for every video"
            )
        if np.isnan(video).any():
            raise InputError(f"training video {n}: p̄ has NaN; score the video again")
