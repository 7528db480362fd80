"""When frames are shown, against times that were written into the file."""

import struct
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pandas as pd
import pytest

from jaxvlm import files
from jaxvlm.data import containers, images, sampling, timetable, videos
from jaxvlm.errors import InputError
from tests.data import encoded


def with_sound(path, video_at, sound_at, *, count=25, **mux):
    """Grey frames from ``video_at`` seconds on, and 3 s of silence from ``sound_at`` on."""
    with av.open(str(path), "w", options=mux) as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=8000)
        packets = []
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(encoded.grey(i), format="rgb24")
            frame.pts, frame.time_base = i + round(10 * video_at), Fraction(1, 10)
            packets += video.encode(frame)
        packets += video.encode(None)
        for k in range(24):
            silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            silence.sample_rate, silence.time_base = 8000, Fraction(1, 8000)
            silence.pts = 1024 * k + round(8000 * sound_at)
            silence.planes[0].update(bytes(4096))
            packets += sound.encode(silence)
        packets += sound.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_zero_is_where_the_container_starts(tmp_path, name):
    """As a player shows it: the sound starts first, the picture 4 s later."""
    path = with_sound(tmp_path / name, video_at=4.0, sound_at=0.0)
    times = videos.frame_times(path)
    # The sound begins with the encoder's priming: 1,024 samples of 8,000 a second.
    assert times[0] == pytest.approx(4.0, abs=0.14 if name == "a.ts" else 2e-3)
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1.1e-3)
    numbers = [encoded.number(f.image) for f in videos.frames(path)]
    assert numbers[:5] == 5 * [0] and len(numbers) == 7  # the first one stands in for none


def test_sound_that_starts_later_moves_nothing(tmp_path):
    path = with_sound(tmp_path / "a.mp4", video_at=0.0, sound_at=2.0)
    np.testing.assert_allclose(videos.frame_times(path), np.arange(25) / 10, atol=1e-9)


@pytest.mark.parametrize(
    "first, sound, origin",
    [(0, None, 0), (3, None, 3), (3, 1, 1), (3, 5, 3), (0, -1, 0), (3, -1, 0), (-2, -1, -2)],
)
def test_where_zero_is(first, sound, origin):
    """Sound before zero is an encoder's priming: it moves nothing, but shows where zero is."""
    stream = SimpleNamespace(type="video", time_base=Fraction(1, 10), start_time=first)
    audio = SimpleNamespace(type="audio", time_base=Fraction(1, 10), start_time=sound)
    video = SimpleNamespace(stream=stream, container=SimpleNamespace(streams=[stream, audio]))
    assert timetable._origin(video, first) == Fraction(origin, 10)


