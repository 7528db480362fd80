"""Methods, variants and λ on the same pictures: chosen on one part, reported on the other."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import bootstrap_methods, ood_metrics
from jaxvlm.ood.alignment import VARIANTS
from jaxvlm.ood.detector import fit_scale
from jaxvlm.ood.methods import METHODS
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet

BASELINE = "neglabel"
LEARNED = "negalign_learned"
CHOSEN = "negalign"
NO_VARIANT = "none"  # λ = 0: the base alone
ALL_OOD = "all OOD"
_FEATURES = ("bg_pos", "bg_neg", "fg_pos")
_SWEEP_COLUMNS = ["variant", "lambda", "id_set", "ood_set", "auroc"]


class Choice(NamedTuple):
    """A NegAlign: base + λ·P_align of a variant; ``auroc``: the mean that it was chosen for."""

    base: str
    variant: str
    weight: float
    auroc: float


class Evaluation(NamedTuple):
    """results: a row per method, ID set and OOD set; sweep: AUROC of every variant and λ.

    choices: what was chosen, by method. scores: per set, every reported method's scores [N].
    validation: per set, which pictures were chosen on [N].
    """

    results: pd.DataFrame
    sweep: pd.DataFrame
    choices: dict[str, Choice]
    scores: dict[str, dict[str, np.ndarray]]
    validation: dict[str, np.ndarray]


def evaluate(
    id_sets: Sequence[ScoredSet],
    ood_sets: Sequence[ScoredSet],
    config: OodConfig,
    *,
    base: str = "neglabel_star",
    methods: Sequence[str] | None = None,
    choose_on: str = "validation",
) -> Evaluation:
    """Compares methods on pictures that nothing was chosen on.

    A fraction of every set, drawn with ``config.seed``, is for choosing: λ of each variant, and
    the variant, by the mean AUROC over all pairs of an ID and an OOD set; and a logistic
    regression on (base, S_bg⁺, S_bg⁻, S_fg⁺), ``negalign_learned``. The rest is reported: AUROC,
    AUPR and FPR@95 with bootstrap intervals, and the difference to ``base`` on the same pictures.

    Args:
      base: the score that P_align is added to, and that differences are taken to.
      methods: keys of METHODS and "negalign"; None for all there are.
      choose_on: "validation", or "test", which flatters and is marked in the results.

    With M3 (``use_scale_stabilization``) ``base`` becomes its z-score, by mean and deviation of
    the ID pictures chosen on; that keeps the order of pictures and changes what a λ means.

    Raises InputError: an unknown method, one that was not scored, or a set too small to be split.
    """
    if choose_on not in ("validation", "test"):
        raise InputError(f"choose_on {choose_on!r}: unknown; use validation or test")
    wanted = _wanted(methods, id_sets[0])
    aligned = CHOSEN in wanted
    sets = {scored.name: scored for scored in (*id_sets, *ood_sets)}
    validation = {
        name: _validation_mask(scored, config, index)
        for index, (name, scored) in enumerate(sets.items())
    }
    ids, oods = [s.name for s in id_sets], [s.name for s in ood_sets]
    chosen_on = validation if choose_on == "validation" else _inverted(validation)
    if config.negalign.use_scale_stabilization:
        sets = _stabilized(sets, ids, chosen_on, base)
    scores = {
        name: {method: scored.scores[method] for method in wanted if method in scored.scores}
        for name, scored in sets.items()
    }
    choices: dict[str, Choice] = {}
    sweep = pd.DataFrame(columns=_SWEEP_COLUMNS)
    if aligned:
        sweep = _sweep(sets, ids, oods, chosen_on, config, base)
        choices = _choose(sweep, base)
        for name, scored in sets.items():
            for method, choice in choices.items():
                scores[name][method] = scored.scores[base]
                if choice.variant != NO_VARIANT:
                    p_align = scored.alignment[choice.variant]
                    scores[name][method] = scores[name][method] + choice.weight * p_align
        learned = _learn(sets, ids, oods, chosen_on, base)
        for name in sets:
            scores[name][LEARNED] = learned[name]
        scores = {name: {base: sets[name].scores[base], **own} for name, own in scores.items()}
    results = _results(scores, ids, oods, validation, choices, config, base)
    results["chosen_on"] = np.where(results["method"].isin([*choices, LEARNED]), choose_on, "")
    return Evaluation(results, sweep, choices, scores, validation)


def title(method: str, choices: dict[str, Choice]) -> str:
    """A method's name for a reader, with what was chosen."""
    if method == LEARNED:
        return "NegAlign, learned weights"
    if method not in choices:
        return METHODS.get(method, method)
    choice = choices[method]
    if choice.variant == NO_VARIANT:
        return "NegAlign (no P_align: none helped)"
    if method == CHOSEN:
        return f"NegAlign ({choice.variant}, λ = {choice.weight:g})"
    return f"P_align {choice.variant} (λ = {choice.weight:g})"


def check_methods(methods: Sequence[str] | None) -> None:
    """Raises InputError for a method that there is not."""
    for method in [] if _all(methods) else methods:
        if method not in (*METHODS, CHOSEN):
            raise InputError(
                f"method {method!r}: unknown; use all, {CHOSEN} or some of {', '.join(METHODS)}"
            )


def _all(methods: Sequence[str] | None) -> bool:
    return methods is None or list(methods) == ["all"]


