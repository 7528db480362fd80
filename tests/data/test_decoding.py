"""Decoding from key frames against decoding everything: the same frames, from fewer packets."""

import numpy as np
import pytest

from jaxvlm.data import containers, decoding, sampling, timetable, videos
from jaxvlm.errors import InputError
from tests.data import encoded

COUNT = 80
STREAMS = {
    "H.264": ("a.mp4", "libx264", {"g": 12}),
    "H.264, open groups": ("a.ts", "libx264", {"g": 12, "x264-params": "open-gop=1:bframes=3"}),
    "H.264, refreshed by and by": ("a.ts", "libx264", {"g": 12, "x264-params": "intra-refresh=1"}),
    "H.264, interlaced": ("a.mkv", "libx264", {"g": 12, "x264-params": "tff=1"}),
    "HEVC, open groups": (
        "a.mp4",
        "libx265",
        {"g": 12, "x265-params": "log-level=none:open-gop=1:keyint=12:min-keyint=12"},
    ),
    "HEVC in a stream": ("a.ts", "libx265", {"g": 12, "x265-params": "log-level=none"}),
    "MPEG-2": ("a.ts", "mpeg2video", {"g": 12, "bf": 2, "fps": 25}),
    "MPEG-2 with guessed times": ("a.mpg", "mpeg2video", {"g": 12, "bf": 2, "fps": 25}),
    "MPEG-4": ("a.mp4", "mpeg4", {"g": 12, "bf": 2}),
    "VP8": ("a.webm", "libvpx", {"g": 12, "auto-alt-ref": 1, "lag-in-frames": 10}),
    "VP9": ("a.webm", "libvpx-vp9", {"g": 12, "auto-alt-ref": 1, "lag-in-frames": 10}),
    "AV1": ("a.mp4", "libsvtav1", {"g": 12, "preset": 12, "svtav1-params": "lp=1"}),
    "all key frames": ("a.avi", "mjpeg", {"pix_fmt": "yuvj420p"}),
}
SEQUENTIAL = {"H.264, refreshed by and by", "H.264, open groups"}  # one IDR, at the start


@pytest.fixture(scope="module", params=STREAMS)
def stream(request, tmp_path_factory):
    name, codec, options = STREAMS[request.param]
    path = tmp_path_factory.mktemp("streams") / name
    encoded.write(path, codec, COUNT, picture=encoded.moving, **options)
    table = timetable.read_file(path)
    with containers.open_file(path) as video:
        pictures = containers.pictures(video.stream)
        every = {k: pictures.rgb(f, "") for k, f in decoding.decode_all(video, table, path)}
    assert sorted(every) == list(range(len(table.seconds))) and len(every) == COUNT
    return request.param, path, table, every


@pytest.mark.parametrize(
    "wanted", [[0], [79], [5, 30, 31, 64], [11, 12, 13], list(range(0, 80, 9))]
)
def test_the_same_frames_from_fewer_packets(stream, wanted):
    kind, path, table, every = stream
    spans = decoding.needed_packets(table, np.array(wanted))
    if spans is None:
        assert kind == "MPEG-2 with guessed times"
        return
    with containers.open_file(path) as video:
        pictures = containers.pictures(video.stream)
        found = [
            (k, pictures.rgb(f, ""))
            for k, f in decoding.decode_some(video, table, np.array(wanted), path)
        ]
    assert [k for k, _ in found] == wanted
    for k, image in found:
        np.testing.assert_array_equal(image, every[k])
    packets = sum(stop - start for start, stop in spans)
    assert packets <= (COUNT if kind in SEQUENTIAL else 25 * len(wanted))
    assert all(a < b for a, b in spans) and sorted(spans) == spans


def test_frames_are_those_of_the_timetable_at_every_rate(stream):
    _, path, table, every = stream
    for fps in (0.3, 1.0, 2.5, 1000.0):
        shown = sampling.sample(table.seconds, fps).frames
        for frame, k in zip(videos.frames(path, fps=fps), shown, strict=True):
            np.testing.assert_array_equal(frame.image, every[int(k)])


def test_spans_worked_by_hand():
    """Packets as stored, with the times they are shown at: two groups, the second an open one."""
    shown_at = np.array([0, 3, 1, 2, 7, 4, 5, 6, 8, 12, 9, 10, 11])
    order = np.argsort(shown_at)
    table = timetable.Timetable(
        shown_at[order] / 10.0, shown_at[order], False, order, np.array([0, 4, 9]), (), 0, ()
    )
    assert decoding.needed_packets(table, np.array([8])) == [(4, 9)]
    assert decoding.needed_packets(table, np.array([2])) == [(0, 4)]
    assert decoding.needed_packets(table, np.array([5])) == [(0, 7)]  # a leading picture of 7
    assert decoding.needed_packets(table, np.array([0, 12])) == [(0, 1), (9, 10)]
    assert decoding.needed_packets(table, np.arange(13)) is None


def damaged(path, place):
    """The file with the packet at that place of its stream overwritten."""
    with containers.open_file(path) as video:
        packets = list(timetable.packets(video, path))
        at, size = packets[place].pos, packets[place].size
    data = bytearray(path.read_bytes())
    data[at + 8 : at + size] = bytes(size - 8)
    path.write_bytes(data)
    return path


def test_a_damaged_frame_that_is_needed_is_told_after_those_before_it(tmp_path):
    path = encoded.write(tmp_path / "a.mp4", "mpeg4", 60, picture=encoded.moving, g=10)
    damaged(path, 30)
    found = []
    with pytest.raises(InputError, match=r"only \d+ of 60 frames can be decoded, none at 3\.00 s"):
        for frame in videos.frames(path, fps=1):
            found.append(frame.index)
    assert found[:3] == [0, 1, 2]
    with pytest.raises(InputError, match="can be decoded"):
        list(videos.frames(path, fps=10))


def test_a_damaged_frame_that_no_sample_needs_changes_nothing(tmp_path):
    path = encoded.write(tmp_path / "a.mp4", "mpeg4", 60, picture=encoded.moving, g=10)
    before = [f.image for f in videos.frames(path, fps=1)]
    damaged(path, 35)
    np.testing.assert_array_equal([f.image for f in videos.frames(path, fps=1)], before)
