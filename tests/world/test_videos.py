"""Videos of the world: what is written beside them is what they show."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from jaxvlm.data import videos as readers
from jaxvlm.errors import InputError
from jaxvlm.world import splits, videos
from jaxvlm.world.laws import events_of
from jaxvlm.world.storyboard import random_storyboard
from jaxvlm.world.videos import SPLITS, WorldVideo
from jaxvlm.world.vocabulary import ATOMS, EVENTS
from tests.listing import visible


def short_video(seed: int = 0, name: str = "short", events=("riot",)) -> WorldVideo:
    """Eight seconds, which is 32 frames."""
    return WorldVideo(name, 72, random_storyboard(np.random.default_rng(seed), events, 8.0))


def test_a_video_is_fixed_by_seed_split_and_index():
    assert videos.world_video(3, "test", 1) == videos.world_video(3, "test", 1)
    others = [(4, "test", 1), (3, "train", 1), (3, "test", 2)]
    assert all(
        videos.world_video(*o).shots != videos.world_video(3, "test", 1).shots for o in others
    )


def test_splits_share_no_scene_and_no_actor():
    seeds = {
        split: {
            number
            for index in range(20)
            for shot in videos.world_video(0, split, index).shots
            for number in (shot.scene.seed, *(actor.seed for actor in shot.scene.actors))
        }
        for split in SPLITS
    }
    for one, other in itertools.combinations(SPLITS, 2):
        assert not seeds[one] & seeds[other]
    assert all(len(found) > 100 for found in seeds.values())


def test_how_often_videos_are_normal():
    counts = []
    for index in range(200):
        video = videos.world_video(0, "train", index)
        assert video.name == f"train_{index:04d}" and 72 <= video.size <= 128
        assert 40 <= video.shots[-1].end <= 60
        happening = [events_of([a.name for a in shot.scene.actors]) for shot in video.shots]
        counts.append(sum(map(len, happening)))
    # Three standard deviations of 200 draws are 0.1.
    for number, share in enumerate((0.30, 0.45, 0.25)):
        assert abs(counts.count(number) / 200 - share) < 0.1


def test_same_seed_same_pixels():
    def pixels(seed):
        return np.stack([image for _, image, _ in videos.render_video(short_video(seed))])

    first = pixels(0)
    assert first.shape == (32, 72, 72, 3)
    np.testing.assert_array_equal(pixels(0), first)
    assert (pixels(1) != first).any(axis=(1, 2, 3)).all()


def test_at_half_the_rate_every_other_frame_has_the_same_truth(tmp_path):
    video = short_video()
    whole = videos.write_video(video, tmp_path / "whole.mp4")
    half = videos.write_video(video, tmp_path / "half.mp4", 2.0)
    assert half.times.tolist() == [0.5 * k for k in range(16)]
    np.testing.assert_array_equal(half.atoms, whole.atoms[::2])
    assert [frame.time_seconds for frame in readers.frames(tmp_path / "half.mp4", fps=1.0)] == [
        float(second) for second in range(8)
    ]
    told = splits.intervals("half", half, 2.0)
    ends = splits.intervals("whole", whole)
    assert told["event"].tolist() == ends["event"].tolist()
    assert np.abs(told["start_seconds"] - ends["start_seconds"]).max() <= 0.25


def test_a_written_video_reads_back_as_it_was_rendered(tmp_path):
    video = short_video()
    truth = videos.write_video(video, tmp_path / "short.mp4")
    rendered = list(videos.render_video(video))
    read = list(readers.frames(tmp_path / "short.mp4", fps=videos.FILE_FPS))
    assert [frame.time_seconds for frame in read] == [time for time, _, _ in rendered]
    assert truth.times.tolist() == [0.25 * k for k in range(32)]
    got = np.stack([frame.image for frame in read]).astype(float)
    expected = np.stack([image for _, image, _ in rendered]).astype(float)
    errors = np.abs(got[:, None] - expected[None]).mean((2, 3, 4))
    assert errors.diagonal().max() < 12  # grey levels: camera noise and compression
    nearest = errors.argmin(1)  # frames of one shot look alike; those of others do not
    cut_of = [next(s.start for s in video.shots if s.start <= 0.25 * k < s.end) for k in range(32)]
    assert [cut_of[k] for k in nearest] == cut_of
    assert (nearest == np.arange(32)).mean() > 0.8
    assert visible(tmp_path) == ["short.mp4"]


def test_one_frame_per_second_is_every_fourth(tmp_path):
    videos.write_video(short_video(), tmp_path / "short.mp4")
    every = [f.image for f in readers.frames(tmp_path / "short.mp4", fps=4)]
    seconds = [f.image for f in readers.frames(tmp_path / "short.mp4", fps=1)]
    np.testing.assert_array_equal(np.stack(seconds), np.stack(every[::4]))


def test_the_truth_is_what_is_visible():
    video = short_video(5, events=("riot", "abuse"))
    rendered = list(videos.render_video(video))
    assert any(events_of(names) for _, _, names in rendered)
    cast = {actor.name for shot in video.shots for actor in shot.scene.actors}
    assert {name for _, _, names in rendered for name in names} <= cast


def test_truth_atoms_and_events_follow_the_frames(tmp_path):
    video = short_video(5, events=("riot", "abuse"))
    truth = videos.write_video(video, tmp_path / "a.mp4")
    assert truth.atoms.shape == (32, len(ATOMS)) and truth.events.shape == (32, len(EVENTS))
    held = np.zeros_like(truth.events)
    for t, (_, _, names) in enumerate(videos.render_video(video)):
        assert {ATOMS[c] for c in np.flatnonzero(truth.atoms[t])} == set(names) & set(ATOMS)
        for event in events_of(names):
            held[t, EVENTS.index(event)] = 1
    # Only holes of less than a second (four frames) may be filled.
    assert (truth.events >= held).all()
    for e, t in np.argwhere((truth.events > held).T):
        assert held[max(t - 3, 0) : t, e].any() and held[t + 1 : t + 4, e].any()
    assert {EVENTS[e] for e in np.flatnonzero(held.any(0))} == {"riot", "abuse"}


def test_a_failed_encoding_leaves_the_earlier_video(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    videos.write_video(short_video(), path)
    before = path.read_bytes()

    def breaks(video, fps):
        yield from itertools.islice(render(video, fps), 3)
        raise KeyboardInterrupt

    render = videos.render_video
    monkeypatch.setattr(videos, "render_video", breaks)
    with pytest.raises(KeyboardInterrupt):
        videos.write_video(short_video(1), path)
    assert path.read_bytes() == before and visible(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(
    ("track", "filled"),
    [
        ("", ""),
        ("0000", "0000"),
        ("1010", "1110"),
        ("10001", "11111"),  # hidden for three quarters of a second
        ("100001", "100001"),  # hidden for a second
        ("0100100001010", "0111100001110"),
        ("1", "1"),
        ("0110", "0110"),
    ],
)
def test_close_gaps_at_four_frames_per_second(track, filled):
    events = np.array([[int(c), 0] for c in track], np.uint8).reshape(-1, 2)
    before = events.copy()
    result = videos.close_gaps(events, fps=4.0)
    assert "".join(map(str, result[:, 0])) == filled and not result[:, 1].any()
    np.testing.assert_array_equal(events, before)


def test_the_length_of_a_gap_is_in_seconds():
    events = np.array([[1], [0], [1]], np.uint8)
    assert videos.close_gaps(events, fps=2.0).ravel().tolist() == [1, 1, 1]  # half a second
    assert videos.close_gaps(events, fps=1.0).ravel().tolist() == [1, 0, 1]  # one second


def test_a_path_that_opencv_cannot_write_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"caf.xe9.a.mp4: a path that is not UTF-8"):
        videos.write_video(None, tmp_path / os.fsdecode(b"caf\xe9") / "a.mp4")


def test_processes_that_draw_import_neither_jax_nor_pandas():
    program = (
        "import sys, jaxvlm.world.videos; print({'jax', 'pandas'} & set(sys.modules) or 'neither')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout == "neither\n"
