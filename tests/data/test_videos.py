"""Videos are written with OpenCV, and their bytes edited where OpenCV cannot write the case."""

import struct
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm.data import images, videos
from jaxvlm.errors import InputError

SIZE = 48


def write_video(path, count=25, *, fps=10, codec="mp4v", noise=False):
    """Frame i is grey of level 10·i, or noise, which compresses badly enough to be cut apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (SIZE, SIZE))
    for i in range(count):
        level = rng.integers(0, 256, (SIZE, SIZE, 3)) if noise else 10 * i
        writer.write(np.full((SIZE, SIZE, 3), level, np.uint8))
    writer.release()
    return path


def levels(path, fps):
    """Which of the grey frames were read."""
    return [round(f.image.mean() / 10) for f in videos.frames(path, fps=fps)]


def edit_frame_durations(path, milliseconds):
    """Gives the frames of an mp4 these durations: rewrites its time table (ISO 14496-12 §8.6.1)."""
    data = bytearray(path.read_bytes())
    (scale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    at = data.index(b"stts") - 4
    (old,) = struct.unpack_from(">I", data, at)
    table = struct.pack(">II", 0, len(milliseconds))
    for duration in milliseconds:
        table += struct.pack(">II", 1, duration * scale // 1000)
    new = struct.pack(">I4s", 8 + len(table), b"stts") + table
    data[at : at + old] = new
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = data.index(box) - 4
        struct.pack_into(
            ">I", data, place, struct.unpack_from(">I", data, place)[0] + len(new) - old
        )
    # Not the edit list: it would cut at the old duration.
    path.write_bytes(data.replace(b"edts", b"free"))


def trim(path, first_frame, seconds, fps):
    """Makes an mp4 show only a part of its frames, as a phone's trimming does (edit list)."""
    data = bytearray(path.read_bytes())
    (movie,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    (scale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    struct.pack_into(
        ">II", data, data.index(b"elst") + 12, round(seconds * movie), first_frame * scale // fps
    )
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        ([0, 0.1, 0.2, 0.3, 0.4], 10, [0, 1, 2, 3, 4]),
        ([0, 0.1, 0.2, 0.3, 0.4], 5, [0, 2, 4]),
        ([0, 0.1, 0.2], 20, [0, 0, 1, 1, 2]),  # faster than the video: frames repeat
        ([0, 0.4, 0.9, 1.1, 4.05], 1, [0, 2, 3, 3, 3]),  # a pause: the frame before it stays
        ([0, 0.033, 0.067, 0.1], 30, [0, 1, 2, 3]),  # Matroska's rounded times
        ([0.5, 1.5], 1, [0, 0]),  # nothing is shown yet at 0
        ([0], 1, [0]),
        ([], 1, []),
    ],
)
def test_sample_times(times, fps, expected):
    assert videos.sample_times(np.array(times), fps).tolist() == expected


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_sampling_rate_must_be_positive(fps):
    with pytest.raises(InputError, match="--fps"):
        videos.sample_times(np.arange(3), fps)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mp4v"),
        ("a.avi", "MJPG"),
        ("a.avi", "XVID"),
        ("a.mkv", "mp4v"),
    ],
)
def test_frames_of_every_container(tmp_path, name, codec):
    path = write_video(tmp_path / name, codec=codec)
    assert levels(path, 1) == [0, 10, 20]
    assert levels(path, 10) == list(range(25))
    assert [f.time_seconds for f in videos.frames(path, fps=2)] == [0, 0.5, 1, 1.5, 2]
    first = next(videos.frames(path))
    assert first.image.shape == (SIZE, SIZE, 3) and first.image.dtype == np.uint8


def test_channels_are_red_green_blue(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 1, (64, 64))
    writer.write(np.full((64, 64, 3), (0, 0, 255), np.uint8))  # red, as OpenCV writes it
    writer.release()
    red, green, blue = next(videos.frames(tmp_path / "a.avi")).image.mean(axis=(0, 1))
    assert red > 200 and green < 50 and blue < 50


