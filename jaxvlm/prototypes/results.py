"""Results that others, or earlier runs, left on disk, as one table to compare with.

NegAlign writes JSON of many shapes (a level per OOD set, experiment or λ, in any order); this
project's ``evaluate_ood`` writes ``results.json``; NegRefine prints ``result.txt``; OpenOOD writes
CSV.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.prototypes import openood
from jaxvlm.reading import read_bounded

RARE = ("id_accuracy", "ccr_1", "ccr_2", "ccr_3", "ccr_4")  # not shown where no file has them
METRICS = ("auroc", "aupr_in", "aupr_out", "fpr95", *RARE)
COLUMNS = ["source", "id_set", "ood_set", "method", "lambda", "convention", *METRICS]

# Levels of NegAlign's files that say what lies below, and nothing about it.
_STRUCTURE = {
    *("metrics", "experiments", "results", "lambda_sweep", "lambda_results"),
    *("best_result", "best_metrics"),
}
_OOD_LEVELS = ("ood_results", "ood_datasets")
_REPEATS = {"best_result", "best_metrics"}  # of a row that stands in the sweep, too
_SET = re.compile(r"-{3,} *(?P<name>.+?) *-{3,}")
_LARGEST = 1e300
_NUMBER = re.compile(r"\d+(\.\d+)?")
_SCORE = re.compile(r"score(?P<n>\d+) +auroc: (?P<auroc>[\d.e-]+) +fpr: (?P<fpr95>[\d.e-]+)")
_ID = re.compile(r"in_dataset_name='(?P<name>[^']*)'")


def read_results(path: str | os.PathLike) -> pd.DataFrame:
    """The results in a file of evaluate_ood, NegAlign (``.json``), NegRefine (``.txt``) or OpenOOD
    (``.csv``).

    Returns a row per pair of sets, method and λ with `COLUMNS`: metrics in [0, 1] as they stand
    in the file, NaN where it has none. λ is NaN where the file names none. convention: that of the
    FPR, see `metrics_ood.ood_metrics`; figures of two conventions are not to be compared. Of
    figures that a file repeats (its best result) one row is kept.

    Raises InputError: no such file, not JSON, no result in it.
    """
    path = Path(path)
    if path.suffix == ".txt":
        rows = [_checked(path, row) for row in _negrefine(path)]
    elif path.suffix == ".csv":
        rows = list(openood.read_rows(path))
    else:
        value = files.read_json(path)
        if not isinstance(value, dict):
            raise InputError(f"{path}: not results of an OOD evaluation; check the path")
        if isinstance(value.get("results"), list):
            rows = list(_own(path, value["results"]))
        else:
            rows = [dict(_sets(value), **row) for row in _negalign(value, (), {})]
        rows = [_checked(path, row) for row in rows]
    if not rows:
        raise InputError(
            f"{path}: no AUROC in it; give results.json, NegRefine's result.txt or OpenOOD's CSV"
        )
    table = pd.DataFrame(rows)
    table.insert(0, "source", openood.source_of(path))
    table = table.reindex(columns=COLUMNS)
    table[["lambda", *METRICS]] = table[["lambda", *METRICS]].astype(np.float64)
    return table.drop_duplicates(ignore_index=True)


def read_all(paths: Sequence[str | os.PathLike], *, ood_set: str | None = None) -> pd.DataFrame:
    """The results of several files, in their order; ``ood_set``: only these, whatever the case.

    Raises InputError as `read_results`, and where no file names that set.
    """
    table = pd.concat([read_results(path) for path in paths], ignore_index=True)
    if ood_set is None:
        return table
    names = table["ood_set"].astype("string").str.casefold()
    chosen = table[(names == ood_set.casefold()).fillna(False).astype(bool)]
    if chosen.empty:
        known = ", ".join(sorted({str(name) for name in table["ood_set"].dropna()}))
        raise InputError(
            f"ood_set {ood_set}: in none of the files; they have {known or 'no names'}"
        )
    return chosen.reset_index(drop=True)


def terminal_table(table: pd.DataFrame) -> str:
    """The rows as text, metrics in percent, nothing where a file says nothing."""
    shown = table.drop(columns=[name for name in RARE if table[name].isna().all()])
    for name in METRICS:
        if name not in shown:
            continue
        shown[name] = [f"{100 * x:.2f}" if np.isfinite(x) else "" for x in table[name]]
    shown["lambda"] = [f"{x:g}" if np.isfinite(x) else "" for x in table["lambda"]]
    return shown.astype(object).fillna("").to_string(index=False)


def _own(path: Path, results: list[Any]) -> Iterator[dict[str, Any]]:
    for row in results:
        if not isinstance(row, dict) or row.get("auroc") is None:
            raise InputError(f"{path}: a result without auroc; run jaxvlm evaluate-ood again")
        yield {key: row.get(key) for key in COLUMNS[1:]}


def _negalign(
    value: Any, names: tuple[str, ...], known: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Rows below a node: wherever an AUROC stands, the levels above it say of what."""
    if isinstance(value, list):
        for item in value:
            yield from _negalign(item, names, known)
        return
    if not isinstance(value, dict):
        return
    if isinstance(value.get("variant"), str):
        names = (*names, value["variant"])
    if _number(value.get("lambda")):
        known = {**known, "lambda": value["lambda"]}
    if not isinstance(value.get("auroc"), dict | list | None):
        metrics = {name: value[name] for name in METRICS if name in value}
        # Its first picture, not score, with a TPR of 0.95: the same where no scores tie.
        yield {**known, "method": " ".join(names), "convention": "id_positive", **metrics}
        return
    for key, below in value.items():
        if key in _REPEATS:
            continue
        if key in _OOD_LEVELS and isinstance(below, dict):
            for ood_set, node in below.items():
                yield from _negalign(node, names, {**known, "ood_set": ood_set})
        elif key == "lambda_sweep" and isinstance(below, dict):
            for weight, node in below.items():
                weighed = {"lambda": float(weight)} if _NUMBER.fullmatch(weight) else {}
                yield from _negalign(node, names, {**known, **weighed})
        else:
            yield from _negalign(below, names if key in _STRUCTURE else (*names, key), known)


