"""Detections against a loop over the frames, as a camera would go on."""

import numpy as np
import pytest

from jaxvlm.evaluation.spans import frame_edges, runs_of, spans_above


def slow_spans(scores, step, threshold, release, merge_seconds):
    """Opened and closed frame by frame, then merged one after the other."""
    found, start = [], None
    for t, score in enumerate([*scores, -np.inf]):
        if start is None and score >= threshold:
            start = t
        elif start is not None and score < release:
            found.append([start, t])
            start = None
    merged = []
    for start, stop in found:
        if merged and (start - merged[-1][1]) * step <= merge_seconds + 1e-9:
            merged[-1][1] = stop
        else:
            merged.append([start, stop])
    return merged


@pytest.mark.parametrize("release", [0.6, 0.4, 0.0])
@pytest.mark.parametrize("merge_seconds", [0.0, 1.0])
def test_spans_are_those_of_a_loop(release, merge_seconds):
    rng = np.random.default_rng(1)
    for frames in (0, 1, 2, 3, 50, 400):
        scores = rng.random(frames)
        edges = frame_edges(np.arange(frames) * 0.5)
        spans = spans_above(
            scores, edges, threshold=0.6, release=release, merge_seconds=merge_seconds
        )
        expected = slow_spans(scores, 0.5, 0.6, release, merge_seconds)
        assert [[s.start, s.stop] for s in spans] == expected
        for span in spans:
            assert span.score == scores[span.start : span.stop].max() == scores[span.peak]
            assert (span.start_seconds, span.end_seconds) == (span.start / 2, span.stop / 2)


def test_no_span_goes_over_a_gap_in_the_video():
    times = np.array([0.0, 1.0, 2.0, 100.0, 101.0])
    spans = spans_above(np.ones(5), frame_edges(times), threshold=0.5)
    assert [(s.start, s.stop, s.start_seconds) for s in spans] == [(0, 3, 0.0), (3, 5, 100.0)]
    assert 2 < spans[0].end_seconds < 100


def test_a_release_above_the_threshold_is_refused():
    with pytest.raises(ValueError, match=r"release 0\.7 above threshold 0\.5"):
        spans_above(np.ones(2), [0, 1, 2], threshold=0.5, release=0.7)
    assert runs_of([0, 1, 1, 0, 1]) == [(1, 3), (4, 5)]
