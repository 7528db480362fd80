"""Where rules start: at the effects of atoms, alone and in pairs, in a model with products.

From noise rules find their pairs seldom: a pair has a gradient only where both of its atoms already
count. A model with products, z = Σ w_i x_i + Σ_{i<j} W_ij x_i x_j + b, has no such plateau, so its
effects say which rules there should be.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvlm.atoms.product_effects import ProductEffects, fit_products
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.role_start import linear_effects, roles_of_effects, start_theta
from jaxvlm.atoms.roles import Strengths
from jaxvlm.atoms.rules import NOBODY, Rules, RuleStrengths
from jaxvlm.atoms.training_data import TrainingData
from jaxvlm.atoms.written_roles import as_written

_SINGLES, _PAIRS, _COUNTERS = 8, 12, 3  # places of an event's rules, and of a rule's counters
_SMALLEST = 1e-6


class _Rule(NamedTuple):
    """A rule where it starts, and what a person wrote of it."""

    atoms: tuple[int, ...]
    strength: float = 0.0
    written: float = 0.0
    unless: dict[int, float] = {}  # counter -> κ at the start
    unless_written: dict[int, float] = {}


class Effects(NamedTuple):
    """What the labels of a training say of atoms alone [C, E] and in pairs."""

    linear: jax.Array
    product: ProductEffects | None


def effects_of(data: TrainingData, config: RoleConfig) -> Effects:
    """The effects that a training of this form starts from."""
    linear = linear_effects(data, config)
    if config.form == "product":
        return Effects(linear, None)
    return Effects(linear, fit_products(data, linear, config).effects)


def with_rules(
    data: TrainingData, config: RoleConfig, effects: Effects | None = None
) -> TrainingData:
    """The data with all rules that a training of this form may use, and where it starts.

    With m the largest effect of an event: ρ_i = e_i⁺/m, s_ij = (e_ij − max(e_i⁺, e_j⁺))⁺/m, and of
    the rule of an atom i the counter k has κ_ik = (e_i + e_k − e_ik)⁺/e_i, what the two together
    lack; a rule of two atoms takes the larger κ of either. The largest s become rules, with their
    own counters also the largest ρ. Written rules stand beside them, with an s of their own.

    effects: `effects_of` the data; None: they are computed.
    """
    if config.reference or config.form == "product" and config.start == "equal":
        return data._replace(rules=None)
    effects = effects_of(data, config) if effects is None else effects
    data = _with_start(data, config, effects)
    return data if data.prior is None else data._replace(written=as_written(data, config))


def _with_start(data: TrainingData, config: RoleConfig, effects: Effects) -> TrainingData:
    """The data with its rules and with ρ at the start."""
    written = [_written(data, event) for event in range(data.labels.shape[1])]
    if config.form == "product":
        start = roles_of_effects(effects.linear)
        if data.rules is None:
            return data._replace(start=start)
        return _started(data, start, data.prior, written)
    found = jax.tree.map(np.asarray, effects.product)
    own_counters = config.form == "specific"
    rules = [_found(event, found, own, own_counters) for event, own in enumerate(written)]
    direct = np.zeros(effects.linear.shape, np.float32)
    for event, atoms in enumerate(found.atoms):
        direct[atoms, event] = np.maximum(found.alone[event], 0.0) / _largest(found, event)
    prior = data.prior
    indirect = None
    if prior is not None and bool(jnp.any(prior.indirect > 0)):
        indirect = jnp.zeros_like(prior.indirect)
    start = Strengths(jnp.asarray(direct), indirect, roles_of_effects(effects.linear).counter)
    # A direct atom that is a rule is one in that place alone.
    kept = np.ones(effects.linear.shape, np.float32)
    for event, own in enumerate(rules):
        for n, rule in enumerate(own):
            if len(rule.atoms) == 1:
                kept[rule.atoms[0], event] = 0.0
                if prior is not None:
                    stated = float(prior.direct[rule.atoms[0], event])
                    own[n] = rule._replace(written=max(rule.written, stated))
    start = start._replace(direct=start.direct * kept)
    return _started(data, start, prior and prior._replace(direct=prior.direct * kept), rules)


def _started(
    data: TrainingData, start: Strengths, prior: Strengths | None, rules: list[list[_Rule]]
) -> TrainingData:
    arrays, written = _as_arrays(rules)
    prior = prior and prior._replace(rules=written)
    return data._replace(rules=arrays, start=start, prior=prior)


def _written(data: TrainingData, event: int) -> list[_Rule]:
    """The rules that a person wrote for an event."""
    if data.rules is None:
        return []
    tables = data.rules.atoms, data.prior.rules.strength, data.rules.unless, data.prior.rules.unless
    found = []
    for atoms, s, unless, kappa in zip(*(np.asarray(t)[event] for t in tables), strict=True):
        if atoms[0] != NOBODY:
            counters = zip(unless.tolist(), kappa.tolist(), strict=True)
            counters = {k: x for k, x in counters if k != NOBODY}
            own = tuple(c for c in atoms.tolist() if c != NOBODY)
            found.append(_Rule(own, 0.0, float(s), dict.fromkeys(counters, 0.0), counters))
    return found


def _found(
    event: int, effects: ProductEffects, written: list[_Rule], own_counters: bool
) -> list[_Rule]:
    """The rules of an event that are written, and those that its effects suggest."""
    atoms, alone, together = (part[event] for part in effects)
    positive, largest = np.maximum(alone, 0.0), _largest(effects, event)
    lacking = np.maximum(alone[:, None] + alone[None, :] - together, 0.0)
    kappa = np.minimum(lacking / np.maximum(positive, _SMALLEST)[:, None], 1.0)
    kappa = np.where(np.isfinite(together) & (positive[:, None] > 0), kappa, 0.0)
    known = {frozenset(rule.atoms): rule for rule in written}

    def suggested(places: tuple[int, ...], strength: float) -> _Rule:
        numbers = tuple(int(atoms[i]) for i in places)
        before = known.pop(frozenset(numbers), _Rule(numbers))
        before = before._replace(strength=strength)
        if not own_counters:
            return before
        of_rule = np.max(kappa[list(places)], axis=0)
        of_rule[list(places)] = -np.inf
        counters = {int(atoms[k]): float(of_rule[k]) for k in _descending(of_rule)[:_COUNTERS]}
        return before._replace(unless=before.unless | counters)

    found = []
    if own_counters:
        found += [suggested((i,), positive[i] / largest) for i in _descending(positive)[:_SINGLES]]
    first, second = np.triu_indices(len(atoms), 1)
    beyond = together[first, second] - np.maximum(positive[first], positive[second])
    for n in _descending(beyond)[:_PAIRS]:
        pair = int(first[n]), int(second[n])
        found.append(suggested(pair, max(float(beyond[n]), 0.0) / largest))
    return [*known.values(), *found]


def _largest(effects: ProductEffects, event: int) -> float:
    return max(float(effects.alone[event].max()), float(effects.together[event].max()), _SMALLEST)


def _descending(values: np.ndarray) -> list[int]:
    """The places of the finite values, largest first."""
    order = np.argsort(-values, kind="stable")
    return [int(n) for n in order if np.isfinite(values[n])]


def _as_arrays(events: list[list[_Rule]]) -> tuple[Rules, RuleStrengths]:
    """The rules at their start and what is written of them, with nobody where there is none."""
    most = max(map(len, events), default=0)
    counters = max((len(rule.unless) for rules in events for rule in rules), default=0)
    atoms = np.full((len(events), most, 2), NOBODY, np.int32)
    unless = np.full((len(events), most, counters), NOBODY, np.int32)
    start, written = (
        RuleStrengths(np.zeros(atoms.shape[:2]), np.zeros(unless.shape)) for _ in range(2)
    )
    for e, rules in enumerate(events):
        for r, rule in enumerate(rules):
            own = list(rule.unless)
            atoms[e, r, : len(rule.atoms)] = rule.atoms
            unless[e, r, : len(own)] = own
            start.strength[e, r], written.strength[e, r] = rule.strength, rule.written
            start.unless[e, r, : len(own)] = [rule.unless[k] for k in own]
            written.unless[e, r, : len(own)] = [rule.unless_written.get(k, 0.0) for k in own]
    thetas = map(start_theta, start)
    rules = Rules(jnp.asarray(atoms), next(thetas), jnp.asarray(unless), next(thetas))
    return rules, jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), written)
