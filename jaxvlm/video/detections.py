"""From probabilities to detections, and from detections to sentences and tables."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from jaxvlm.atoms.reasons import Reason
from jaxvlm.atoms.roles import COUNTER, ROLES
from jaxvlm.atoms.segments import segment_spans
from jaxvlm.errors import InputError
from jaxvlm.evaluation.spans import frame_edges, spans_above

SEGMENT_COLUMNS = [
    "segment",
    "start_frame",
    "end_frame",
    "start_seconds",
    "end_seconds",
    "top_event",
    "probability",
    "leading_atoms",
]


class Detection(NamedTuple):
    """An event over the frames [start_frame, stop_frame) and the seconds they last."""

    event: str
    start_frame: int
    stop_frame: int
    peak_frame: int
    start_seconds: float
    end_seconds: float
    probability: float  # at the peak


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from one hour."""
    minutes, rest = divmod(round(float(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def find_detections(
    probability: ArrayLike,
    times: ArrayLike,
    events: Sequence[str],
    *,
    threshold: ArrayLike = 0.5,
    merge_seconds: float = 1.0,
) -> list[Detection]:
    """Runs of frames with P(e|u) ≥ threshold, those of one event merged over short gaps.

    Args:
      probability: [T, E].
      times: [T] seconds at which the frames start.
      events: E names.
      threshold: a number, or one per event [E].
      merge_seconds: gaps up to this long do not end a detection.

    Returns:
      Detections in order of start, then of event. An interval ends where the next frame starts, or
      before a gap in the video, after the seconds that a frame is held there.

    Raises:
      InputError: a probability is NaN.
    """
    probability, edges = np.asarray(probability), frame_edges(times)
    if np.isnan(probability).any():
        raise InputError("probability: NaN; score the video again")
    threshold = np.broadcast_to(np.asarray(threshold, float), (len(events),))
    found = []
    for e, event in enumerate(events):
        for span in spans_above(
            probability[:, e], edges, threshold=threshold[e], merge_seconds=merge_seconds
        ):
            detection = Detection(
                event,
                span.start,
                span.stop,
                span.peak,
                span.start_seconds,
                span.end_seconds,
                span.score,
            )
            found.append((span.start, e, detection))
    return [detection for _, _, detection in sorted(found, key=lambda item: item[:2])]


def thumbnail_frames(detection: Detection) -> list[int]:
    """The frames worth a picture: the peak and the middles of the parts before and after it."""
    before = (detection.start_frame + detection.peak_frame) // 2
    after = (detection.peak_frame + detection.stop_frame) // 2
    last = detection.stop_frame - 1
    return sorted({before, detection.peak_frame, min(after, last)})


def sentence(detection: Detection, reasons: Sequence[Reason] = ()) -> str:
    """Says a detection and its reasons, in the order given.

    For example: explosion 0:12–0:19, because blast flash (direct) and smoke plume with flying
    debris (indirect), despite film crew (counter). A rule with counters of its own says that they
    were not there: crashed car, and no tow truck (direct).

    Raises:
      InputError: a role is none of direct, indirect, counter.
    """
    because = because_text(reasons)
    return f"{detection.event} {span(detection)}" + (f", {because}" if because else "")


def reason_text(reason: Reason) -> str:
    """Its atoms, and the counters of their rule that were not there: ``crashed car, and no tow
    truck``."""
    text = " with ".join(reason.atoms)
    return f"{text}, and no {' or '.join(reason.unless)}" if reason.unless else text


def span(detection: Detection) -> str:
    """From when to when, as 0:12–0:19, or 0:12 where that is the same."""
    start, end = clock(detection.start_seconds), clock(detection.end_seconds)
    return start if start == end else f"{start}–{end}"


def because_text(reasons: Sequence[Reason]) -> str:
    """The part of `sentence` that says why; empty without reasons."""
    unknown = [r.role for r in reasons if r.role not in ROLES]
    if unknown:
        raise InputError(f"role {unknown[0]!r}: unknown; use direct, indirect or counter")
    parts = []
    for word, against in (("because", False), ("despite", True)):
        chosen = [reason for reason in reasons if (reason.role == COUNTER) == against]
        named = [f"{reason_text(reason)} ({reason.role})" for reason in chosen]
        if named:
            *before, last = named
            parts.append(f"{word} " + ", ".join(before) + (" and " if before else "") + last)
    return ", ".join(parts)


def events_table(times: ArrayLike, probability: ArrayLike, events: Sequence[str]) -> pd.DataFrame:
    """The rows of ``events.csv``: frame, time_seconds, and one probability column per event."""
    times = np.asarray(times, float)
    columns = {"frame": np.arange(len(times)), "time_seconds": times}
    probability = np.asarray(probability)
    return pd.DataFrame(columns | {event: probability[:, e] for e, event in enumerate(events)})


def segments_table(
    times: ArrayLike,
    probability: ArrayLike,
    boundary: ArrayLike,
    segment_presence: ArrayLike,
    events: Sequence[str],
    atoms: Sequence[str],
) -> pd.DataFrame:
    """The rows of ``segments.csv``: a segment starts at frame 0 and wherever b > ½.

    Args:
      times: [T] seconds. probability: [T, E]. boundary: [T]. segment_presence: p̄ [T, C].

    Returns:
      segment, start_frame, end_frame (inclusive), start_seconds, end_seconds, top_event and its
      probability (both at the segment's most probable frame), leading_atoms (three, by p̄ at that
      frame, joined by "; ").
    """
    probability, presence = np.asarray(probability), np.asarray(segment_presence)
    edges = frame_edges(times)
    # `segment_index`, on the host, where no length is compiled for.
    index = np.cumsum(np.asarray(boundary) > 0.5) - (np.asarray(boundary)[:1] > 0.5)
    rows = []
    for start, stop in segment_spans(index):
        frame, e = np.unravel_index(probability[start:stop].argmax(), (stop - start, len(events)))
        order = np.argsort(-presence[start + frame], kind="stable")[:3]
        row = {
            "segment": len(rows),
            "start_frame": start,
            "end_frame": stop - 1,
            "start_seconds": edges[start],
            "end_seconds": edges[stop],
            "top_event": events[e],
            "probability": probability[start + frame, e],
            "leading_atoms": "; ".join(atoms[c] for c in order),
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=SEGMENT_COLUMNS)
