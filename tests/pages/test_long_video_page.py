"""Half an hour, thirteen events, 232 detections: what stays readable."""

import re

import numpy as np
import pytest

from jaxvlm.pages import style, video_plots
from jaxvlm.pages.video_page import RoleBook, write_video_page
from jaxvlm.pages.video_parts import GROUPS, MANY, groups, lanes
from tests.pages.long_video import ATOMS, DETECTIONS, EVENTS, SECONDS, SEGMENT, long_video
from tests.pages.test_video_page import Page

BOOK = RoleBook(EVENTS, (*ATOMS, "film crew"))


@pytest.fixture(scope="module")
def video():
    return long_video()


@pytest.fixture(scope="module")
def text(tmp_path_factory, video):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_video_page(path, [video, long_video("short.mp4", count=MANY)], BOOK)
    return path.read_text(encoding="utf-8")


def test_overlapping_spans_have_lanes_of_their_own():
    assert lanes([]) == []
    assert lanes([(0, 2), (2, 3), (1, 4)]) == [0, 0, 1]
    assert lanes([(1, 4), (0, 2), (4, 5), (1, 2)]) == [2, 0, 0, 1]
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 200, 300)
    spans = [(int(a), int(a + n)) for a, n in zip(starts, rng.integers(1, 15, 300), strict=True)]
    chosen = lanes(spans)
    at_once = np.zeros((max(chosen) + 1, 220), int)
    for lane, (start, end) in zip(chosen, spans, strict=True):
        at_once[lane, start:end] += 1
    assert at_once.max() == 1  # no two of a lane overlap
    assert max(chosen) + 1 == at_once.sum(axis=0).max()  # as few as happen at once


def test_groups_are_whole_segments_and_lose_nothing(video):
    found = groups(video)
    assert 1 < len(found) <= GROUPS
    assert sum(len(group.findings) for group in found) == DETECTIONS
    flat = [finding for group in found for finding in group.findings]
    assert [f.detection.start_frame for f in flat] == sorted(
        f.detection.start_frame for f in video.findings
    )
    for group in found:
        assert group.start % SEGMENT == 0 and group.end - group.start >= SECONDS / GROUPS
        starts = [f.detection.start_seconds for f in group.findings]
        assert group.start <= min(starts) and max(starts) < group.end
        assert sum(group.counts.values()) == len(group.findings)
        assert list(group.counts.values()) == sorted(group.counts.values(), reverse=True)
        best = max(f.detection.probability for f in group.findings)
        assert group.strongest.detection.probability == best


def test_many_findings_are_folded_and_the_strongest_is_open(text, video):
    assert Page(text).tags.count("details") == len(groups(video))  # the short video has none
    opened = re.findall(r"<details class=\"stretch\" open>.*?</details>", text, re.DOTALL)
    assert len(opened) == 1
    best = max(video.findings, key=lambda f: f.detection.probability).detection
    assert f"highest {best.event} {best.probability:.2f} at" in opened[0]
    assert text.count('class="say"') == DETECTIONS + MANY  # every one has its sentence
    for group in groups(video):
        assert f" {len(group.findings)} detected:" in text


def test_every_event_has_a_named_lane(text, video):
    first, second = re.findall(r'<ul class="lanes">(.*?)</ul>', text, re.DOTALL)
    for event, color in style.colors_of(EVENTS).items():
        count = sum(f.detection.event == event for f in video.findings)
        (lane,) = re.findall(
            rf'<span class="lane-name">{event} <small>{count}</small></span>(.*?)</li>', first
        )
        assert lane.count("<i ") == count and lane.count(f"--c:{color}") == count
    assert second.count("<i ") == MANY


def test_the_strip_of_the_overview_has_lanes(text, video):
    strip = re.search(r'<span class="strip" style="--lanes:(\d+)">(.*?)</span>', text, re.DOTALL)
    spans = [(f.detection.start_seconds, f.detection.end_seconds) for f in video.findings]
    assert int(strip[1]) == max(lanes(spans)) + 1 > 1
    bars = re.findall(r"--x:([\d.]+)%;--w:([\d.]+)%;--y:([\d.]+)%", strip[2])
    assert len(bars) == DETECTIONS
    edges = [(float(x), float(x) + float(w), y) for x, w, y in bars]
    for i, (start, end, lane) in enumerate(edges):
        for other_start, other_end, other in edges[:i]:
            # Two digits of a percent are a fifth of a second here.
            assert lane != other or end <= other_start + 0.02 or other_end <= start + 0.02


def test_many_events_have_rows_instead_of_curves(video):
    options = dict(threshold=0.5, salt="x")
    shown = video._replace(segment_presence=np.zeros((SECONDS, 0)))
    many = video_plots.timeline(shown, EVENTS, [], **options)
    few = video_plots.timeline(
        shown._replace(probability=video.probability[:, :6]), EVENTS[:6], [], **options
    )
    assert "<image" in many and "<image" not in few
    for event in EVENTS:
        assert f">{event}</text>" in many
    assert ">probability</text>" in few and ">probability</text>" not in many
    assert many == video_plots.timeline(shown, EVENTS, [], **options)


def test_no_name_breaks_inside_a_word(text):
    assert "overflow-wrap: anywhere" not in text
    assert "2026-<wbr>03-<wbr>01_<wbr>night_<wbr>shift_<wbr>part_<wbr>2.<wbr>mp4" in text
