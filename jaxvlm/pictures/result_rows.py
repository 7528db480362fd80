"""Rows of results: metrics with intervals per method, for pairs of sets, groups and means."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm.evaluation.metrics_ood import CCR
from jaxvlm.evaluation.paired import (
    MEAN_OF_SETS,
    Known,
    MethodIntervals,
    compare_sets,
    mean_of,
    sample_sets,
)
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.pictures.accuracy import accuracy_interval, joined
from jaxvlm.pictures.config import OodConfig
from jaxvlm.pictures.set_names import POOLED

HeldOut = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]  # OOD set, set, method: scores [N]


class Sides(NamedTuple):
    """What is compared, by the names of sets.

    ids: the sets that are an ID side, by what it is called; the first are drawn as one kind each.
    oods: the OOD sets. groups: those of each group. reported: [N] bool of each set. right: [N] bool
    of the sets whose truth is known.
    """

    ids: Mapping[str, Sequence[str]]
    oods: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    reported: Mapping[str, np.ndarray]
    right: Mapping[str, np.ndarray]

    def members(self, ood_set: str) -> Sequence[str]:
        """The OOD sets that a row is of."""
        means = {mean_of(group): own for group, own in self.groups.items()}
        return means.get(ood_set, [ood_set] if ood_set in self.oods else self.oods)


def result_rows(held_out: HeldOut, sides: Sides, config: OodConfig, base: str) -> pd.DataFrame:
    """A row per ID side, OOD set (the mean of each group, `MEAN_OF_SETS` and `POOLED` of several)
    and method, the best mean first.

    held_out: the scores with what was chosen for an OOD set, and for `POOLED`.
    """
    oods, rows = sides.oods, []
    methods = list(held_out[oods[0]][oods[0]])

    def tested(names: Sequence[str], against: str) -> dict[str, np.ndarray]:
        scores, kept = held_out[against], sides.reported
        return {m: np.concatenate([scores[n][m][kept[n]] for n in names]) for m in methods}

    drawing = dict(
        num_resamples=config.num_resamples, seed=config.seed, convention=config.convention
    )
    comparing = dict(
        baseline=base if base in methods else None,
        best_of=[method for method in methods if method not in VARIANTS],
    )
    for id_side, names in sides.ids.items():
        chosen = {name: sides.reported[name] for name in names}
        right = joined(sides.right, chosen)
        sizes = [int(own.sum()) for own in chosen.values()]
        drawing["known"] = Known(right, np.repeat(np.arange(len(sizes)), sizes))
        sampled = sample_sets(
            {o: tested(names, o) for o in oods}, {o: tested([o], o) for o in oods}, **drawing
        )
        found = compare_sets(sampled, groups=sides.groups, **comparing)
        if len(oods) > 1:
            pooled = {POOLED: tested(names, POOLED)}, {POOLED: tested(oods, POOLED)}
            found |= compare_sets(sample_sets(*pooled, **drawing), **comparing)
        last = found[MEAN_OF_SETS if len(oods) > 1 else oods[0]]
        ordered = sorted(methods, key=lambda m: -last[m].metrics.auroc.value)  # noqa: B023
        accuracy = _with_ends("id_accuracy", accuracy_interval(right))
        for (ood_set, compared), method in itertools.product(found.items(), ordered):
            row = {
                "method": method,
                "id_set": id_side,
                "ood_set": ood_set,
                "num_id": sum(sizes),
                "num_ood": sum(int(sides.reported[o].sum()) for o in sides.members(ood_set)),
                "convention": config.convention,
            }
            row |= _columns(compared[method]) | accuracy
            rows.append(row | {"rank": _rank(method, compared)})
    return pd.DataFrame(rows)


def _columns(found: MethodIntervals) -> dict[str, float]:
    columns = {}
    for metric, interval in found.metrics._asdict().items():
        columns |= _with_ends(metric, interval)
    for metric in ("auroc", "fpr95") if found.difference is not None else ():
        columns |= _with_ends(f"{metric}_gain", getattr(found.difference, metric))
    columns |= _with_ends("auroc_behind", found.behind)
    unknown = [(np.nan,) * 3] * len(CCR)
    for name, interval in zip(CCR, found.correct or unknown, strict=True):
        columns |= _with_ends(name, interval)
    return columns


def _with_ends(name: str, interval: Sequence[float]) -> dict[str, float]:
    return {
        f"{name}{end}": value for end, value in zip(("", "_low", "_high"), interval, strict=True)
    }


def _rank(method: str, compared: Mapping[str, MethodIntervals]) -> str:
    rivals = [name for name in compared if name not in VARIANTS]
    best = max(rivals, key=lambda name: compared[name].metrics.auroc.value)
    if method == best:
        return "best"
    return "level" if compared[method].behind.high >= 0 else ""
