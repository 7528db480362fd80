"""Rules against baselines under three laws: average precision, what is recovered, labels needed.

``laws``: frame AP, the mean over events, of roles of every form and of the baselines, each trained
on all training videos of a world; mean over worlds with Student's interval. ``differences``: AP of
the roles' default form less that of each model; ``videos``: these worlds, their videos drawn;
``worlds``: worlds drawn too (`macro.mean_difference`). ``recovery``: of the law's rules, by what a
model of any form does in frames that show one, two or three atoms and nothing else.

``curve``: the same AP by number of labelled videos, nested random subsets; ``roles, written`` start
from the law as a person would write it and are pulled towards it, with 0 videos they are what is
written. ``needed``: the videos from which on a baseline's mean AP is what the written roles have
with 10, between two sizes by log N; null: more than there are. ``at 50``: AP of the written roles
with 10 videos less that of each baseline with 50.

``faithfulness``: see `faithfulness_study`.

Worlds are simulated (`simulated_laws`), or rendered ones that `rule_worlds` wrote.

Run: python -m benchmarks.rules_study [--study_worlds=FOLDER] [--study_laws=pairs,specific]
     [--study_seeds=11,12,13,14,15] [--sections=laws,curve,faithfulness] [--rules_out=FILE]
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from absl import app, flags

from benchmarks import faithfulness_study, rules_data
from benchmarks.rules_data import LawWorld
from benchmarks.rules_models import Fitted, all_models, fit_roles, roles_of
from benchmarks.simulated_laws import LAWS
from jaxvlm import files
from jaxvlm.atoms.role_config import RoleConfig
from jaxvlm.atoms.threshold import best_threshold
from jaxvlm.evaluation.intervals import Sampled
from jaxvlm.evaluation.macro import macro_samples, mean_difference, mean_interval
from jaxvlm.evaluation.mil_forms import NAMES as BASELINES
from jaxvlm.evaluation.rule_recovery import rule_recovery, rules_by_behaviour

_WORLDS = flags.DEFINE_string("study_worlds", None, "Rendered worlds; none: simulated ones.")
_LAWS = flags.DEFINE_list("study_laws", list(LAWS), "Laws.")
_SEEDS = flags.DEFINE_list("study_seeds", ["11", "12", "13", "14", "15"], "Of the worlds.")
_FIELD = flags.DEFINE_string("study_field", "segment_presence", "Presence of rendered worlds.")
_SECTIONS = flags.DEFINE_list("sections", ["laws", "curve", "faithfulness"], "What to measure.")
_SIZES = flags.DEFINE_list("study_sizes", ["5", "10", "25", "50", "100", "200"], "Of the curve.")
_MODELS = flags.DEFINE_list("study_models", [], "Whose faithfulness is measured beside roles'.")
_FORM = flags.DEFINE_string("study_form", None, "Of the roles compared; none: the default.")
_RESAMPLES = flags.DEFINE_integer("study_resamples", 1000, "Of the videos.", lower_bound=1)
_OUT = flags.DEFINE_string("rules_out", "benchmarks/results/rules_study.json", "JSON.")

WRITTEN, AT, AGAINST = "roles, written", 10, 50
Table = dict[str, list[Sampled]]  # of each model, a world after the other


def default_form() -> str:
    """The form that is compared with the others."""
    return _FORM.value or RoleConfig().form


def main(_: list[str]) -> None:
    result = {}
    for law in _LAWS.value:
        begin = time.perf_counter()
        result[law] = of_law(law, [int(seed) for seed in _SEEDS.value])
        result[law]["seconds"] = round(time.perf_counter() - begin)
        files.write_json(_OUT.value, result)
        show(law, result[law])


def of_law(law: str, seeds: Sequence[int]) -> dict[str, Any]:
    """All sections of one law."""
    table, recovered, seconds, curve, faithful = {}, {}, {}, {}, []
    for seed in seeds:
        world = load(law, seed)
        everything = np.arange(len(world.train))
        fits = all_models(world, seed=seed)
        fitted: dict[str, Fitted] = {}
        explained = [f"roles, {default_form()}", *_MODELS.value]
        if "faithfulness" not in _SECTIONS.value:
            explained = []
        for name, fit in fits.items():
            if "laws" in _SECTIONS.value or name in explained:
                begin = time.perf_counter()
                fitted[name] = fit(everything)
                seconds.setdefault(name, []).append(time.perf_counter() - begin)
        for name, model in fitted.items():
            table.setdefault(name, []).append(samples(model, world))
            found = recovery(model, world)
            recovered.setdefault(name, []).append(found)
        if "curve" in _SECTIONS.value:
            for (name, size), own in curve_of(world, fits, fitted, seed).items():
                curve.setdefault(name, {}).setdefault(size, []).append(own)
        if "faithfulness" in _SECTIONS.value:
            faithful.append(faithfulness_study.of_world(world, fitted))
        print(f"{law} {seed}", flush=True)
    result: dict[str, Any] = {"worlds": list(seeds), "form": default_form()}
    if "laws" in _SECTIONS.value:
        result["laws"] = of_models(table, recovered, seconds)
    if curve:
        result["curve"] = of_curve(curve)
    if faithful:
        result["faithfulness"] = faithfulness_study.summary(faithful)
    return result


def load(law: str, seed: int) -> LawWorld:
    """The world of a law and a seed."""
    if _WORLDS.value is None:
        return rules_data.simulated(law, seed)
    return rules_data.rendered(Path(_WORLDS.value) / f"{law}_{seed}", _FIELD.value)


def samples(model: Fitted, world: LawWorld) -> Sampled:
    """AUC and AP of the test videos and of resamples that all models share."""
    scores = model.of_videos(world.test)
    return macro_samples(scores, world.truth, num_resamples=_RESAMPLES.value, seed=world.seed)


def recovery(model: Fitted, world: LawWorld) -> dict[str, dict[str, float]]:
    """Which of the law's rules the model follows, at the thresholds that tell the training videos
    apart best, as `center_decision` has them."""
    highest = np.stack([p.max(axis=0) for p in model.of_videos(world.train)])
    columns = zip(highest.T, np.asarray(world.labels).T, strict=True)
    found = rules_by_behaviour(
        model.probability,
        world.absent,
        world.shown,
        threshold=[best_threshold(p, y) for p, y in columns],
        candidates=world.candidates,
    )
    return rule_recovery(found, world.rules)


def curve_of(
    world: LawWorld, fits: Mapping[str, Any], fitted: Mapping[str, Fitted], seed: int
) -> dict[tuple[str, int], Sampled]:
    """By model and number of labelled videos."""
    form, total = default_form(), len(world.train)
    written = rules_data.write(world, with_rules=form != "product")
    kept = [f"roles, {form}", *BASELINES]
    found = {(WRITTEN, 0): samples(roles_of(written.params(), world), world)}
    subsets = rules_data.nested_subsets(total, [int(n) for n in _SIZES.value], seed)
    for size, index in subsets.items():
        for name in kept:
            model = fitted.get(name) if size == total else None
            found[name, size] = samples(model or fits[name](index), world)
        model = fit_roles(world, index, form=form, seed=seed, written=written)
        found[WRITTEN, size] = samples(model, world)
        # Every number of videos compiles programs of its own, of which a process holds so many.
        jax.clear_caches()
    return found


def of_models(table: Table, recovered: Mapping[str, list], seconds: Mapping[str, list]) -> dict:
    """The table of a law."""
    own, result = table[f"roles, {default_form()}"], {}
    for name, worlds in table.items():
        result[name] = {
            "AP": rounded(mean_interval([ap(part) for part in worlds])),
            "AP of worlds": [round(ap(part), 4) for part in worlds],
            "differences": {
                kind: rounded(interval) for kind, interval in mean_difference(own, worlds).items()
            },
            "recovery": {
                what: {
                    key: round(nan_mean([one[what][key] for one in recovered[name]]), 3)
                    for key in ("recall", "precision")
                }
                for what in recovered[name][0]
            },
            "seconds": round(float(np.median(seconds[name])), 1),
        }
    return result


def of_curve(curve: Mapping[str, Mapping[int, list[Sampled]]]) -> dict[str, Any]:
    """The learning curve of a law, and how many labels what is written is worth."""
    result: dict[str, Any] = {
        "AP": {
            name: {str(n): rounded(mean_interval([ap(p) for p in own])) for n, own in sizes.items()}
            for name, sizes in curve.items()
        }
    }
    if AT in curve[WRITTEN]:
        goal = mean_ap(curve[WRITTEN][AT])
        others = [name for name in curve if name != WRITTEN]
        result["needed"] = {name: needed(curve[name], goal) for name in others}
        result[f"at {AGAINST}"] = {
            name: {
                kind: rounded(interval)
                for kind, interval in mean_difference(
                    curve[WRITTEN][AT], curve[name][AGAINST]
                ).items()
            }
            for name in others
            if AGAINST in curve[name]
        }
    return result


def needed(sizes: Mapping[int, list[Sampled]], goal: float) -> float | None:
    """The videos from which on the mean AP stays at the goal or above."""
    numbers, values = list(sizes), [mean_ap(own) for own in sizes.values()]
    at = len(values)
    while at and values[at - 1] >= goal:
        at -= 1
    if at == len(values):
        return None
    if at == 0:
        return float(numbers[0])
    share = (goal - values[at - 1]) / (values[at] - values[at - 1])
    low, high = math.log(numbers[at - 1]), math.log(numbers[at])
    return round(math.exp(low + share * (high - low)), 1)


def ap(part: Sampled) -> float:
    return float(part.values[1, 0])


def mean_ap(worlds: Sequence[Sampled]) -> float:
    return float(np.mean([ap(part) for part in worlds]))


def nan_mean(values: Sequence[float]) -> float:
    """Of what is defined: a model that names no pair has no precision."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def rounded(interval: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in interval]


