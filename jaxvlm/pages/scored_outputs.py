"""What is drawn and exported of videos while they are scored, one after the other."""

import os
from collections.abc import Sequence
from pathlib import Path

from jax.typing import ArrayLike

from jaxvlm.pages.role_sections import role_book
from jaxvlm.pages.video_page import VideoPages
from jaxvlm.video.exporting import Exports
from jaxvlm.video.ordinary_reading import alarms_of
from jaxvlm.video.scored_folder import Done
from jaxvlm.video.scoring import Scorer


class ScoredOutputs:
    """The page, the exports, and how many alarms there were; no video is kept.

    alarms: of each video, see `ordinary_reading.alarms_of`.
    """

    def __init__(
        self,
        out_dir: str | os.PathLike,
        scorer: Scorer,
        *,
        threshold: ArrayLike,
        export: Sequence[str] = (),
    ):
        """Raises InputError: an unknown kind of export, or one that cannot be written."""
        self.page, self.threshold = Path(out_dir) / "report.html", threshold
        book = role_book(scorer.roles, scorer.signals)
        self.pages = VideoPages(self.page, book, threshold=threshold)
        self.exports = Exports(out_dir, export, scorer.signals)
        self.alarms: list[tuple[int, float]] = []

    def add(self, done: Done) -> None:
        """A video that was scored."""
        self.pages.add(*done[:3])
        self.exports.add(done)
        self.alarms.append(alarms_of(done.video, self.threshold))

    def finish(self, notices: Sequence[str]) -> None:
        """Writes what is of all videos."""
        self.pages.finish(notices=notices)
        self.exports.finish()
