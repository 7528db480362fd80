"""Decoded frames of a video by their place in its timetable: all, or only what is wanted."""

import bisect
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from jaxvlm.data import timetable
from jaxvlm.data.containers import Video
from jaxvlm.data.timetable import Timetable

WORTH_SKIPPING = 0.5  # of the frames; above, what is skipped is less than what skipping costs

Shown = tuple[int, VideoFrame]  # the place in the timetable, and the picture


def decode_all(video: Video, table: Timetable, path: Path) -> Iterator[Shown]:
    """Every frame that can be decoded, in the order shown; damaged ones are missing."""
    places = _Places(table)
    for packet in _numbered(video, table, path):
        yield from _whole(_decode(video, packet), places)
    yield from _whole(_decode(video, None), places)


def decode_some(video: Video, table: Timetable, wanted: np.ndarray, path: Path) -> Iterator[Shown]:
    """The ``wanted`` frames (increasing places), decoded from the key frame before each.

    Pictures that no other one needs are left out on the way. Ends early, at the first frame that
    did not come as expected: `decode_all` then has to tell what is wrong.
    """
    spans = needed_packets(table, wanted)
    if spans is None:
        return
    needed = {int(table.order[i]) for i in wanted}
    places, waiting = _Places(table), wanted.tolist()
    context, span = video.stream.codec_context, 0
    for place, packet in enumerate(_shifted(video, table, path)):
        if span == len(spans):
            return
        start, stop = spans[span]
        if place < start:
            continue
        if context.name != "libdav1d":  # which would keep to what it is told first
            context.skip_frame = "DEFAULT" if place in needed else "NONREF"
        given = [packet] if place + 1 < stop else [packet, None]
        try:
            frames = [frame for item in given for frame in context.decode(item)]
        except av.error.FFmpegError:
            return
        for frame in frames:
            index = places.of(frame)
            if index < waiting[0]:
                continue
            if index > waiting[0] or frame.is_corrupt:
                return
            yield waiting.pop(0), frame
            if not waiting:
                return
        if place + 1 == stop:
            context.flush_buffers()
            span += 1


def needed_packets(table: Timetable, wanted: np.ndarray) -> list[tuple[int, int]] | None:
    """Half-open spans of packets that give the wanted frames; None where all are needed.

    A frame is given by the packets from the last start before it up to its own. One that is shown
    before that start is a leading picture and needs the packets from the start before, too.
    """
    if table.starts is None or len(wanted) > WORTH_SKIPPING * len(table.order):
        return None
    starts = table.starts.tolist()
    shown_at = dict(zip(table.order.tolist(), table.ticks.tolist(), strict=True))
    spans = []
    for place, tick in zip(table.order[wanted].tolist(), table.ticks[wanted].tolist(), strict=True):
        group = bisect.bisect_right(starts, place) - 1
        if tick < shown_at.get(starts[group], tick + 1) and group:
            group -= 1
        spans.append((starts[group], place + 1))
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


class _Places:
    """Finds a decoded frame's place: by its time, or where it has none, by the order.

    FFmpeg gives a frame the decoding time of the packet that brought it out, which is as many
    packets after its own place as the codec reorders.
    """

    def __init__(self, table: Timetable):
        self.ticks, self.by_order = table.ticks, table.decoding_times
        self.last, self.delay, self.count = -1, None, len(table.order)
        # Two frames at one time: a program stream has no time for some, and FFmpeg guesses.
        self.guessed = self.ticks is not None and bool((np.diff(self.ticks) == 0).any())

    def of(self, frame: VideoFrame) -> int:
        time = frame.dts if self.by_order else frame.pts
        if self.ticks is None or time is None or self.guessed:
            place = self.last + 1
        else:
            place = int(np.searchsorted(self.ticks, time, side="right")) - 1
            if self.by_order:
                self.delay = place if self.delay is None else self.delay
                place = max(place - self.delay, self.last + 1)
        self.last = min(max(place, 0), self.count - 1)  # a damaged file may have more than it says
        return self.last


def _numbered(video: Video, table: Timetable, path: Path) -> Iterator[Packet]:
    for place, packet in enumerate(_shifted(video, table, path)):
        if place >= table.first:
            yield packet


def _shifted(video: Video, table: Timetable, path: Path) -> Iterator[Packet]:
    """The packets, their times as in the timetable."""
    shifts, shift = list(table.shifts), 0
    for place, packet in enumerate(timetable.packets(video, path)):
        if shifts and place == shifts[0][0]:
            shift = shifts.pop(0)[1]
        if shift:
            packet.pts = None if packet.pts is None else packet.pts + shift
            packet.dts = None if packet.dts is None else packet.dts + shift
        yield packet


def _whole(frames: list[VideoFrame], places: _Places) -> Iterator[Shown]:
    for frame in frames:
        place = places.of(frame)
        if not frame.is_corrupt:
            yield place, frame


def _decode(video: Video, packet: Packet | None) -> list[VideoFrame]:
    # What cannot be decoded is missing from the frames, and found by that.
    try:
        return video.stream.codec_context.decode(packet)
    except av.error.FFmpegError:
        return []
