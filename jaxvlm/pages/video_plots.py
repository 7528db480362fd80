"""The figure of a scored video: event probabilities over time above the p̄ of some atoms.

Written as SVG straight from the numbers: a page has one per video, and a plotting library takes
longer for it than the scores took. `plot_span` says where its time axis lies.
"""

import base64
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from markupsafe import escape
from numpy.typing import ArrayLike

from jaxvlm.evaluation.spans import runs_of
from jaxvlm.pages import style
from jaxvlm.video.detections import clock, frame_edges
from jaxvlm.video.result import ScoredVideo

HEAT = "#0072B2"
MAX_COLUMNS, LABEL_LENGTH = 600, 26
MAX_CURVES = 6  # events drawn as curves over each other; more have a row each
FLAT = 0.25  # a smaller range of p̄ is not stretched to full contrast
TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
# Units of the drawing, which are pixels where the page is at its full width.
WIDTH, LEFT, RIGHT, TOP = 880, 206, 862, 12
CURVES, EVENT_ROW, ATOM_ROW, AXIS = 190, 24, 21, 40
_TEXT, _SMALL = 13, 12


def presence_range(presence: ArrayLike) -> tuple[float, float]:
    """The p̄ drawn faint and the p̄ drawn full: smallest and largest, at least 0.25 apart."""
    low, high = float(np.min(presence)), float(np.max(presence))
    return low, max(high, low + FLAT)


def plot_span() -> tuple[float, float]:
    """Where the first and the last moment lie, as shares of the figure's width."""
    return LEFT / WIDTH, RIGHT / WIDTH


