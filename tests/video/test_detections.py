import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxvlm.atoms.reasons import Reason
from jaxvlm.errors import InputError
from jaxvlm.evaluation.spans import runs_of
from jaxvlm.video.detections import (
    Detection,
    clock,
    events_table,
    find_detections,
    frame_edges,
    segments_table,
    sentence,
    thumbnail_frames,
)

REASONS = (
    Reason(("blast flash",), "direct", 3.0),
    Reason(("smoke plume", "flying debris"), "indirect", 1.0),
)


def detection(event="explosion", start=12.0, end=19.0):
    return Detection(event, 12, 19, 14, start, end, 0.9)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (12.4, "0:12"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_frame_edges_hold_the_last_frame_as_long_as_the_others():
    np.testing.assert_allclose(frame_edges([0, 0.5, 1.0, 1.7]), [0, 0.5, 1.0, 1.7, 2.2])
    np.testing.assert_allclose(frame_edges([3.0]), [3, 4])


def test_detections_by_hand():
    p = np.zeros((10, 2))
    p[[2, 3, 5], 0] = 0.6, 0.8, 0.9  # one second between: merged
    p[[8], 0] = 0.5  # two seconds after: another one
    p[9, 1] = 0.7
    found = find_detections(p, np.arange(10.0), ["a", "b"])
    assert found == [
        Detection("a", 2, 6, 5, 2.0, 6.0, 0.9),
        Detection("a", 8, 9, 8, 8.0, 9.0, 0.5),
        Detection("b", 9, 10, 9, 9.0, 10.0, 0.7),
    ]
    assert [d.event for d in find_detections(p, np.arange(10.0), "ab", threshold=[1, 0.5])] == ["b"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=25), st.floats(0.1, 0.9), st.floats(0, 3))
def test_detections_cover_exactly_what_passes_but_for_merged_gaps(values, threshold, gap):
    p = np.array(values).reshape(-1, 1)
    found = find_detections(
        p, np.arange(float(len(p))), ["e"], threshold=threshold, merge_seconds=gap
    )
    covered = np.zeros(len(p), bool)
    for d in found:
        covered[d.start_frame : d.stop_frame] = True
        assert p[d.start_frame] >= threshold and p[d.stop_frame - 1] >= threshold
        assert p[d.peak_frame] == p[d.start_frame : d.stop_frame].max() == d.probability
        assert set(thumbnail_frames(d)) <= set(range(d.start_frame, d.stop_frame))
    assert covered[p[:, 0] >= threshold].all()
    assert all(b - a <= gap for a, b in runs_of(covered & (p[:, 0] < threshold)))
    gaps = [b.start_frame - a.stop_frame for a, b in zip(found, found[1:], strict=False)]
    assert all(g > gap for g in gaps)


def test_no_detection_spans_a_gap_in_the_video():
    """Ten hours between two frames: nothing is known of them."""
    times = np.array([0.0, 1.0, 2.0, 36_000.0, 36_001.0])
    found = find_detections(np.full((5, 1), 0.9), times, ["riot"])
    assert [(d.start_seconds, d.end_seconds) for d in found] == [(0.0, 62.0), (36_000.0, 36_002.0)]
    slow = np.arange(5) * 300.0  # a picture every five minutes is no gap
    (only,) = find_detections(np.full((5, 1), 0.9), slow, ["riot"])
    assert (only.start_seconds, only.end_seconds) == (0.0, 1500.0)


def test_nan_probability():
    with pytest.raises(InputError, match="NaN"):
        find_detections([[np.nan]], [0.0], ["a"])


def test_sentence():
    assert sentence(detection(), REASONS) == (
        "explosion 0:12–0:19, because blast flash (direct) and smoke plume with flying debris "
        "(indirect)"
    )
    counter = Reason(("film crew",), "counter", -1.0)
    three = (REASONS[0], Reason(("fire",), "direct", 2.0), counter, REASONS[1])
    assert sentence(detection(), three) == (
        "explosion 0:12–0:19, because blast flash (direct), fire (direct) and smoke plume with "
        "flying debris (indirect), despite film crew (counter)"
    )
    own = Reason(("crashed car",), "direct", 2.0, ("tow truck",))
    assert sentence(detection(), [own, counter]) == (
        "explosion 0:12–0:19, because crashed car, and no tow truck (direct), despite film crew "
        "(counter)"
    )
    assert sentence(detection(end=12.3)) == "explosion 0:12"


def test_unknown_role():
    with pytest.raises(InputError, match="'absence'"):
        sentence(detection(), [Reason(("x",), "absence", 0.0)])


def test_tables():
    times, p = [0.0, 0.5, 1.0, 1.5], np.array([[0.1, 0.2], [0.9, 0.3], [0.2, 0.4], [0.1, 0.8]])
    presence = np.array(
        [[0.9, 0, 0, 0.1], [0.1, 0.8, 0.2, 0.7], [0, 0, 0, 0.5], [0.3, 0.1, 0.9, 0]]
    )
    table = events_table(times, p, ["a", "b"])
    assert list(table.columns) == ["frame", "time_seconds", "a", "b"]
    assert table.iloc[3].tolist() == [3, 1.5, 0.1, 0.8]
    # A segment begins where b exceeds ½, as `segment_index` counts; frame 0 begins one whatever b.
    segments = segments_table(times, p, [0.9, 0.5, 0.7, 0.2], presence, ["a", "b"], list("wxyz"))
    assert segments.to_numpy().tolist() == [
        [0, 0, 1, 0.0, 1.0, "a", 0.9, "x; z; y"],
        [1, 2, 3, 1.0, 2.0, "b", 0.8, "y; w; x"],
    ]
