"""Watching against scoring the same rendered clip, and against lines written by hand."""

import dataclasses
import datetime
import json
import threading

import jax
import numpy as np
import pytest

from jaxvlm import clip
from jaxvlm.data import videos
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource
from jaxvlm.video import live, scoring, watch_program, watching
from jaxvlm.video.frame_presence import score_frames, segment
from jaxvlm.video.role_model import load_role_model
from jaxvlm.video.watching import Rules
from jaxvlm.world import videos as world
from tests.video.test_role_model import at_temperature

FPS = 2.0


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Two shots, 25 seconds: longer than the window of 20 frames."""
    whole = world.world_video(3, "train", 1)
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    world.write_video(whole._replace(shots=whole.shots[:2]), path)
    return path


def with_settings(scorer, *, batch_size=1, fps=FPS, **parts):
    """The scorer with fields of its config's parts changed; ``batch_size`` is for offline."""
    config = dataclasses.replace(
        scorer.roles.config,
        fps=fps,
        **{
            part: dataclasses.replace(getattr(scorer.roles.config, part), **fields)
            for part, fields in parts.items()
        },
    )
    encoder = dataclasses.replace(scorer.encoder, given_batch_size=batch_size)
    return scorer._replace(roles=scorer.roles._replace(config=config), encoder=encoder)


@pytest.fixture(scope="module")
def learned():
    """The encoder and the role model that ship."""
    roles = load_role_model(resource("checkpoints/roles"))
    encoder = clip.make_encoder(clip.load(resource("checkpoints/clip")), batch_size=1)
    return with_settings(scoring.make_scorer(encoder, roles))


def offline(scorer, video):
    """P(e|u) [T, E], b [T], p̄ [T, C] as ``score_video`` computes them, without its explanations."""
    images = (frame.image for frame in videos.frames(video, fps=FPS))
    embeddings, presence = score_frames(scorer.encoder, scorer.bank, images, scorer.roles.config)
    _, boundary, pbar = segment(presence, scorer.roles.config)
    return live.Scores(scorer.roles.probability(pbar), boundary, pbar, embeddings, presence)


@pytest.fixture(scope="module")
def probability(learned, video):
    return offline(learned, video).probability


def watched(scorer, frames, rules=watching.DEFAULT_RULES):
    lines = []
    summary = watching.watch(scorer, frames, emit=lines.append, source="cam", rules=rules)
    for line in lines:
        assert line.pop("source") == "cam"
        clock = datetime.datetime.fromisoformat(line.pop("wall_clock"))
        assert abs((datetime.datetime.now(datetime.UTC) - clock).total_seconds()) < 600
    assert lines[0] == {"state": "watching", "events": list(scorer.roles.events)}
    assert lines[-1] == {"state": "summary", **summary._asdict()}
    return lines[1:-1], summary


def live_scores(scorer, video):
    state, step = live.live_step(scorer)
    found = []
    for frame in videos.frames(video, fps=FPS):
        state, scores = step(state, frame.image)
        found.append(scores)
    return live.Scores(*map(np.stack, zip(*found, strict=True)))


@pytest.mark.parametrize(
    "parts",
    [
        {"batch_size": 8},  # as shipped: local presence, and offline in batches
        {
            "presence": {"kind": "contrast"},
            "boundary": {"delta": "0.1", "kappa": "auto"},
            "segments": {"window": 5, "weighting": "point", "normalize": False},
        },
        {"presence": {"kind": "cosine"}, "segments": {"weighting": "recurrent"}},
    ],
)
def test_the_numbers_are_those_of_the_whole_video(learned, video, parts):
    scorer = with_settings(learned, **parts)
    expected, found = offline(scorer, video), live_scores(scorer, video)
    assert found.probability.shape == (50, len(scorer.roles.events))
    np.testing.assert_allclose(found.probability, expected.probability, atol=1e-5)
    np.testing.assert_allclose(found.boundary, expected.boundary, atol=1e-5)
    np.testing.assert_allclose(found.image_embedding, expected.image_embedding, atol=1e-5)
    np.testing.assert_allclose(  # unnormalised, p̄ reaches W
        found.segment_presence, expected.segment_presence, rtol=1e-5, atol=1e-5
    )
    assert np.ptp(expected.boundary) > 1e-4 and np.ptp(expected.probability) > 1e-2


