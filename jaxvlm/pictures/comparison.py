"""Methods, variants and λ on the same pictures: chosen on one part, reported on the other."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm.errors import InputError
from jaxvlm.evaluation.metrics_ood import (
    MethodIntervals,
    bootstrap_methods,
    bootstrap_sets,
)
from jaxvlm.ood.detector import fit_scale
from jaxvlm.ood.methods import METHODS
from jaxvlm.pictures.choosing import (
    CHOSEN,
    LEARNED,
    SWEEP_COLUMNS,
    Choice,
    Selection,
    select,
    sweep,
)
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.encoding import ScoredSet

BASELINE = "neglabel"
POOLED = "pooled"  # all OOD pictures as one set; beside it `metrics_ood.MEAN_OF_SETS`
CHOOSE_ON = ("other_sets", "same_sets", "test")


class Evaluation(NamedTuple):
    """results: a row per method, ID set and OOD set; sweep: AUROC of every variant and λ.

    choices: what was chosen, by OOD set (of the results) and method. scores: per set, every
    reported method's scores [N], with what was chosen on all OOD sets together. held_out: per OOD
    set the same scores of this set and of the ID sets, with what was chosen for it.
    validation: per set, which pictures were chosen on [N].
    """

    results: pd.DataFrame
    sweep: pd.DataFrame
    choices: dict[str, dict[str, Choice]]
    scores: dict[str, dict[str, np.ndarray]]
    held_out: dict[str, dict[str, dict[str, np.ndarray]]]
    validation: dict[str, np.ndarray]


def evaluate(
    id_sets: Sequence[ScoredSet],
    ood_sets: Sequence[ScoredSet],
    config: OodConfig,
    *,
    base: str = "neglabel_star",
    methods: Sequence[str] | None = None,
    choose_on: str = "other_sets",
) -> Evaluation:
    """Compares methods on pictures that nothing was chosen on.

    A fraction of every set, drawn with ``config.seed``, is for choosing: λ of each variant, and
    the variant, by the mean AUROC over all pairs of an ID and an OOD set; and a logistic
    regression on (base, S_bg⁺, S_bg⁻, S_fg⁺), ``negalign_learned``. The rest is reported: AUROC,
    AUPR and FPR@95 with intervals, and the difference to ``base`` on the same pictures; per OOD
    set, for the mean of the sets, and for all their pictures pooled.

    Args:
      base: the score that P_align is added to, and that differences are taken to.
      methods: keys of METHODS and "negalign"; None for all there are.
      choose_on: "other_sets": what is reported on an OOD set was chosen on the validation parts of
        the others, so that it has not seen its kind of OOD, as the zero-shot methods have not.
        "same_sets": on those of all sets; of a single OOD set, and for the pooled pictures, it is
        always this. "test": on the test part, which flatters. ``chosen_on`` in the results says
        what a row has seen: one of the three, or nothing for a zero-shot method.

    With M3 (``use_scale_stabilization``) ``base`` becomes its z-score, by mean and deviation of
    the ID pictures chosen on; that keeps the order of pictures and changes what a λ means.

    Raises InputError: an unknown method, one that was not scored, or a set too small to be split.
    """
    if choose_on not in CHOOSE_ON:
        raise InputError(f"choose_on {choose_on!r}: unknown; use one of {', '.join(CHOOSE_ON)}")
    wanted = _wanted(methods, id_sets[0])
    sets = {scored.name: scored for scored in (*id_sets, *ood_sets)}
    validation = {
        name: _validation_mask(scored, config, index)
        for index, (name, scored) in enumerate(sets.items())
    }
    ids, oods = [s.name for s in id_sets], [s.name for s in ood_sets]
    masks = _inverted(validation) if choose_on == "test" else validation
    if config.negalign.use_scale_stabilization:
        sets = _stabilized(sets, ids, masks, base)
    plain = {
        name: {method: scored.scores[method] for method in wanted if method in scored.scores}
        for name, scored in sets.items()
    }
    reported = [*oods, POOLED] if len(oods) > 1 else oods
    if CHOSEN not in wanted:
        held_out = {name: plain for name in reported}
        results = _results(held_out, ids, oods, validation, config, base)
        results = _with_choices(results, {}, choose_on)
        table = pd.DataFrame(columns=SWEEP_COLUMNS)
        return Evaluation(results, table, {}, plain, held_out, validation)
    plain = {name: {base: sets[name].scores[base], **own} for name, own in plain.items()}
    table = sweep(sets, ids, oods, masks, config.lambdas, base)
    together = select(sets, ids, oods, masks, table, base)
    selections = {name: together for name in reported}
    if choose_on == "other_sets" and len(oods) > 1:
        for name in oods:
            others = [other for other in oods if other != name]
            selections[name] = select(sets, ids, others, masks, table, base)
    held_out = {name: _joined(plain, selection) for name, selection in selections.items()}
    results = _results(held_out, ids, oods, validation, config, base)
    choices = {name: selection.choices for name, selection in selections.items()}
    results = _with_choices(results, choices, choose_on)
    return Evaluation(results, table, choices, held_out[reported[-1]], held_out, validation)


def _joined(
    plain: Mapping[str, dict[str, np.ndarray]], selection: Selection
) -> dict[str, dict[str, np.ndarray]]:
    return {name: own | selection.scores[name] for name, own in plain.items()}


def _with_choices(
    results: pd.DataFrame, choices: dict[str, dict[str, Choice]], choose_on: str
) -> pd.DataFrame:
    """With columns variant, lambda and chosen_on; a mean of sets has a λ if its sets share it."""
    seen, variants, weights = [], [], []
    for method, ood_set in zip(results["method"], results["ood_set"], strict=True):
        names = [ood_set] if ood_set in choices else [n for n in choices if n != POOLED]
        found = {choices[name].get(method) for name in names}
        kinds = {(choice.variant, choice.weight) for choice in found if choice is not None}
        variant, weight = kinds.pop() if len(kinds) == 1 else ("", np.nan)
        chosen = method == LEARNED or any(method in own for own in choices.values())
        held = choose_on == "other_sets" and ood_set != POOLED and len(choices) > 1
        how = "other_sets" if held else "test" if choose_on == "test" else "same_sets"
        variants.append(variant)
        weights.append(weight)
        seen.append(how if chosen else "")
    results.insert(1, "variant", variants)
    results.insert(2, "lambda", weights)
    return results.assign(chosen_on=seen)


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


def _stabilized(sets, ids, masks, base: str) -> dict[str, ScoredSet]:
    """The sets with S* as z-score (M3)."""
    scale = fit_scale(np.concatenate([sets[n].scores[base][masks[n]] for n in ids]))
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


def _results(held_out, ids, oods, validation, config: OodConfig, base: str) -> pd.DataFrame:
    """A row per ID set, OOD set (and `POOLED`, `MEAN_OF_SETS` of several) and method."""

    def tested(names: Sequence[str], against: str) -> dict[str, np.ndarray]:
        scores = held_out[against]
        return {
            method: np.concatenate([scores[n][method][~validation[n]] for n in names])
            for method in scores[names[0]]
        }

    methods = held_out[oods[0]][ids[0]]
    options = dict(
        baseline=base if base in methods else None,
        num_resamples=config.num_resamples,
        seed=config.seed,
        convention=config.convention,
    )
    rows = []
    for id_name in ids:
        sides = [{o: tested([n or o], o) for o in oods} for n in (id_name, None)]
        found = bootstrap_sets(*sides, **options)
        if len(oods) > 1:
            pooled = tested([id_name], POOLED), tested(oods, POOLED)
            found[POOLED] = bootstrap_methods(*pooled, **options)
        for (ood_name, compared), method in itertools.product(found.items(), methods):
            members = [ood_name] if ood_name in oods else oods
            row = {
                "method": method,
                "id_set": id_name,
                "ood_set": ood_name,
                "num_id": int((~validation[id_name]).sum()),
                "num_ood": int(sum((~validation[name]).sum() for name in members)),
                "convention": config.convention,
            }
            rows.append(row | _columns(compared[method]))
    return pd.DataFrame(rows)


def _columns(found: MethodIntervals) -> dict[str, float]:
    columns = {}
    for metric, interval in found.metrics._asdict().items():
        columns |= {metric: interval.value, f"{metric}_low": interval.low}
        columns[f"{metric}_high"] = interval.high
    for metric in ("auroc", "fpr95") if found.difference is not None else ():
        interval = getattr(found.difference, metric)
        columns |= {f"{metric}_gain": interval.value, f"{metric}_gain_low": interval.low}
        columns[f"{metric}_gain_high"] = interval.high
    return columns
