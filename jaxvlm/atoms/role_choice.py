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
from jaxvlm.atoms.pooling import video_cross_entropy
from jaxvlm.atoms.role_config import FORMS, RoleConfig
from jaxvlm.atoms.roles import RoleParams
from jaxvlm.atoms.rule_start import Effects, effects_of, with_rules
from jaxvlm.atoms.rules import NOBODY, Rules, RuleStrengths
from jaxvlm.atoms.training_data import (
    NO_STRENGTH,
    TrainingData,
    batch_logits,
    constrain,
)

FOLDS = 3
_ONE_FOLD_FROM = 150  # videos; a third of them says enough
_FEWEST = 12  # videos, four in a fold
_EPOCHS = 20
# A written prior counts as much as so many videos, strongest first.
PRIOR_VIDEOS = (30.0, 3.0, 0.3, 0.03)


class _Option(NamedTuple):
    form: str
    prior_weight: float


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

    Trains every option on two thirds of the videos, in a third of the usual epochs, and measures
    the cross-entropy of the labels of the others: each third in its turn, or one alone of 150
    videos or more. First the prior's weight, PRIOR_VIDEOS/N from the strongest on, then the form
    from the simplest on; the next is taken where it is better by more than chance. Of fewer than 12
    videos nothing can be held out: the form is "product", the prior the strongest.

    Arguments and errors as of `train_roles`.
    """
    if config.reference:
        return config
    num_videos = len(videos)
    forms = FORMS if config.form == "auto" else (config.form,)
    weights = (config.prior_weight,)
    if config.prior_weight is None:
        shares = PRIOR_VIDEOS if prior is not None else PRIOR_VIDEOS[:1]
        weights = tuple(videos_worth / num_videos for videos_worth in shares)
    if len(forms) * len(weights) == 1 or num_videos < _FEWEST:
        return _settled(config, _Option(forms[0], weights[0]))
    packed = training.pack(videos, labels, config=config, candidates=candidates, prior=prior)
    splits = _splits(num_videos, seed)
    short = _settled(config, _Option(forms[0], weights[0]), epochs=min(_EPOCHS, config.epochs))
    richest = _settled(config, _Option(forms[-1], weights[0]))
    effects = [effects_of(_take(packed, train), richest) for train, _ in splits]
    weight = weights[0]
    if len(weights) > 1:
        options = [_Option(forms[0], weight) for weight in weights]
        weight = options[_best(packed, splits, effects, options, short, seed)].prior_weight
    options = [_Option(form, weight) for form in forms]
    form = forms[0]
    if len(forms) > 1:
        form = forms[_best(packed, splits, effects, options, short, seed)]
    return _settled(config, _Option(form, weight))


def _settled(config: RoleConfig, option: _Option, **other: Any) -> RoleConfig:
    return dataclasses.replace(config, **option._asdict(), **other)


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
    config: RoleConfig,
    seed: int,
) -> int:
    """The number of the option that fits the labels of videos best that it did not see.

    All options and splits are trained as one batch, compiled once: those with fewer rules have
    places for as many.
    """
    runs = []
    for option in options:
        own = _settled(config, option)
        for (train, test), known in zip(splits, effects, strict=True):
            weighted = _take(packed, train)._replace(prior_weight=jnp.float32(option.prior_weight))
            data = with_rules(weighted, own, known)
            params = training.initial_state(data, own, seed=seed).params
            runs.append(_Run(params, data, _take(packed, test)))
    # The form is in the rules: from here on the runs are of one kind.
    one = _settled(config, _Option(FORMS[-1], 0.0))
    batch = jax.tree.map(lambda *rows: jnp.stack(rows), *_alike(runs))
    params, data, held_out = batch
    num_videos = len(splits[0][0])
    state = jax.vmap(lambda own: training.start_state(own, num_videos, one, seed=seed))(params)
    epoch = jax.vmap(functools.partial(training.train_epoch, config=one))
    for _ in range(one.epochs):
        state, _losses = epoch(state, data)
    cost = jax.vmap(functools.partial(_cost, config=one))(state.params, data, held_out)
    return simplest_good_enough(np.asarray(cost).reshape(len(options), -1))


def simplest_good_enough(cost: np.ndarray) -> int:
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


class _Run(NamedTuple):
    """One option on one split."""

    params: RoleParams  # where it starts, unconstrained
    data: TrainingData
    held_out: TrainingData


def _alike(runs: Sequence[_Run]) -> list[_Run]:
    """The runs with arrays of the same shapes: ρⁱ and rules that are none where one has fewer."""
    shapes = [jnp.shape(run.data.rules.unless) for run in runs if run.data.rules is not None]
    most = tuple(max((shape[n] for shape in shapes), default=0) for n in (1, 2))

    def fill(table: jax.Array, value: float, axes: int) -> jax.Array:
        room = [(0, size - have) for size, have in zip(most[:axes], table.shape[1:], strict=False)]
        room += [(0, 0)] * (table.ndim - 1 - len(room))
        return jnp.pad(table, [(0, 0), *room], constant_values=value)

    def with_places(run: _Run) -> _Run:
        params, data = run.params, run.data
        num_atoms, num_events = data.candidates.shape
        if params.theta_indirect is None:
            none = jnp.full((num_atoms, num_events), NO_STRENGTH)
            params = params._replace(theta_indirect=none)
        rules = data.rules or Rules(
            *(
                jnp.zeros((num_events, 0, *rest), kind)
                for rest, kind in (
                    ((2,), jnp.int32),
                    ((), jnp.float32),
                    ((0,), jnp.int32),
                    ((0,), jnp.float32),
                )
            )
        )
        free = params.rules or rules
        rules = Rules(
            fill(rules.atoms, NOBODY, 1),
            fill(free.theta, 0.0, 1),
            fill(rules.unless, NOBODY, 2),
            fill(free.theta_unless, 0.0, 2),
        )
        prior = data.prior
        if prior is not None:
            written = prior.rules or RuleStrengths(
                rules.theta[:, :0], rules.theta_unless[:, :0, :0]
            )
            prior = prior._replace(
                rules=RuleStrengths(fill(written.strength, 0.0, 1), fill(written.unless, 0.0, 2))
            )
        return _Run(
            params._replace(rules=rules._replace(atoms=None, unless=None)),
            data._replace(rules=rules, prior=prior, start=None),
            run.held_out._replace(rules=None, prior=None),
        )

    return list(map(with_places, runs))


def _cost(
    params: RoleParams, data: TrainingData, held_out: TrainingData, config: RoleConfig
) -> jax.Array:
    """The cross-entropy of the labels of each held-out video, a mean over the events [N]."""
    held_out = held_out._replace(rules=data.rules)
    logits = batch_logits(constrain(params, config), held_out, held_out.presence, config)
    cost = functools.partial(video_cross_entropy, k=config.topk, cooled=config.cooled)
    each = jax.vmap(lambda z, y, mask: cost(z, y, mask=mask))
    return jnp.mean(each(logits, held_out.labels, held_out.mask), axis=-1)


def _take(data: TrainingData, index: np.ndarray) -> TrainingData:
    """Some of the videos."""
    some = {name: getattr(data, name)[index] for name in ("presence", "mask", "labels")}
    return data._replace(**some)
