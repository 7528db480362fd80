"""The figure of a scored video: event probabilities over time above the p̄ of some atoms."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import ArrayLike

from jaxvlm.evaluation.spans import runs_of
from jaxvlm.pages import style
from jaxvlm.pages.style import INK, MUTED, RULE
from jaxvlm.video.detections import clock, frame_edges
from jaxvlm.video.result import ScoredVideo

HEAT = "#0072B2"
MAX_COLUMNS, LABEL_LENGTH = 600, 26
MAX_CURVES = 6  # events drawn as curves over each other; more have a row each
FLAT = 0.25  # a smaller range of p̄ is not stretched to full contrast
TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def presence_range(presence: ArrayLike) -> tuple[float, float]:
    """The p̄ drawn faint and the p̄ drawn full: smallest and largest, at least 0.25 apart."""
    low, high = float(np.min(presence)), float(np.max(presence))
    return low, max(high, low + FLAT)


def timeline(
    video: ScoredVideo,
    events: Sequence[str],
    atoms: Sequence[str],
    *,
    threshold: ArrayLike,
    emphasised: Sequence[str] = (),
    marks: Mapping[str, Sequence[float]] | None = None,
    salt: str = "",
) -> str:
    """Event probabilities over time above the p̄ of some atoms, on one time axis.

    Of more than `MAX_CURVES` events each has a row instead of a curve, whose opacity is P, with a
    line below it where P reaches the threshold and one above it where it is true. Else true
    intervals are shaded in the event's colour. Segment boundaries (b > ½) are dotted.

    Args:
      video: T ≥ 1 frames; its p̄ are those of the A atoms to show, drawn over `presence_range`.
      events: E names, which choose the colours.
      atoms: A names.
      threshold: the detection threshold, drawn as a line; or one per event [E], drawn only where
        each event has a row.
      emphasised: events drawn in full strength; the others are faint.
      marks: seconds of the peaks per event, drawn as dots.
      salt: makes element ids unique on a page.

    Returns:
      An ``<svg>`` element whose bytes depend on the arguments alone.
    """
    edges = frame_edges(video.times)
    rows = len(atoms)
    in_rows = len(events) > MAX_CURVES
    top = 0.24 * len(events) if in_rows else 2.0
    heights = (top, 0.22 * rows) if rows else (top, 0.01)
    with style.figures(salt=salt):
        height = sum(heights) + 0.45
        figure = Figure(figsize=(style.WIDTH, height))
        grid = figure.add_gridspec(
            2,
            1,
            height_ratios=heights,
            left=0.25,
            right=0.97,
            top=1 - 0.12 / height,
            bottom=0.05 / height,
            hspace=0.26 / (sum(heights) / 2),
        )
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        if in_rows:
            _draw_event_rows(upper, edges, video, events, threshold, marks or {})
        else:
            _draw_probability(upper, edges, video, events, emphasised, marks or {})
            if not np.ndim(threshold):
                upper.axhline(threshold, color=MUTED, lw=0.8, ls=(0, (5, 3)), alpha=0.7, zorder=1)
        _time_axis(upper, edges)
        _draw_presence(lower, edges, np.asarray(video.segment_presence, float), atoms)
        for t in np.flatnonzero(np.asarray(video.boundary) > 0.5):
            for axes in (upper, lower):
                axes.axvline(edges[t], color=MUTED, lw=0.7, ls=(0, (1, 2)), alpha=0.8, zorder=3)
        upper.set_xlim(edges[0], edges[-1])
        if not rows:
            lower.set_visible(False)
    label = f"event probability over time, {clock(edges[-1])} long"
    return style.inline_svg(figure, label=label, salt=salt)


def _draw_probability(axes: Axes, edges, video: ScoredVideo, events, emphasised, marks):
    colors = style.colors_of(events)
    times, probability = np.asarray(video.times, float), np.asarray(video.probability, float)
    for i, event in enumerate(events):
        color, strong = colors[event], event in emphasised
        if video.truth is not None:
            for a, b in runs_of(np.asarray(video.truth)[:, i] > 0):
                axes.axvspan(edges[a], edges[b], color=color, alpha=0.16, lw=0, zorder=0)
                axes.plot([edges[a], edges[b]], [1.06, 1.06], color=color, lw=3.5, clip_on=False,
                          solid_capstyle="butt", zorder=2)  # fmt: skip
        # Held over the frame's duration, as the intervals and segments are.
        axes.plot(
            edges,
            np.append(probability[:, i], probability[-1:, i]),
            drawstyle="steps-post",
            color=color,
            lw=1.8 if strong else 0.9,
            alpha=1.0 if strong else 0.55,
            zorder=5 if strong else 4,
            solid_joinstyle="round",
        )
        for seconds in marks.get(event, ()):
            t = max(int(np.searchsorted(times, seconds, side="right")) - 1, 0)
            axes.plot([(edges[t] + edges[t + 1]) / 2], [probability[t, i]], "o", ms=5, color=color,
                      mec=INK, mew=0.8, zorder=6, clip_on=False)  # fmt: skip
    axes.set_ylim(0, 1.06)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_ylabel("probability", labelpad=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_event_rows(axes: Axes, edges, video: ScoredVideo, events, threshold, marks):
    """A row per event: P as opacity; below it the detected, above it the true intervals."""
    probability, times = np.asarray(video.probability, float), np.asarray(video.times, float)
    colors = [style.colors_of(events)[event] for event in events]
    _draw_rows(axes, edges, probability, colors, events)
    levels = np.broadcast_to(threshold, len(events))
    for row, (event, color) in enumerate(zip(events, colors, strict=True)):
        for a, b in runs_of(probability[:, row] >= levels[row]):
            axes.plot([edges[a], edges[b]], [row + 0.42, row + 0.42], color=color, lw=2,
                      solid_capstyle="butt", zorder=4)  # fmt: skip
        if video.truth is not None:
            for a, b in runs_of(np.asarray(video.truth)[:, row] > 0):
                axes.plot([edges[a], edges[b]], [row - 0.42, row - 0.42], color=INK, lw=2,
                          solid_capstyle="butt", zorder=4)  # fmt: skip
        for seconds in marks.get(event, ()):
            t = max(int(np.searchsorted(times, seconds, side="right")) - 1, 0)
            axes.plot([(edges[t] + edges[t + 1]) / 2], [row], "o", ms=2.5, color=INK, zorder=6)
    axes.spines[:].set_visible(False)


def _time_axis(axes: Axes, edges) -> None:
    step = next((s for s in TICK_STEPS if edges[-1] - edges[0] <= 8 * s), TICK_STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: clock(x)))
    axes.tick_params(axis="x", length=3, width=0.7, pad=3)


def _draw_presence(axes: Axes, edges, presence, atoms):
    axes.tick_params(left=False, bottom=False, labelbottom=False, pad=5)
    axes.spines[:].set_visible(False)
    if not len(atoms):
        return
    low, high = presence_range(presence)
    _draw_rows(axes, edges, (presence - low) / (high - low), [HEAT] * len(atoms), atoms)


def _draw_rows(axes: Axes, edges, scaled: np.ndarray, colors, names) -> None:
    """Values in [0, 1] [T, R] as the opacity of R rows, each in its colour, with its name."""
    image = np.zeros((len(names), min(len(scaled), MAX_COLUMNS), 4), np.uint8)
    image[..., :3] = [[np.rint(255 * np.array(to_rgb(color)))] for color in colors]
    # Opacity carries the value, so zero is the page itself on light and dark alike. A column
    # shows the largest of its frames: a short cue stays visible in an hour of video.
    grid = np.linspace(edges[0], edges[-1], image.shape[1] + 1)
    first = np.clip(np.searchsorted(edges, grid[:-1], side="right") - 1, 0, len(scaled) - 1)
    stop = np.maximum(np.searchsorted(edges, grid[1:] - 1e-9), first + 1)
    for column, (a, b) in enumerate(zip(first, stop, strict=True)):
        image[:, column, 3] = np.rint(255 * scaled[a:b].max(axis=0))
    axes.imshow(
        image,
        aspect="auto",
        interpolation="none",
        extent=(edges[0], edges[-1], len(names) - 0.5, -0.5),
    )
    for row in range(len(names) + 1):
        axes.axhline(row - 0.5, color=RULE, lw=0.6)
    short = [a if len(a) <= LABEL_LENGTH else a[: LABEL_LENGTH - 1] + "…" for a in names]
    axes.tick_params(axis="y", left=False, pad=5)
    axes.set_yticks(range(len(names)), short, parse_math=False, color=INK, fontsize=8.5)
