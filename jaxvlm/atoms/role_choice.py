"""Which form of roles, and how strong a prior: chosen on videos that are held out for it."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms import training
from jaxvlm.atoms.batched_training import start_run, take, train_together
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.role_config import FORMS, RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_start import Effects, effects_of
from jaxvlm.atoms.training_data import TrainingData, batch_logits, constrain

FOLDS = 3
_ONE_FOLD_FROM = 150  # videos; a third of them says enough
_FEWEST = 12  # videos, four in a fold
# A written prior counts as much as so many videos, strongest first.
PRIOR_VIDEOS = (300.0, 30.0, 3.0, 0.3, 0.03)


class _Option(NamedTuple):
    form: str
    prior_weight: float | None


def choose(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    seed: int = 0,
) -> RoleConfig:
    """The config with a form where it says "auto", and a prior weight where it says None.

    Trains every option on two thirds of the videos, for `batched_training.SHORT_EPOCHS`, and
    measures the cross-entropy of the labels of the others: each third in its turn, or one alone of
    150 videos or more. First the prior's weight, PRIOR_VIDEOS/N from the strongest on, then the
    form from the richest on; the next is taken where it is better by more than chance. Of fewer
    than 12 videos nothing can be held out: the form is the richest, the prior the strongest.

    Arguments and errors as of `train_roles`.
    """
    if config.reference:
        return config
    num_videos = len(videos)
    forms = FORMS[::-1] if config.form == "auto" else (config.form,)
    weights = (config.prior_weight,)
    if config.prior_weight is None and prior is not None:
        weights = tuple(videos_worth / num_videos for videos_worth in PRIOR_VIDEOS)
    if len(forms) * len(weights) == 1 or num_videos < _FEWEST:
        return _settled(config, _Option(forms[0], weights[0]))
    packed = training.pack(videos, labels, config=config, candidates=candidates, prior=prior)
    splits = _splits(num_videos, seed)
    richest = _settled(config, _Option(forms[0], weights[0]))
    effects = [effects_of(take(packed, train), richest) for train, _ in splits]
    best = functools.partial(_best, packed, splits, effects, config=config, seed=seed)
    weight, form = weights[0], forms[0]
    if len(weights) > 1:
        weight = weights[best([_Option(form, weight) for weight in weights])]
    if len(forms) > 1:
        form = forms[best([_Option(form, weight) for form in forms])]
    return _settled(config, _Option(form, weight))


def _settled(config: RoleConfig, option: _Option) -> RoleConfig:
    return dataclasses.replace(config, **option._asdict())


def _splits(num_videos: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Videos to train on and to measure on, of the same numbers in each split."""
    order = np.random.default_rng(seed).permutation(num_videos)
    size = num_videos // FOLDS
    folds = range(1 if num_videos >= _ONE_FOLD_FROM else FOLDS)
    parts = [order[fold * size : (fold + 1) * size] for fold in folds]
    return [(np.setdiff1d(order, part), np.sort(part)) for part in parts]


def _best(
    packed: TrainingData,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    effects: Sequence[Effects],
    options: Sequence[_Option],
    *,
    config: RoleConfig,
    seed: int,
) -> int:
    """The number of the option that fits the labels of videos best that it did not see.

    All options and splits are trained as one batch, compiled once: those with fewer rules have
    places for as many.
    """
    runs, measured = [], []
    for option in options:
        own = _settled(config, option)
        for (train, test), known in zip(splits, effects, strict=True):
            runs.append(start_run(take(packed, train), own, seed=seed, effects=known))
            measured.append(take(packed, test)._replace(rules=None, prior=None))
    params, data = train_together(runs, config)
    held_out = jax.tree.map(lambda *rows: jnp.stack(rows), *measured)
    cost = jax.vmap(functools.partial(_cost, config=config))(params, data, held_out)
    return first_good_enough(np.asarray(cost).reshape(len(options), -1))


def first_good_enough(cost: np.ndarray) -> int:
    """The first option, or a later one that costs the videos less by more than chance would.

    cost: [options, videos]. An option has to be better than the one kept so far by a standard error
    of the mean difference: cross-entropies of a few dozen videos say little more exactly.
    """
    kept = 0
    for option in range(1, len(cost)):
        gain = cost[kept] - cost[option]
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            kept = option
    return kept


def _cost(
    params: RoleParams, data: TrainingData, held_out: TrainingData, config: RoleConfig
) -> jax.Array:
    """The cross-entropy of the labels of each held-out video, a mean over the events [N]."""
    held_out = held_out._replace(rules=data.rules)
    logits = batch_logits(constrain(params, config), held_out, held_out.presence, config)
    cost = functools.partial(video_cross_entropy, k=config.topk, cooled=config.cooled)
    each = jax.vmap(lambda z, y, mask: cost(z, y, mask=mask))
    return jnp.mean(each(logits, held_out.labels, held_out.mask), axis=-1)
