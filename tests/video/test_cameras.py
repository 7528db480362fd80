"""Many cameras together against each of them alone."""

import threading

import jax
import numpy as np
import pytest

from jaxvlm.alarms.rules import Rules
from jaxvlm.data import videos
from jaxvlm.data.videos import Frame
from jaxvlm.errors import InputError
from jaxvlm.video import batches, live, watching
from jaxvlm.video.watched import Camera, Seen, seen_frames
from jaxvlm.world import videos as world
from tests.video import test_watching
from tests.video.test_watching import FPS, with_settings

learned = test_watching.learned  # a fixture


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three of 11 to 25 seconds."""
    folder, found = tmp_path_factory.mktemp("clips"), []
    for n in range(3):
        whole = world.world_video(3 + n, "train", 1)
        found.append(folder / f"{n}.mp4")
        world.write_video(whole._replace(shots=whole.shots[: 1 + (n == 1)]), found[-1])
    return found


def together(cameras, **options):
    """All lines by camera, without what changes from run to run; how each ended."""
    lines = {}

    def emit(line):
        line = {k: v for k, v in line.items() if k not in ("wall_clock", "alarm", "source")}
        lines.setdefault(line.pop("camera", None), []).append(line)

    ended = watching.watch_cameras(cameras, emit=emit, **options)
    return lines, {one.name: one for one in ended}


def file_camera(scorer, name, clip, rules):
    frames = videos.frames(clip, fps=scorer.roles.config.fps, say=lambda line: None)
    return Camera(name, str(clip), scorer, frames, rules)


def test_each_of_many_tells_what_it_tells_alone(learned, clips):
    """Two scorers, three rules: lines and numbers are those of `watch`."""
    other = with_settings(learned, presence={"kind": "contrast"}, segments={"window": 5})
    plan = {
        "gate": (learned, clips[0], Rules(0.4, 0.37)),
        "yard": (learned, clips[1], Rules({"fighting": 0.3, "other": 0.4}, 0.2)),
        "hall": (other, clips[2], Rules(0.05, 0.03, min_seconds=1.0, release_seconds=1.0)),
        "gate again": (learned, clips[0], Rules(0.4, 0.37)),
    }
    lines, ended = together([file_camera(s, n, c, r) for n, (s, c, r) in plan.items()])
    told = 0
    for name, (scorer, clip, rules) in plan.items():
        alone, summary = [], None
        frames = videos.frames(clip, fps=FPS, say=lambda line: None)
        summary = watching.watch(scorer, frames, emit=alone.append, rules=rules)
        assert ended[name].summary.frames == summary.frames > 20
        assert ended[name].failure is None and ended[name].summary.dropped == 0
        mine = [line for line in lines[name] if line["state"] in ("start", "end")]
        theirs = [line for line in alone if line["state"] in ("start", "end")]
        assert len(mine) == len(theirs)
        told += len(mine)
        for a, b in zip(mine, theirs, strict=True):
            for key in ("event", "state", "time_seconds", "frame"):
                assert a[key] == b[key]
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-5)
            assert [x["atoms"] for x in a["because"]] == [x["atoms"] for x in b["because"]]
    assert told > 10
    same = [[x for x in lines[n] if x["state"] == "start"] for n in ("gate", "gate again")]
    assert [x["frame"] for x in same[0]] == [x["frame"] for x in same[1]] != []


def seen_of(scorer, clip, count):
    frames = videos.frames(clip, fps=FPS, say=lambda line: None)
    camera = Camera("a", "", scorer, frames, Rules())
    return [
        seen for seen, _ in zip(seen_frames(camera, pictures=False), range(count), strict=False)
    ]


def test_numbers_of_a_batch_do_not_depend_on_who_is_in_it(learned, clips):
    """Cameras that skip turns, in batches of every size, against each one's frames alone."""
    other = with_settings(learned, presence={"kind": "contrast"})
    scorers = [learned, other, learned, learned, other]
    seen = [seen_of(scorer, clips[n % 3], 12) for n, scorer in enumerate(scorers)]
    batch, rng = batches.Batches(scorers), np.random.default_rng(0)
    found, places = [[] for _ in scorers], [0] * len(scorers)
    while any(place < 12 for place in places):
        ready = [n for n, place in enumerate(places) if place < 12]
        chosen = rng.choice(ready, rng.integers(1, len(ready) + 1), replace=False).tolist()
        scores = batch.step({n: seen[n][places[n]] for n in chosen})
        for n in chosen:
            found[n].append(scores[n])
            places[n] += 1
    for n, scorer in enumerate(scorers):
        state, step = live.live_step(scorer)
        frames = videos.frames(clips[n % 3], fps=FPS, say=lambda line: None)
        for one, frame in zip(found[n], frames, strict=False):
            state, alone = step(state, frame.image)
            np.testing.assert_allclose(one.probability, alone.probability, atol=1e-5)
            np.testing.assert_allclose(one.segment_presence, alone.segment_presence, atol=1e-5)
            np.testing.assert_allclose(one.image_embedding, alone.image_embedding, atol=1e-4)
            assert one.boundary == pytest.approx(alone.boundary, abs=1e-5)
        kept = batch.state(n)
        np.testing.assert_allclose(kept.presence, state.presence, atol=1e-5)
        assert int(kept.count) == 12


