"""What stands beside frame AUC and AP as lines for a terminal of 80 columns."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jaxvlm.evaluation import no_look
from jaxvlm.evaluation.detection_map import NORMAL_TRUTH

WIDTH = 80
OURS = "these scores"


def beside_lines(result: Mapping[str, Any]) -> list[str]:
    """The tables of no-look rows, post-processing, detections and mAP, as far as they are there."""
    lines = no_look_lines(result["no_look"])
    if "postprocess" in result:
        lines += ["", *_postprocess_lines(result["postprocess"])]
    if "events_found" in result:
        lines += ["", *_event_lines(result["events_found"])]
        lines += ["", *_map_lines(result["map_iou"])]
    return lines


def no_look_lines(record: Mapping[str, Any]) -> list[str]:
    """The scores over the rows that need no eyes, and what is gained over the best of these."""
    rows = dict(record["rows"])
    columns = {"auc": "AUC %", "ap": "AP %"}
    if "scores" in record:
        rows = {OURS: record["scores"], **rows}
        columns |= {"auc_anomalous": "AUC %, anomalous videos", "auc_within": "AUC % per video"}
    table = {
        name: {title: percent(row[key]) for key, title in columns.items()}
        for name, row in rows.items()
    }
    lines = wrapped(
        f"base rate: {percent(record['base_rate'])} % of the frames are anomalous. What needs no "
        "eyes knows how long videos are, its first two rows also which are anomalous:"
    )
    lines += table_lines(table)
    for metric, title in (("auc", "AUC"), ("ap", "AP")):
        gain = record.get("gain", {}).get(metric)
        if gain is not None:
            lines.append(f"{title} beyond the best of them, {gain['row']}: {_points(gain)}")
    return lines


def processed_lines(result: Mapping[str, Any]) -> list[str]:
    """Says of which steps' scores the figures are, if there are steps."""
    steps = ", ".join(row["step"] for row in result.get("postprocess", [])[1:])
    return wrapped(f"all figures are of the scores after: {steps}") if steps else []


def percent(value: float | None, digits: int = 2) -> str:
    """A share as a number of percent; - where it is not defined."""
    return "-" if value is None or np.isnan(value) else f"{100 * value:.{digits}f}"


def table_lines(rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Rows of texts by name as lines, names to the left, texts to the right."""
    frame = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    names = frame.index.to_series()
    frame.index = names.str.ljust(max(map(len, names)))
    return [line.rstrip() for line in frame.to_string().split("\n")]


def wrapped(text: str) -> list[str]:
    """A text in lines of at most 80 columns, the later ones indented."""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _postprocess_lines(rows: list[Mapping[str, Any]]) -> list[str]:
    label, chance = "by label", "by chance"
    table = {}
    for number, row in enumerate(rows):
        table[f"{number}. {row['step']}" if number else row["step"]] = {
            "AUC %": percent(row["auc"]),
            "gain": _points(row["gain"] and row["gain"]["auc"]),
            "AP %": percent(row["ap"]),
            "gain AP": _signed(row["gain"] and row["gain"]["ap"]["value"]),
            label: _signed(row["no_eyes"][no_look.VIDEO_LABEL]["auc_gain"]) if number else "",
            chance: _signed(row["no_eyes"][no_look.CHANCE]["auc_gain"]) if number else "",
        }
    lines = ["post-processing, each step on top of those above it:", *table_lines(table)]
    return lines + wrapped(
        f"{label}, {chance}: what the same step adds to the AUC of the rows {no_look.VIDEO_LABEL} "
        f"and {no_look.CHANCE}, which see nothing"
    )


def _event_lines(record: Mapping[str, Any]) -> list[str]:
    rules, timed = record["rules"], record["hours"] is not None
    release = rules["release"]
    until = "" if release is None else f" until below {release:g}"
    gaps = f", gaps up to {rules['merge_seconds']:g} s closed" if timed else ""
    overlap = f"IoU ≥ {rules['overlap']:g}" if rules["overlap"] else "any shared time"
    footage = f"; {record['hours']:.2f} hours" if timed else ""
    score = f"detections: score ≥ {rules['threshold']:g}{until}{gaps}"
    lines = wrapped(f"{score}; one is an event's at {overlap}{footage}")
    table = {}
    blind = {f"[{name}]": row for name, row in record["no_eyes"].items()}
    for name, row in (record["rows"] | blind).items():
        table[name] = {
            "found": f"{row['found']} of {row['events']}",
            "recall %": percent(row["recall"], 1),
            "precision %": percent(row["precision"], 1),
        }
        if timed:
            delay, rate = row["delay_seconds"]["median"], row["false_alarms_per_hour"]
            table[name] |= {
                "delay s": "-" if delay is None else f"{delay:.1f}",
                "false alarms an hour": f"{rate['value']:.2f} [{rate['low']:.2f}, "
                f"{rate['high']:.2f}]",
            }
    lines += table_lines(table)
    if timed:
        lines += wrapped("delay: the median over all events, - where half or more are missed")
    else:
        lines += wrapped("delay and false alarms an hour need --video_fps, the videos' rate")
    lines += wrapped("[…] needs no eyes: any event, by a detection as long as the video")
    if not any(row["detections"] for row in record["rows"].values()):
        lines += wrapped(f"no score reaches {rules['threshold']:g}: give a --threshold of these "
                         "scores")  # fmt: skip
    return lines


def _map_lines(record: Mapping[str, Any]) -> list[str]:
    table = {}
    rows = {
        "VadCLIP's code": record["vadclip"],
        f"[{no_look.LABEL_MIDDLE}]": record["no_eyes"]["vadclip"],
        "ActivityNet's definition": record["activitynet"],
        f"[{no_look.VIDEO_LABEL}, whole video]": record["no_eyes"]["activitynet"],
    }
    for name, row in rows.items():
        values = zip(record["thresholds"], row["map"], strict=True)
        table[name] = {f"{iou:g}": percent(value) for iou, value in values}
        table[name]["mean"] = percent(row["mean"])
    vadclip = record["vadclip"]
    lines = ["mAP % at an IoU of", *table_lines(table)]
    classes, missing = record["classes"], record["without_column"]
    if vadclip["normal"] is None:
        lines += wrapped("one class, any event: no column of the scores is called like a class")
    else:
        lines += wrapped(f"classes: {', '.join(classes)}; VadCLIP: "
                         f"{NORMAL_TRUTH[vadclip['normal']]}")  # fmt: skip
        if missing:
            lines += wrapped(f"without a column, and left out: {', '.join(missing)}")
    lines += wrapped("[…] needs no eyes: the same by scores that know the classes of the video")
    if vadclip["empty"]:
        lines += wrapped("VadCLIP's code gives 0 for all where a class has no segment: "
                         + ", ".join(vadclip["empty"]))  # fmt: skip
    return lines


def _points(gain: Mapping[str, float] | None) -> str:
    """A difference in points of percent with its interval."""
    if gain is None:
        return ""
    text = _signed(gain["value"])
    if np.isnan(gain["low"]):
        return text
    return f"{text} [{_signed(gain['low'])}, {_signed(gain['high'])}]"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{round(100 * value, 2) + 0.0:+.2f}"
