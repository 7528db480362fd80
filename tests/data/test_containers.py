"""What a hostile or odd file may make the reader do: nothing but read itself, within bounds."""

import os
import pathlib
import shutil
import struct

import av
import numpy as np
import pytest

from jaxvlm.data import containers, videos
from jaxvlm.errors import InputError
from tests.data import encoded


@pytest.fixture
def secret(tmp_path):
    """A video outside the folder that is read."""
    return encoded.write(tmp_path / "outside" / "secret.mp4")


def playlists(secret):
    """Files that make an unguarded FFmpeg show the secret, or that it would take for a video."""
    return {
        "a.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
        "b.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "c.mkv": f"  ffconcat version 1.0\nfile {secret.name}\n",
        "d.mp4": "v=0\no=- 0 0 IN IP4 0.0.0.0\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "e.mp4": f'<?xml version="1.0"?><MPD><BaseURL>file://{secret}</BaseURL></MPD>',
        "f.mp4": f";FFMETADATA1\ntitle={secret}\n",
    }


@pytest.mark.parametrize("name", sorted(playlists(pathlib.Path("/x"))))
def test_a_playlist_with_a_videos_name_reads_no_other_file(tmp_path, secret, name):
    path = tmp_path / "in" / name
    path.parent.mkdir()
    path.write_text(playlists(secret)[name])
    with pytest.raises(InputError, match="playlist|no video that can be opened") as error:
        list(videos.frames(path))
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    if name == "a.mp4":  # what the guard is for: FFmpeg itself reads it
        with av.open(str(path), options={"safe": "0"}) as container:
            assert container.format.name == "concat"
            assert len(list(container.decode(video=0))) == 25


def alias(target):
    """A data reference to another file (QuickTime file format, alias record, type 2: a path)."""
    name = str(target).encode()
    record = bytes(10) + bytes([1]) + b"v" + bytes(26) + bytes(12)
    record += bytes([len(target.name)]) + target.name.encode().ljust(63, b"\0")
    record += bytes(16) + bytes(4) + bytes(16)
    record += struct.pack(">HH", 2, len(name)) + name + bytes(len(name) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    return lambda old: struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry


def test_a_track_in_another_file_is_not_read(tmp_path):
    outside = encoded.write(tmp_path / "outside" / "secret.mov")
    path = tmp_path / "in" / "a.mov"
    path.parent.mkdir()
    shutil.copy(outside, path)  # the encoder's threads seldom give other bytes for the same frames
    encoded.edit_box(path, b"dref", alias(outside), (b"moov", b"trak", b"mdia", b"minf", b"dinf"))
    data = path.read_bytes()
    start, stop = data.index(b"mdat") + 4, data.index(b"moov") - 4
    path.write_bytes(data[:start] + bytes(stop - start) + data[stop:])  # nothing of its own
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(str(path), options=options) as container:  # what the guard is for
        assert len(list(container.decode(video=0))) == 25
    with pytest.raises(InputError, match="zero frames|only 0 of 25|no video"):
        list(videos.frames(path, fps=10))


def test_a_name_is_a_path_and_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        "2024-01-01T12:30:00.mp4",
        "file:a.mp4",
        "concat:a|b.mp4",
        "%03d.mp4",
        "-.mp4",
        "a b.mp4",
    ]
    for name in names:
        encoded.write(tmp_path / "x.mp4").rename(tmp_path / name)
        assert len(list(videos.frames(name))) == 3


def test_a_name_that_is_not_utf_8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    encoded.write(tmp_path / "x.mp4").rename(path)
    assert len(list(videos.frames(path))) == 3
    os.truncate(path, 100)
    with pytest.raises(InputError, match="no video|cut short"):
        list(videos.frames(path))


def test_the_bound_on_pixels(tmp_path, monkeypatch):
    path = encoded.write(tmp_path / "a.mp4")
    monkeypatch.setattr(containers, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(
        InputError, match=r"a\.mp4: frames of 64 × 48 pixels, .*bound of 3,071; make"
    ):
        list(videos.frames(path))


def test_frames_that_grow_beyond_the_bound(tmp_path, monkeypatch):
    """The header may say less than a later frame has."""
    small = encoded.write(tmp_path / "a.h264", "libx264", 5)
    large = encoded.write(
        tmp_path / "b.h264", "libx264", 5, picture=lambda i: np.zeros((96, 128, 3), np.uint8)
    )
    both = tmp_path / "c.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    said = []
    sizes = [f.image.shape for f in videos.frames(both, fps=10, say=said.append)]
    assert sizes == 5 * [(48, 64, 3)] + 5 * [(96, 128, 3)]
    monkeypatch.setattr(containers, "MAX_PIXELS", 64 * 48)
    with pytest.raises(InputError, match="only [0-5] of 10 frames can be decoded"):
        list(videos.frames(both, fps=10, say=said.append))


def test_the_bound_on_packets(tmp_path, monkeypatch):
    path = encoded.write(tmp_path / "a.mp4")
    monkeypatch.setattr(containers, "MAX_PACKETS", 24)
    with pytest.raises(InputError, match=r"more than the bound of 24 frames; cut it"):
        list(videos.frames(path))


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    path = encoded.write(tmp_path / "a.mp4", count=40, picture=encoded.moving)

    class Broken:
        """A disk that fails behind the first kilobyte."""

        def __init__(self, file):
            self.file = file

        def read(self, size):
            if self.file.tell() > 1024:
                raise OSError(5, "Input/output error")
            return self.file.read(min(size, 512))

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

    monkeypatch.setattr(
        pathlib.Path, "open", lambda path, mode, **options: Broken(open(path, mode, **options))
    )
    with pytest.raises(InputError, match="Input/output error"):
        list(videos.frames(path))
