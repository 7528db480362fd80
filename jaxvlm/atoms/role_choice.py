"""Which form of roles, and how strong a prior: chosen on videos that are left out for it."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxvlm.atoms import training
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.product_effects import fit_products
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_start import linear_effects
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_start import Effects, effects_of
from jaxvlm.atoms.short_training import start_run, take, train_short
from jaxvlm.atoms.training_data import TrainingData, batch_logits, constrain

FOLDS = 3
_ONE_FOLD_FROM = 150  # videos; a third of them says enough
_FEWEST = 12  # videos, four in a fold
# On rendered worlds 951 to 953 with 100 and 200 videos the difference is 2.6 to 4.5 standard errors
# under the linear law and at most 1.8 under the others; with 50, 1.2 to 2.4 and at most 1.9.
_ERRORS = 2.0
# A written prior counts as much as so many videos, strongest first.
PRIOR_VIDEOS = (300.0, 30.0, 3.0, 0.3, 0.03)


class Choice(NamedTuple):
    """A config that leaves nothing open; and the effects that a training of it starts from, if they
    were computed to choose, for `training.prepare`."""

    config: RoleConfig
    effects: Effects | None = None


def choose(
    videos: Sequence[ArrayLike],
    labels: ArrayLike,
    *,
    config: RoleConfig,
    candidates: ArrayLike | None = None,
    prior: Sequence[Any] | None = None,
    seed: int = 0,
) -> Choice:
    """The config with a form where it says "auto", and a prior weight where it says None.

    The form is "specific", or "product" where a linear model of the labels predicts those of videos
    that it was not fitted to better than one with products of atoms does, by two standard errors
    of the mean difference (`product_effects`, the videos that bootstrap samples leave out): rules
    of their own say what a sum cannot, and where a sum is enough they fit chance.

    The prior's weight is PRIOR_VIDEOS/N, from the strongest on; the next is taken where it is
    better by more than chance. Each is trained on two thirds of the videos, for
    `short_training.SHORT_EPOCHS`, and measured by the cross-entropy of the labels of the others:
    each third in its turn, or one alone of 150 videos or more. Of fewer than 12 videos nothing can
    be held out: the form is "specific", the prior the strongest.

    Arguments and errors as of `train_roles`.
    """
    if config.reference:
        return Choice(config)
    few, weighed = len(videos) < _FEWEST, config.prior_weight is None and prior is not None
    weights = [videos_worth / max(len(videos), 1) for videos_worth in PRIOR_VIDEOS]
    settled = config
    if config.form == "auto":
        settled = dataclasses.replace(config, form="specific")
    if weighed:
        settled = dataclasses.replace(settled, prior_weight=weights[0])
    if few or config == settled:
        return Choice(settled)
    packed = training.pack(videos, labels, config=config, candidates=candidates, prior=prior)
    effects = None
    if config.form == "auto":
        linear = linear_effects(packed, settled)
        fit = functools.partial(fit_products, packed, linear, settled)
        products, alone = fit(), fit(products=False)
        effects = Effects(linear, products.effects)
        if _costs_less(alone.left_out, products.left_out):
            settled = dataclasses.replace(settled, form="product")
    if weighed:
        options = [dataclasses.replace(settled, prior_weight=weight) for weight in weights]
        settled = options[_best(packed, options, _splits(len(videos), seed), seed)]
    return Choice(settled, effects)


def _costs_less(one: jax.Array, other: jax.Array) -> bool:
    """Whether videos that are left out cost less in one fit than in the other, by more than
    chance: `_ERRORS` standard errors of the mean difference."""
    more = np.asarray(other) - np.asarray(one)
    more = more[np.isfinite(more)]
    return bool(more.mean() > _ERRORS * more.std(ddof=1) / np.sqrt(len(more)))


def _splits(num_videos: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Videos to train on and to measure on, of the same numbers in each split."""
    order = np.random.default_rng(seed).permutation(num_videos)
    size = num_videos // FOLDS
    folds = range(1 if num_videos >= _ONE_FOLD_FROM else FOLDS)
    parts = [order[fold * size : (fold + 1) * size] for fold in folds]
    return [(np.setdiff1d(order, part), np.sort(part)) for part in parts]


def _best(
    packed: TrainingData,
    options: Sequence[RoleConfig],
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> int:
    """The number of the option that fits the labels of videos best that it did not see."""
    effects = [effects_of(take(packed, train), options[0]) for train, _ in splits]
    runs = [
        start_run(take(packed, train), option, seed=seed, effects=known)
        for option in options
        for (train, _), known in zip(splits, effects, strict=True)
    ]
    held_out = [take(packed, test) for _, test in splits] * len(options)
    cost = [
        _cost(run.params, own._replace(rules=run.data.rules, prior=None), options[0])
        for run, own in zip(train_short(runs, options[0]), held_out, strict=True)
    ]
    return first_good_enough(np.stack(cost).reshape(len(options), -1))


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


def _cost(params: RoleParams, held_out: TrainingData, config: RoleConfig) -> np.ndarray:
    """The cross-entropy of the labels of each held-out video, a mean over the events [N]."""
    logits = batch_logits(constrain(params, config), held_out, held_out.presence, config)
    cost = functools.partial(video_cross_entropy, k=config.topk, cooled=config.cooled)
    each = jax.vmap(lambda z, y, mask: cost(z, y, mask=mask))
    return np.asarray(jnp.mean(each(logits, held_out.labels, held_out.mask), axis=-1))
