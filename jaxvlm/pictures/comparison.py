"""Methods, variants and λ on the same pictures: chosen on one part, reported on the other."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm.errors import InputError
from jaxvlm.ood.detector import fit_scale
from jaxvlm.ood.referenced import REFERENCED
from jaxvlm.ood.versions import ON_REQUEST
from jaxvlm.pictures.accuracy import accuracy_table
from jaxvlm.pictures.choosing import (
    CHOSEN,
    GIVEN,
    LEARNED,
    SWEEP_COLUMNS,
    Choice,
    Selection,
    given_choice,
    select,
    sweep,
    with_choice,
)
from jaxvlm.pictures.config import BASELINE, CHOOSE_ON, OodConfig, check_method
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.result_rows import HeldOut, Sides, result_rows
from jaxvlm.pictures.set_names import POOLED, full_spectrum, groups_of

ALL = "all"
ID_PICTURES = "id_pictures"  # what the methods of `ood.referenced` have seen


class Evaluation(NamedTuple):
    """results: a row per method, ID set and OOD set; sweep: AUROC of every variant and λ.

    choices: what was chosen, by OOD set (of the results) and method. scores: per set, every
    reported method's scores [N], with what was chosen on all OOD sets together. held_out: per OOD
    set the same scores of this set and of the ID sets, with what was chosen for it.
    validation: per set, which pictures were chosen on [N]. accuracy: a row per ID side and set
    under covariate shift, see `accuracy.accuracy_table`.
    """

    results: pd.DataFrame
    sweep: pd.DataFrame
    choices: dict[str, dict[str, Choice]]
    scores: dict[str, dict[str, np.ndarray]]
    held_out: dict[str, dict[str, dict[str, np.ndarray]]]
    validation: dict[str, np.ndarray]
    accuracy: pd.DataFrame


def evaluate(
    id_sets: Sequence[ScoredSet],
    ood_sets: Sequence[ScoredSet],
    config: OodConfig,
    *,
    base: str = "neglabel_star",
    methods: Sequence[str] | None = None,
    choose_on: str = "other_sets",
    shifted: Sequence[ScoredSet] = (),
    right: Mapping[str, np.ndarray] | None = None,
) -> Evaluation:
    """Compares methods on pictures that nothing was chosen on.

    A fraction of every set, drawn with ``config.seed``, is for choosing: λ of each variant, and
    the variant, by the mean AUROC over all pairs of an ID and an OOD set; and a logistic
    regression on (base, S_bg⁺, S_bg⁻, S_fg⁺), ``negalign_learned``. The rest is reported: AUROC,
    AUPR and FPR@95 with intervals, and the difference to ``base`` on the same pictures; per OOD
    set, for the mean of each group and of all sets, and for all their pictures pooled.

    Args:
      base: the score that P_align is added to, and that differences are taken to.
      methods: keys of METHODS and "negalign"; None or "all" for all there are, without those of
        `versions.ON_REQUEST` that are not named. "negalign_given" is S_final with λ and variant as
        ``config.negalign`` has them; it has seen nothing.
      choose_on: "other_sets": what is reported on an OOD set was chosen on the validation parts of
        the others, so that it has not seen its kind of OOD, as the zero-shot methods have not.
        "same_sets": on those of all sets; of a single OOD set, and for the pooled pictures, it is
        always this. "test": on the test part, which flatters. ``chosen_on`` in the results says
        what a row has seen: one of the three, "id_pictures" for those of `ood.referenced`, which
        are given other ID pictures, of the validation part or of a set apart, or nothing for a
        zero-shot method.
      shifted: sets of the ID classes under covariate shift. They are reported whole and nothing is
        chosen on them. Each ID set has rows once more together with them, its full spectrum.
      right: whether ĉ is the true class [N], by set, from `accuracy.right_pictures`: for the
        accuracy on the reported pictures and for the CCR, which are nan for sets without it.

    ``rank`` in the results says per ID and OOD set which method is the ``best`` by AUROC, and which
    are ``level`` with it: the interval of ``auroc_behind``, what they have less, includes 0. The
    variants of P_align compete through ``negalign`` alone. Methods stand in order of their mean.

    With M3 (``use_scale_stabilization``) ``base`` becomes its z-score, by mean and deviation of
    the ID pictures chosen on; that keeps the order of pictures and changes what a λ means.

    Raises InputError: an unknown method, one that was not scored, or a set too small to be split.
    """
    if choose_on not in CHOOSE_ON:
        raise InputError(f"choose_on {choose_on!r}: unknown; use one of {', '.join(CHOOSE_ON)}")
    wanted = _wanted(methods, id_sets[0])
    sets = {scored.name: scored for scored in (*id_sets, *ood_sets)}
    validation = validation_masks(sets, config)
    sets |= {scored.name: scored for scored in shifted}
    validation |= {own.name: np.zeros(len(own.paths), bool) for own in shifted}
    ids, oods = [s.name for s in id_sets], [s.name for s in ood_sets]
    masks = _inverted(validation) if choose_on == "test" else validation
    if config.negalign.use_scale_stabilization:
        sets = _stabilized(sets, ids, masks, base)
    plain = {
        name: {method: scored.scores[method] for method in wanted if method in scored.scores}
        for name, scored in sets.items()
    }
    reported = [*oods, POOLED] if len(oods) > 1 else oods
    sides = _sides(id_sets, ood_sets, shifted, _inverted(validation), right or {})
    accuracy = _accuracy(sides, shifted)
    if CHOSEN not in wanted:
        held_out = {name: plain for name in reported}
        results = result_rows(held_out, sides, config, base)
        results = _with_choices(results, {}, choose_on, sides)
        table = pd.DataFrame(columns=SWEEP_COLUMNS)
        return Evaluation(results, table, {}, plain, held_out, validation, accuracy)
    plain = {name: {base: sets[name].scores[base], **own} for name, own in plain.items()}
    table = sweep(sets, ids, oods, masks, config.lambdas, base)
    asked = None
    if GIVEN in wanted:
        asked = given_choice(sets, ids, oods, masks, config.negalign, base)
        plain = {n: own | {GIVEN: with_choice(sets[n], asked)} for n, own in plain.items()}
    together = select(sets, ids, oods, masks, table, base)
    selections = {name: together for name in reported}
    if choose_on == "other_sets" and len(oods) > 1:
        for name in oods:
            others = [other for other in oods if other != name]
            selections[name] = select(sets, ids, others, masks, table, base)
    held_out = {name: _joined(plain, selection) for name, selection in selections.items()}
    results = result_rows(held_out, sides, config, base)
    choices = {
        name: selection.choices | ({} if asked is None else {GIVEN: asked})
        for name, selection in selections.items()
    }
    results = _with_choices(results, choices, choose_on, sides)
    last = held_out[reported[-1]]
    return Evaluation(results, table, choices, last, held_out, validation, accuracy)


def _sides(
    id_sets: Sequence[ScoredSet],
    ood_sets: Sequence[ScoredSet],
    shifted: Sequence[ScoredSet],
    reported: dict[str, np.ndarray],
    right: Mapping[str, np.ndarray],
) -> Sides:
    """Every ID set, and again as its full spectrum where there are shifted sets."""
    ids = {own.name: [own.name] for own in id_sets}
    if shifted:
        more = [own.name for own in shifted]
        ids |= {full_spectrum(own.name): [own.name, *more] for own in id_sets}
    return Sides(ids, [own.name for own in ood_sets], groups_of(ood_sets), reported, right)


def _accuracy(sides: Sides, shifted: Sequence[ScoredSet]) -> pd.DataFrame:
    """Of every ID side and of each shifted set by itself, on what is reported."""
    named = {**sides.ids, **{own.name: [own.name] for own in shifted}}
    return accuracy_table(
        sides.right,
        {name: {n: sides.reported[n] for n in members} for name, members in named.items()},
    )


def _joined(plain: Mapping[str, dict[str, np.ndarray]], selection: Selection) -> HeldOut:
    return {name: own | selection.scores[name] for name, own in plain.items()}


def _with_choices(
    results: pd.DataFrame,
    choices: dict[str, dict[str, Choice]],
    choose_on: str,
    sides: Sides,
) -> pd.DataFrame:
    """With columns variant, lambda and chosen_on; a mean of sets has a λ if its sets share it."""
    seen, variants, weights = [], [], []
    for method, ood_set in zip(results["method"], results["ood_set"], strict=True):
        names = [ood_set] if ood_set in choices else sides.members(ood_set)
        found = {choices[name].get(method) for name in names if name in choices}
        kinds = {(choice.variant, choice.weight) for choice in found if choice is not None}
        variant, weight = kinds.pop() if len(kinds) == 1 else ("", np.nan)
        chosen = method == LEARNED or any(method in own for own in choices.values())
        chosen = chosen and method != GIVEN
        held = choose_on == "other_sets" and ood_set != POOLED and len(choices) > 1
        how = "other_sets" if held else "test" if choose_on == "test" else "same_sets"
        variants.append(variant)
        weights.append(weight)
        seen.append(how if chosen else ID_PICTURES if method in REFERENCED else "")
    results.insert(1, "variant", variants)
    results.insert(2, "lambda", weights)
    return results.assign(chosen_on=seen)


def asked_referenced(methods: Sequence[str] | None) -> list[str]:
    """Those methods that look at ID pictures, keys of `REFERENCED`, among ``methods``."""
    return [key for key in REFERENCED if methods is None or {key, ALL} & {*methods}]


def asked_versions(methods: Sequence[str] | None) -> list[str]:
    """Those methods that are computed only where they are named, keys of `versions.ON_REQUEST`."""
    return [key for key in ON_REQUEST if methods is not None and key in methods]


def check_methods(methods: Sequence[str] | None) -> None:
    """Raises InputError for a method that there is not."""
    for method in () if methods is None else methods:
        if method not in (ALL, GIVEN):
            check_method(method)


def with_given(methods: Sequence[str], given: Collection[str]) -> list[str]:
    """The methods, and NegAlign as the config has it where λ or the variant were given.

    given: dotted names of fields, as of `command.given.fields`.
    """
    asked = {"negalign.lambda_bg", "negalign.p_align_variant"} & set(given)
    return [*methods, *([GIVEN] if asked else [])]


def _wanted(methods: Sequence[str] | None, scored: ScoredSet) -> list[str]:
    check_methods(methods)
    aligned = [CHOSEN] if scored.alignment else []
    methods = [ALL] if methods is None else list(methods)
    if ALL in methods:
        methods = [*scored.scores, *aligned, *(m for m in methods if m != ALL)]
    if GIVEN in methods:
        methods.append(CHOSEN)
    for method in methods:
        if method not in (*scored.scores, *aligned, GIVEN):
            raise InputError(
                f"method {method!r}: not scored with these settings (P_align off, no r-scores of "
                "all words, too few object-leaning words, no text tower for texts of its own, or "
                "embeddings, which have no patches); change them or leave it out"
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


def validation_masks(sets: Mapping[str, ScoredSet], config: OodConfig) -> dict[str, np.ndarray]:
    """Which pictures of each set, in their order, are chosen on and never reported, [N] each."""
    return {
        name: _validation_mask(scored, config, index)
        for index, (name, scored) in enumerate(sets.items())
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
