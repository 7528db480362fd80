"""The tables that OpenOOD writes: a row per OOD set, and for the means of near and far ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from jaxvlm import files
from jaxvlm.errors import InputError

# Its columns, in percent. CCR_k at a false positive rate of 10⁻ᵏ; only tables until August 2023
# have them, and with them the FPR of ID positives.
_COLUMNS = {
    "AUROC": "auroc",
    "AUPR_IN": "aupr_in",
    "AUPR_OUT": "aupr_out",
    "FPR@95": "fpr95",
    "ACC": "id_accuracy",
    **{f"CCR_{k}": f"ccr_{k}" for k in (1, 2, 3, 4)},
}
_MEANS = {"nearood": "mean of near", "farood": "mean of far", "mean": "mean of sets"}
_FOLDERS = ("ood", "fsood")  # a table's folder says which protocol it is of
_CELL = re.compile(r"(?P<value>\d+(\.\d*)?(e[+-]?\d+)?)( *± *(\d+(\.\d*)?(e[+-]?\d+)?|nan))?", re.I)
_EMPTY = ("", "-", "nan")


def source_of(path: Path) -> str:
    """What a table is called: one method's of two protocols have one file name."""
    return f"{path.parent.name}/{path.name}" if path.parent.name in _FOLDERS else path.name


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows as of `results.read_results` of an ``ood.csv`` (v1) or a ``METHOD.csv`` (v1.5).

    Of ``mean ± deviation`` over training runs the mean is taken. Where the folder is ``fsood``, the
    ID side is the full spectrum; else no file says which it is. Rows without an AUROC (accuracies
    of covariate-shifted sets) are left out.

    Raises InputError: no such file, no such table, a cell that is no percentage.
    """
    table = files.read_csv(path, dtype=str, keep_default_na=False)
    names = {str(name).strip(): name for name in table}
    if table.shape[1] < 2 or "AUROC" not in names:
        raise InputError(
            f"{path}: no column AUROC; give a table of OpenOOD, or results.json of evaluate-ood"
        )
    columns = {own: names[theirs] for theirs, own in _COLUMNS.items() if theirs in names}
    convention = "id_positive" if "ccr_1" in columns else "openood"
    id_set = {"id_set": "full spectrum"} if path.parent.name == "fsood" else {}
    for number, row in enumerate(table.to_dict("records"), start=2):
        dataset = _text(row[table.columns[0]])
        found = {own: _share(row[name], f"{path}: row {number}: {name}")
                 for own, name in columns.items()}  # fmt: skip
        if found["auroc"] is None:
            continue
        if not dataset:
            raise InputError(f"{path}: row {number}: names no OOD set; correct the file")
        ood_set = _MEANS.get(dataset, dataset)
        yield {**id_set, "ood_set": ood_set, "method": path.stem, "convention": convention, **found}


def _text(cell: Any) -> str:
    return "" if pd.isna(cell) else str(cell).strip()


def _share(cell: Any, place: str) -> float | None:
    text = _text(cell)
    if text.casefold() in _EMPTY:
        return None
    match = _CELL.fullmatch(text)
    if match is None or not float(match["value"]) <= 100:
        raise InputError(f"{place} is {text[:40]!r}, no percentage; correct the file")
    return float(match["value"]) / 100
