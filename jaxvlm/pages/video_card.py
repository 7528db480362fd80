"""One scored video on a page: what the templates show of it, without its curves and pictures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike
from markupsafe import Markup

from jaxvlm.atoms.reasons import Reason
from jaxvlm.atoms.roles import COUNTER
from jaxvlm.errors import InputError
from jaxvlm.evaluation.spans import runs_of
from jaxvlm.pages import style, video_plots
from jaxvlm.pages.role_sections import RoleBook
from jaxvlm.pages.video_parts import MANY, by_strength, groups, strip
from jaxvlm.pages.video_pictures import Pictures
from jaxvlm.video.detections import Detection, clock, frame_edges, reason_text, span
from jaxvlm.video.doubts import fires_everywhere, often_detected
from jaxvlm.video.export_formats import Exported, vtt_text
from jaxvlm.video.exporting import relative_url
from jaxvlm.video.result import Finding, ScoredVideo

LEADING_ATOMS = 8
OPEN = 2  # further findings that are shown without being asked for


class Place(NamedTuple):
    """Where a card's page lies, and what lies beside it; None: nothing may be written beside it.

    top: the folder of the page of all. folder: of the video's results. file: the video.
    """

    top: Path | None = None
    folder: Path | None = None
    file: Path | None = None


def leading_atoms(video: ScoredVideo, atoms: Sequence[str]) -> list[int]:
    """Up to 8 atoms to show: those in the reasons, then those rising most above their median."""
    presence = np.asarray(video.segment_presence)
    named = [
        atoms.index(a) for peak in video.findings for reason in peak.reasons for a in reason.atoms
    ]
    rise = presence.max(axis=0) - np.median(presence, axis=0)
    return list(dict.fromkeys([*named, *np.argsort(-rise, kind="stable").tolist()]))[:LEADING_ATOMS]


def sentence_html(detection: Detection, reasons: Sequence[Reason] = ()) -> Markup:
    """`detections.sentence` with the event, its time, atoms and roles marked up, all escaped."""
    text = Markup('<b class="event">{}</b> <span class="span">{}</span>').format(
        detection.event, span(detection)
    )
    for word, against in (("because", False), ("despite", True)):
        marked = [_marked(reason) for reason in reasons if (reason.role == COUNTER) == against]
        if marked:
            *before, last = marked
            text += f", {word} " + Markup(", ").join(before)
            text += (" and " if before else "") + last
    return text


def card(
    number: int,
    video: ScoredVideo,
    roles: RoleBook,
    threshold: ArrayLike,
    pictures: Pictures,
    place: Place,
) -> dict[str, Any]:
    """What the templates show of a video.

    Addresses are relative to the folder of the page of all.

    Args:
      number: of the video on its page, from 1 on.
      pictures: where the thumbnails go.

    Raises InputError for a video without frames.
    """
    events, atoms = roles.events, roles.atoms
    if not len(video.times):
        raise InputError(f"{video.name}: no frames; leave it out of the report")
    colors, edges = style.colors_of(events), frame_edges(video.times)
    probability, truth = np.asarray(video.probability), video.truth
    detections = [peak.detection for peak in video.findings]
    found = [event for event in events if any(d.event == event for d in detections)]
    true = []
    if truth is not None:
        true = [
            (event, float(edges[a]), float(edges[b]))
            for e, event in enumerate(events)
            for a, b in runs_of(np.asarray(truth)[:, e] > 0)
        ]
    shown = leading_atoms(video, atoms)
    presence = np.asarray(video.segment_presence)[:, shown]
    t, e = np.unravel_index(probability.argmax(), probability.shape)
    figure = video_plots.timeline(
        video._replace(segment_presence=presence),
        events,
        [atoms[c] for c in shown],
        threshold=threshold,
        emphasised=[*found, *(event for event, _, _ in true)],
        marks={v: [edges[d.peak_frame] for d in detections if d.event == v] for v in found},
    )
    often = often_detected(probability, threshold)
    name = f"video-{number}"
    drawn = {
        id(peak): _finding(peak, f"{name}-{k}", colors[peak.detection.event], pictures)
        for k, peak in enumerate(video.findings, 1)
    }
    ordered = by_strength(video.findings)
    lead = drawn[id(ordered[0])] if ordered else None
    bounds = (float(edges[0]), float(edges[-1]))
    spans = [(colors[d.event], d.start_seconds, d.end_seconds) for d in detections]
    return {
        "id": name,
        "name": video.name,
        "length": clock(bounds[1] - bounds[0]),
        "event_ids": [events.index(event) for event in found],
        "true": [(v, colors[v]) for v in events if any(v == event for event, _, _ in true)],
        "truth_known": truth is not None,
        "strip": strip(spans, [(colors[v], a, b) for v, a, b in true], bounds),
        "lead": lead,
        "others": len({d.event for d in detections}) - 1,
        "everywhere": often if fires_everywhere(often, len(events)) else 0,
        "num_events": len(events),
        "lanes": [
            (event, colors[event], [bar for bar in _bars(drawn.values(), event, bounds)])
            for event in found
        ],
        "rest": _rest(video, ordered[1:], drawn, colors),
        "highest": (events[e], f"{probability[t, e]:.2f}", clock(edges[t])),
        "heat": [f"{value:.2f}" for value in video_plots.presence_range(presence)] if shown else [],
        "in_rows": len(events) > video_plots.MAX_CURVES,
        "plot": Markup(figure),
        "player": _player(video, place),
        "plot_span": [f"{share:.4f}" for share in video_plots.plot_span()],
        "bounds": [f"{seconds:.3f}" for seconds in bounds],
    }


def _marked(reason: Reason) -> Markup:
    """`detections.reason_text` and the role."""
    atoms = Markup(" with ").join(map(style.emphasised, reason.atoms))
    if reason.unless:
        atoms += Markup(", and no ") + Markup(" or ").join(map(style.emphasised, reason.unless))
    return atoms + Markup(' <span class="role">({})</span>').format(reason.role)


def _bars(findings, event: str, bounds: tuple[float, float]) -> list[dict[str, Any]]:
    """The detections of an event as links of its lane."""
    length = bounds[1] - bounds[0]
    return [
        {
            "finding": found,
            "x": f"{100 * (found['start'] - bounds[0]) / length:.2f}",
            "w": f"{100 * (found['end'] - found['start']) / length:.2f}",
        }
        for found in findings
        if found["event"] == event
    ]


def _rest(
    video: ScoredVideo,
    rest: Sequence[Finding],
    drawn: Mapping[int, dict[str, Any]],
    colors: Mapping[str, str],
) -> dict[str, Any] | None:
    """All findings but the strongest: the events of which they are, and one group without a heading
    if they are few, else one per stretch of video."""
    if not rest:
        return None
    named = list(dict.fromkeys(peak.detection.event for peak in rest))
    counts = [(v, colors[v], sum(p.detection.event == v for p in rest)) for v in named]
    told = {"count": len(rest), "events": counts, "open": len(rest) <= OPEN}
    if len(rest) <= MANY:
        return told | {"groups": [{"heading": "", "findings": [drawn[id(p)] for p in rest]}]}
    shown = []
    for group in groups(video, rest):
        best = group.strongest.detection
        shown.append(
            {
                "heading": f"{clock(group.start)}–{clock(group.end)}",
                "count": len(group.findings),
                "events": [(name, colors[name], n) for name, n in group.counts.items()],
                "best": f"{best.event} {best.probability:.2f} at {clock(best.start_seconds)}",
                "findings": [drawn[id(peak)] for peak in group.findings],
            }
        )
    return told | {"groups": shown}


def _finding(peak: Finding, name: str, color: str, pictures: Pictures) -> dict[str, Any]:
    detection = peak.detection
    largest = max((abs(reason.contribution) for reason in peak.reasons), default=0.0) or 1.0
    return {
        "id": name,
        "event": detection.event,
        "span": span(detection),
        "start": detection.start_seconds,
        "end": detection.end_seconds,
        "sentence": sentence_html(detection, peak.reasons),
        "color": color,
        "probability": f"{detection.probability:.2f}",
        "reasons": [
            {
                "atoms": reason_text(reason),
                "role": reason.role,
                "contribution": style.number(reason.contribution, places=1, sign="+"),
                "percent": 100 * abs(reason.contribution) / largest,
            }
            for reason in peak.reasons
        ],
        "thumbnails": [
            (clock(picture.seconds), picture.seconds, pictures.address(picture))
            for picture in peak.thumbnails[: pictures.EACH]
        ],
    }


def _player(video: ScoredVideo, place: Place) -> dict[str, Any] | None:
    """The video's address and chapters; where it is there and out of reach, none and how to reach
    it; None where there is no video."""
    if place.file is None or place.top is None:
        return None
    url = relative_url(place.file, place.top)
    found = [Exported(peak.detection, "") for peak in video.findings]
    return {
        "url": url,
        "file": os.path.basename(place.file),
        "chapters": style.text_uri(vtt_text(found), "text/vtt") if found else "",
    }