def test_the_state_does_not_grow_and_nothing_is_compiled_again(learned):
    state, step = live.live_step(learned)
    image = np.zeros((48, 64, 3), np.uint8)
    state, _ = step(state, image)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
    with jax.no_tracing():
        for level in range(45):  # more than two windows
            state, _ = step(state, image + level)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == shapes
    assert int(state.count) == 46


def expected_changes(probability, threshold, release):
    """(event, state, frame) by a loop over each event alone; what stays open ends at the end."""
    found = []
    for e in range(probability.shape[1]):
        start = None
        for t, p in enumerate(probability[:, e]):
            if start is None and p >= threshold:
                start = t
                found.append((t, e, "start"))
            elif start is not None and p < release:
                start = None
                found.append((t, e, "end"))
        if start is not None:
            found.append((len(probability), e, "end"))
    return [(e, state, min(t, len(probability) - 1)) for t, e, state in sorted(found)]


@pytest.mark.parametrize("threshold, release", [(0.4, 0.37), (0.05, 0.03)])
def test_lines_tell_the_crossings_of_the_offline_probabilities(
    learned, video, probability, threshold, release
):
    lines, summary = watched(
        learned, videos.frames(video, fps=FPS), Rules(threshold, release, queue_size=2)
    )
    events = learned.roles.events
    expected = expected_changes(probability, threshold, release)
    assert expected
    assert [(events.index(x["event"]), x["state"], x["frame"]) for x in lines] == expected
    for line, (e, _, t) in zip(lines, expected, strict=True):
        assert list(line)[:6] == [
            "event", "state", "time_seconds", "frame", "probability", "because"
        ]  # fmt: skip
        assert line["time_seconds"] == pytest.approx(t / FPS)
        assert line["probability"] == pytest.approx(probability[t, e], abs=1e-5)
        signs = [reason["contribution"] < 0 for reason in line["because"]]
        assert signs == sorted(signs)  # what speaks for it comes first
    begun = {}
    for line, (e, state, t) in zip(lines, expected, strict=True):
        if state == "start":
            begun[e] = t / FPS
            assert list(line)[6:] == []
        else:
            assert line["start_seconds"] == pytest.approx(begun[e])
            assert line["duration_seconds"] == pytest.approx(t / FPS - begun[e], abs=1e-3)
            fell = probability[t, e] < release
            assert line["ended_by"] == ("probability" if fell else "source ended")
    started = [line for line in lines if line["state"] == "start"]
    for line in started:
        strongest = line["because"][0]
        assert strongest["role"] in ("direct", "indirect", "counter")
        assert strongest["contribution"] > 0 and set(strongest["atoms"]) <= set(learned.roles.atoms)
    assert (summary.frames, summary.dropped) == (len(probability), 0)
    assert 0 < summary.latency_ms_median <= summary.latency_ms_p99
    assert summary.frames_per_second > 0


def test_another_temperature_of_the_same_probabilities_gives_the_same_lines(learned, video):
    other = learned._replace(roles=at_temperature(learned.roles, 0.5))
    one, two = (
        watched(scorer, videos.frames(video, fps=FPS), Rules(0.4, 0.37))[0]
        for scorer in (learned, other)
    )
    assert any(line["because"] for line in one)
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert (a["event"], a["state"], a["frame"]) == (b["event"], b["state"], b["frame"])
        for x, y in zip(a["because"], b["because"], strict=True):
            assert (x["atoms"], x["role"]) == (y["atoms"], y["role"])
            assert x["contribution"] == pytest.approx(y["contribution"], abs=2e-3)


def images(count, size=16):
    return (Frame(k, float(k), np.full((size, size, 3), 5 * k, np.uint8)) for k in range(count))


