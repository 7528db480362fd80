"""The rendered OOD benchmark: known and unseen objects on expected, rare and no backgrounds.

The encoder has seen all the words; the list of ID classes is what makes a class known. It has
seen an object on its favourite background in 55 % of the pictures (``random_picture``), so a
background speaks for the ID classes that favour it. The sets differ in that alone:

  id            an ID object on its favourite background, as training paired them;
  id_rare       an ID object on any of the other nine: known, whatever the background says;
  ood_unseen    an unseen object on a background that no ID class favours: nothing speaks for ID;
  ood_spurious  an unseen object on the favourite background of an ID class. The backgrounds are
                distributed as in ``id``, so only the object tells the two sets apart;
  ood_empty     a background without any object, all ten equally often (as placesbg of Waterbirds).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from jaxvlm import files, outputs
from jaxvlm.errors import InputError
from jaxvlm.progress import Progress, ignore
from jaxvlm.world.pictures import Picture, concepts, random_picture
from jaxvlm.world.vocabulary import BACKGROUNDS, FAVOURITE_BACKGROUND, OBJECTS
from jaxvlm.world.workers import spread

# Half of the objects, such that seven backgrounds are favourites on both sides (an unseen object
# there is where it belongs, and so is the ID object) and three (hallway, night street, subway
# station) are favourites of unseen objects alone. Some unseen classes have a near ID class (sheep
# and cow, motorcycle and bicycle, cat and dog, table and bench), others none (clock, windmill).
ID_CLASSES = (
    "airplane",
    "bench",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cow",
    "dog",
    "guitar",
    "horse",
    "mailbox",
    "truck",
)
UNSEEN_CLASSES = tuple(name for name in OBJECTS if name not in ID_CLASSES)
ID_BACKGROUNDS = tuple(sorted({FAVOURITE_BACKGROUND[name] for name in ID_CLASSES}))
FREE_BACKGROUNDS = tuple(name for name in BACKGROUNDS if name not in ID_BACKGROUNDS)

# The sub-folders of each set.
_CLASSES = {
    "id": ID_CLASSES,
    "id_rare": ID_CLASSES,
    "ood_unseen": UNSEEN_CLASSES,
    "ood_spurious": UNSEEN_CLASSES,
    "ood_empty": BACKGROUNDS,
}
SETS = tuple(_CLASSES)

# Keeps these streams apart from all others: the pictures of training and of its evaluation come
# from plain (seed, index) streams, which have no spawn key.
_SPAWN_KEY = 0x4F4F44
_SIZES = (32, 256)  # pixels a side; the renderer's camera noise ends at 257
_CHUNK = 100


class OodPicture(NamedTuple):
    """One picture of the benchmark; thing is "" where there is none.

    class_name: the sub-folder, the object's name or, without one, the background's.
    mask [S, S]: bool, the pixels of the object; a pole in front of it is not part of it.
    """

    picture: Picture
    class_name: str
    thing: str
    mask: np.ndarray


def ood_picture(set_name: str, index: int, *, seed: int = 0, size: int = 64) -> OodPicture:
    """Renders picture ``index`` of a set; the same arguments give the same pixels.

    Classes take turns by ``index``. A picture that hides its object (less than half of it in the
    frame and uncovered) is drawn again from its next stream.
    """
    classes = _CLASSES[set_name]
    class_name = classes[index % len(classes)]
    things = () if set_name == "ood_empty" else (class_name,)
    attempt = 0
    while True:
        key = (_SPAWN_KEY, SETS.index(set_name), index, attempt)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
        places = _backgrounds(set_name, class_name)
        background = places[rng.integers(len(places))]
        picture = random_picture(rng, things=things, background=background, size=size)
        if picture.things == things:
            break
        attempt += 1
    thing = "".join(things)
    shown = concepts().index(thing) if thing else -2  # −1 is an occluder
    return OodPicture(picture, class_name, thing, picture.concept_map == shown)


def write_ood_benchmark(
    out_dir: str | os.PathLike,
    *,
    seed: int = 0,
    count: int = 2_000,
    size: int = 64,
    workers: int | None = None,
    on_progress: Progress = ignore,
) -> Path:
    """Writes the five sets, ``count`` pictures each, with their truth; returns ``truth.csv``.

    ``<set>/<class>/<index>.jpg``, JPEG at quality 95; ``masks/<set>/<class>/<index>.png``, 255
    where the object is and 0 elsewhere; ``class_names.txt``, the ID classes, one per line;
    ``truth.csv``: set, file, thing, background, lighting, area (share of the pixels that show the
    object). The folder appears whole or not at all; the same seed, count and size give the same
    bytes, whatever the number of workers (processes; default: one per core, 1 starts none).

    A picture takes 4.6 ms of one core; 190 a second on two cores that other work shared.

    Raises:
      InputError: ``count`` below 1, ``size`` outside 32..256.
    """
    if count < 1:
        raise InputError(f"num_pictures: {count} per set; ask for 1 or more")
    if not _SIZES[0] <= size <= _SIZES[1]:
        raise InputError(f"size: {size} pixels; ask for {_SIZES[0]} to {_SIZES[1]}")
    out_dir = Path(out_dir)
    with outputs.output_path(out_dir, kind="rendered picture sets") as folder:
        folder.mkdir()
        jobs = [
            (folder, name, range(first, min(first + _CHUNK, count)), seed, size)
            for name in SETS
            for first in range(0, count, _CHUNK)
        ]
        rows = []
        total = len(SETS) * count
        for part in _run(jobs, workers or os.cpu_count() or 1):
            rows += part
            on_progress("render pictures", len(rows), total)
        columns = ["set", "file", "thing", "background", "lighting", "area"]
        files.write_csv(folder / "truth.csv", pd.DataFrame(rows, columns=columns))
        files.write_text(folder / "class_names.txt", "".join(f"{name}\n" for name in ID_CLASSES))
    return out_dir / "truth.csv"


def _backgrounds(set_name: str, class_name: str) -> tuple[str, ...]:
    """The backgrounds to draw from, a name as often as it counts."""
    match set_name:
        case "id":
            return (FAVOURITE_BACKGROUND[class_name],)
        case "id_rare":
            return tuple(b for b in BACKGROUNDS if b != FAVOURITE_BACKGROUND[class_name])
        case "ood_unseen":
            return FREE_BACKGROUNDS
        case "ood_spurious":
            return tuple(FAVOURITE_BACKGROUND[name] for name in ID_CLASSES)
        case _:
            return (class_name,)


def _run(jobs: list[tuple], workers: int) -> Iterator[list[tuple]]:
    """The results of ``_write_chunk`` in the order of the jobs."""
    if workers == 1 or len(jobs) == 1:
        yield from map(_write_chunk, jobs)
        return
    with spread(_write_chunk, jobs, workers=min(workers, len(jobs))) as written:
        yield from written


def _write_chunk(job: tuple[Path, str, range, int, int]) -> list[tuple]:
    """Writes the pictures and masks of a chunk; returns their rows of truth.csv."""
    folder, set_name, indices, seed, size = job
    rows = []
    for index in indices:
        drawn = ood_picture(set_name, index, seed=seed, size=size)
        place = Path(set_name) / drawn.class_name / f"{index:06d}.jpg"
        mask_path = (folder / "masks" / place).with_suffix(".png")
        for path in (folder / place, mask_path):
            path.parent.mkdir(parents=True, exist_ok=True)
        bgr = cv2.cvtColor(drawn.picture.image, cv2.COLOR_RGB2BGR)
        _write(folder / place, bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
        _write(mask_path, drawn.mask.astype(np.uint8) * 255, [])
        rows.append(
            (
                set_name,
                place.as_posix(),
                drawn.thing,
                drawn.picture.background,
                drawn.picture.lighting,
                drawn.mask.mean(),
            )
        )
    return rows


def _write(path: Path, image: np.ndarray, options: list[int]) -> None:
    _, code = cv2.imencode(path.suffix, image, options)
    path.write_bytes(code.tobytes())  # unlike cv2.imwrite, says so when the disk is full
