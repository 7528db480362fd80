"""Many detections of one video, so that a reader can take them in: in lanes, and in groups."""

from collections.abc import Sequence
from typing import NamedTuple

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


def groups(video: ScoredVideo) -> list[Group]:
    """The findings by the segments (b > ½) that they start in; neighbours are joined until a group
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
        own = [f for f in video.findings if start <= f.detection.start_frame < stop]
        if own:
            own.sort(key=lambda f: f.detection.start_frame)
            found.append(Group(float(edges[start]), float(edges[stop]), tuple(own)))
    return found
