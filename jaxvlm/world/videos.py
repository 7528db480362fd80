"""Videos of the world: which there are, their frames, and one video as a file with its truth.

Processes that draw videos import this and no more, so it needs neither JAX nor pandas.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from jaxvlm import names, outputs
from jaxvlm.errors import InputError
from jaxvlm.world.laws import THRESHOLD, events_of
from jaxvlm.world.scene import render
from jaxvlm.world.storyboard import Shot, random_storyboard
from jaxvlm.world.vocabulary import ATOMS, EVENTS

FILE_FPS = 4.0
SPLITS = ("train", "validation", "test")
_GAP_SECONDS = 1.0  # an event hidden for less than this goes on


class WorldVideo(NamedTuple):
    """A video before it is drawn: name, side in pixels, shots, and the law of its events."""

    name: str
    size: int
    shots: tuple[Shot, ...]
    law: str = THRESHOLD


class VideoTruth(NamedTuple):
    """times [F] seconds; atoms [F, C] and events [F, E], uint8, in the vocabulary's order."""

    times: np.ndarray
    atoms: np.ndarray
    events: np.ndarray


def world_video(seed: int, split: str, index: int, law: str = THRESHOLD) -> WorldVideo:
    """The ``index``-th video of a split. Splits draw from disjoint random streams.

    law: see `laws`; a video has the same events and the same length in a world of each law.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), index))
    # Three videos in ten are normal; of the others more than a third show two events.
    count = int(rng.choice(3, p=(0.30, 0.45, 0.25)))
    events = [EVENTS[i] for i in rng.choice(len(EVENTS), count, replace=False)]
    duration = float(rng.integers(40, 61))
    size = int(rng.integers(36, 65)) * 2
    shots = random_storyboard(rng, events, duration, law)
    return WorldVideo(f"{split}_{index:04d}", size, shots, law)


def render_video(
    video: WorldVideo, fps: float = FILE_FPS
) -> Iterator[tuple[float, np.ndarray, tuple[str, ...]]]:
    """Yields (time in seconds, image [S, S, 3] uint8 RGB, visible names) for every frame."""
    for index in itertools.count():
        time = index / fps
        shot = next((shot for shot in video.shots if shot.start <= time < shot.end), None)
        if shot is None:
            return
        frame = render(shot.scene, time, video.size)
        yield time, frame.image, frame.visible


def write_video(video: WorldVideo, path: str | os.PathLike, fps: float = FILE_FPS) -> VideoTruth:
    """Encodes a video as MPEG-4 and returns its truth. The file appears whole or not at all.

    Raises InputError for a path that is not UTF-8, which would end the process in OpenCV.
    """
    if names.printable(str(path)) != str(path):
        raise InputError(names.printable(f"{path}: a path that is not UTF-8; choose another place"))
    times, seen = [], []
    with outputs.output_path(path) as temporary:
        writer = cv2.VideoWriter(
            str(temporary), cv2.VideoWriter_fourcc(*"mp4v"), fps, (video.size, video.size)
        )
        if not writer.isOpened():
            raise RuntimeError("this OpenCV build cannot write MPEG-4")
        for time, image, visible in render_video(video, fps):
            writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            times.append(time)
            seen.append(visible)
        writer.release()
    return truth_of(times, seen, video.law, fps)


def truth_of(
    times: Sequence[float], seen: Sequence[Sequence[str]], law: str, fps: float = FILE_FPS
) -> VideoTruth:
    """The truth of frames from what is visible on each of them, by a law of the world."""
    atoms = np.array([[atom in names for atom in ATOMS] for names in seen], np.uint8)
    held = [events_of(names, law) for names in seen]
    events = np.array([[event in names for event in EVENTS] for names in held], np.uint8)
    return VideoTruth(np.array(times, np.float32), atoms, close_gaps(events, fps))


def close_gaps(events: np.ndarray, fps: float = FILE_FPS) -> np.ndarray:
    """Fills holes shorter than a second in each event's [F, E] 0/1 track."""
    filled = events.copy()
    for track in filled.T:
        on = np.flatnonzero(track)
        for before, after in itertools.pairwise(on):
            if 1 < after - before <= _GAP_SECONDS * fps:
                track[before:after] = 1
    return filled
