"""The demo's result as tables for its page and as lines for a terminal."""

import math
from typing import Any

import pandas as pd

from jaxvlm.evaluation.paired import MEAN_OF_SETS

# What `rule_recovery` compares, as a reader calls it.
RULES = {
    "singles": "atoms that suffice alone",
    "pairs": "pairs that suffice",
    "counters": "counters of these",
}


def metric_tables(summary: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of the page: frame AP, frame AUC, video AUC, rule recovery; mean ± spread."""
    found: dict[str, pd.DataFrame] = {}
    for metric, title in (("ap", "Average precision per frame"), ("auc", "ROC area per frame")):
        found[title] = pd.DataFrame.from_dict(
            {
                name: {
                    **{event: values[metric] for event, values in table["events"].items()},
                    "mean of events": table["mean"][metric],
                    "any event": table["any"][metric],
                }
                for name, table in summary["frame"].items()
            },
            orient="index",
        )
    found["ROC area per video"] = pd.DataFrame.from_dict(
        {
            name: {**table["events"], "mean of events": table["mean"], "any event": table["any"]}
            for name, table in summary["video_auc"].items()
        },
        orient="index",
    )
    columns = {"recall": "of the true, found", "precision": "of the found, true"}
    found["Rules found again"] = pd.DataFrame.from_dict(
        {
            kind: {title: summary["rule_recovery"][name][field] for field, title in columns.items()}
            for name, kind in RULES.items()
        },
        orient="index",
    )
    return found


def summary_lines(metrics: dict[str, Any]) -> list[str]:
    """The result in a few lines of text."""
    summary = metrics["summary"]
    lines = [f"{'frame AP (mean ± spread)':26}" + "any event     mean of events"]
    for name, table in summary["frame"].items():
        cells = [_mean_and_spread(table[key]["ap"]) for key in ("any", "mean")]
        lines.append(f"{name:26}" + " ".join(cells).rstrip())
    lines += ["", f"{'rules':26}of the true, found   of the found, true"]
    for name, kind in RULES.items():
        recall, precision = (summary["rule_recovery"][name][of] for of in ("recall", "precision"))
        lines.append(f"{kind:26}{_share(recall['mean']):21}{_share(precision['mean'])}")
    lines.append("")
    lines.append(f"{'OOD AUROC [95 %]':26}{'usual backgrounds':26}rare backgrounds")
    results = pd.DataFrame(metrics["ood"])
    means = results[results["ood_set"] == MEAN_OF_SETS]
    for method in means["method"].unique():
        cells = [
            f"{row.auroc:.3f} [{row.auroc_low:.3f}, {row.auroc_high:.3f}]"
            for row in means[means["method"] == method].itertuples()
        ]
        lines.append(f"{method:26}" + "".join(f"{cell:26}" for cell in cells).rstrip())
    return lines


def _share(value: float) -> str:
    """Of what is not there, no share is found, and none is true of nothing found."""
    return "–" if math.isnan(value) else f"{value:.2f}"


def _mean_and_spread(value: dict[str, float]) -> str:
    """As wide with a spread as without one, which a single world has not."""
    spread = "" if math.isnan(value["std"]) else f" ± {value['std']:.3f}"
    return f"{value['mean']:.3f}{spread:8}"
