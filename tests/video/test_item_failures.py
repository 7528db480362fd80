"""The system may refuse anything at any time: then one video fails and the others do not."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from jaxvlm import clip, files, outputs
from jaxvlm.data import images, videos
from jaxvlm.errors import DiskError
from jaxvlm.resources import path as resource
from jaxvlm.video import pipeline, scored_folder, scoring
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import videos as world

DISK = OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos of one shot."""
    folder = tmp_path_factory.mktemp("videos")
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:1]), folder / "a.mp4")
    shutil.copy(folder / "a.mp4", folder / "b.mp4")
    return folder


def failing(function, name, *, error=DISK):
    """The function, but an OSError where an argument is of the item of this name."""

    def called(*arguments, **options):
        if any(name in str(argument) for argument in arguments):
            raise error
        return function(*arguments, **options)

    return called


def test_frames_of_the_other_video_are_extracted(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(videos, "frames", failing(videos.frames, "a.mp4"))
    result = videos.extract_folder(folder, tmp_path / "out")
    assert [done.folder.name for done in result.done] == ["b"]
    assert result.failures == [f"{folder / 'a.mp4'}: Input/output error; check the disk"]


def test_a_disk_that_fills_ends_all_and_names_the_folder(folder, tmp_path, monkeypatch):
    """An error of NumPy's tofile has no number, and was taken for the item's own."""
    write = Path.write_bytes

    def full(path, content):
        if path.suffix == ".jpg":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskError, match="out/a: cannot be written .No space left on device"):
        videos.extract_folder(folder, tmp_path / "out")
    assert not (tmp_path / "out" / "a").exists()


def test_a_name_that_leaves_no_room_beside_it(folder, tmp_path):
    """A file may have 255 bytes, and so may the folder of its frames."""
    long = folder.with_name("long")
    long.mkdir()
    shutil.copy(folder / "a.mp4", long / ("x" * 251 + ".mp4"))
    shutil.copy(folder / "a.mp4", long / "short.mp4")
    result = videos.extract_folder(long, tmp_path / "out")
    assert result.failures == [] and len(result.done) == 2


@pytest.mark.parametrize("stage", ["decode", "write"])
def test_the_other_video_is_scored(folder, tmp_path, monkeypatch, stage):
    encoder = clip.make_encoder(clip.load(resource("checkpoints/clip")), batch_size=4)
    scorer = scoring.make_scorer(encoder, load_role_model(resource("checkpoints/roles")))
    if stage == "decode":
        see = failing(scored_folder.see_video, "a.mp4")
        monkeypatch.setattr(scored_folder, "see_video", see)
    else:
        monkeypatch.setattr(files, "write_csv", failing(files.write_csv, "/a/"))
    result = scored_folder.score_videos(folder, tmp_path / "out", scorer)
    assert [video.name for video in result.videos] == ["b"]
    assert result.failures == [f"{folder / 'a.mp4'}: Input/output error; check the disk"]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((outputs, "require_replaceable"), "/b9"),
        ((images, "index_times"), "/b9"),
        ((pipeline, "write_run"), "/b9"),
    ],
    ids=["look", "times", "write"],
)
def test_the_other_folder_of_frames_is_run(run, monkeypatch, place, name):
    module, attribute = place
    monkeypatch.setattr(module, attribute, failing(getattr(module, attribute), name))
    result = run()
    assert result.done == ["b10"]
    (line,) = result.failures
    assert line.startswith("b9: ") and line.endswith("Input/output error; check the disk")