def test_variable_frame_rate(tmp_path):
    path = write_video(tmp_path / "a.mp4", 8)
    edit_frame_durations(path, [100, 100, 1900, 300, 700, 100, 100, 100])
    # Shown from 0, .1, .2, 2.1, 2.4, 3.1, 3.2, 3.3 seconds.
    assert levels(path, 1) == [0, 2, 2, 4]
    assert levels(path, 2) == [0, 2, 2, 2, 2, 4, 4]


def test_trimmed_mp4_is_complete(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    trim(path, first_frame=5, seconds=1, fps=10)
    assert levels(path, 10) == list(range(5, 15))


def test_extract_frames_writes_pictures_and_index(tmp_path):
    video = write_video(tmp_path / "clip.mp4")
    result = videos.extract_frames(video, tmp_path / "out", fps=2)
    assert result == (tmp_path / "out", 5, 2.0)
    names = [p.name for p in images.list_images(tmp_path / "out")]
    assert names == [f"{i:06d}.jpg" for i in range(5)]
    table = pd.read_csv(tmp_path / "out" / "index.csv")
    assert table["frame"].tolist() == [0, 1, 2, 3, 4]
    assert table["timecode"].tolist()[1] == "00:00:00.500"
    assert images.index_times(tmp_path / "out").tolist() == [0, 0.5, 1, 1.5, 2]
    assert abs(images.read_image(tmp_path / "out" / "000003.jpg").mean() - 150) < 3


def test_extract_frames_again_replaces_only_frames(tmp_path):
    video = write_video(tmp_path / "clip.mp4")
    videos.extract_frames(video, tmp_path / "out", fps=2)
    videos.extract_frames(video, tmp_path / "out", fps=1)
    assert len(images.list_images(tmp_path / "out")) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(InputError, match="mine: holds notes.txt, which jaxvlm did not write"):
        videos.extract_frames(video, tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00.000"),
        (12.3456, "00:00:12.346"),
        (3599.9996, "01:00:00.000"),
        (90_061.5, "25:01:01.500"),
    ],
)
def test_timecode(seconds, text):
    assert videos.timecode(seconds) == text


def no_video(path):
    path.write_text("not a video\n" * 100)


def cut(path, keep=0.6, **options):
    data = write_video(path, noise=True, **options).read_bytes()
    path.write_bytes(data[: int(keep * len(data))])