def _wanted(methods: Sequence[str] | None, scored: ScoredSet) -> list[str]:
    check_methods(methods)
    known = [*scored.scores, *([CHOSEN] if scored.alignment else [])]
    if _all(methods):
        return known
    for method in methods:
        if method not in known:
            raise InputError(
                f"method {method!r}: not scored with these settings (P_align off, no r-scores of "
                "all words, or too few object-leaning words); change them or leave it out"
            )
    return list(dict.fromkeys([BASELINE, *methods]))


def _stabilized(sets, ids, chosen_on, base: str) -> dict[str, ScoredSet]:
    """The sets with S* as z-score (M3)."""
    scale = fit_scale(np.concatenate([sets[n].scores[base][chosen_on[n]] for n in ids]))
    return {
        name: scored._replace(
            scores=scored.scores | {base: (scored.scores[base] - scale.mean) / scale.std}
        )
        for name, scored in sets.items()
    }


def _validation_mask(scored: ScoredSet, config: OodConfig, index: int) -> np.ndarray:
    count = len(scored.paths)
    taken = round(count * config.validation_fraction)
    if not 0 < taken < count:
        raise InputError(
            f"{scored.name}: {count} pictures, {taken} of them for validation; "
            "give more pictures or another validation_fraction"
        )
    mask = np.zeros(count, bool)
    mask[np.random.default_rng([config.seed, index]).permutation(count)[:taken]] = True
    return mask


def _inverted(masks: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: ~mask for name, mask in masks.items()}


def _sweep(sets, ids, oods, chosen_on, config: OodConfig, base: str) -> pd.DataFrame:
    """AUROC of base + λ·P_align on the part chosen on: variant, lambda, id, ood, auroc."""
    rows = []
    for variant, weight in [("", 0.0), *itertools.product(VARIANTS, config.lambdas)]:
        for id_name, ood_name in itertools.product(ids, oods):
            sides = []
            for name in (id_name, ood_name):
                scored, mask = sets[name], chosen_on[name]
                value = scored.scores[base][mask].astype(np.float64)
                if variant:
                    value = value + weight * scored.alignment[variant][mask]
                sides.append(value)
            auroc = ood_metrics(*sides)["auroc"]
            rows.append((variant or NO_VARIANT, weight, id_name, ood_name, auroc))
    return pd.DataFrame(rows, columns=_SWEEP_COLUMNS)


def _choose(sweep: pd.DataFrame, base: str) -> dict[str, Choice]:
    """The best λ of every variant; NegAlign is the best of these, or none of them if none helps.

    Of equals the smaller λ, and no P_align before any.
    """
    means = sweep.groupby(["variant", "lambda"], sort=False)["auroc"].mean().reset_index()
    choices = {}
    for variant in (NO_VARIANT, *VARIANTS):
        rows = means[means["variant"] == variant].sort_values("lambda", kind="stable")
        best = rows.loc[rows["auroc"].idxmax()]
        choices[variant] = Choice(base, variant, float(best["lambda"]), float(best["auroc"]))
    best_variant = max(choices, key=lambda variant: choices[variant].auroc)
    return {CHOSEN: choices[best_variant], **{v: choices[v] for v in VARIANTS}}


def _learn(sets, ids, oods, chosen_on, base: str) -> dict[str, np.ndarray]:
    """Log-odds of ID from a logistic regression on the base score and the parts of P_align."""

    def features(scored: ScoredSet) -> np.ndarray:
        return np.stack(
            [scored.scores[base], *(scored.alignment[part] for part in _FEATURES)], axis=1
        ).astype(np.float64)

    found = {name: features(scored) for name, scored in sets.items()}
    x = np.concatenate([found[name][chosen_on[name]] for name in (*ids, *oods)])
    y = np.concatenate([np.full(chosen_on[name].sum(), name in ids) for name in (*ids, *oods)])
    centre, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-12)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    model.fit((x - centre) / spread, y)
    return {name: model.decision_function((v - centre) / spread) for name, v in found.items()}


def _results(scores, ids, oods, validation, choices, config, base) -> pd.DataFrame:
    def tested(names: Sequence[str], method: str) -> np.ndarray:
        return np.concatenate([scores[name][method][~validation[name]] for name in names])

    methods = list(next(iter(scores.values())))
    pooled = [(ALL_OOD, oods)] if len(oods) > 1 else []
    rows = []
    for id_name, (ood_name, members) in itertools.product(
        ids, [*((o, [o]) for o in oods), *pooled]
    ):
        sides = [
            {method: tested(names, method) for method in methods} for names in ([id_name], members)
        ]
        found = bootstrap_methods(
            *sides,
            baseline=base if base in methods else None,
            num_resamples=config.num_resamples,
            seed=config.seed,
            convention=config.convention,
        )
        for method, intervals in found.items():
            choice = choices.get(method)
            row = {
                "method": method,
                "variant": choice.variant if choice else "",
                "lambda": choice.weight if choice else np.nan,
                "id_set": id_name,
                "ood_set": ood_name,
                "num_id": len(sides[0][method]),
                "num_ood": len(sides[1][method]),
                "convention": config.convention,
            }
            for metric, interval in intervals.metrics._asdict().items():
                row |= {metric: interval.value, f"{metric}_low": interval.low}
                row[f"{metric}_high"] = interval.high
            if intervals.difference is not None:
                for metric in ("auroc", "fpr95"):
                    interval = getattr(intervals.difference, metric)
                    row |= {f"{metric}_gain": interval.value, f"{metric}_gain_low": interval.low}
                    row[f"{metric}_gain_high"] = interval.high
            rows.append(row)
    return pd.DataFrame(rows)
