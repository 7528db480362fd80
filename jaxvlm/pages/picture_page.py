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


class View(NamedTuple):
    """One of several tables of the same rows, and the rows that are folded away below it."""

    table: pd.DataFrame
    folded: pd.DataFrame | None = None


class Switched(NamedTuple):
    """Tables of the same rows by title, of which a switch shows one."""

    views: Mapping[str, View]
    folded_note: str = ""  # what the folded rows are; empty: there are none
    note: str = ""  # a paragraph above them


def write_picture_page(
    path: str | os.PathLike,
    *,
    title: str,
    notes: Sequence[str] = (),
    notices: Sequence[str] = (),
    tables: Mapping[str, pd.DataFrame | Switched] | None = None,
    figures: Mapping[str, str] | None = None,
    galleries: Sequence[Gallery] = (),
) -> None:
    """Writes one self-contained HTML file: no script, nothing fetched, all text escaped.

    Args:
      path: where to; replaced atomically.
      notes: paragraphs of plain text under the title. notices: those not to be missed, above them.
      tables: by title; of a `Switched` one is shown, and all where styles cannot. A cell is a
        number, text, an `Interval` or a `Gain`; the index names the rows, unless it merely counts
        them: then the first column does.
      figures: ``<svg>`` elements of `style.inline_svg` by title. They are trusted: the one
        argument that is not escaped.
      galleries: shown after the figures, in the order given.

    Raises:
      InputError: a picture is not [H, W, 3] uint8.
    """
    shown = {name: _switched(table) for name, table in (tables or {}).items()}
    text = style.render(
        "picture_page.html.jinja",
        title=title,
        notes=[notes] if isinstance(notes, str) else notes,
        notices=notices,
        tables=shown,
        most_views=max((len(table["views"]) for table in shown.values()), default=0),
        figures={name: Markup(svg) for name, svg in (figures or {}).items()},
        galleries=drawn_galleries(galleries),
    )
    files.write_text(path, text)


def drawn_galleries(galleries: Sequence[Gallery]) -> list[dict[str, Any]]:
    """For the macro of the templates; each set has a colour."""
    sets = dict.fromkeys(card.set_name for gallery in galleries for card in gallery.cards)
    colors = style.colors_of(list(sets))
    return [
        {
            "title": gallery.title,
            "note": gallery.note,
            "cards": [_card(card, colors[card.set_name]) for card in gallery.cards],
        }
        for gallery in galleries
    ]


def _switched(table: pd.DataFrame | Switched) -> dict[str, Any]:
    if isinstance(table, pd.DataFrame):
        table = Switched({"": View(table)})
    views = [
        {
            "title": title,
            "table": style.table(view.table),
            "folded": None if view.folded is None else style.table(view.folded),
        }
        for title, view in table.views.items()
    ]
    return {"views": views, "folded_note": table.folded_note, "note": table.note}


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