def text(interval: Sequence[float]) -> str:
    value, low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def show(law: str, result: Mapping[str, Any]) -> None:
    """The sections as markdown tables."""
    print(f"\n## {law}, {len(result['worlds'])} worlds, {result['seconds']} s\n")
    if "laws" in result:
        rows = {
            name: {
                "frame AP": text(one["AP"]),
                "default form less this, worlds": text(one["differences"]["worlds"]),
                "videos": text(one["differences"]["videos"]),
            }
            | {
                what: f"{of['recall']:.2f} / {of['precision']:.2f}"
                for what, of in one["recovery"].items()
            }
            | {"s": one["seconds"]}
            for name, one in result["laws"].items()
        }
        print("Recall / precision of singles, pairs, counters, rules\n")
        print(markdown(rows))
    if "curve" in result:
        curve = result["curve"]
        print(
            markdown(
                {
                    name: {n: f"{interval[0]:.3f}" for n, interval in own.items()}
                    | {"needed": curve.get("needed", {}).get(name, "")}
                    for name, own in curve["AP"].items()
                }
            )
        )
        print(
            markdown(
                {
                    name: {kind: text(interval) for kind, interval in own.items()}
                    for name, own in curve.get(f"at {AGAINST}", {}).items()
                }
            )
        )
    if "faithfulness" in result:
        print(markdown(faithfulness_study.rows(result["faithfulness"])))


def markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """A table whose rows are named."""
    table = pd.DataFrame(rows).T.fillna("")
    head = ["", *map(str, table.columns)]
    lines = [head, ["---"] * len(head)]
    lines += [
        [name, *map(str, values)] for name, values in zip(table.index, table.values, strict=True)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    app.run(main)
