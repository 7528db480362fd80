"""An evaluation as tables: one row per picture, one row per method, and lines for a terminal."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm.evaluation.intervals import Interval
from jaxvlm.evaluation.metrics_ood import CCR
from jaxvlm.evaluation.paired import MEAN_OF_SETS
from jaxvlm.names import printable
from jaxvlm.ood.choices import VARIANTS
from jaxvlm.ood.streams.methods import ADAPTIVE
from jaxvlm.ood.words.label_banks import nearest_labels
from jaxvlm.pictures.choosing import title
from jaxvlm.pictures.comparison import ID_PICTURES, Evaluation
from jaxvlm.pictures.encoding import ScoredSet
from jaxvlm.pictures.labels import Labels
from jaxvlm.pictures.set_names import POOLED

NEAREST = 5  # negative labels listed per picture
LEVEL = (
    "best: the highest AUROC; level: the 95 % interval of the difference to it, on the same "
    "pictures, includes 0. Forms of P_align are in results.csv."
)
CCR_TITLES = {
    name: f"CCR@FPR {share}"
    for name, share in zip(CCR, ("10 %", "1 %", "0.1 %", "0.01 %"), strict=True)
}
_MARKS = {"": "", "other_sets": " *", "same_sets": " **", "test": " ***", ID_PICTURES: " †"}
_NOTES = {
    "other_sets": "* λ, variant or weights were chosen on validation pictures of the other OOD "
    "sets (in the column pooled: of the same sets). Methods without a mark have seen no OOD "
    "picture.",
    "same_sets": "** λ, variant or weights were chosen on validation pictures of the same OOD "
    "sets, so this kind of OOD has been seen. Methods without a mark have seen no OOD picture.",
    "test": "*** λ, variant or weights were chosen on the very pictures reported, which flatters.",
    ID_PICTURES: "† is given ID pictures (--id_train, or the validation part); the others only "
    "texts.",
}


def picture_table(
    scored: ScoredSet, side: str, labels: Labels, scores: dict[str, np.ndarray], validation=None
) -> pd.DataFrame:
    """One row per picture: set, path below the set's folder, ĉ, the nearest negatives, scores."""
    names = labels.names
    near = nearest_labels(scored.encoded.image, labels.banks.negative, names.negative, NEAREST)
    table = {
        "set": scored.name,
        "side": side,
        "path": [picture_name(scored, index) for index in range(len(scored.paths))],
        "label": scored.labels or "",
        "predicted_class": [names.positive[k] for k in scored.encoded.predicted_class_idx],
        "nearest_negatives": ["; ".join(word for word, _ in row) for row in near],
    }
    if scored.encoded.has_patches:
        table["cam_valid"] = scored.encoded.cam_valid.astype(int)
    if validation is not None:
        table["part"] = np.where(validation, "validation", "test")
    return pd.DataFrame(table | scores | {f"p_align_{k}": v for k, v in scored.alignment.items()})


def picture_name(scored: ScoredSet, index: int) -> str:
    """A picture's path below the set's folder; of one that a list takes from elsewhere, all."""
    path = scored.paths[index]
    below = path.relative_to(scored.root) if path.is_relative_to(scored.root) else path
    return printable(below.as_posix())


def method_table(evaluation: Evaluation, id_set: str, metric: str) -> pd.DataFrame:
    """Methods × OOD sets, a metric with its interval in each cell."""
    rows = evaluation.results[evaluation.results["id_set"] == id_set]
    found: dict[str, dict[str, Interval]] = {}
    for row in rows.to_dict("records"):
        cell = Interval(row[metric], row[f"{metric}_low"], row[f"{metric}_high"])
        found.setdefault(marked_title(row["method"], evaluation), {})[row["ood_set"]] = cell
    return pd.DataFrame.from_dict(found, orient="index")


def marked_title(method: str, evaluation: Evaluation) -> str:
    """A method's name, what was chosen, and a mark for what that has seen; see `notes`."""
    return title(method, evaluation.choices) + _MARKS[_seen(method, evaluation)]


def notes(evaluation: Evaluation) -> list[str]:
    """A sentence for every mark in the tables, and one on what is not defined."""
    rows = evaluation.results
    seen = {_seen(method, evaluation) for method in rows["method"].unique()}
    found = [text for how, text in _NOTES.items() if how in seen]
    known = rows[rows["id_accuracy"].notna()]
    lacking = [CCR_TITLES[name] for name in CCR if known[name].isna().any()]
    if lacking:
        found.append(
            f"{', '.join(lacking)}: empty where an OOD set has fewer pictures than make one of "
            "that share."
        )
    return found


