"""Both conventions of mAP against slow forms with sets of frames, on random scores."""

import numpy as np
import pytest

from jaxvlm.evaluation.detection_map import (
    NORMAL_CLASS,
    THRESHOLDS,
    average_precision,
    mean_average_precision,
    vadclip_segments,
)
from jaxvlm.evaluation.detection_rules import DetectionRules
from jaxvlm.evaluation.evaluated import Evaluated, Video
from jaxvlm.evaluation.event_metrics import ANY

EVENTS = ("riot", "abuse")


def random_data(seed, columns=("riot", "abuse", "normal")):
    """Videos of 16-frame snippets, whose scores know something of their published intervals."""
    rng = np.random.default_rng(seed)
    videos = []
    for n in range(12):
        frames = 16 * int(rng.integers(3, 20))
        events, spans = np.zeros((frames, 2), bool), []
        for _ in range(int(rng.integers(1, 4)) * (n % 3 > 0)):
            start = int(rng.integers(0, frames - 2))
            stop = int(min(start + rng.integers(2, 80), frames + 5))  # some end after the video
            event = int(rng.integers(0, 2))
            spans.append((EVENTS[event], start, stop))
            events[start:stop, event] = True
        scores = rng.random((frames // 16, len(columns))).repeat(16, axis=0)
        scores[:, :2] += 0.4 * events
        seconds = np.arange(frames + 1) / 16
        videos.append(Video(scores, events.any(axis=1), events, bool(spans), seconds, tuple(spans)))
    return Evaluated(tuple(videos), columns, EVENTS)


def slow_iou(first, second):
    first, second = set(range(*first)), set(range(*second))
    return len(first & second) / len(first | second)


def slow_average_precision(segments, truth, threshold, interpolated):
    """segments: (video, start, stop, score); truth: (video, start, stop)."""
    left, hits = list(truth), []
    for video, start, stop, _ in sorted(segments, key=lambda s: -s[3]):
        near = [(slow_iou((start, stop), t[1:]), t) for t in left if t[0] == video]
        near = [pair for pair in near if pair[0] >= threshold]
        if near:
            left.remove(max(near, key=lambda pair: pair[0])[1])
        hits.append(bool(near))
    area = 0.0
    for rank in range(len(hits)):
        later = range(rank, len(hits)) if interpolated else [rank]
        area += hits[rank] * max(sum(hits[: r + 1]) / (r + 1) for r in later)
    return area / len(truth) if truth and any(hits) else 0.0


def slow_vadclip_segments(scores, video):
    limit = max(scores) - 0.6 * (max(scores) - min(scores))
    top = sorted(scores, reverse=True)[: len(scores) // 16]
    found, start = [], None
    for t, score in enumerate([*scores, -np.inf]):
        if score > limit and start is None:
            start = t
        elif not score > limit and start is not None:
            if t - start >= 2:
                peak = max(scores[start:t])
                found.append((video, start, t, peak + 0.7 * sum(top) / len(top)))
            start = None
    return sorted(found, key=lambda s: -s[3])


def truth_of(data, event):
    return [
        (v, start, stop)
        for v, video in enumerate(data.videos)
        for name, start, stop in video.spans
        if name == event
    ]


@pytest.mark.parametrize("seed", range(4))
def test_vadclips_map(seed):
    data = random_data(seed)
    normal = [(v, 0, len(d.anomalous)) for v, d in enumerate(data.videos) if not d.abnormal]
    truths = [truth_of(data, "riot"), truth_of(data, "abuse"), normal]
    for kind, expected in (("videos", truths), ("none", [*truths[:2], []])):
        found = mean_average_precision(data, DetectionRules(), normal=kind)["vadclip"]
        assert found["empty"] == []
        for row, threshold in enumerate(THRESHOLDS):
            slow = [
                slow_average_precision(
                    [s for v, video in enumerate(data.videos)
                     for s in slow_vadclip_segments(video.scores[:, c].tolist(), v)],
                    truth, threshold, interpolated=False,
                )
                for c, truth in enumerate(expected)
            ]  # fmt: skip
            assert found["map"][row] == pytest.approx(np.mean(slow))
            assert 0 < found["map"][row] < 1


def test_activitynets_map_is_of_the_detections_at_the_threshold():
    data = random_data(7)
    found = mean_average_precision(data, DetectionRules(threshold=0.8, merge_seconds=0.0))[
        "activitynet"
    ]
    for row, threshold in enumerate(THRESHOLDS):
        slow = []
        for column, event in enumerate(EVENTS):
            segments = []
            for v, video in enumerate(data.videos):
                on = np.append(video.scores[:, column] >= 0.8, False)
                start = None
                for t, value in enumerate(on):
                    if value and start is None:
                        start = t
                    elif not value and start is not None:
                        segments.append((v, start, t, video.scores[start:t, column].max()))
                        start = None
            slow.append(slow_average_precision(segments, truth_of(data, event), threshold, True))
        assert found["map"][row] == pytest.approx(np.mean(slow))
    assert NORMAL_CLASS not in found["classes"] and found["mean"] == np.mean(found["map"])


def test_the_rows_that_need_no_eyes():
    data = random_data(8)
    found = mean_average_precision(data, DetectionRules())["no_eyes"]
    truths = [truth_of(data, event) for event in EVENTS]
    lengths = [len(video.anomalous) for video in data.videos]
    normal = [(v, 0, lengths[v]) for v, video in enumerate(data.videos) if not video.abnormal]
    for row, threshold in enumerate(THRESHOLDS):
        whole = [
            slow_average_precision(
                [(v, 0, lengths[v], 1.0) for v in sorted({v for v, _, _ in truth})],
                truth, threshold, True,
            )
            for truth in truths
        ]  # fmt: skip
        assert found["activitynet"]["map"][row] == pytest.approx(np.mean(whole))
        middle = []
        for truth in [*truths, normal]:
            segments = []
            for v in sorted({v for v, _, _ in truth}):
                n = lengths[v]
                prior = np.exp(-0.5 * ((np.arange(n) - n // 2) / (n // 2)) ** 2)
                segments += slow_vadclip_segments(prior.tolist(), v)
            middle.append(slow_average_precision(segments, truth, threshold, False))
        assert found["vadclip"]["map"][row] == pytest.approx(np.mean(middle))


def test_average_precision_by_hand():
    hits = [True, False, False, True]
    # P at the hits is 1 and 2/4, of 4 events; a last hit lifts no precision before it
    assert average_precision(hits, 4, interpolated=False) == pytest.approx((1 + 0.5) / 4)
    late = [False, True, True]  # 1/2 at the first hit, 2/3 at the second
    assert average_precision(late, 2, interpolated=False) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(late, 2, interpolated=True) == pytest.approx(2 / 3)
    assert average_precision([False], 3, interpolated=True) == 0.0
    assert average_precision([], 0, interpolated=False) == 0.0


def test_a_class_without_a_segment_makes_vadclips_figure_zero():
    data = random_data(2)
    flat = [v._replace(scores=v.scores * [1, 0, 1] + [0, 0.5, 0]) for v in data.videos]
    found = mean_average_precision(data._replace(videos=tuple(flat)), DetectionRules(threshold=0.8))
    assert found["vadclip"]["empty"] == ["abuse"] and found["vadclip"]["map"] == [0.0] * 5
    assert found["activitynet"]["classes"]["abuse"] == [0.0] * 5
    assert found["activitynet"]["mean"] > 0
    assert vadclip_segments(np.zeros(32)) == [] and vadclip_segments(-np.arange(32.0) - 1) == []


def test_without_columns_there_is_one_class_and_without_some_these_are_left_out():
    data = random_data(3, ("riot", "panic", "normal"))
    found = mean_average_precision(data, DetectionRules())
    assert found["classes"] == ["riot"] and found["without_column"] == ["abuse"]
    one = [v._replace(scores=v.scores.max(axis=1, keepdims=True)) for v in data.videos]
    found = mean_average_precision(data._replace(videos=tuple(one), columns=()), DetectionRules())
    assert found["classes"] == [ANY] and found["vadclip"]["normal"] is None
    assert set(found["vadclip"]["classes"]) == {ANY}


def test_normality_is_what_is_left_where_no_column_says_it():
    data = random_data(5, ("riot", "abuse"))
    three = [
        v._replace(scores=np.column_stack([v.scores, 1 - v.scores.max(axis=1)]))
        for v in data.videos
    ]
    told = data._replace(videos=tuple(three), columns=("riot", "abuse", "Normal"))
    found, same = (mean_average_precision(d, DetectionRules()) for d in (data, told))
    assert found["vadclip"]["map"] == same["vadclip"]["map"]


def test_a_score_of_a_second_stands_for_the_frames_of_a_snippet():
    data = random_data(6)
    shorter = [
        Video(v.scores[::16], v.anomalous[::16], v.events[::16], v.abnormal, v.seconds[::16])
        for v in data.videos
    ]
    few = data._replace(videos=tuple(shorter))
    full = [
        Video(
            v.scores.repeat(16, axis=0), v.anomalous.repeat(16), v.events.repeat(16, axis=0),
            v.abnormal, np.arange(16 * len(v.scores) + 1.0),
        )
        for v in shorter
    ]  # fmt: skip
    found = mean_average_precision(few, DetectionRules(), repeats=16)["vadclip"]
    assert found["map"] == mean_average_precision(
        data._replace(videos=tuple(full)), DetectionRules()
    )["vadclip"]["map"]  # fmt: skip
