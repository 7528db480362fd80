"""The tables of scored videos as files: events, segments, numbers per frame, detections."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from jaxvlm import files
from jaxvlm.atoms.reasons import Reason
from jaxvlm.video.detections import events_table, reason_text, segments_table
from jaxvlm.video.result import Event, ScoredVideo

DETECTION_COLUMNS = (
    "video", "event", "start_seconds", "end_seconds", "peak_seconds", "probability", "reasons",
)  # fmt: skip
FILES = ("events.csv", "segments.csv", "stats.csv", "detections.csv", "detections.json")


def write_tables(
    folder: str | os.PathLike, report: ScoredVideo, events: Sequence[str], atoms: Sequence[str]
) -> None:
    """Writes a video's `FILES` into its folder."""
    folder = Path(folder)
    files.write_csv(folder / "events.csv", events_table(report.times, report.probability, events))
    files.write_csv(
        folder / "segments.csv",
        segments_table(
            report.times,
            report.probability,
            report.boundary,
            report.segment_presence,
            events,
            atoms,
        ),
    )
    files.write_csv(folder / "stats.csv", stats_table(report, events, atoms))
    write_detections(folder, found_in(report))


class Found(NamedTuple):
    """A detection as it is written: the event, and its `reasons_text`."""

    event: Event
    reasons: str


def found_in(report: ScoredVideo) -> list[Found]:
    """The detections of a video, without its curves and pictures."""
    reasons = [reasons_text(finding.reasons) for finding in report.findings]
    return [Found(*pair) for pair in zip(report.events, reasons, strict=True)]


def write_detections(folder: str | os.PathLike, found: Sequence[Found]) -> None:
    """Writes detections as detections.csv and, with the reasons as data, .json."""
    rows = [(*each.event[: len(DETECTION_COLUMNS) - 1], each.reasons) for each in found]
    table = pd.DataFrame(rows, columns=list(DETECTION_COLUMNS))
    files.write_csv(Path(folder) / "detections.csv", table)
    data = [each.event._asdict() for each in found]
    files.write_json(Path(folder) / "detections.json", data)


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Reasons in one cell: ``gun fire (direct +2.10); smoke with crowd (indirect +0.80)``, the
    numbers being what each adds to the logit of P."""
    return "; ".join(f"{reason_text(r)} ({r.role} {r.contribution:+.2f})" for r in reasons)


def stats_table(report: ScoredVideo, events: Sequence[str], atoms: Sequence[str]) -> pd.DataFrame:
    """The rows of ``stats.csv``, all that a threshold or a boundary is laid on.

    frame, time_seconds, divergence d, boundary b, ``P: EVENT`` for every event, and p̄ of every
    atom as ``presence: ATOM``.
    """
    columns = {
        "frame": np.arange(len(report.times)),
        "time_seconds": np.asarray(report.times, float),
        "divergence": report.divergence,
        "boundary": report.boundary,
    }
    columns |= {f"P: {event}": report.probability[:, e] for e, event in enumerate(events)}
    columns |= {f"presence: {atom}": report.segment_presence[:, c] for c, atom in enumerate(atoms)}
    return pd.DataFrame(columns)