def _seen(method: str, evaluation: Evaluation) -> str:
    rows = evaluation.results[evaluation.results["method"] == method]
    return rows[rows["ood_set"] != POOLED]["chosen_on"].iloc[0]


def marked_tables(evaluation: Evaluation, id_set: str, metric: str) -> list[pd.DataFrame]:
    """`method_table` in order of the mean AUROC, whose first column says which methods are best and
    level with the best; and the table of the P_align variants alone, empty where there are none."""
    table = method_table(evaluation, id_set, metric)
    rows = _ranked(evaluation, id_set)
    table.insert(0, "", list(rows["rank"]))
    folded = rows["method"].isin(VARIANTS).to_numpy()
    return [table[~folded], table[folded].drop(columns="")]


def _ranked(evaluation: Evaluation, id_set: str) -> pd.DataFrame:
    """A row per method, best mean first."""
    rows = evaluation.results[evaluation.results["id_set"] == id_set]
    sets = list(rows["ood_set"].unique())
    return rows[rows["ood_set"] == (MEAN_OF_SETS if MEAN_OF_SETS in sets else sets[-1])]


def stream_lines(streams: pd.DataFrame | None) -> list[str]:
    """A table per ID set: AUROC ± its spread over the streams, and the gain over the static base,
    in percent, the mean over the OOD sets; a row per method, a column per order, share and skew."""
    if streams is None:
        return []
    lines = []
    for id_set, own in streams.groupby("id_set", sort=False):
        keys = ["method", "order", "ood_share", "class_skew"]
        means = 100 * own.groupby(keys, sort=False)[["auroc", "auroc_sd", "gain"]].mean()
        cells = [f"{r.auroc:.1f} ± {r.auroc_sd:.1f} ({r.gain:+.1f})" for r in means.itertuples()]
        wide = pd.Series(cells, index=means.index).unstack("method", sort=False)
        wide.index = [f"{order}, {share:.0%} OOD{_skew(skew)}" for order, share, skew in wide.index]
        wide.columns = [ADAPTIVE[name].title for name in wide.columns]
        lines.append(
            f"Streams, ID: {id_set}; AUROC in % ± its spread over {own['repeats'].iloc[0]} streams "
            "(gain over the method's static base), mean of the OOD sets"
        )
        lines += [*wide.T.to_string().split("\n"), ""]
    return lines


def _skew(skew: float) -> str:
    return f", skew {skew:g}" if skew else ""


def shown_share(interval: Sequence[float], *, digits: int = 1) -> str:
    """``87.5 % [84.9, 89.8]``, without the interval where there is none."""
    value, low, high = (f"{100 * end:.{digits}f}" for end in interval)
    return f"{value} %" if math.isnan(interval[1]) else f"{value} % [{low}, {high}]"


def accuracy_of(evaluation: Evaluation, name: str) -> str:
    """How often ĉ is right on an ID side or a shifted set; empty where its truth is not known."""
    table = evaluation.accuracy
    (row,) = table[table["set"] == name].itertuples()
    if math.isnan(row.accuracy):
        return ""
    share = shown_share((row.accuracy, row.accuracy_low, row.accuracy_high))
    return f"accuracy of ĉ {share} of {row.pictures}"


def shifted_lines(evaluation: Evaluation) -> list[str]:
    """A line for each shifted set whose truth is known: how often ĉ is right."""
    sides = set(evaluation.results["id_set"])
    names = [name for name in evaluation.accuracy["set"] if name not in sides]
    told = {name: accuracy_of(evaluation, name) for name in names}
    return [f"{name}: {text}" for name, text in told.items() if text]


