"""The page of a scored folder: every picture, the farthest first, with its score and the reason."""

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from markupsafe import Markup

from jaxvlm import files
from jaxvlm.clip.preprocessing import Preprocessing, resize_and_crop
from jaxvlm.data.images import read_image
from jaxvlm.errors import InputError
from jaxvlm.names import number_of
from jaxvlm.pages import picture_plots, style
from jaxvlm.pages.galleries import set_galleries
from jaxvlm.pages.picture_page import drawn_galleries
from jaxvlm.pictures.scoring import FolderScores
from jaxvlm.pictures.tables import shown_score
from jaxvlm.progress import Progress, ignore

PAGE_SIZE = 48  # pictures that a page of the list shows, and all that it shows without scripts
THUMBNAIL_BYTES = 12 << 20  # of all thumbnails together; the pictures farthest out get theirs first
# Pixels of a thumbnail by how many pictures there are at most, twice what it is shown at.
SIDES = ((500, 224), (2_000, 128), (5_000, 80))
_SMALLEST = 56
_AT_A_TIME = 256  # thumbnails made before it is looked how many bytes they have


def write_folder(
    out_dir: str | os.PathLike,
    scores: FolderScores,
    preprocessing: Preprocessing,
    *,
    on_progress: Progress = ignore,
) -> Path:
    """Writes the page ``report.html`` of a scored folder; returns its path.

    All pictures are in it, `PAGE_SIZE` at a time, to be sorted and filtered. It is one file, which
    grows by about 1 kB per picture besides the thumbnails, and these have `THUMBNAIL_BYTES`.

    Args:
      preprocessing: of the encoder: a thumbnail is what it saw.
      on_progress: as of `score_folder`.
    """
    page, names = Path(out_dir) / "report.html", scores.labels.names
    decision = scores.decision
    pictures = _cards(scores, preprocessing, on_progress)
    bare = sum(not picture["image"] for picture in pictures)
    known, threshold = (None, None) if decision is None else (decision.known, decision.threshold)
    figure = picture_plots.folder_histogram(scores.final, known, threshold)
    notes = [
        f"{number_of(len(pictures), 'picture')} scored with {scores.title}; higher is "
        f"in-distribution. Classes: {len(names.positive)}, negatives: {len(names.negative)}.",
        scores.rule + ".",
        *scores.labels.read,
    ]
    if bare:
        notes.append(
            f"Listed without a thumbnail: {number_of(bare, 'picture')}. All thumbnails together "
            f"have at most {THUMBNAIL_BYTES >> 20} MiB, and the farthest come first."
        )
    maps = set_galleries(scores.scored, scores.final, scores.labels, scores.config, preprocessing)
    text = style.render(
        "folder_page.html.jinja",
        script="folder_page.js",
        title="How far out these pictures are, and why",
        notices=scores.warnings,
        notes=notes,
        histogram=Markup(style.inline_svg(figure, label="scores")),
        first=pictures[:PAGE_SIZE],
        rest=pictures[PAGE_SIZE:],
        page_size=PAGE_SIZE,
        classes=sorted({picture["predicted"] for picture in pictures}),
        decided=decision is not None,
        galleries=drawn_galleries(maps),
    )
    files.write_text(page, text)
    return page


def _cards(scores: FolderScores, preprocessing: Preprocessing, on_progress: Progress) -> list[dict]:
    """What the templates show of every picture, farthest out first."""
    paths = [scores.scored.paths[index] for index in scores.table.index]
    images = thumbnails(paths, preprocessing, on_progress)
    cards = []
    for row, image in zip(scores.table.to_dict("records"), images, strict=True):
        p_value = row.get("id_p_value")
        cards.append(
            {
                "image": image,
                "name": row["path"],
                "predicted": row["predicted_class"],
                "score": shown_score(row["score"]).replace("-", "−"),
                "why": row["why"],
                "decision": row.get("decision", ""),
                "percent": None if p_value is None else f"{100 * p_value:.1f}",
            }
        )
    return cards


def thumbnails(
    paths: Sequence[Path], preprocessing: Preprocessing, on_progress: Progress
) -> Iterator[str]:
    """A data URI per picture, as the encoder saw it; empty once the bytes are spent, and for a
    picture that cannot be read again."""
    side = next((side for count, side in SIDES if len(paths) <= count), _SMALLEST)
    make = functools.partial(_thumbnail, preprocessing=preprocessing, side=side)
    spent, done, name = 0, 0, "thumbnails"
    on_progress(name, 0, len(paths))
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoders hold no lock
        for start in range(0, len(paths), _AT_A_TIME):
            part = paths[start : start + _AT_A_TIME]
            uris = pool.map(make, part) if spent < THUMBNAIL_BYTES else [""] * len(part)
            for uri in uris:
                spent += len(uri)
                yield uri if spent <= THUMBNAIL_BYTES else ""
            done += len(part)
            on_progress(name, done, len(paths))


def _thumbnail(path: Path, *, preprocessing: Preprocessing, side: int) -> str:
    def shrunk(pixels: np.ndarray) -> str:
        return style.data_uri(resize_and_crop(pixels, preprocessing), side=side, kind="webp")

    try:
        return read_image(path, then=shrunk)
    except InputError:
        return ""