def timeline(
    video: ScoredVideo,
    events: Sequence[str],
    atoms: Sequence[str],
    *,
    threshold: ArrayLike,
    emphasised: Sequence[str] = (),
    marks: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Event probabilities over time above the p̄ of some atoms, on one time axis.

    Of more than `MAX_CURVES` events each has a row instead of a curve, whose opacity is P, with a
    line below it where P reaches the threshold and one above it where it is true. Else true
    intervals are shaded in the event's colour. Segment boundaries (b > ½) are dotted. Of more than
    `MAX_COLUMNS` frames the largest value of those in a column is shown: a short cue stays visible
    in hours of video.

    Args:
      video: T ≥ 1 frames; its p̄ are those of the A atoms to show, drawn over `presence_range`.
      events: E names, which choose the colours.
      atoms: A names.
      threshold: the detection threshold, drawn as a line; or one per event [E], drawn only where
        each event has a row.
      emphasised: events drawn in full strength; the others are faint.
      marks: seconds of the peaks per event, drawn as dots.

    Returns:
      An ``<svg>`` element without ids, in the page's colours (``--ink``, ``--muted``, ``--rule``).
    """
    edges = frame_edges(video.times)
    probability = np.asarray(video.probability, float)
    colors = [style.colors_of(events)[event] for event in events]
    dots = _dots(edges, video.times, probability, events, marks or {})
    parts = []
    if len(events) > MAX_CURVES:
        top = EVENT_ROW * len(events)
        parts += _rows(edges, probability, colors, events, TOP, EVENT_ROW)
        parts += _row_lines(edges, video, colors, threshold)
        parts += [
            f'<circle cx="{x}" cy="{_n(TOP + (e + 0.5) * EVENT_ROW)}" r="3" fill="var(--ink)"/>'
            for e, x, _ in dots
        ]
    else:
        top = CURVES
        parts += _curves(edges, video, probability, colors, [e in emphasised for e in events])
        if not np.ndim(threshold):
            y = _n(_height(threshold))
            parts.append(_line(f"M{LEFT} {y}H{RIGHT}", "var(--muted)", 1, dash="7 4"))
        parts += [
            f'<circle cx="{x}" cy="{_n(_height(p))}" r="4.5" fill="{colors[e]}" '
            'stroke="var(--ink)"/>'
            for e, x, p in dots
        ]
    parts += _time_axis(edges, TOP + top)
    bottom = TOP + top
    if len(atoms):
        low, high = presence_range(video.segment_presence)
        scaled = (np.asarray(video.segment_presence, float) - low) / (high - low)
        parts += _rows(edges, scaled, [HEAT] * len(atoms), atoms, bottom + AXIS, ATOM_ROW)
    height = bottom + AXIS + ATOM_ROW * len(atoms) + 6
    starts = np.flatnonzero(np.asarray(video.boundary) > 0.5)
    columns = dict.fromkeys(_n(x) for x in _x(edges, edges[starts]).round().tolist())
    if columns:
        spans = [(TOP, bottom), *([(bottom + AXIS, height - 6)] if len(atoms) else [])]
        path = "".join(f"M{x} {a}V{b}" for x in columns for a, b in spans)
        parts.append(_line(path, "var(--muted)", 1, dash="1.5 3", opacity=0.8))
    label = f"event probability over time, {clock(edges[-1])} long"
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="{label}" font-size="{_TEXT}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _x(edges: np.ndarray, seconds: ArrayLike) -> np.ndarray:
    share = (np.asarray(seconds, float) - edges[0]) / (edges[-1] - edges[0])
    return LEFT + (RIGHT - LEFT) * share


def _height(probability: float) -> float:
    """Of P among the curves, which leave 6 % above 1 free."""
    return TOP + CURVES * (1 - float(probability) / 1.06)


def _n(value: float) -> str:
    """A coordinate to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def _line(path: str, color: str, width: float, *, dash: str = "", opacity: float = 1.0) -> str:
    more = f' stroke-dasharray="{dash}"' if dash else ""
    more += f' opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width:g}"{more}/>'


def _text(x: float, y: float, text: str, *, anchor: str, muted: bool = False) -> str:
    fill = f'var(--muted)" font-size="{_SMALL}' if muted else "var(--ink)"
    start = f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" fill="{fill}">'
    return f"{start}{escape(text)}</text>"


def _columns(edges: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges [N + 1] and the values [N, R] that are drawn of values [T, R]: the values held over
    their frames, or the largest in each of `MAX_COLUMNS` columns."""
    if len(values) <= MAX_COLUMNS:
        return edges, values
    grid = np.linspace(edges[0], edges[-1], MAX_COLUMNS + 1)
    return grid, _largest(edges, values, grid)


def _largest(edges: np.ndarray, values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The largest value of the frames in each column of a grid."""
    first = np.clip(np.searchsorted(edges, grid[:-1], side="right") - 1, 0, len(values) - 1)
    stop = np.maximum(np.searchsorted(edges, grid[1:] - 1e-9), first + 1)
    pairs = zip(first, stop, strict=True)
    return np.stack([values[a:b].max(axis=0) for a, b in pairs])


def _dots(edges, times, probability, events, marks) -> list[tuple[int, str, float]]:
    """Event, x and P of each mark, in the middle of its frame."""
    found = []
    for e, event in enumerate(events):
        for seconds in marks.get(event, ()):
            t = max(int(np.searchsorted(times, seconds, side="right")) - 1, 0)
            x = _x(edges, (edges[t] + edges[t + 1]) / 2)
            found.append((e, _n(float(x)), float(probability[t, e])))
    return found


def _spans(edges: np.ndarray, flags: np.ndarray) -> list[tuple[str, str]]:
    """x of the beginnings and ends of runs."""
    ends = _x(edges, [(edges[a], edges[b]) for a, b in runs_of(flags)] or np.zeros((0, 2)))
    return [(_n(a), _n(b)) for a, b in ends.tolist()]


def _curves(edges, video: ScoredVideo, probability, colors, strong) -> list[str]:
    parts = []
    for share in (0, 0.5, 1):
        parts.append(_text(LEFT - 8, _height(share) + 4, f"{share:g}", anchor="end", muted=True))
    parts.append(_text(LEFT - 40, _height(0.5) + 4, "probability", anchor="end", muted=True))
    axis = f"M{LEFT} {TOP}V{TOP + CURVES}H{RIGHT}"
    parts.append(_line(axis, "var(--rule)", 1))
    if video.truth is not None:
        for e, color in enumerate(colors):
            for a, b in _spans(edges, np.asarray(video.truth)[:, e] > 0):
                area = f"M{a} {TOP}H{b}V{TOP + CURVES}H{a}z"
                parts.append(f'<path d="{area}" fill="{color}" opacity="0.16"/>')
                parts.append(_line(f"M{a} {TOP}H{b}", color, 5))
    drawn, values = _columns(edges, probability)
    xs = [_n(x) for x in _x(drawn, drawn).tolist()]
    for e in sorted(range(len(colors)), key=lambda e: strong[e]):
        # Held over the frame's duration, as the intervals and segments are.
        heights = [_n(_height(p)) for p in values[:, e].tolist()]
        path, last = f"M{xs[0]} {heights[0]}", heights[0]
        for x, height in zip(xs[1:-1], heights[1:], strict=True):
            if height != last:
                path, last = f"{path}H{x}V{height}", height
        width, opacity = (2.6, 1.0) if strong[e] else (1.3, 0.6)
        parts.append(_line(f"{path}H{xs[-1]}", colors[e], width, opacity=opacity))
    return parts


def _row_lines(edges, video: ScoredVideo, colors, threshold: ArrayLike) -> list[str]:
    """Below each row of an event its detected frames, above it the true ones."""
    parts = []
    levels = np.broadcast_to(threshold, len(colors))
    for e, color in enumerate(colors):
        kinds = [(np.asarray(video.probability)[:, e] >= levels[e], EVENT_ROW - 2.5, color)]
        if video.truth is not None:
            kinds.append((np.asarray(video.truth)[:, e] > 0, 2.5, "var(--ink)"))
        for flags, offset, stroke in kinds:
            y = _n(TOP + e * EVENT_ROW + offset)
            if path := "".join(f"M{a} {y}H{b}" for a, b in _spans(edges, flags)):
                parts.append(_line(path, stroke, 3))
    return parts


def _time_axis(edges: np.ndarray, y: float) -> list[str]:
    length = edges[-1] - edges[0]
    step = next((s for s in TICK_STEPS if length <= 8 * s), TICK_STEPS[-1])
    ticks = np.arange(np.ceil(edges[0] / step), np.floor(edges[-1] / step) + 1) * step
    places = _x(edges, ticks).tolist()
    path = "".join(f"M{_n(x)} {_n(y)}v5" for x in places)
    parts = [_line(path, "var(--muted)", 1)] if path else []
    for x, seconds in zip(places, ticks.tolist(), strict=True):
        parts.append(_text(x, y + 19, clock(seconds), anchor="middle", muted=True))
    return parts


def _rows(edges, scaled, colors, names, top: float, height: float) -> list[str]:
    """Values in [0, 1] [T, R] as the opacity of R rows, each in its colour, with its name."""
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors])
    grid = np.linspace(edges[0], edges[-1], min(len(scaled), MAX_COLUMNS) + 1)
    image = np.zeros((len(names), len(grid) - 1, 4), np.uint8)
    image[..., :3] = rgb[:, None, ::-1]
    # Opacity carries the value, so zero is the page itself on light and dark alike.
    image[..., 3] = np.rint(255 * _largest(edges, scaled, grid)).T
    data = base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode("ascii")
    below = top + height * len(names)
    rules = "".join(f"M{LEFT} {_n(top + height * r)}H{RIGHT}" for r in range(len(names) + 1))
    parts = [
        f'<image href="data:image/png;base64,{data}" x="{LEFT}" y="{_n(top)}" '
        f'width="{RIGHT - LEFT}" height="{_n(below - top)}" preserveAspectRatio="none" '
        'style="image-rendering: pixelated"/>',
        _line(rules, "var(--rule)", 1),
    ]
    for r, name in enumerate(names):
        short = name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"
        parts.append(_text(LEFT - 8, top + height * (r + 0.5) + 4.5, short, anchor="end"))
    return parts