def test_a_source_that_is_too_fast_is_dropped_from_and_counted(learned):
    frames = list(images(30))
    first_is_handled, all_are_read = threading.Event(), threading.Event()

    def fast():
        yield frames[0]
        assert first_is_handled.wait(60)
        yield from frames[1:]
        all_are_read.set()

    lines = []

    def emit(line):
        if (
            len(lines) == 1
        ):  # behind "watching"; frame 0 takes as long as the source takes for all the others
            first_is_handled.set()
            assert all_are_read.wait(60)
        lines.append(line)

    summary = watching.watch(learned, fast(), emit=emit, rules=Rules(0.0, 0.0, "drop", 4))
    assert (summary.frames, summary.dropped) == (5, 25)
    ends = [line for line in lines if line["state"] == "end"]
    assert {line["frame"] for line in ends} == {29} and len(ends) == len(learned.roles.events)


def test_a_lost_source_still_closes_events_and_sums_up(learned):
    def lost():
        yield from images(3)
        raise InputError("camera: no more frames")

    lines = []
    with pytest.raises(InputError, match="no more frames"):
        watching.watch(learned, lost(), emit=lines.append, rules=Rules(0.0, 0.0))
    events = list(learned.roles.events)
    assert [(x["event"], x["frame"]) for x in lines if x["state"] == "start"] == [
        (event, 0) for event in events
    ]
    assert [(x["event"], x["frame"]) for x in lines if x["state"] == "end"] == [
        (event, 2) for event in events
    ]
    assert {x["ended_by"] for x in lines if x["state"] == "end"} == {"source lost"}
    assert lines[-1]["state"] == "summary" and lines[-1]["frames"] == 3


def test_whoever_stops_it_is_told_so(learned):
    stop, lines = threading.Event(), []

    def emit(line):
        lines.append(line)
        if line["state"] == "start":
            stop.set()

    watching.watch(learned, images(30), emit=emit, rules=Rules(0.0, 0.0), stop=stop)
    assert {x["ended_by"] for x in lines if x["state"] == "end"} == {"stopped"}


def test_the_first_line_comes_before_anything_is_compiled(learned, monkeypatch):
    order = []
    monkeypatch.setattr(watching.Batches, "warm_up", lambda *_: order.append("compile"))
    watching.watch(learned, iter([]), emit=lambda line: order.append(line["state"]))
    assert order == ["watching", "compile", "summary"]


def test_a_source_is_read_by_the_rules(learned, monkeypatch):
    asked = {}

    def source_frames(source, **options):
        asked.update(options, source=source)
        return iter([])

    monkeypatch.setattr(watching.streams, "source_frames", source_frames)
    rules = Rules(reconnect=3, allowed_hosts=("cdn.example",), follow=True)
    twice = with_settings(learned, fps=2.0)
    watching.watch_source(twice, "http://h/x", lambda line: None, rules=rules)
    assert (asked["source"], asked["fps"], asked["reconnect"]) == ("http://h/x", 2.0, 3)
    assert asked["allowed_hosts"] == ("cdn.example",) and asked["follow"] is True


def test_no_frame_is_a_summary_without_latency(learned):
    lines, summary = watched(learned, iter([]))
    assert lines == [] and summary == watching.Summary(0, 0, None, None, None)


@pytest.mark.parametrize(
    "parts, cause",
    [
        ({"boundary": {"delta": "auto", "kappa": "auto"}}, "delta=auto.*--delta=NUMBER"),
        ({"boundary": {"kappa": "learned"}}, "kappa=learned.*--kappa=NUMBER"),
        ({"segments": {"survival_floor": 1e-6}}, "survival_floor"),
    ],
)
def test_what_needs_the_whole_video_is_refused(learned, parts, cause):
    with pytest.raises(InputError, match=cause):
        live.live_step(with_settings(learned, **parts))


def test_a_release_above_the_threshold_is_refused(learned):
    with pytest.raises(InputError, match="--release=0.6"):
        watched(learned, iter([]), Rules(0.5, 0.6))


def test_lines_go_to_a_file(learned, video, tmp_path):
    out = tmp_path / "events.jsonl"
    slow = with_settings(learned, fps=0.2)
    asked = watch_program.Asked(None, str(video), slow, Rules(0.0, 0.0))
    ((_, summary, _),) = watch_program.write_changes(lambda: [asked], out=out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert lines[0]["state"] == "watching" and lines[-1]["frames"] == summary.frames == 5
    assert {line["source"] for line in lines} == {str(video)}
