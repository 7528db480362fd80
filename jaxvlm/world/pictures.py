"""Single pictures of the world with their truth: what the encoder learns from, and OOD's images."""

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from jaxvlm import files, outputs
from jaxvlm.world import language
from jaxvlm.world.scene import Scene, random_actor, random_camera, random_occluders, render, slots
from jaxvlm.world.vocabulary import ATOMS, BACKGROUNDS, FAVOURITE_BACKGROUND, OBJECTS

FOLDER = "rendered pictures"


class Picture(NamedTuple):
    """image [S, S, 3] uint8 RGB; the names that are visible; where; the light; what is where.

    concept_map [S, S]: index into ``concepts()`` of what each pixel shows, −1 where that is an
    occluder or something too covered to count as visible.
    """

    image: np.ndarray
    things: tuple[str, ...]
    background: str
    lighting: str
    concept_map: np.ndarray


def random_picture(
    rng: np.random.Generator,
    *,
    things: Sequence[str] | None = None,
    background: str | None = None,
    size: int | None = None,
    spurious: float = 0.5,
) -> Picture:
    """Renders a random picture.

    things: what to show (default: none to four random atoms and objects). background: where
    (default: random; a picture whose first thing is an object shows it on its favourite
    background with probability ``spurious``, as photographs in the wild do). size: side in
    pixels (default: random in 64..128). The truth names only what is really visible.
    """
    if things is None:
        things = _random_things(rng)
    if background is None:
        favourite = FAVOURITE_BACKGROUND.get(things[0]) if things else None
        if favourite is not None and rng.random() < spurious:
            background = favourite
        else:
            background = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    size = size or int(rng.integers(32, 65)) * 2
    lighting = language.LIGHTING[rng.choice(3, p=(0.7, 0.18, 0.12))]
    actors = tuple(
        random_actor(rng, name, slot)
        for name, slot in zip(things, slots(rng, len(things)), strict=True)
    )
    if len(actors) == 1:  # a portrait: larger, and anywhere
        side = rng.uniform(0.35, 0.8)
        centre = rng.uniform(side / 2, 1 - side / 2, 2) if side < 1 else (0.5, 0.5)
        actors = (actors[0]._replace(size=side, x=float(centre[0]), y=float(centre[1])),)
    scene = Scene(
        background,
        int(rng.integers(2**31)),
        actors,
        random_occluders(rng),
        random_camera(rng, lighting),
    )
    frame = render(scene, rng.uniform(0.0, 20.0), size)
    image = _compress(frame.image, int(rng.integers(45, 96)))
    shown = [_concept_index()[name] if name in frame.visible else -1 for name in things]
    lookup = np.array([*shown, -1, _concept_index()[background]], np.int16)  # owner −1: the last
    return Picture(image, frame.visible, background, lighting, lookup[frame.owner])


def picture_caption(rng: np.random.Generator, picture: Picture) -> tuple[str, tuple[str, ...]]:
    """A sentence about a picture, and the concepts that it names.

    It names some of the things, the background half of the time and the light now and then. What
    looks like an event is called by the event's name now and then, film set or not.
    """
    names = list(picture.things)
    events = language.looks_like(names)
    if events and rng.random() < 0.25:
        things = [events[rng.integers(len(events))]]
    else:
        count = min(len(names), int(rng.choice((1, 2, 3), p=(0.6, 0.3, 0.1))))
        things = [names[i] for i in rng.permutation(len(names))[:count]]
    place = picture.background if (not things or rng.random() < 0.4) else None
    lighting = picture.lighting if rng.random() < 0.15 else None
    sentence = language.caption(rng, things, place, lighting)
    named = (*things, *((place,) if place else ()), *((lighting,) if lighting else ()))
    return sentence, named


def pictures(seed: int, count: int, first: int = 0) -> Iterator[Picture]:
    """Pictures ``first``..``first + count``; each has its own stream, so any can be made alone."""
    for index in range(first, first + count):
        yield random_picture(np.random.default_rng((seed, index)))


def write_pictures(out_dir: str | os.PathLike, seed: int, count: int) -> Path:
    """Writes ``count`` JPEG pictures and a table of what they show.

    ``pictures.csv``: file, caption, things, background, lighting.
    The folder appears whole or not at all. Returns the table's path.
    """
    out_dir = Path(out_dir)
    rows = []
    with outputs.output_path(out_dir, kind=FOLDER) as folder:
        folder.mkdir()
        for index, picture in enumerate(pictures(seed, count)):
            name = f"{index:06d}.jpg"
            bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
            _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
            (folder / name).write_bytes(code.tobytes())  # says so when the disk is full
            sentence, _ = picture_caption(np.random.default_rng((seed, index, 1)), picture)
            rows.append(
                (name, sentence, ";".join(picture.things), picture.background, picture.lighting)
            )
        columns = ["file", "caption", "things", "background", "lighting"]
        files.write_csv(folder / "pictures.csv", pd.DataFrame(rows, columns=columns))
    return out_dir / "pictures.csv"


def concepts() -> tuple[str, ...]:
    """Everything a caption can name, in a fixed order."""
    return (*ATOMS, *OBJECTS, *BACKGROUNDS, *language.LIGHTING, *language.EVENT_PARAPHRASES)


@functools.cache
def _concept_index() -> dict[str, int]:
    return {name: index for index, name in enumerate(concepts())}


def concept_vector(names: Sequence[str]) -> np.ndarray:
    """Multi-hot [number of concepts] of the given names."""
    vector = np.zeros(len(concepts()), np.uint8)
    vector[[_concept_index()[name] for name in names]] = 1
    return vector


def truth_vector(picture: Picture) -> np.ndarray:
    """Multi-hot of everything that may be said of a picture, event words included."""
    return concept_vector(
        (
            *picture.things,
            picture.background,
            picture.lighting,
            *language.looks_like(picture.things),
        )
    )


def _random_things(rng: np.random.Generator) -> list[str]:
    count = int(rng.choice((0, 1, 2, 3, 4), p=(0.06, 0.34, 0.28, 0.20, 0.12)))
    chosen = []
    for _ in range(count):
        names = ATOMS if rng.random() < 0.7 else OBJECTS
        chosen.append(names[rng.integers(len(names))])
    return sorted(set(chosen), key=chosen.index)


def _compress(image: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
