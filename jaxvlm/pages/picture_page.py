"""The page of an OOD evaluation: tables, figures, and the pictures themselves, in one HTML file."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup

from jaxvlm import files
from jaxvlm.errors import InputError
from jaxvlm.pages import style

PICTURE_SIDE = 320  # twice the size it is shown at, for fine screens


class Card(NamedTuple):
    """One picture, what was seen in it, and why."""

    image: np.ndarray  # [H, W, 3] uint8 RGB
    overlay: np.ndarray | None  # [H, W, 3] uint8 RGB, as `picture_plots.overlay_cam` draws it
    name: str
    set_name: str
    predicted: str  # the nearest ID class
    score: float
    facts: tuple[tuple[str, str], ...] = ()  # ("nearest negatives", "boat, bus")


class Gallery(NamedTuple):
    """Pictures under one heading, shown in the order given."""

    title: str
    note: str
    cards: tuple[Card, ...]


def write_picture_page(
    path: str | os.PathLike,
    *,
    title: str,
    notes: Sequence[str] = (),
    notices: Sequence[str] = (),
    tables: Mapping[str, pd.DataFrame] | None = None,
    figures: Mapping[str, str] | None = None,
    galleries: Sequence[Gallery] = (),
) -> None:
    """Writes one self-contained HTML file: no script, nothing fetched, all text escaped.

    Args:
      path: where to; replaced atomically.
      notes: paragraphs of plain text under the title.
      notices: what speaks against trusting the scores; shown before all else.
      tables: by title. A cell is a number, text or an `Interval`; the index names the rows, unless
        it merely counts them: then the first column does.
      figures: ``<svg>`` elements of `style.inline_svg` by title. They are trusted: the one
        argument that is not escaped.
      galleries: shown after the figures, in the order given.

    Raises:
      InputError: a picture is not [H, W, 3] uint8.
    """
    sets = dict.fromkeys(card.set_name for gallery in galleries for card in gallery.cards)
    colors = style.colors_of(list(sets))
    text = style.render(
        "picture_page.html.jinja",
        title=title,
        notes=[notes] if isinstance(notes, str) else notes,
        notices=notices,
        tables={name: style.table(table) for name, table in (tables or {}).items()},
        figures={name: Markup(svg) for name, svg in (figures or {}).items()},
        galleries=[
            {
                "title": gallery.title,
                "note": gallery.note,
                "cards": [_card(card, colors[card.set_name]) for card in gallery.cards],
            }
            for gallery in galleries
        ],
    )
    files.write_text(path, text)


def _card(card: Card, color: str) -> dict[str, Any]:
    return {
        "image": _picture(card.image, card.name),
        "overlay": None if card.overlay is None else _picture(card.overlay, card.name),
        "name": card.name,
        "set_name": card.set_name,
        "color": color,
        "predicted": card.predicted,
        "score": style.number(card.score),
        "facts": card.facts,
    }


def _picture(image: np.ndarray, name: str) -> str:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"{name}: picture {list(image.shape)} {image.dtype}: give [H, W, 3] uint8")
    return style.data_uri(image, side=PICTURE_SIDE)