def _sets(value: Mapping[str, Any]) -> dict[str, str]:
    """The two sets where the file names them once, at its top."""
    config = value.get("config") if isinstance(value.get("config"), dict) else {}
    stats = value.get("id_stats") if isinstance(value.get("id_stats"), dict) else {}
    id_set, _, ood_set = str(config.get("dataset", "")).partition("_vs_")
    found = {
        "id_set": value.get("id_dataset") or stats.get("dataset") or id_set,
        "ood_set": value.get("ood_dataset") or ood_set,
    }
    return {side: name for side, name in found.items() if name}


def _negrefine(path: Path) -> Iterator[dict[str, Any]]:
    text = read_bounded(path).decode("utf-8", errors="replace")
    named = _ID.search(text)
    id_set, ood_set = named["name"] if named else None, None
    for line in text.splitlines():
        if heading := _SET.fullmatch(line.strip()):
            ood_set = heading["name"]
        elif (score := _SCORE.fullmatch(line.strip())) and ood_set is not None:
            yield {
                "id_set": id_set,
                "ood_set": ood_set,
                "method": "NegRefine" if score["n"] == "0" else f"NegRefine score{score['n']}",
                "convention": "closest_recall",
                "auroc": _float(score["auroc"]),
                "fpr95": _float(score["fpr95"]),
            }


def _checked(path: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, if its metrics are shares and its λ is a finite number."""
    for name in METRICS:
        value = row.get(name)
        if value is not None and not (_number(value) and 0 <= value <= 1):
            raise InputError(
                f"{path}: {name} is {_shown(value)}, no number in [0, 1]; correct the file"
            )
    weight = row.get("lambda")
    if weight is not None and not (_number(weight) and abs(weight) < _LARGEST):  # not so for NaN
        raise InputError(f"{path}: lambda is {_shown(weight)}, no finite number; correct the file")
    for name in ("id_set", "ood_set", "method", "convention"):
        if not isinstance(row.get(name), str | None):
            raise InputError(f"{path}: {name} is {_shown(row[name])}, no name; correct the file")
    return dict(row)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:40]
    except ValueError:  # Python writes no integer of over 4,300 digits
        return "an integer without end"


def _float(text: str) -> float | str:
    """The number, or the text for a message."""
    try:
        return float(text)
    except ValueError:
        return text


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
