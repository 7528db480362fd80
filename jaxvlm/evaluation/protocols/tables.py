"""An evaluation by a published protocol as lines for a terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxvlm.evaluation.beside_tables import (
    beside_lines,
    percent,
    processed_lines,
    table_lines,
    wrapped,
)
from jaxvlm.evaluation.protocols.conventions import CHOICES, Conventions
from jaxvlm.evaluation.protocols.evaluation import HIGHEST
from jaxvlm.evaluation.trained_on import trained_lines
from jaxvlm.names import number_of


def terminal_lines(result: Mapping[str, Any]) -> list[str]:
    """The ground truth, the conventions in use, what needs no eyes, and of scores their metrics."""
    lines = _truth_lines(result) + (_score_lines(result) if "scores" in result else [])
    return [*lines, "", *beside_lines(result)]


def _truth_lines(result: Mapping[str, Any]) -> list[str]:
    """What ground truth was rebuilt, by which conventions, for a terminal."""
    truth = result["truth"]
    lines = [
        f"{result['protocol']}: {number_of(truth['videos'], 'video')} "
        f"({truth['anomalous_videos']} anomalous), {truth['frames']:,} frames, "
        f"{truth['anomalous_frames']:,} anomalous",
    ]
    if "frame_counts_agree" in truth:
        lines.append(
            f"  anomalous_frames of the frame counts: equal for {truth['frame_counts_agree']} of "
            f"{number_of(truth['videos'], 'video')}"
        )
    used = result["conventions"]
    if result["protocol"] == "lists":  # its arrays are the truth
        used = {k: v for k, v in used.items() if k not in ("interval_ends", "tail")}
    if "scores" not in result:
        own = ("interval_ends", "tail", "snippet_frames", "ap_definition")
        used = {k: v for k, v in used.items() if k in own}
    usual = Conventions()._asdict()
    plain = [f"{field}: {value}" for field, value in used.items() if value == usual[field]]
    lines += wrapped("  " + ", ".join(plain))
    for field, value in used.items():
        if value != usual[field]:
            meaning = CHOICES.get(field, {}).get(value)
            lines += wrapped(f"  {field}: {value}" + (f" ({meaning})" if meaning else ""))
    for event, item in truth["classes"].items():
        if "scores" not in result:
            lines.append(
                f"  {event}: {number_of(item['videos'], 'video')}, {item['frames']:,} frames"
            )
    return lines


def _score_lines(result: Mapping[str, Any]) -> list[str]:
    """Frame AUC and AP in percent with their intervals, a row per group of frames."""
    scores = result["scores"]
    lines = wrapped(
        f"scores: {', '.join(scores['columns']) or 'one, without a name'}; "
        f"{number_of(scores['frames_added'], 'frame')} without score, "
        f"{number_of(scores['frames_cut'], 'scored frame')} "
        "after the end"
        + (
            f"; each row stands for {' or '.join(map(str, scores['frames_per_row']))} frames"
            if scores.get("frames_per_row")
            else ""
        )
        + (f"; {scores['video_fps']:g} frames per second" if scores["video_fps"] else "")
        + ("; only the videos that have scores" if scores["only_scored_videos"] else "")
    )
    lines += processed_lines(result)
    if scores["trained_on"] is not None:
        lines += trained_lines(scores["trained_on"])
    rows = {"overall": result["overall"], "anomalous videos": result["anomalous_videos"]}
    rows |= result["classes"]
    table = {}
    for name, row in rows.items():
        table[name] = {
            "videos": str(row["videos"]),
            "base %": percent(row["positive_frames"] / row["frames"] if row["frames"] else None),
            "AUC % [95 %]": _percent(row["auc"]),
            "AP % [95 %]": _percent(row["ap"]),
        }
    if "mean_of_classes" in result:
        mean = {m: _percent({"value": v}) for m, v in result["mean_of_classes"].items()}
        table["mean of classes"] = {"AUC % [95 %]": mean["auc"], "AP % [95 %]": mean["ap"]}
    lines += ["", *table_lines(table)]
    if len(scores["columns"]) > 1:
        rest = [name for name, row in result["classes"].items() if row["ranked_by"] == HIGHEST]
        if rest:
            lines += wrapped(f"without a column, ranked by the highest of all: {', '.join(rest)}")
    return lines


def _percent(metric: Mapping[str, float]) -> str:
    if np.isnan(metric["value"]):
        return "-"
    text = f"{100 * metric['value']:.2f}"
    if np.isnan(metric.get("low", np.nan)):
        return text
    return f"{text} [{100 * metric['low']:.2f}, {100 * metric['high']:.2f}]"
