from fractions import Fraction

import av
import numpy as np
import pytest

from jaxvlm.video.timecodes import clock_of, frame_at, rate_of, timecode


@pytest.mark.parametrize(
    ("fps", "per_second", "base", "drop"),
    [
        (25, Fraction(25), 25, False),
        (30.0, Fraction(30), 30, False),
        (29.97, Fraction(30000, 1001), 30, True),
        (Fraction(30000, 1001), Fraction(30000, 1001), 30, True),
        (59.94, Fraction(60000, 1001), 60, True),
        (23.976, Fraction(24000, 1001), 24, False),
        (15, Fraction(15), 15, False),
        (1, Fraction(1), 1, False),
        (12.37, Fraction(25), 25, False),  # no timecode counts so
    ],
)
def test_rates(fps, per_second, base, drop):
    assert rate_of(fps) == (per_second, base, drop)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_no_rate(fps):
    with pytest.raises(ValueError, match="above 0"):
        rate_of(fps)


@pytest.mark.parametrize(
    ("fps", "frame", "code"),
    [
        (25, 0, "00:00:00:00"),
        (25, 25 * 3600 + 49, "01:00:01:24"),
        (25, 24 * 3600 * 25, "00:00:00:00"),
        (23.976, 24 * 60, "00:01:00:00"),
        # SMPTE ST 12-1: ;00 and ;01 are skipped at a minute, not at a tenth one.
        (29.97, 1799, "00:00:59;29"),
        (29.97, 1800, "00:01:00;02"),
        (29.97, 3597, "00:01:59;29"),
        (29.97, 3598, "00:02:00;02"),
        (29.97, 17981, "00:09:59;29"),
        (29.97, 17982, "00:10:00;00"),
        (29.97, 107892, "01:00:00;00"),
        (59.94, 3600, "00:01:00;04"),
        (59.94, 215784, "01:00:00;00"),
    ],
)
def test_timecodes_by_hand(fps, frame, code):
    assert timecode(frame, rate_of(fps)) == code


@pytest.mark.parametrize(("fps", "base", "dropped"), [(29.97, 30, 2), (59.94, 60, 4)])
def test_drop_frame_counts_every_frame_once(fps, base, dropped):
    """Against numbers that are counted one by one and struck out."""
    labels = (
        f"00:{m:02d}:{s:02d};{f:02d}"
        for m in range(11)
        for s in range(60)
        for f in range(base)
        if not (s == 0 and f < dropped and m % 10)
    )
    rate = rate_of(fps)
    assert all(timecode(n, rate) == label for n, label in enumerate(labels))


def test_the_nearest_frame():
    assert frame_at(1.0, rate_of(29.97)) == 30  # 29.97 frames
    assert frame_at(3600.0, rate_of(29.97)) == 107892  # 107892.1 frames
    assert frame_at(0.5, rate_of(25)) == 13  # the later of two


def test_a_files_clock(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(45):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode())
    assert clock_of(path) == (rate_of(29.97), 45)
    assert clock_of(None, 24) == (rate_of(24), None)
    assert clock_of(None) == (rate_of(25), None)
    (tmp_path / "gone.mp4").write_text("no video")
    assert clock_of(tmp_path / "gone.mp4", 30) == (rate_of(30), None)
