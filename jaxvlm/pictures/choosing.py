"""What NegAlign leaves to be chosen, chosen on some pictures: λ, the variant, learned weights."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from jaxvlm.evaluation.metrics_ood import ood_metrics
from jaxvlm.ood.alignment import VARIANTS
from jaxvlm.ood.methods import METHODS
from jaxvlm.pictures.encoding import ScoredSet

LEARNED = "negalign_learned"
CHOSEN = "negalign"
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
            scores[name][method] = scored.scores[base]
            if choice.variant != NO_VARIANT:
                p_align = scored.alignment[choice.variant]
                scores[name][method] = scores[name][method] + choice.weight * p_align
        scores[name][LEARNED] = learned[name]
    return Selection(choices, scores)


def title(method: str, choices: Mapping[str, Mapping[str, Choice]]) -> str:
    """A method's name for a reader, with what was chosen; choices: per OOD set, by method."""
    if method == LEARNED:
        return "NegAlign, learned weights"
    found = {own[method] for own in choices.values() if method in own}
    kinds = {(choice.variant, choice.weight) for choice in found}
    if not kinds:
        return METHODS.get(method, method)
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


def sweep(sets, ids, oods, masks, lambdas: Sequence[float], base: str) -> pd.DataFrame:
    """AUROC of base + λ·P_align on the part chosen on: variant, lambda, id, ood, auroc."""
    rows = []
    for variant, weight in [("", 0.0), *itertools.product(VARIANTS, lambdas)]:
        for id_name, ood_name in itertools.product(ids, oods):
            sides = []
            for name in (id_name, ood_name):
                scored, mask = sets[name], masks[name]
                value = scored.scores[base][mask].astype(np.float64)
                if variant:
                    value = value + weight * scored.alignment[variant][mask]
                sides.append(value)
            auroc = ood_metrics(*sides)["auroc"]
            rows.append((variant or NO_VARIANT, weight, id_name, ood_name, auroc))
    return pd.DataFrame(rows, columns=SWEEP_COLUMNS)


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
