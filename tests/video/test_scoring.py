"""A video file to events: what is read, what is told meanwhile, what is written."""

import tracemalloc

import cv2
import numpy as np
import pandas as pd
import pytest

from jaxvlm import clip, files
from jaxvlm.data import videos as data_videos
from jaxvlm.errors import InputError
from jaxvlm.resources import path as resource
from jaxvlm.video import scored_folder, scoring
from jaxvlm.video.role_model import load_role_model
from jaxvlm.world import videos as world


@pytest.fixture(scope="module")
def scorer():
    """The encoder and the role model that ship."""
    encoder = clip.make_encoder(clip.load(resource("checkpoints/clip")), batch_size=4)
    return scoring.make_scorer(encoder, load_role_model(resource("checkpoints/roles")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two shots, 25 seconds, and something that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    whole = world.world_video(3, "train", 1)
    world.write_video(whole._replace(shots=whole.shots[:2]), folder / "clip.mp4")
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_progress_is_told_frame_by_frame_and_the_result_is_that_of_the_presence(scorer, folder):
    told = []
    video = scoring.score_video(
        scorer, folder / "clip.mp4", on_progress=lambda *counts: told.append(counts)
    )
    assert told == [("clip", n, 25) for n in range(1, 26)]
    np.testing.assert_array_equal(video.times, np.arange(25.0))
    again = scorer.roles.probability(video.segment_presence)
    np.testing.assert_array_equal(video.probability, again)
    low = scoring.score_video(scorer, folder / "clip.mp4", threshold=0.05)
    assert len(low.events) > 0
    for event in low.events:
        e = scorer.roles.events.index(event.event)
        inside = (video.times >= event.start_seconds) & (video.times < event.end_seconds)
        assert event.probability == pytest.approx(video.probability[inside, e].max())
        assert video.times[inside][0] <= event.peak_seconds <= video.times[inside][-1]


def test_pictures_are_kept_only_of_what_is_found(scorer, folder):
    """The right ones, though they are read again; and none where nothing is found."""
    path, fps = folder / "clip.mp4", scorer.roles.config.fps
    frames = {frame.time_seconds: frame.image for frame in data_videos.frames(path, fps=fps)}
    found = scoring.score_video(scorer, path, threshold=0.05).findings
    shown = [picture for finding in found for picture in finding.thumbnails]
    assert shown
    for picture in shown:
        whole = frames[picture.seconds]
        small = cv2.resize(whole, picture.image.shape[1::-1], interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(picture.image, small)
        assert max(picture.image.shape) == min(160, max(whole.shape))


def test_memory_does_not_grow_with_the_pictures_of_a_video(scorer, tmp_path):
    """A frame of 320 x 240 kept as a picture of 160 x 120 has 57,600 bytes; without it, 512 of its
    embedding and some of its presence are left. A batch more that waits at the peak has 2.4 MB: the
    longer video is long enough for that to be little."""
    pixels = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    peaks = {}
    for count in (24, 24, 264):  # the first compiles
        path = tmp_path / f"{count}.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 1.0, (320, 240))
        for shift in range(count):
            writer.write(np.roll(pixels, shift, axis=1))
        writer.release()
        tracemalloc.start()
        video = scoring.score_video(scorer, path, threshold=1.0)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(video.times) == count and video.findings == ()
    assert (peaks[264] - peaks[24]) / 240 < 20_000


def test_a_folder_leaves_tables_and_a_record_of_its_own_encoding(scorer, folder, tmp_path):
    for out in ("first", "second"):
        result = scored_folder.score_videos(folder, tmp_path / out, scorer)
        assert [video.name for video in result.videos] == ["clip"]
        assert len(result.failures) == 1 and "broken.mp4" in result.failures[0]
        assert files.read_json(tmp_path / out / "run.json")["encoding"]["encoded"] == 25
    table = pd.read_csv(tmp_path / "first" / "clip" / "events.csv")
    assert list(table) == ["frame", "time_seconds", *scorer.roles.events] and len(table) == 25
    np.testing.assert_allclose(
        table[list(scorer.roles.events)], result.videos[0].probability, rtol=1e-5, atol=1e-9
    )
    assert result.notes == []
    event = scorer.roles.events[0]
    rows = f"clip,{event},0,1\nclib,{event},0,1\n"
    table = tmp_path / "intervals.csv"
    table.write_text(f"video_id,event,start_seconds,end_seconds\n{rows}")
    result = scored_folder.score_videos(folder, tmp_path / "second", scorer, intervals_csv=table)
    assert result.notes == [
        f"{table}: no such video here: 'clib' (did you mean 'clip'?); its intervals are not used"
    ]
    with pytest.raises(InputError, match="broken.mp4"):
        scored_folder.score_videos(folder / "broken.mp4", tmp_path / "third", scorer)
    assert not (tmp_path / "third").exists()


def test_a_video_called_like_a_result_is_skipped(scorer, folder, tmp_path):
    """It once ended the run after all the work, and every later run into the folder."""
    (tmp_path / "videos").mkdir()
    for name in ("clip.mp4", "report.html.mp4", "run.json.mp4"):
        (tmp_path / "videos" / name).symlink_to(folder / "clip.mp4")
    result = scored_folder.score_videos(tmp_path / "videos", tmp_path / "out", scorer)
    assert [video.name for video in result.videos] == ["clip"]
    assert len(result.failures) == 2 and all("which is taken" in f for f in result.failures)
    assert (tmp_path / "out" / "run.json").is_file()
