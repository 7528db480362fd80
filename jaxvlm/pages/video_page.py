"""The page a person reads: what happened when, and which atoms say so.

Of few videos it is one file. Of many it is an index, and each video has a page in its own folder.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from jax.typing import ArrayLike

from jaxvlm import files
from jaxvlm.pages import role_sections, style
from jaxvlm.pages.role_sections import RoleBook, role_book
from jaxvlm.pages.video_card import Place, card
from jaxvlm.pages.video_pictures import Pictures
from jaxvlm.video.result import ScoredVideo

__all__ = ["RoleBook", "VideoPages", "role_book", "write_video_page"]

NAME = "report.html"  # of a video's page in its folder
MAX_VIDEOS, MAX_FINDINGS = 24, 500  # of one page; of more than one video
_OF_INDEX = ("id", "name", "event_ids", "strip", "lead", "others", "everywhere", "num_events")


class VideoPages:
    """Writes the page of videos that are scored one after the other, and keeps none of them.

    Up to `MAX_VIDEOS` videos with `MAX_FINDINGS` findings together are one page, whose thumbnails
    are part of it up to `video_pictures.INLINE_BYTES`; more of them lie in the folders of the
    videos. Of more videos the page is an index, and each has its own page in its folder.
    """

    def __init__(self, path: str | os.PathLike, roles: RoleBook, *, threshold: ArrayLike = 0.5):
        """path: of the page of all. threshold: drawn in the figures; use the one given to
        `detections.find_detections`.

        Raises InputError: the roles' table lacks a column."""
        role_sections.check_columns(roles)
        self.path, self.roles, self.threshold = Path(path), roles, threshold
        self.rows: list[dict[str, Any]] = []  # of the index
        self.waiting: list[tuple[dict[str, Any], Path]] = []  # cards of the one page
        self.split, self.spent, self.findings = False, 0, 0

    def add(self, video: ScoredVideo, folder: Path | None = None, file: Path | None = None) -> None:
        """Takes a video, and writes its page if there are many.

        Args:
          folder: of its results, below that of the page of all; None: all goes into one page.
          file: the video, which the page plays if a relative address leads to it.

        Raises InputError for a video without frames, or a page that cannot be written.
        """
        top = self.path.parent
        prefix = "" if folder is None else folder.relative_to(top).as_posix() + "/"
        pictures = Pictures(folder, prefix, self.spent, inline=not self.split)
        place = Place(None if folder is None else top, folder, file)
        number = 1 if self.split else len(self.rows) + 1
        made = card(number, video, self.roles, self.threshold, pictures, place)
        pictures.write()
        self.spent = pictures.spent
        self.findings += len(video.findings)
        self.rows.append({key: made[key] for key in _OF_INDEX})
        self.rows[-1]["href"] = f"#{made['id']}"
        self.waiting.append((made, folder))
        many = len(self.rows) > MAX_VIDEOS or (len(self.rows) > 1 and self.findings > MAX_FINDINGS)
        if folder is not None and (self.split or many):
            self.split = True
            for row, (each, own) in zip(self.rows[-len(self.waiting) :], self.waiting, strict=True):
                row["href"] = self._write_one(each, own)
            self.waiting.clear()

    def finish(
        self,
        *,
        metrics: Mapping[str, pd.DataFrame] | None = None,
        pictures: Mapping[str, np.ndarray] | None = None,
        notes: Sequence[str] = (),
        notices: Sequence[str] = (),
    ) -> Path:
        """Writes the page of all: videos with detections first, else in the order they came in.

        Args:
          metrics: tables by title; the index names the rows, cells are what `style.cell` takes.
          pictures: [H, W, 3] uint8 RGB by caption, below the tables.
          notes: paragraphs of plain text under the title.
          notices: what speaks against trusting the scores; shown before all else.
        """
        cards = sorted((each for each, _ in self.waiting), key=lambda each: each["lead"] is None)
        text = self._render(
            "video_page.html.jinja",
            title="What happens in these videos, and why",
            notes=[notes] if isinstance(notes, str) else notes,
            notices=notices,
            rows=sorted(self.rows, key=lambda row: row["lead"] is None),
            cards=cards,
            pictured=any(row["lead"] and row["lead"]["thumbnails"] for row in self.rows),
            root="",
            roles=role_sections.role_sections(self.roles),
            has_rules=bool(self.roles.rules),
            has_figures=any(rule.support is not None for rule in self.roles.rules),
            has_fits=any(rule.stability is not None for rule in self.roles.rules),
            metrics={name: style.table(table) for name, table in (metrics or {}).items()},
            pictures={
                caption: style.data_uri(image, side=max(image.shape[:2]))
                for caption, image in (pictures or {}).items()
            },
        )
        files.write_text(self.path, text)
        return self.path

    def _write_one(self, made: dict[str, Any], folder: Path) -> str:
        """Writes a video's own page; its address."""
        inner = folder.relative_to(self.path.parent)
        root = "../" * len(inner.parts)
        text = self._render(
            "one_video.html.jinja",
            title=made["name"],
            card=made,
            root=root,
            back=root + quote(self.path.name),
        )
        files.write_text(folder / NAME, text)
        return quote(f"{inner.as_posix()}/{NAME}")

    def _render(self, template: str, **values: Any) -> str:
        events = list(style.colors_of(self.roles.events).items())
        return style.render(template, script="video_page.js", events=events, **values)


def write_video_page(
    path: str | os.PathLike,
    videos: Sequence[ScoredVideo],
    roles: RoleBook,
    *,
    threshold: ArrayLike = 0.5,
    **shown: Any,
) -> None:
    """Writes one self-contained HTML file: nothing fetched, all names escaped.

    Args:
      path: where to; replaced atomically.
      shown: of `VideoPages.finish`.

    Raises:
      InputError: the roles table lacks a column, or a video has no frame.
    """
    pages = VideoPages(path, roles, threshold=threshold)
    for video in videos:
        pages.add(video)
    pages.finish(**shown)
