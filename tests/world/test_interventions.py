"""A video rendered again without a thing, or with one more: nothing else changes."""

import math

import numpy as np
import pytest

from jaxvlm.errors import InputError
from jaxvlm.world import interventions, videos
from jaxvlm.world.laws import LAWS, events_of
from jaxvlm.world.scene import Actor, Camera, Scene
from jaxvlm.world.storyboard import Shot, random_storyboard
from jaxvlm.world.videos import WorldVideo


def board(law: str, seed: int, events=("explosion",)) -> WorldVideo:
    """Nine seconds."""
    shots = random_storyboard(np.random.default_rng(seed), events, 9.0, law)
    return WorldVideo("short", 72, shots, law)


def extent(actor: Actor, shot: Shot, time: float, size: int) -> np.ndarray:
    """[S, S] the actor's square, wherever it swings, and what blur and shake spread of it."""
    camera = shot.scene.camera
    reach = 0.0 if camera.blur == 0 else 4 * camera.blur * size / 96
    margin = math.ceil(reach + camera.shake * size) + 2
    moved = abs(actor.velocity_x) * (time - actor.start)  # at most 0.25, see `scene`
    half = actor.size * size / 2 + min(moved, 0.25) * size + margin
    rows, columns = np.indices((size, size))
    return (abs(columns - actor.x * size) <= half) & (abs(rows - actor.y * size) <= half)


def frames(video: WorldVideo, fps: float = 2.0) -> list:
    return list(videos.render_video(video, fps))


def check_only_there(before: WorldVideo, after: WorldVideo, actors: list[tuple[Shot, Actor]]):
    """The frames differ within the actors' extent alone, and do differ somewhere."""
    changed = 0
    for (time, one, _), (_, other, _) in zip(frames(before), frames(after), strict=True):
        allowed = np.zeros(one.shape[:2], bool)
        for shot, actor in actors:
            if shot.start <= time < shot.end and actor.start <= time < actor.end:
                allowed |= extent(actor, shot, time, before.size)
        differs = (one != other).any(axis=-1)
        assert not (differs & ~allowed).any(), time
        changed += differs.sum()
    assert changed > 0


@pytest.mark.parametrize("seed", range(4))
def test_without_an_atom_all_pixels_elsewhere_are_the_same(seed):
    video = board("specific", seed)
    cast = [(shot, actor) for shot in video.shots for actor in shot.scene.actors]
    for name in sorted({actor.name for _, actor in cast}):
        again = interventions.without_atom(video, name)
        assert interventions.shows(video, name) and not interventions.shows(again, name)
        assert all(name not in seen for _, _, seen in frames(again))
        check_only_there(video, again, [(s, a) for s, a in cast if a.name == name])


@pytest.mark.parametrize("seed", range(3))
def test_with_an_atom_all_pixels_elsewhere_are_the_same(seed):
    video = board("pairs", seed)
    again = interventions.with_atom(video, "referee", 2.0, 7.5)
    added = [
        (shot, shot.scene.actors[-1])
        for shot in again.shots
        if shot.scene.actors and shot.scene.actors[-1].name == "referee"
    ]
    assert len(added) >= 2  # it goes on after a cut
    check_only_there(video, again, added)
    for (time, _, before), (_, _, after) in zip(frames(video), frames(again), strict=True):
        there = {"referee"} if 2.0 <= time < 7.5 else set()
        assert set(after) - set(before) <= there
    assert sum("referee" in seen for _, _, seen in frames(again)) >= 8  # of 11: rarely hidden
    assert interventions.without_atom(again, "referee") == video


def test_every_actor_of_the_name_is_taken_out_and_nothing_else():
    actor = Actor("fireball", 1, 0.3, 0.3, 0.5, start=0.0, end=4.0)
    actors = (actor, actor._replace(name="dog", x=0.7), actor._replace(x=0.5))
    shot = Shot(0.0, 4.0, Scene("road", 1, actors))
    video = WorldVideo("v", 72, (shot, shot._replace(start=4.0, end=8.0)))
    again = interventions.without_atom(video, "fireball")
    assert [s.scene.actors for s in again.shots] == [(actors[1],)] * 2
    assert interventions.without_atom(video, "referee") == video


def test_the_truth_follows_by_the_law():
    """A fireball and a film crew: harmless by every law; without the crew an explosion by all."""
    base = dict(seed=3, size=0.4, y=0.6, start=0.0, end=4.0)
    actors = (Actor("film crew", x=0.25, **base), Actor("fireball", x=0.75, **base))
    shot = Shot(0.0, 4.0, Scene("road", 1, actors, (), Camera()))

    def happens(video):
        times, _, seen = zip(*frames(video), strict=True)
        truth = videos.truth_of(times, seen, video.law, 2.0)
        return {videos.EVENTS[e] for e in np.flatnonzero(truth.events.all(axis=0))}

    for law in LAWS:
        video = WorldVideo("v", 96, (shot,), law)
        assert happens(video) == set()
        alone = interventions.without_atom(video, "film crew")
        assert happens(alone) == {"explosion"} == set(events_of(["fireball"], law))
        other = interventions.with_atom(alone, "fireworks show", 0.0, 4.0)
        assert happens(other) == ({"explosion"} if law == "specific" else set())


def test_an_added_actor_stands_where_there_is_room():
    actor = Actor("dog", 1, 0.3, 0.2, 0.6, start=0.0, end=4.0)
    late = actor._replace(x=0.8, start=3.0)
    video = WorldVideo("v", 72, (Shot(0.0, 4.0, Scene("road", 5, (actor, late))),))
    for end, side in ((2.0, 0.85), (4.0, 0.5)):  # before the other one comes, and beside both
        again = interventions.with_atom(video, "fireball", 1.0, end)
        (added,) = again.shots[0].scene.actors[2:]
        assert abs(added.x - side) <= 0.08 + 1e-9 and (added.start, added.end) == (1.0, end)
    assert interventions.with_atom(video, "fireball", 1.0, 4.0) == again


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 3), (4, 3), (8, 9.5), (9.5, 12)])
def test_seconds_that_there_are_not(start, end):
    with pytest.raises(InputError, match="short: fireball from .* give a start before an end"):
        interventions.with_atom(board("pairs", 0), "fireball", start, end)


def test_what_the_world_does_not_draw():
    for change in (
        lambda video: interventions.without_atom(video, "unicorn"),
        lambda video: interventions.with_atom(video, "unicorn", 0.0, 1.0),
    ):
        with pytest.raises(InputError, match="atom 'unicorn': the rendered world does not draw it"):
            change(board("pairs", 0))
