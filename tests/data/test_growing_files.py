"""A video that is watched while it is written."""

import threading

import numpy as np
import pytest

from jaxvlm.data import streams, videos
from jaxvlm.errors import InputError
from tests.data import encoded


def frames_of(path, pause):
    return list(streams.source_frames(str(path), fps=2.0, follow=True, pause=pause))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("growing") / "whole.ts"
    encoded.write(path, count=30)
    return path


def test_what_comes_later_is_read_too(whole, tmp_path):
    data, path = whole.read_bytes(), tmp_path / "growing.ts"
    parts = np.array_split(np.frombuffer(data, np.uint8), 7)
    path.write_bytes(parts[0].tobytes())
    left = list(parts[1:])

    def pause(seconds):  # whoever waits at the end of the file gets the next part
        if not left:
            return True
        with path.open("ab") as file:
            file.write(left.pop(0).tobytes())
        return False

    found, expected = frames_of(path, pause), list(videos.frames(whole, fps=2.0))
    assert [f.index for f in found] == [f.index for f in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_a_file_that_does_not_grow_for_a_while_is_over(whole):
    waited = []
    found = frames_of(whole, lambda seconds: waited.append(seconds))
    assert len(found) == len(list(videos.frames(whole, fps=2.0)))
    assert 9 <= sum(waited) <= 11  # bounds.SILENCE_SECONDS


def test_who_stops_does_not_wait(whole):
    stop = threading.Event()
    stop.set()
    assert len(frames_of(whole, stop.wait)) > 0


def test_an_mp4_without_its_table_is_refused(tmp_path):
    path = tmp_path / "recording.mp4"
    encoded.write(path, count=30)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])  # as it is while it is recorded
    with pytest.raises(InputError, match="recording.mp4: cannot be read while it is written"):
        frames_of(path, lambda seconds: True)


def test_a_file_of_which_nothing_can_be_decoded_is_told(whole, tmp_path):
    path = tmp_path / "broken.ts"
    packets = np.frombuffer(whole.read_bytes(), np.uint8).reshape(-1, 188).copy()
    video = ((packets[:, 1] & 0x1F).astype(int) << 8 | packets[:, 2]) == 256  # the stream's id
    packets[video, 40:] = 0xFF
    path.write_bytes(packets.tobytes())
    with pytest.raises(InputError, match="broken.ts: "):
        frames_of(path, lambda seconds: False)


def test_only_a_file_can_be_followed():
    with pytest.raises(InputError, match="--follow: is for a file"):
        next(iter(streams.source_frames("http://host/stream", follow=True)))
