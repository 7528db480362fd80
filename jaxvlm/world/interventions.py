"""The same video again without a thing, or with one more.

A scene carries every random choice, so all that is not the thing stays as it was: same actors at
the same places, same background, light, noise and shake. What is visible, and by the law what
happens, follows from the new frames.
"""

import numpy as np

from jaxvlm.errors import InputError
from jaxvlm.world.scene import DRAW, Actor, Scene, random_actor
from jaxvlm.world.storyboard import Shot
from jaxvlm.world.videos import WorldVideo

_PLACES = np.linspace(0.15, 0.85, 29)  # across the frame


def shows(video: WorldVideo, atom: str) -> bool:
    """Whether an atom or object is drawn in the video at all, hidden or not."""
    return any(actor.name == atom for shot in video.shots for actor in shot.scene.actors)


def without_atom(video: WorldVideo, atom: str) -> WorldVideo:
    """The video without every actor of a name; the same one where there is none.

    Raises InputError for what the world cannot draw.
    """
    _check_drawn(atom)

    def rest(scene: Scene) -> Scene:
        return scene._replace(actors=tuple(a for a in scene.actors if a.name != atom))

    shots = tuple(shot._replace(scene=rest(shot.scene)) for shot in video.shots)
    return video._replace(shots=shots)


def with_atom(video: WorldVideo, atom: str, start: float, end: float) -> WorldVideo:
    """The video with one more actor from ``start`` to ``end`` seconds, in front of all others.

    In every shot that it is in, it stands still where the others leave most room; its look and
    size are drawn from the shot's seed and the name, so the same call gives the same pixels.

    Raises InputError for what the world cannot draw, and for seconds that the video does not have.
    """
    _check_drawn(atom)
    last = video.shots[-1].end
    if not 0 <= start < end <= last:
        raise InputError(
            f"{video.name}: {atom} from {start:g} to {end:g} s; give a start before an end, from 0 "
            f"to {last:g}"
        )
    shots = []
    for shot in video.shots:
        begin, stop = max(start, shot.start), min(end, shot.end)
        shots.append(_with_actor(shot, atom, begin, stop) if begin < stop else shot)
    return video._replace(shots=tuple(shots))


def _with_actor(shot: Shot, atom: str, start: float, end: float) -> Shot:
    scene = shot.scene
    rng = np.random.default_rng((scene.seed, 3, sorted(DRAW).index(atom)))
    others = [actor for actor in scene.actors if actor.start < end and start < actor.end]
    place = _room(others)
    actor = random_actor(rng, atom, place, start=start, end=end, moving=False)
    return shot._replace(scene=scene._replace(actors=(*scene.actors, actor)))


def _room(others: list[Actor]) -> float:
    """The place across the frame farthest from all centres; the middle of an empty frame."""
    if not others:
        return 0.5
    centres = np.array([actor.x for actor in others])
    return float(_PLACES[np.abs(_PLACES[:, None] - centres).min(axis=1).argmax()])


def _check_drawn(atom: str) -> None:
    if atom not in DRAW:
        raise InputError(f"atom {atom!r}: the rendered world does not draw it; name one of its own")
