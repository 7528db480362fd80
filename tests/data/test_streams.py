"""Live sources against a hand-made stream, the reference sampling and a real file by its URL."""

import cv2
import numpy as np
import pytest

from jaxvlm.data import streams, videos
from jaxvlm.errors import InputError


def picture(level):
    return np.full((2, 2, 3), level, np.uint8)


def stream(times, then=None):
    """A connection: a frame per time, of level 0, 1, 2 …; then lost, if `then` says why."""
    for level, seconds in enumerate(times):
        yield seconds, picture(level)
    if then is not None:
        raise InputError(then)


def shown(frames):
    return [(frame.index, int(frame.image.max())) for frame in frames]


@pytest.mark.parametrize("fps", [0.7, 1.0, 3.0, 50.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_live_stream_is_sampled_like_a_file(seed, fps):
    steps = np.random.default_rng(seed).choice([0.04, 0.11, 0.9], 40)
    times = np.concatenate([[0.0], np.cumsum(steps)])
    expected = list(enumerate(videos.sample_times(times, fps).tolist()))
    assert shown(streams.live_frames(lambda: stream(times), fps=fps)) == expected
    # A stream's clock may start anywhere; the first frame is at 0.
    assert shown(streams.live_frames(lambda: stream(times + 77.0), fps=fps)) == expected


def test_a_jump_of_the_clock_repeats_no_frame():
    times = [0.0, 0.5, 1.0, 9_000.0, 9_000.5, 9_001.0, 3.0, 4.0]
    frames = streams.live_frames(lambda: stream(times), fps=1.0)
    assert shown(frames) == [(0, 0), (1, 2), (2, 3), (3, 5), (4, 6), (5, 7)]


class Losses:
    """A source that fails twice between two good connections, and a clock that only waits."""

    def __init__(self):
        self.connections = iter(
            [
                stream([0.0, 1.0, 2.0], "lost"),
                stream([], "refused"),
                stream([], "refused"),
                stream([100.0, 101.0]),
            ]
        )
        self.seconds = 0.0
        self.pauses = []
        self.said = []

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.seconds += seconds

    def frames(self, **options):
        return streams.live_frames(
            lambda: next(self.connections),
            clock=lambda: self.seconds,
            pause=self.pause,
            say=self.said.append,
            **options,
        )


def test_a_lost_stream_is_connected_again_with_growing_pauses():
    source = Losses()
    # Seven seconds have passed by the clock, so the second picture of level 0 is at second 7.
    assert shown(source.frames(fps=1.0, reconnect=3)) == [(0, 0), (1, 1), (2, 2), (7, 0), (8, 1)]
    assert source.pauses == [1.0, 2.0, 4.0]
    assert source.said[-1] == "refused; attempt 3 of 3 in 4 s"


def test_attempts_are_bounded_and_a_first_failure_is_final():
    source = Losses()
    frames = source.frames(fps=1.0, reconnect=1)
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match=r"^refused \(1 attempts to reconnect\)$"):
        next(frames)
    assert source.pauses == [1.0]
    with pytest.raises(InputError, match="^never there$"):
        list(streams.live_frames(lambda: stream([], "never there"), reconnect=9))


def test_a_stop_ends_the_attempts():
    connections = iter([stream([0.0], "lost")])
    frames = streams.live_frames(lambda: next(connections), reconnect=9, pause=lambda seconds: True)
    assert shown(frames) == [(0, 0)]


def test_a_source_that_is_never_given_up_is_tried_from_its_first_connection_on():
    clock, pauses, said = [0.0], [], []

    def pause(seconds):
        pauses.append(seconds)
        clock[0] += seconds

    connections = iter([*(stream([], "refused") for _ in range(12)), stream([5.0, 6.0])])
    frames = streams.live_frames(
        lambda: next(connections), reconnect=None, pause=pause, clock=lambda: clock[0],
        say=said.append, spread=lambda: 0.5,
    )  # fmt: skip
    assert shown(frames) == [(0, 0), (1, 1)]  # 0 is the first frame that there is
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0] + 7 * [15.0]
    assert said[-1] == "refused; attempt 12 in 15 s"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """23 grey frames at 10 per second."""
    path = tmp_path_factory.mktemp("videos") / "grey.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (48, 48))
    for i in range(23):
        writer.write(np.full((48, 48, 3), 10 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("fps", [1.0, 3.0])
def test_a_file_gives_the_same_frames_by_its_path_and_by_its_url(file, fps):
    expected = list(videos.frames(file, fps=fps))
    for source in (str(file), f"file://{file}"):
        found = list(streams.source_frames(source, fps=fps))
        assert [f.time_seconds for f in found] == [f.time_seconds for f in expected]
        np.testing.assert_array_equal([f.image for f in found], [f.image for f in expected])


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file; check the path"):
        streams.source_frames(str(tmp_path / "missing.mp4"))
    with pytest.raises(InputError, match="missing.mp4: no such file; check the path"):
        streams.source_frames(f"file://{tmp_path}/missing.mp4")
    with pytest.raises(InputError, match="/dev/video99: cannot be opened .*; check that it is"):
        next(streams.source_frames("/dev/video99", reconnect=3))
    with pytest.raises(InputError, match="--fps"):
        streams.source_frames("0", fps=0.0)
