"""The page a person reads: what happened when, and which atoms say so, in one HTML file."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jax.typing import ArrayLike
from markupsafe import Markup

from jaxvlm import files
from jaxvlm.atoms.explanation import Reason
from jaxvlm.atoms.roles import COUNTER, ROLES
from jaxvlm.errors import InputError
from jaxvlm.evaluation.spans import runs_of
from jaxvlm.pages import style, video_plots
from jaxvlm.pages.video_parts import MANY, groups, lanes
from jaxvlm.video.detections import Detection, clock, frame_edges, span
from jaxvlm.video.ordinary_model import NOVELTY
from jaxvlm.video.result import Finding, ScoredVideo
from jaxvlm.video.role_learning import roles_table
from jaxvlm.video.role_model import RoleModel

THUMBNAIL_SIDE, THUMBNAILS, LEADING_ATOMS = 160, 3, 8
ROLE_COLUMNS = (
    "event", "atom", "role", "rho_direct", "rho_indirect", "rho_counter",
    "gamma_direct", "gamma_indirect", "gamma_counter",
)  # fmt: skip


class RoleBook(NamedTuple):
    """What is looked for, and why it is believed: E events, C atoms, and their roles."""

    events: Sequence[str]
    atoms: Sequence[str]
    table: pd.DataFrame | None = None  # rows with `ROLE_COLUMNS`; None: no section on the page
    notes: Mapping[str, str] = {}  # what to know of an event's roles; of others than E, too


def role_book(model: RoleModel, signals: Sequence[str] = ()) -> RoleBook:
    """The roles of a model; of events of one kind of label it is noted.

    signals: what is shown, where that is more than the events.
    """
    notes = {kind.event: kind.sentence() for kind in model.one_kind}
    if NOVELTY in signals:
        notes[NOVELTY] = (
            "no atom has a part in it: how far a frame is from all that this camera showed before"
        )
    return RoleBook(signals or model.events, model.atoms, roles_table(model), notes)


def write_video_page(
    path: str | os.PathLike,
    videos: Sequence[ScoredVideo],
    roles: RoleBook,
    *,
    metrics: Mapping[str, pd.DataFrame] | None = None,
    pictures: Mapping[str, np.ndarray] | None = None,
    notes: Sequence[str] = (),
    notices: Sequence[str] = (),
    threshold: ArrayLike = 0.5,
) -> None:
    """Writes one self-contained HTML file: no script, nothing fetched, all names escaped.

    Args:
      path: where to; replaced atomically.
      videos: those with detections are shown first, else in the order given.
      metrics: tables by title; the index names the rows, cells are what `style.cell` takes.
      pictures: [H, W, 3] uint8 RGB by caption, below the tables.
      notes: paragraphs of plain text under the title.
      notices: what speaks against trusting the scores; shown before all else.
      threshold: drawn in the figures; use the one given to `detections.find_detections`.

    Raises:
      InputError: the roles table lacks a column, or a video has no frame.
    """
    table = roles.table
    if table is not None and (lost := sorted(set(ROLE_COLUMNS) - set(table.columns))):
        raise InputError(f"roles table: no column {lost[0]!r}; train the roles again")
    ordered = sorted(videos, key=lambda video: not video.findings)
    text = style.render(
        "video_page.html.jinja",
        title="What happens in these videos, and why",
        notes=[notes] if isinstance(notes, str) else notes,
        notices=notices,
        events=list(style.colors_of(roles.events).items()),
        cards=[_card(i, video, roles, threshold) for i, video in enumerate(ordered)],
        detected=sum(bool(video.findings) for video in videos),
        roles=[] if table is None else _roles(table, roles),
        metrics={name: style.table(table) for name, table in (metrics or {}).items()},
        pictures={
            caption: style.data_uri(image, side=max(image.shape[:2]))
            for caption, image in (pictures or {}).items()
        },
    )
    files.write_text(path, text)


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


def _marked(reason: Reason) -> Markup:
    atoms = Markup(" with ").join(Markup("<em>{}</em>").format(atom) for atom in reason.atoms)
    return atoms + Markup(' <span class="role">({})</span>').format(reason.role)


def _card(index: int, video: ScoredVideo, roles: RoleBook, threshold: ArrayLike) -> dict[str, Any]:
    events, atoms = roles.events, roles.atoms
    if not len(video.times):
        raise InputError(f"{video.name}: no frames; leave it out of the report")
    colors, edges = style.colors_of(events), frame_edges(video.times)
    probability = np.asarray(video.probability)
    detections = [peak.detection for peak in video.findings]
    found = [event for event in events if any(d.event == event for d in detections)]
    true = []
    if video.truth is not None:
        truth = np.asarray(video.truth) > 0
        true = [
            (event, edges[a], edges[b])
            for e, event in enumerate(events)
            for a, b in runs_of(truth[:, e])
        ]
    span = edges[-1] - edges[0]
    shown = leading_atoms(video, atoms)
    presence = np.asarray(video.segment_presence)[:, shown]
    t, e = np.unravel_index(probability.argmax(), probability.shape)

    def place(start, end):
        return 100 * (start - edges[0]) / span, 100 * (end - start) / span

    def strip(spans):
        """Spans in lanes: left and width, then top and height of the lane, in percent, colour."""
        spans = list(spans)
        rows = lanes([(start, end) for _, start, end in spans])
        height = 100 / (max(rows, default=0) + 1)
        return {
            "lanes": max(rows, default=0) + 1,
            "spans": [
                (*place(start, end), row * height, height, colors[event])
                for row, (event, start, end) in zip(rows, spans, strict=True)
            ],
        }

    figure = video_plots.timeline(
        video._replace(segment_presence=presence),
        events,
        [atoms[c] for c in shown],
        threshold=threshold,
        emphasised=[*found, *(event for event, _, _ in true)],
        marks={v: [edges[d.peak_frame] for d in detections if d.event == v] for v in found},
        salt=str(index),
    )
    return {
        "id": f"video-{index + 1}",
        "name": video.name,
        "length": clock(edges[-1] - edges[0]),
        "event_ids": [events.index(event) for event in found],
        "found": [(event, colors[event]) for event in found],
        "true": [(v, colors[v]) for v in events if any(v == event for event, _, _ in true)],
        "truth_known": video.truth is not None,
        "strip": strip((d.event, d.start_seconds, d.end_seconds) for d in detections),
        "true_strip": strip(true),
        "by_event": [
            (
                event,
                colors[event],
                [place(d.start_seconds, d.end_seconds) for d in detections if d.event == event],
            )
            for event in (found if len(detections) > 1 else ())
        ],
        "count": len(detections),
        "groups": _groups(video, colors),
        "highest": (events[e], f"{probability[t, e]:.2f}", clock(edges[t])),
        "heat": [f"{value:.2f}" for value in video_plots.presence_range(presence)] if shown else [],
        "in_rows": len(events) > video_plots.MAX_CURVES,
        "plot": Markup(figure),
    }


def _groups(video: ScoredVideo, colors: Mapping[str, str]) -> list[dict[str, Any]]:
    """The findings: one group without a heading if they are few, else one per stretch of video, of
    which the one with the strongest finding is open."""

    def drawn(findings):
        return [_finding(peak, colors[peak.detection.event]) for peak in findings]

    if len(video.findings) <= MANY:
        return [{"heading": "", "findings": drawn(video.findings)}] if video.findings else []
    found = groups(video)
    first = max(found, key=lambda group: group.strongest.detection.probability)
    shown = []
    for group in found:
        best = group.strongest.detection
        shown.append(
            {
                "heading": f"{clock(group.start)}–{clock(group.end)}",
                "count": len(group.findings),
                "events": [(name, colors[name], n) for name, n in group.counts.items()],
                "best": f"{best.event} {best.probability:.2f} at {clock(best.start_seconds)}",
                "open": group is first,
                "findings": drawn(group.findings),
            }
        )
    return shown


def _finding(peak: Finding, color: str) -> dict[str, Any]:
    largest = max((abs(reason.contribution) for reason in peak.reasons), default=0.0) or 1.0
    return {
        "sentence": sentence_html(peak.detection, peak.reasons),
        "color": color,
        "probability": f"{peak.detection.probability:.2f}",
        "reasons": [
            {
                "atoms": " with ".join(reason.atoms),
                "role": reason.role,
                "contribution": style.number(reason.contribution, places=1, sign="+"),
                "percent": 100 * abs(reason.contribution) / largest,
            }
            for reason in peak.reasons
        ],
        "thumbnails": [
            (clock(thumbnail.seconds), style.data_uri(thumbnail.image, side=THUMBNAIL_SIDE))
            for thumbnail in peak.thumbnails[:THUMBNAILS]
        ],
    }


def _roles(table: pd.DataFrame, roles: RoleBook) -> list[dict[str, Any]]:
    """Per event: its γ, the atoms with a role (strongest first), the rest, and its note; then the
    events that have but a note."""
    sections = []
    for event, color in style.colors_of(roles.events).items():
        rows = table[table["event"] == event].to_dict("records")
        if not rows:
            continue
        atoms = [
            {
                "atom": row["atom"],
                "role": row["role"] if row["role"] in ROLES else "",
                "rho": [
                    (role, f"{row[f'rho_{role}']:.2f}", 100 * row[f"rho_{role}"]) for role in ROLES
                ],
            }
            for row in rows
        ]
        strength = {role: i for i, role in enumerate(ROLES)}
        atoms.sort(
            key=lambda a: (
                strength.get(a["role"], len(ROLES)),
                -(a["rho"][strength[a["role"]]][2] if a["role"] else max(r[2] for r in a["rho"])),
            )
        )
        sections.append(
            {
                "event": event,
                "color": color,
                "note": roles.notes.get(event),
                "gamma": [
                    (role, style.number(float(rows[0][f"gamma_{role}"]), places=2, sign="+"))
                    for role in ROLES
                ],
                "named": [a for a in atoms if a["role"]],
                "rest": [a for a in atoms if not a["role"]],
            }
        )
    shown = {section["event"] for section in sections}
    others = [event for event in roles.notes if event not in shown]
    nothing = {"color": "var(--rule)", "gamma": [], "named": [], "rest": []}
    return sections + [nothing | {"event": e, "note": roles.notes[e]} for e in others]
