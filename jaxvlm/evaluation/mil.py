"""Multiple-instance models of p̄, which learned roles have to beat, each given its best chance."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy
from jax.tree_util import Partial
from jax.typing import ArrayLike

from jaxvlm.arrays import check_shapes, top_indices
from jaxvlm.atoms.descent import minimise
from jaxvlm.atoms.members import members_of
from jaxvlm.atoms.padding import LENGTHS, pad_frames, shorten
from jaxvlm.atoms.quadratic import as_known
from jaxvlm.errors import InputError
from jaxvlm.evaluation.mil_forms import (
    FORMS,
    POOLINGS,
    Params,
    Penalty,
    num_counted,
    penalty_of,
    start_bias,
)

INPUTS = ("global", "video", "calibrated")
FOLDS = 3
# As roles calibrate an atom: from σ(−4) at its low quantile to σ(4) at its high one.
_LOW, _HIGH, _SPREAD, _SMALLEST_SPREAD = 0.05, 0.995, 8.0, 1e-3
_SMALLEST_STD = 1e-6
_RATES = (0.01, 0.99)  # of an event that no video, or every video, shows
_RATE = 0.05


class Reading(NamedTuple):
    """How p̄ becomes the inputs x, from the training frames; all [C] but the kind."""

    kind: str  # of `INPUTS`
    center: np.ndarray
    slope: np.ndarray
    mean: np.ndarray
    std: np.ndarray


class Mil(NamedTuple):
    """A fitted model, and what was chosen for it."""

    form: str  # of `FORMS`
    params: dict[str, np.ndarray]  # of each event [E, ...], by number of member
    members: np.ndarray  # [E, M] atoms that an event may use; −1: none
    reading: Reading
    pooling: str
    penalty: Penalty


class _Bags(NamedTuple):
    """Padded training videos."""

    inputs: jax.Array  # [N, T, C]
    mask: jax.Array  # [N, T], True for a frame
    labels: jax.Array  # [N, E]
    members: jax.Array  # [E, M]


class _Options(NamedTuple):
    """What another value is another program of; ``most`` videos of weight 1 in a row."""

    form: str
    pooling: str
    topk: int
    steps: int
    most: int


def fit_mil(
    train_videos: Sequence[ArrayLike],
    train_labels: ArrayLike,
    *,
    form: str,
    seed: int,
    candidates: ArrayLike | None = None,
    topk: int = 10,
    steps: int = 200,
) -> Mil:
    """Fits P(e|u) = σ(z_e(x_u)) per frame from video labels.

    Forms: ``linear`` z = wᵀx + b; ``topk_mean`` the same, pooled as VadCLIP pools;
    ``quadratic`` z = wᵀx + Σ_{i<j} W_ij x_i x_j + b; ``mlp`` 16 hidden units for each event. The
    video probability is 1 − Π_{top-k}(1 − P) (``noisy_or``), the sigmoid of the mean of the top-k
    logits (``mean``), or for ``topk_mean`` the mean of the ⌊T/16⌋ + 1 largest P.

    Inputs x are z-scores over the training frames (``global``), those less their median over the
    video (``video``: fixed cameras cancel), or z-scores of σ(s_c (p̄_c − m_c)) with s and m at
    which roles start (``calibrated``). Inputs and pooling, then the penalty (L2, for the quadratic
    form L2 or L1), are those with the lowest held-out cross-entropy in 3-fold cross-validation over
    the training videos, so a baseline does not lose by a bad choice of ours.

    Args:
      train_videos: one p̄ [T_n, C] per video, T_n ≥ 1; long ones are shortened as for the roles.
      train_labels: [N, E] of 0/1.
      form: of `FORMS`.
      seed: of the folds and of the initial weights.
      candidates: [C, E] 0/1, the atoms that an event may use. None: every atom.
      topk: k.
      steps: Adam steps per fit, full batch, lr 0.05 with cosine decay.

    Raises:
      InputError: NaN, an empty video, fewer videos than folds, or sizes that do not agree.
      ValueError: candidates of another shape.

    Source: Wu et al., VadCLIP (AAAI 2024), for ``topk_mean``.
    """
    labels = np.asarray(train_labels, np.float32)
    videos = [shorten(np.asarray(video, np.float32)) for video in train_videos]
    _check(videos, labels)
    shape = videos[0].shape[1], labels.shape[1]
    check_shapes("fit_mil", candidates=(candidates, f"{shape[0]} {shape[1]}"))
    members = members_of(np.ones(shape) if candidates is None else np.asarray(candidates))
    frames = np.concatenate(videos)
    readings = {kind: _reading(frames, kind) for kind in INPUTS}
    bags = {kind: _bags(videos, labels, members, read) for kind, read in readings.items()}
    fold = np.random.default_rng(seed).permutation(len(videos)) % FOLDS
    folds = (fold[None] != np.arange(FOLDS)[:, None]).astype(np.float32)
    fit = functools.partial(_fit, jax.random.key(seed), form=form, topk=topk, steps=steps)

    @functools.cache
    def held_out(kind: str, pooling: str, penalty: Penalty) -> float:
        return float(fit(bags[kind], folds, penalty, pooling=pooling)[1].sum())

    # In turn, not over the whole product: half the fits.
    own = FORMS[form]
    kind, pooling = min(
        itertools.product(INPUTS, own.poolings),
        key=lambda choice: held_out(*choice, own.penalties[0]),
    )
    penalty = min(own.penalties, key=lambda value: held_out(kind, pooling, value))
    params, _ = fit(bags[kind], np.ones_like(folds[:1]), penalty, pooling=pooling)
    params = {name: np.asarray(leaf[:, 0]) for name, leaf in params.items()}
    return Mil(form, params, members, readings[kind], pooling, penalty)


def mil_scores(
    train_videos: Sequence[ArrayLike],
    train_labels: ArrayLike,
    test_videos: Sequence[ArrayLike],
    **options,
) -> list[np.ndarray]:
    """Frame probabilities [T, E] of each test video under the model of `fit_mil`.

    Arguments and errors as there; ValueError for a test video of other atoms.
    """
    model = fit_mil(train_videos, train_labels, **options)
    return [mil_probability(model, video) for video in test_videos]


def mil_inputs(model: Mil, video: ArrayLike, *, of: ArrayLike | None = None) -> np.ndarray:
    """The inputs x [T, C] of one whole video p̄ [T, C], or of frames as if they were in it.

    of: p̄ of the whole video, whose median inputs of kind ``video`` are read against; None: these
    frames are all of it.

    Raises ValueError for shapes that do not fit.
    """
    check_shapes("mil_inputs", reading=(model.reading.mean, "C"), video=(video, "T C"))
    scores = _scores(np.asarray(video, np.float32), model.reading)
    whole = scores if of is None else _scores(np.asarray(of, np.float32), model.reading)
    return _less_median(scores, whole, model.reading)


def row_model(model: Mil) -> Partial:
    """The function from inputs x [T, C] to logits [T, E], row by row, as a pytree of weights."""
    return Partial(_rows(model.form), model.params, model.members)


def mil_logits(model: Mil, video: ArrayLike) -> np.ndarray:
    """Frame logits [T, E] of one video p̄ [T, C]; ValueError for shapes that do not fit."""
    inputs = mil_inputs(model, video)
    return np.asarray(row_model(model)(pad_frames(inputs)))[: len(inputs)]


def mil_probability(model: Mil, video: ArrayLike) -> np.ndarray:
    """Frame probabilities [T, E], as `mil_logits`."""
    return scipy.special.expit(mil_logits(model, video))


@functools.cache
def _rows(form: str) -> Callable[..., jax.Array]:
    """One function for a form, so that it is compiled once."""

    @jax.jit
    def logits(params: Params, members: jax.Array, inputs: jax.Array) -> jax.Array:
        return jax.vmap(
            lambda own, atoms: FORMS[form].logits(own, _of_members(inputs, atoms)), out_axes=-1
        )(params, jnp.asarray(members))

    return logits


def _of_members(inputs: jax.Array, members: jax.Array) -> jax.Array:
    return inputs[..., members] * (members >= 0)


def _fit(key, bags, video_weights, penalty, **options):
    """Fits on the videos of weight 1 in each row of [B, N]; an event is a problem of its own.

    Returns parameters [E, B, ...] and the summed cross-entropy of the other videos [E, B].
    """
    most = int(np.count_nonzero(video_weights, axis=1).max())
    return _fit_rows(key, bags, video_weights, penalty, _Options(most=most, **options))


@functools.partial(jax.jit, static_argnames="options")
def _fit_rows(key, bags, video_weights, penalty, options):
    form, pooling, topk, steps, most = options
    k = min(topk, bags.inputs.shape[1])
    counted = num_counted(pooling, k, bags.inputs.shape[1])
    falling = optax.cosine_decay_schedule(_RATE, steps)

    def of_event(event):
        key, members, labels = event
        everything = _Bags(_of_members(bags.inputs, members), bags.mask, labels, members)

        def losses(params, own: _Bags):
            # The frames that count alone are differentiated. Chosen at every step: at every
            # fourth a fit took half the time, and the quadratic form had 0.796 frame AP instead of
            # 0.811 (mean of three events of rendered worlds 951 to 953, law of pairs).
            known = jax.lax.stop_gradient(FORMS[form].many_logits(params, own.inputs))
            frames = top_indices(jnp.where(own.mask, known, -jnp.inf), counted)
            rows = jnp.take_along_axis(own.inputs, frames[..., None], axis=1)
            logits = as_known(
                FORMS[form].logits, params, rows, jnp.take_along_axis(known, frames, axis=1)
            )
            return jax.vmap(POOLINGS[pooling])(logits, own.labels, own.mask.sum(axis=1))

        def fit(weights):
            used = jax.lax.top_k(weights, most)[1]
            own = _Bags(*(part[used] for part in everything[:3]), members)

            def objective(params):
                cost = weights[used] @ losses(params, own) / weights.sum()
                return cost + penalty_of(params, penalty)

            rate = jnp.clip(weights @ labels / weights.sum(), *_RATES)
            start = FORMS[form].start(key, members >= 0)
            start = start | {"bias": start_bias(rate, k, pooling)}
            params = minimise(objective, start, steps=steps, rate=falling)
            return params, (1 - weights) @ losses(params, everything)

        return jax.vmap(fit)(video_weights)

    keys = jax.random.split(key, len(bags.members))
    return jax.lax.map(of_event, (keys, bags.members, bags.labels.T))


def _bags(videos, labels, members, reading) -> _Bags:
    longest = -(-max(map(len, videos)) // LENGTHS) * LENGTHS
    mask = np.zeros((len(videos), longest), bool)
    inputs = np.zeros((*mask.shape, videos[0].shape[1]), np.float32)
    for n, video in enumerate(videos):
        mask[n, : len(video)] = True
        scores = _scores(video, reading)
        inputs[n, : len(video)] = _less_median(scores, scores, reading)
    return jax.device_put(_Bags(inputs, mask, labels, members))


def _reading(frames: np.ndarray, kind: str) -> Reading:
    low, high = np.quantile(frames, [_LOW, _HIGH], axis=0)
    slope = _SPREAD / np.maximum(high - low, _SMALLEST_SPREAD)
    start = Reading(kind, (low + high) / 2, slope, np.zeros(1), np.ones(1))
    values = _squash(frames, start)
    std = np.maximum(values.std(axis=0), _SMALLEST_STD)
    return start._replace(mean=values.mean(axis=0), std=std)


def _squash(video: np.ndarray, reading: Reading) -> np.ndarray:
    if reading.kind != "calibrated":
        return video
    return 1 / (1 + np.exp(-reading.slope * (video - reading.center)))


def _scores(video: np.ndarray, reading: Reading) -> np.ndarray:
    return ((_squash(video, reading) - reading.mean) / reading.std).astype(np.float32)


def _less_median(scores: np.ndarray, whole: np.ndarray, reading: Reading) -> np.ndarray:
    return scores - np.median(whole, axis=0) if reading.kind == "video" else scores


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
