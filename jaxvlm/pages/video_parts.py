"""Many detections of one video, so that a reader can take them in: in lanes, and in groups."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxvlm.video.detections import frame_edges
from jaxvlm.video.result import Finding, ScoredVideo

MANY = 8  # findings of a video that are shown one below the other; more are in groups
GROUPS = 20  # a group lasts at least this part of the video, so there are at most this many


class Group(NamedTuple):
    """Findings that start between two segment boundaries, in seconds; in order of start."""

    start: float
    end: float
    findings: tuple[Finding, ...]

    @property
    def strongest(self) -> Finding:
        """The first of those with the highest P."""
        return max(self.findings, key=lambda found: found.detection.probability)

    @property
    def counts(self) -> dict[str, int]:
        """Findings per event, the most frequent first."""
        names = [found.detection.event for found in self.findings]
        return {name: names.count(name) for name in sorted(set(names), key=_rank(names))}


def _rank(names: Sequence[str]):
    return lambda name: (-names.count(name), names.index(name))


def lanes(spans: Sequence[tuple[float, float]]) -> list[int]:
    """The lane of each span, so that no two of a lane overlap, in as few lanes as there can be.

    Each span, in order of start, takes the first lane that is free: the greedy colouring of an
    interval graph, which needs as many as overlap at once.

    Args:
      spans: (start, end); a span ends before its end.
    """
    chosen, ends = [0] * len(spans), []
    for index in sorted(range(len(spans)), key=lambda i: spans[i]):
        start, end = spans[index]
        lane = next((k for k, last in enumerate(ends) if last <= start), len(ends))
        ends[lane : lane + 1] = [end]
        chosen[index] = lane
    return chosen


def groups(video: ScoredVideo, findings: Sequence[Finding]) -> list[Group]:
    """Findings by the segments (b > ½) that they start in; neighbours are joined until a group
    lasts at least 1/20 of the video. Groups without a finding are left out."""
    edges = frame_edges(video.times)
    least = (edges[-1] - edges[0]) / GROUPS
    starts = [0]
    for frame in np.flatnonzero(np.asarray(video.boundary) > 0.5):
        if edges[frame] - edges[starts[-1]] >= least:
            starts.append(int(frame))
    if len(starts) > 1 and edges[-1] - edges[starts[-1]] < least:
        starts.pop()
    found = []
    for start, stop in zip(starts, [*starts[1:], len(video.times)], strict=True):
        own = [f for f in findings if start <= f.detection.start_frame < stop]
        if own:
            own.sort(key=lambda f: f.detection.start_frame)
            found.append(Group(float(edges[start]), float(edges[stop]), tuple(own)))
    return found


def by_strength(findings: Sequence[Finding]) -> list[Finding]:
    """The most probable first; of equals the longer, then the earlier one."""
    return sorted(
        findings,
        key=lambda f: (
            -f.detection.probability,
            f.detection.start_seconds - f.detection.end_seconds,
            f.detection.start_frame,
        ),
    )


def strip(
    spans: Sequence[tuple[str, float, float]],
    true: Sequence[tuple[str, float, float]],
    bounds: tuple[float, float],
) -> dict[str, Any]:
    """A video's detections (colour, start, end) in as many lanes as happen at once, its true
    intervals below them: the number of lanes, and a path per colour, 1000 wide and 100 high."""
    paths: dict[tuple[str, bool], str] = {}
    count = 1
    for own, is_true, top, height in ((spans, False, 0, 76 if true else 100), (true, True, 80, 20)):
        chosen = lanes([(start, end) for _, start, end in own])
        each = height / (max(chosen, default=0) + 1)
        count = count if is_true else max(chosen, default=0) + 1
        for lane, (color, start, end) in zip(chosen, own, strict=True):
            x, width = (1000 * part / (bounds[1] - bounds[0]) for part in
                        (start - bounds[0], end - start))  # fmt: skip
            y, width = top + lane * each, max(width, 4.0)
            path = f"M{x:.1f} {y:.1f}h{width:.1f}v{0.9 * each:.1f}h{-width:.1f}z"
            paths[color, is_true] = paths.get((color, is_true), "") + path
    return {"lanes": count, "paths": [(c, p, t) for (c, t), p in paths.items()]}