def damage(path, **options):
    """Overwrites the pictures in the middle; what comes before and after stays."""
    data = bytearray(write_video(path, noise=True, **options).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(data)


def empty_avi(path):
    write_video(path, 0, codec="MJPG")


def moved_index(path):
    """An mp4 with its index first (as for streaming), then cut: it opens, but ends early."""
    data = write_video(path, noise=True).read_bytes()
    at = data.index(b"mdat") - 4
    moov = data.index(b"moov") - 4
    index = bytearray(data[moov:])
    table = index.index(b"stco")
    (count,) = struct.unpack_from(">I", index, table + 8)
    for i in range(count):
        place = table + 12 + 4 * i
        struct.pack_into(">I", index, place, struct.unpack_from(">I", index, place)[0] + len(index))
    whole = data[:at] + index + data[at:moov]
    path.write_bytes(whole)
    assert len(list(videos.frames(path, fps=10))) == 25
    path.write_bytes(whole[: int(0.6 * len(whole))])


BAD = {
    "text.mp4": (no_video, "no video that can be opened"),
    "cut.mp4": (cut, "cut short, none of its frames"),
    "cut_late.mp4": (moved_index, "cut short, only [0-9]+ of 25 frames"),
    "cut.avi": (lambda p: cut(p, codec="MJPG"), "cut short, only [0-9]+ of 25 frames"),
    "cut.mkv": (lambda p: cut(p, codec="mp4v"), "cut short, only [0-9]+ of 25 frames"),
    "zero.avi": (empty_avi, "zero frames"),
    "empty.mp4": (lambda p: p.write_bytes(b""), "no video that can be opened"),
    "damaged.mp4": (damage, "only [0-9]+ of 25 frames can be decoded, none at [01].[0-9]+ s"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_video_is_one_line_and_leaves_earlier_frames(tmp_path, name):
    make, cause = BAD[name]
    out = tmp_path / "out"
    videos.extract_frames(write_video(tmp_path / "good.mp4"), out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    make(tmp_path / name)
    with pytest.raises(InputError, match=cause) as error:
        videos.extract_frames(tmp_path / name, out, fps=10)  # needs every frame
    message = str(error.value)
    assert message.startswith(f"{tmp_path / name}: ") and "\n" not in message and ";" in message
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert sorted(p.name for p in tmp_path.glob("[!.]*")) == sorted(["good.mp4", name, "out"])


def test_bad_videos_are_quiet(tmp_path):
    names = ("cut.mp4", "cut.mkv", "text.mp4", "damaged.mp4")
    for name in names:
        BAD[name][0](tmp_path / name)
    # In a new process: FFmpeg's level is read once, here already by the writer.
    program = """
import sys
from jaxvlm.data import videos
for path in sys.argv[1:]:
    try:
        list(videos.frames(path, fps=10))
    except videos.InputError:
        print("bad")
"""
    result = subprocess.run(
        [sys.executable, "-c", program, *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("bad\n" * len(names), "")


def test_missing_video(tmp_path):
    with pytest.raises(InputError, match="nothing.mp4: no such file"):
        list(videos.frames(tmp_path / "nothing.mp4"))


def test_one_bad_video_of_a_folder_is_skipped(tmp_path):
    write_video(tmp_path / "in" / "b.mp4")
    no_video(tmp_path / "in" / "a.mp4")
    write_video(tmp_path / "in" / "sub" / "c.avi", codec="MJPG")
    (tmp_path / "in" / "notes.txt").write_text("no video, not reported")
    result = videos.extract_folder(tmp_path / "in", tmp_path / "out")
    assert [(r.folder.name, r.frames) for r in result.done] == [("b", 3), ("c", 3)]
    assert len(result.failures) == 1 and "a.mp4" in result.failures[0]
    assert images.list_video_folders(tmp_path / "out").folders == [r.folder for r in result.done]


def test_one_file_is_a_folder_of_one(tmp_path):
    result = videos.extract_folder(write_video(tmp_path / "b.mp4"), tmp_path / "out")
    assert result.done == [(tmp_path / "out" / "b", 3, 2.0)] and result.failures == []


@pytest.mark.parametrize("names", [("a.mp4", "a.avi"), ("x/a.mp4", "x/a.avi")])
def test_two_videos_of_one_name(tmp_path, names):
    for name in names:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        no_video(path)
    with pytest.raises(InputError, match="same name") as error:
        videos.extract_folder(tmp_path / "in", tmp_path / "out")
    assert all(str(tmp_path / "in" / name) in str(error.value) for name in names)
    assert not (tmp_path / "out").exists()


def test_folder_without_videos(tmp_path):
    with pytest.raises(InputError, match="no video in this folder"):
        videos.extract_folder(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="no such file or folder"):
        videos.extract_folder(tmp_path / "nowhere", tmp_path / "out")


def test_times_of_all_frames(tmp_path):
    path = tmp_path / "v.mp4"
    write_video(path, 12, fps=10)
    np.testing.assert_allclose(videos.frame_times(path), np.arange(12) / 10, atol=2e-3)


def test_videos_of_one_name_in_two_folders_are_two(tmp_path):
    for name in ("x", "y"):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_video(tmp_path / "in" / name / "a.mp4")
    result = videos.extract_folder(tmp_path / "in", tmp_path / "out")
    assert [r.folder for r in result.done] == [tmp_path / "out" / n / "a" for n in ("x", "y")]
    assert images.list_video_folders(tmp_path / "out").folders == [r.folder for r in result.done]