@pytest.mark.parametrize("kinds", [["local"], ["local", "contrast"]])
def test_nothing_is_compiled_after_the_start(learned, clips, kinds):
    own = [with_settings(learned, presence={"kind": kind}) for kind in kinds]
    scorers = [own[n % len(own)] for n in range(5)]
    batch = batches.Batches(scorers)
    batch.warm_up()
    (seen,) = seen_of(learned, clips[0], 1)
    assert live.batch_sizes(5) == [1, 2, 4, 8]
    with jax.no_tracing():
        for size in (1, 2, 3, 4, 5):
            for first in range(5):
                chosen = [(first + n) % 5 for n in range(size)]
                assert set(batch.step({n: seen for n in chosen})) == set(chosen)


def images(count, gate=None):
    for k in range(count):
        yield Frame(k, float(k), np.full((16, 16, 3), 5 * k, np.uint8))
        if gate is not None and k == 0:
            assert gate.wait(60)


def test_a_camera_that_fails_or_hangs_stalls_no_other(learned):
    over = threading.Event()

    def fails():
        yield from images(2)
        raise InputError("rtsp://cam: lost")

    def hangs():
        over.wait(60)
        yield from images(1)

    def good():
        yield from images(30)
        over.set()

    cameras = [
        Camera(name, "s", learned, frames, Rules(0.0, 0.0))
        for name, frames in (("fails", fails()), ("hangs", hangs()), ("good", good()))
    ]
    lines, ended = together(cameras)
    assert {name: one.summary.frames for name, one in ended.items()} == {
        "fails": 2, "hangs": 1, "good": 30,
    }  # fmt: skip
    assert {name: one.failure for name, one in ended.items()} == {
        "fails": "rtsp://cam: lost", "hangs": None, "good": None,
    }  # fmt: skip
    ends = [line for line in lines["fails"] if line["state"] == "end"]
    assert {line["ended_by"] for line in ends} == {"source lost"} and len(ends) == 6


def test_the_slowest_loses_and_is_told(learned):
    """While one frame is worked on, one camera floods: it alone loses frames."""
    flooded, first = threading.Event(), threading.Event()

    def flood():
        yield from images(1)
        assert first.wait(60)
        yield from (frame._replace(index=n) for n, frame in enumerate(images(31), 1))
        flooded.set()

    def slow():
        assert flooded.wait(60)
        yield from images(2)

    def emit(line):
        if line["state"] == "start" and line["camera"] == "flood" and not first.is_set():
            first.set()
            assert flooded.wait(60)

    rules = Rules(0.0, 0.0, "drop", 4)
    cameras = [
        Camera(name, "s", learned, frames, rules)
        for name, frames in (("flood", flood()), ("slow", slow()))
    ]
    summaries = {one.name: one.summary for one in watching.watch_cameras(cameras, emit=emit)}
    assert (summaries["slow"].frames, summaries["slow"].dropped) == (2, 0)
    flood_ = summaries["flood"]
    assert flood_.frames + flood_.dropped == 32 and 23 <= flood_.dropped <= 25


def test_who_reads_smaller_pictures_sees_the_same(learned, clips):
    (seen,) = seen_of(learned, clips[0], 1)
    assert isinstance(seen, Seen) and seen.crop.shape[2] == 3 and seen.pictures == ()