def test_times_are_exact(tmp_path):
    """At 30000/1001 frames a second, frame n is shown at n·1001/30000 s, to the last bit."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"video_track_timescale": "30000"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(60):
            frame = av.VideoFrame.from_ndarray(encoded.grey(i % 25), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1001, 30000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    expected = [float(Fraction(1001 * i, 30000)) for i in range(60)]
    assert videos.frame_times(path).tolist() == expected
    # At 1 s frame 29 is still on the screen: frame 30 comes a millisecond later.
    assert [encoded.number(f.image) for f in videos.frames(path)] == [0, 29 % 25]


def test_a_stream_without_times_has_its_nominal_rate_and_says_so(tmp_path):
    path = encoded.write(tmp_path / "a.h264")
    said = []
    found = list(videos.frames(path, fps=10, say=said.append))
    assert [encoded.number(f.image) for f in found] == list(range(25))
    assert said == [f"{path}: holds no times; its nominal 10 frames per second are taken"]


def test_a_gap_is_a_gap(tmp_path):
    """A recorder that stamps the second half ten hours later."""
    times = [100 * i for i in range(10)] + [36_000_000 + 100 * i for i in range(10)]
    path = encoded.write(tmp_path / "a.mkv", count=20, times=times)
    said = []
    found = list(videos.frames(path, fps=1, say=said.append))
    assert [f.index for f in found] == [*range(61), 36_000]
    assert [encoded.number(f.image) for f in found] == [0] + 60 * [9] + [10]
    assert said == [
        f"{path}: shows nothing new from 00:00:00.900 to 10:00:00.000; a frame is held for 60 s"
    ]
    folder = videos.extract_frames(path, tmp_path / "out").folder
    assert images.index_times(folder).tolist() == [*range(61), 36_000]


def test_a_clock_that_is_set_back_goes_on(tmp_path):
    """Two recordings in one file, as transport streams are joined."""
    first = encoded.write(tmp_path / "a.ts", count=10)
    second = encoded.write(tmp_path / "b.ts", count=10, picture=lambda i: encoded.grey(i + 10))
    for path in (first, second):
        assert len(videos.frame_times(path)) == 10
    long = encoded.write(tmp_path / "c.ts", count=10, times=[5000 + 100 * i for i in range(10)])
    path = tmp_path / "both.ts"
    path.write_bytes(long.read_bytes() + second.read_bytes())
    said = []
    found = list(videos.frames(path, fps=10, say=said.append))
    assert [encoded.number(f.image) for f in found] == list(range(20))
    assert said == [f"{path}: its clock is set back 1 time; the frames follow one another"]


def cut_at(path, unit):
    """The stream's tables, and what follows from its ``unit``-th access unit on."""
    data = path.read_bytes()
    # Packets that start a unit (0x40) of the first stream (PID 0x100): ISO 13818-1 §2.4.3.
    starts = [k for k in range(len(data) // 188) if data[188 * k + 1 : 188 * k + 3] == b"\x41\0"]
    cut = path.with_name("cut.ts")
    cut.write_bytes(data[: 3 * 188] + data[188 * starts[unit] :])
    return cut


def test_a_recording_cut_out_of_a_stream_starts_at_its_first_key_frame(tmp_path):
    cut = cut_at(encoded.write(tmp_path / "a.ts", g=10, bf=0), 5)
    said = []
    numbers = [encoded.number(f.image) for f in videos.frames(cut, fps=10, say=said.append)]
    assert numbers == list(range(10, 25))
    assert "in need of missing ones, left out" in said[0]


@pytest.mark.parametrize(
    "codec, options",
    [
        (
            "libx265",
            {"x265-params": "log-level=none:open-gop=1:keyint=8:min-keyint=8:repeat-headers=1"},
        ),
        ("libx264", {"g": 8, "x264-params": "open-gop=1:bframes=3:b-adapt=0"}),
    ],
)
@pytest.mark.parametrize("fps", [10, 2])
def test_a_recording_that_starts_with_an_open_group(tmp_path, codec, options, fps):
    """Pictures that need what was before the file are not missing."""
    path = encoded.write(tmp_path / "a.ts", codec, 32, picture=encoded.moving, **options)
    with containers.open_file(path) as video:
        packets = list(timetable.packets(video, path))
    key = next(
        i
        for i, packet in enumerate(packets)
        if i and packet.is_keyframe and any(p.pts < packet.pts for p in packets[i:])
    )
    first, lead = (
        (pts - packets[0].pts) // 9000
        for pts in (packets[key].pts, min(p.pts for p in packets[key:]))
    )
    assert lead < first
    shown = list(videos.frames(cut_at(path, key), fps=fps))
    assert len(shown) == (31 - lead) * fps // 10 + 1
    for frame in shown:
        i = max(lead + 10 * frame.index // fps, first)
        assert np.abs(frame.image.astype(float) - encoded.moving(i)).mean() < 7


def test_more_frames_than_the_bound(tmp_path):
    path = encoded.write(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"--fps=1e\+08: 240,\d+,\d+ frames .*bound of 5,000,000"):
        list(videos.frames(path, fps=1e8))


@pytest.mark.parametrize("fps", [0.5, 1.0, 7.0])
def test_sampling_against_a_loop(fps):
    rng = np.random.default_rng(3)
    steps = rng.choice([0.04, 0.5, 59.0, 61.0, 500.0], 30)
    times = np.cumsum(steps) + rng.choice([0.0, 200.0])
    expected = []
    for k in range(int((times[-1] + sampling.CLOCK) * fps) + 1):
        before = times[times <= k / fps + sampling.CLOCK]
        if len(before) == 0:
            if times[0] - k / fps <= sampling.LONGEST_HOLD:
                expected.append((k, 0))
        elif k / fps - before[-1] <= sampling.LONGEST_HOLD:
            expected.append((k, len(before) - 1))
    found = sampling.sample(times, fps)
    assert list(zip(found.instants.tolist(), found.frames.tolist(), strict=True)) == expected


def test_times_stay_distinct_and_exact_for_days_of_video(tmp_path):
    times = 3 * 86_400 + np.arange(300) / 30
    table = pd.DataFrame({"frame": np.arange(300), "time_seconds": times, "riot": 1 / 3})
    files.write_csv(tmp_path / "events.csv", table)
    read = pd.read_csv(tmp_path / "events.csv")
    np.testing.assert_allclose(read["time_seconds"], times, rtol=0, atol=5.1e-7)
    assert (np.diff(read["time_seconds"]) > 0.033).all()
    lines = (tmp_path / "events.csv").read_text().splitlines()
    assert lines[1:3] == ["0,259200,0.333333", "1,259200.033333,0.333333"]


def edit_list(start, media, *, scale=1000):
    """An edit list (ISO 14496-12 §8.6.6): empty for ``start`` seconds, then from ``media`` on."""
    edits = struct.pack(">Ii", round(start * scale), -1) + struct.pack(">I", 1 << 16)
    edits += struct.pack(">Iii", 10_000, media, 1 << 16)
    body = struct.pack(">II", 0, 2) + edits
    return lambda old: struct.pack(">I4s", 8 + len(body), b"elst") + body


def test_an_edit_list_that_cuts_the_start(tmp_path):
    """Phones trim without encoding again: frames before the cut are decoded and not shown."""
    path = encoded.write(tmp_path / "a.mp4", bf=0)
    scale = 10_240  # ticks of the track a second
    encoded.edit_box(path, b"elst", edit_list(0, round(0.5 * scale)), (b"moov", b"trak", b"edts"))
    found = [encoded.number(f.image) for f in videos.frames(path, fps=10)]
    assert found == list(range(5, 25))
    assert videos.frame_times(path)[0] == 0.0


def test_a_picture_that_starts_long_after_the_sound(tmp_path):
    path = with_sound(tmp_path / "a.mp4", video_at=100.0, sound_at=0.0)
    said = []
    found = [f.index for f in videos.frames(path, fps=1, say=said.append)]
    assert found == list(range(40, 103))
    assert said == [f"{path}: shows nothing before 00:01:40.000; a frame is held for 60 s"]
