"""Worlds of presences on disk: what is read back, and that a stored video is the video."""

import dataclasses

import numpy as np
import pytest

from benchmarks import rule_worlds
from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.world import videos
from jaxvlm.world.laws import LAWS, events_of
from jaxvlm.world.scene import render

COUNTS = {"train": 2, "test": 1}
SEED = 6  # its test video 0 is of two events


@pytest.fixture(scope="module")
def eyes():
    return rule_worlds.embedded_eyes()


@pytest.fixture(scope="module")
def made(eyes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return folder, rule_worlds.make_world(folder, eyes, "specific", SEED, COUNTS)


def test_a_world_is_complete(made, eyes):
    _, world = made
    assert (world.law, world.seed, world.atoms) == ("specific", SEED, eyes.ontology.atoms)
    assert [v.name for v in world.train] == ["train_0000", "train_0001"]
    assert set(world.storyboards) == {"train_0000", "train_0001", "test_0000"}
    for video in (*world.train, *world.test):
        length = int(world.storyboards[video.name].shots[-1].end)
        assert video.times.tolist() == list(range(length))
        for rows in (video.presence, video.segment_presence, video.image_presence):
            assert rows.shape == (length, len(world.atoms)) and 0 <= rows.min() < rows.max() <= 1
        assert not np.allclose(video.presence, video.image_presence, atol=0.1)
        np.testing.assert_allclose(np.linalg.norm(video.embeddings, axis=1), 1.0, rtol=1e-5)
    assert rule_worlds.labels(world.test).tolist() == [world.test[0].events.any(axis=0).tolist()]


def test_the_truth_is_of_the_frames_and_of_the_law(made):
    _, world = made
    held = 0
    for video in (*world.train, *world.test):
        board = world.storyboards[video.name]
        for time, atoms, events in zip(video.times, video.atoms, video.events, strict=True):
            shot = next(s for s in board.shots if s.start <= time < s.end)
            seen = render(shot.scene, float(time), board.size).visible
            assert {world.atoms[c] for c in np.flatnonzero(atoms)} == set(seen) & set(world.atoms)
            true = {world.events[e] for e in np.flatnonzero(events)}
            assert true == set(events_of(seen, "specific"))
            held += len(true)
    assert held > 10


def test_a_storyboard_is_the_video_to_the_last_bit(made):
    _, world = made
    for name, board in world.storyboards.items():
        split, index = name.split("_")
        assert board == videos.world_video(SEED, split, int(index), "specific")


def test_a_video_seen_again_has_the_same_presences(made, eyes):
    """Whatever it is encoded beside: the blocks are others."""
    _, world = made
    again = rule_worlds.see(eyes, [world.storyboards["train_0001"], world.storyboards["test_0000"]])
    for one, other in zip(again, (world.train[1], world.test[0]), strict=True):
        for field in ("presence", "segment_presence", "image_segment_presence", "embeddings"):
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), atol=2e-6)


def test_a_world_is_read_where_it_is_and_refused_where_it_is_another(made, eyes, monkeypatch):
    folder, world = made

    def draws(*_):
        raise AssertionError("it was rendered again")

    monkeypatch.setattr(rule_worlds, "see", draws)
    again = rule_worlds.make_world(folder, eyes, "specific", SEED, COUNTS)
    assert again.storyboards == world.storyboards
    np.testing.assert_array_equal(again.test[0].presence, world.test[0].presence)
    other = eyes._replace(config=dataclasses.replace(eyes.config, fps=2.0))
    for counts, own in (({"train": 2, "test": 2}, eyes), (COUNTS, other)):
        with pytest.raises(InputError, match=f"specific_{SEED}: made otherwise"):
            rule_worlds.make_world(folder, own, "specific", SEED, counts)
    with pytest.raises(InputError, match="law 'linear': unknown"):
        rule_worlds.make_world(folder, eyes, "linear", SEED, COUNTS)


@pytest.mark.parametrize("law", LAWS)
def test_a_storyboard_survives_json(tmp_path, law):
    video = videos.world_video(3, "validation", 4, law)
    files.write_json(tmp_path / "v.json", rule_worlds.stored(video))
    assert rule_worlds.video_of(files.read_json(tmp_path / "v.json")) == video