def terminal_lines(evaluation: Evaluation) -> list[str]:
    """A table per ID side: its accuracy, AUROC and FPR@95 in percent for every OOD set, and the
    gain; one of AUPR and CCR on the mean; the accuracy of shifted sets; notes."""
    lines = []
    for id_set in evaluation.results["id_set"].unique():
        rows = evaluation.results[evaluation.results["id_set"] == id_set]
        sets = list(rows["ood_set"].unique())
        ranked = _ranked(evaluation, id_set)
        last = ranked["ood_set"].iloc[0]
        shown = ranked[~ranked["method"].isin(VARIANTS)]
        width = max(len(marked_title(m, evaluation)) for m in shown["method"])
        heads = [f"{name[:17]:>17}" for name in sets]
        lines += [
            "; ".join(filter(None, (f"ID: {id_set}", accuracy_of(evaluation, id_set))))
            + f"; AUROC / FPR@95 ({rows['convention'].iloc[0]}) in %, best {last} first; "
            f"last column: AUROC gain over the base on {last}",
            " " * (width + 7) + " ".join(heads) + f"{'gain [95 % interval]':>26}",
        ]
        for method, rank in zip(shown["method"], shown["rank"], strict=True):
            own = rows[rows["method"] == method].set_index("ood_set")
            cells = [
                f"{100 * own.loc[name, 'auroc']:8.2f} /{100 * own.loc[name, 'fpr95']:7.2f}"
                for name in sets
            ]
            lines.append(
                f"{rank:7}{marked_title(method, evaluation):{width}}"
                + " ".join(cells)
                + f"{_gain(own.loc[last]):>26}"
            )
        lines += folded_line(evaluation, id_set)
        lines += ["", *_more_metrics(shown, evaluation), ""]
    return [*lines, *shifted_lines(evaluation), LEVEL, *notes(evaluation)]


def _more_metrics(rows: pd.DataFrame, evaluation: Evaluation) -> list[str]:
    """AUPR with each side positive, and CCR where it is defined, in percent; a row per method."""
    metrics = {"AUPR-in": rows["aupr_in"], "AUPR-out": rows["aupr_out"]}
    metrics |= {title: rows[name] for name, title in CCR_TITLES.items()}
    defined = {title: values for title, values in metrics.items() if values.notna().any()}
    names = [marked_title(method, evaluation) for method in rows["method"]]
    width = max(map(len, names))
    lines = [f"On {rows['ood_set'].iloc[0]}, in %:"]
    lines.append(" " * width + "".join(f"{head:>14}" for head in defined))
    for n, name in enumerate(names):
        cells = (f"{100 * values.iloc[n]:14.2f}" for values in defined.values())
        lines.append(f"{name:{width}}" + "".join(cells))
    return lines


def folded_line(evaluation: Evaluation, id_set: str) -> list[str]:
    """A line in place of the rows of the P_align variants, if there are any."""
    rows = _ranked(evaluation, id_set)
    rows = rows[rows["method"].isin(VARIANTS)]
    if rows.empty:
        return []
    low, high = (f"{100 * value:.2f}" for value in (rows["auroc"].min(), rows["auroc"].max()))
    return [
        f"{len(rows)} forms of P_align, each with its own λ: AUROC {low} to {high} % on "
        f"{rows['ood_set'].iloc[0]}"
    ]


def _gain(row: pd.Series) -> str:
    if "auroc_gain" not in row or math.isnan(row["auroc_gain"]):
        return ""
    value, low, high = (100 * row[f"auroc_gain{end}"] for end in ("", "_low", "_high"))
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"


def sentence(
    method: str,
    score: float,
    predicted: tuple[str, float],
    nearest: Sequence[tuple[str, float]],
    background: Sequence[tuple[str, float]],
    p_value: float | None,
) -> str:
    """How far out a picture is, by which method, and why, in a line.

    predicted: ĉ and its cosine. nearest: the nearest negative labels; background: those of the
    background's embedding. p_value: see `deciding.decide`, or None. It is told rounded up, so that
    no more is said than it says.
    """
    name, positive = predicted
    word, similarity = nearest[0]
    place = ""
    if p_value is not None:
        place = f", lower than {higher_share(p_value)} % of ID pictures"
    words = f"{word} ({similarity:.2f})"
    why = f"nearer to {words} than to any class, {name} ({positive:.2f}) first"
    if similarity <= positive:
        why = f"nearest to {name} ({positive:.2f}), {words} being the nearest negative label"
    behind = f"; background like {background[0][0]}" if background else ""
    return f"{method}: {shown_score(score)}{place}: {why}{behind}"


def higher_share(p_value: float) -> str:
    """The share 1 − p in percent, rounded down: whole, above 99 % to a tenth."""
    tenths = math.floor(round(1000 * (1 - p_value), 6))  # 0.7 is 70 %, whatever binary makes of it
    return f"{tenths / 10:g}" if tenths >= 990 else str(tenths // 10)


def shown_score(score: float) -> str:
    """A score to three places, or to two digits where these would be mostly zeros."""
    return f"{score:.3f}" if abs(score) >= 0.1 or score == 0 else f"{score:.2g}"


def told(row: dict[str, Any]) -> str:
    """A row of a scored folder as a line for a terminal."""
    decision = f"{row['decision']}, " if "decision" in row else ""
    return f"{row['path']}: {decision}{row['why']}"
