"""Half an hour, thirteen events, 232 detections: what stays readable."""

import re

import numpy as np
import pytest

from jaxvlm.pages import style, video_plots
from jaxvlm.pages.video_page import RoleBook, write_video_page
from jaxvlm.pages.video_parts import GROUPS, MANY, by_strength, groups, lanes, strip
from jaxvlm.video.detections import span
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
    found = groups(video, video.findings)
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


def test_the_strongest_leads_and_the_rest_is_folded(text, video):
    first, second = text.split('<article class="card"')[1:]
    ordered = by_strength(video.findings)
    best = ordered[0].detection
    assert best.probability == max(f.detection.probability for f in video.findings)
    shown, folded = first.split('<details class="rest">', 1)
    assert shown.count('class="say"') == 1 and f"P = {best.probability:.2f}" in shown
    assert f"{DETECTIONS - 1} weaker:" in folded and folded.count('class="say"') == DETECTIONS - 1
    found = groups(video, ordered[1:])
    assert folded.count('<details class="stretch">') == len(found) > 1
    for group in found:
        assert f"</b> {len(group.findings)} detected:" in folded
    assert second.count("<details") == 1 and second.count('class="say"') == MANY
    assert Page(text).tags.count("details") == 2 + len(found)


def test_of_equal_findings_the_longer_leads(video):
    a, b, c = (f._replace(detection=f.detection._replace(probability=0.9, start_seconds=s,
               end_seconds=e)) for f, s, e in zip(video.findings, (0.0, 5.0, 20.0),
               (2.0, 9.0, 24.0), strict=False))  # fmt: skip
    assert by_strength([a, c, b]) == [c, b, a]
    later = c._replace(detection=c.detection._replace(start_frame=900))
    assert by_strength([later, b]) == [b, later]


def test_every_event_has_a_named_lane_of_links(text, video):
    first, second = re.findall(r'<ul class="lanes"[^>]*>(.*?)</ul>', text, re.DOTALL)
    for event, color in style.colors_of(EVENTS).items():
        own = [f.detection for f in video.findings if f.detection.event == event]
        (lane,) = re.findall(
            rf'<span class="lane-name">{event} <small>{len(own)}</small></span>'
            rf'<span class="lane" style="--c:{color}">(.*?)</li>',
            first,
        )
        places = re.findall(r'href="#([^"]+)" style="--x:([\d.]+)%;--w:([\d.]+)%', lane)
        assert [(float(x), float(w)) for _, x, w in places] == [
            (pytest.approx(100 * d.start_seconds / SECONDS, abs=0.006),
             pytest.approx(100 * (d.end_seconds - d.start_seconds) / SECONDS, abs=0.006))
            for d in own
        ]  # fmt: skip
        for (name, _, _), detection in zip(places, own, strict=True):
            said = text[text.index(f'id="{name}"') :][:300]
            assert f'<b class="event">{event}</b> <span class="span">{span(detection)}' in said
    assert second.count("<a class") == MANY


def test_the_strip_of_the_overview_has_lanes(video):
    spans = [
        (f.detection.event, f.detection.start_seconds, f.detection.end_seconds)
        for f in video.findings
    ]
    drawn = strip(spans, [("x", 0.0, 900.0)], (0.0, float(SECONDS)))
    assert drawn["lanes"] == max(lanes([(a, b) for _, a, b in spans])) + 1 > 1
    paths = {color: path for color, path, true in drawn["paths"] if not true}
    assert {color: path.count("M") for color, path in paths.items()} == {
        event: sum(event == e for e, _, _ in spans) for event in paths
    }
    boxes = [
        (float(x), float(x) + float(w), y)
        for path in paths.values()
        for x, y, w in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)", path)
    ]
    for i, (start, end, lane) in enumerate(boxes):
        for other_start, other_end, other in boxes[:i]:
            # Of 1000 units four, 7 s, are the least that is drawn.
            assert lane != other or end <= other_start + 4.1 or other_end <= start + 4.1
    assert drawn["paths"][-1] == ("x", "M0.0 80.0h500.0v18.0h-500.0z", True)


def test_many_events_have_rows_instead_of_curves(video):
    options = dict(threshold=0.5)
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
