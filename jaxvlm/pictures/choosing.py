"""What NegAlign leaves to be chosen, chosen on some pictures: λ, the variant, learned weights."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.config import NegAlignConfig
from jaxvlm.ood.methods import METHODS, base_method
from jaxvlm.ood.referenced import REFERENCED
from jaxvlm.ood.versions import ON_REQUEST
from jaxvlm.pictures.config import NEGALIGN, OodConfig
from jaxvlm.pictures.encoding import ScoredSet

LEARNED = "negalign_learned"
CHOSEN = NEGALIGN
GIVEN = "negalign_given"  # with the λ and variant of the config, which a user set
TITLES = {**METHODS, **{name: title for name, (title, _) in REFERENCED.items()}, **ON_REQUEST}
NO_VARIANT = "none"  # λ = 0: the base alone
_FEATURES = ("bg_pos", "bg_neg", "fg_pos")
SWEEP_COLUMNS = ["variant", "lambda", "id_set", "ood_set", "auroc"]


class Choice(NamedTuple):
    """A NegAlign: base + λ·P_align of a variant; ``auroc``: the mean that it was chosen for."""

    base: str
    variant: str
    weight: float
    auroc: float


class Selection(NamedTuple):
    """choices: by method; scores: of the chosen and learned methods, by set and method [N]."""

    choices: dict[str, Choice]
    scores: dict[str, dict[str, np.ndarray]]


def select(
    sets: Mapping[str, ScoredSet],
    ids: Sequence[str],
    oods: Sequence[str],
    masks: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    base: str,
) -> Selection:
    """Chooses on the masked pictures of the ID sets and of some OOD sets; scores all sets.

    Args:
      ids, oods: the sets that are chosen on. masks: [N] bool by set.
      table: from `sweep`; rows of other OOD sets are left out.
    """
    choices = choose(table[table["ood_set"].isin(list(oods))], base)
    learned = _learn(sets, ids, oods, masks, base)
    scores: dict[str, dict[str, np.ndarray]] = {}
    for name, scored in sets.items():
        scores[name] = {}
        for method, choice in choices.items():
            scores[name][method] = with_choice(scored, choice)
        scores[name][LEARNED] = learned[name]
    return Selection(choices, scores)


def with_choice(scored: ScoredSet, choice: Choice) -> np.ndarray:
    """base + λ·P_align [N]."""
    value = scored.scores[choice.base]
    if choice.variant == NO_VARIANT:
        return value
    return value + choice.weight * scored.alignment[choice.variant]


def title(method: str, choices: Mapping[str, Mapping[str, Choice]]) -> str:
    """A method's name for a reader, with what was chosen; choices: per OOD set, by method."""
    if method == LEARNED:
        return "NegAlign, learned weights"
    if method == GIVEN:
        (choice,) = {own[GIVEN] for own in choices.values()}
        return f"NegAlign ({choice.variant}, λ = {choice.weight:g}, as given)"
    found = {own[method] for own in choices.values() if method in own}
    kinds = {(choice.variant, choice.weight) for choice in found}
    if not kinds:
        return TITLES.get(method, method)
    if len(kinds) > 1:
        weights = "variant, λ" if len({variant for variant, _ in kinds}) > 1 else "λ"
        name = "NegAlign" if method == CHOSEN else f"P_align {method}"
        return f"{name} ({weights} per OOD set)"
    ((variant, weight),) = kinds
    if variant == NO_VARIANT:
        return "NegAlign (no P_align: none helped)"
    if method == CHOSEN:
        return f"NegAlign ({variant}, λ = {weight:g})"
    return f"P_align {variant} (λ = {weight:g})"


def scored_title(config: OodConfig) -> str:
    """The name of ``config.method`` for a reader, with its settings."""
    negalign = config.negalign
    if config.method != NEGALIGN:
        return METHODS[config.method].replace("G groups", f"{negalign.num_groups} groups")
    base = METHODS[base_method(negalign)] if negalign.use_neglabel_star else "NegLabel"
    if not negalign.use_p_align:
        return f"NegAlign ({base} alone)"
    return f"NegAlign ({base} + λ·P_align, {negalign.p_align_variant}, λ = {negalign.lambda_bg:g})"


def given_choice(sets, ids, oods, masks, negalign: NegAlignConfig, base: str) -> Choice:
    """What the config says, with the mean AUROC that choosing would have seen."""
    variant, weight = negalign.p_align_variant, negalign.lambda_bg
    found = [
        _auroc(sets, masks, pair, base, (variant, weight)) for pair in itertools.product(ids, oods)
    ]
    return Choice(base, variant, weight, float(np.mean(found)))


def sweep(sets, ids, oods, masks, lambdas: Sequence[float], base: str) -> pd.DataFrame:
    """AUROC of base + λ·P_align on the part chosen on: variant, lambda, id, ood, auroc."""
    rows = []
    for kind in [(NO_VARIANT, 0.0), *itertools.product(VARIANTS, lambdas)]:
        for pair in itertools.product(ids, oods):
            rows.append((*kind, *pair, _auroc(sets, masks, pair, base, kind)))
    return pd.DataFrame(rows, columns=SWEEP_COLUMNS)


def _auroc(sets, masks, pair: tuple[str, str], base: str, kind: tuple[str, float]) -> float:
    """Of base + λ·P_align on the masked pictures of an ID and an OOD set; kind: variant and λ."""
    sides = []
    for name in pair:
        value = sets[name].scores[base][masks[name]].astype(np.float64)
        if kind[0] != NO_VARIANT:
            value = value + kind[1] * sets[name].alignment[kind[0]][masks[name]]
        sides.append(value)
    return ood_metrics(*sides)["auroc"]


def choose(table: pd.DataFrame, base: str) -> dict[str, Choice]:
    """The best λ of every variant; NegAlign is the best of these, or none of them if none helps.

    Of equals the smaller λ, and no P_align before any.
    """
    means = table.groupby(["variant", "lambda"], sort=False)["auroc"].mean().reset_index()
    choices = {}
    for variant in (NO_VARIANT, *VARIANTS):
        rows = means[means["variant"] == variant].sort_values("lambda", kind="stable")
        best = rows.loc[rows["auroc"].idxmax()]
        choices[variant] = Choice(base, variant, float(best["lambda"]), float(best["auroc"]))
    best_variant = max(choices, key=lambda variant: choices[variant].auroc)
    return {CHOSEN: choices[best_variant], **{v: choices[v] for v in VARIANTS}}


def _learn(sets, ids, oods, masks, base: str) -> dict[str, np.ndarray]:
    """Log-odds of ID from a logistic regression on the base score and the parts of P_align."""

    def features(scored: ScoredSet) -> np.ndarray:
        return np.stack(
            [scored.scores[base], *(scored.alignment[part] for part in _FEATURES)], axis=1
        ).astype(np.float64)

    found = {name: features(scored) for name, scored in sets.items()}
    x = np.concatenate([found[name][masks[name]] for name in (*ids, *oods)])
    y = np.concatenate([np.full(masks[name].sum(), name in ids) for name in (*ids, *oods)])
    centre, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit((x - centre) / spread, y)
    return {name: model.decision_function((v - centre) / spread) for name, v in found.items()}
