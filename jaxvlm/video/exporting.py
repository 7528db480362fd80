"""Writes the detections of scored videos for editors, players and benchmarks, see `exports`."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from jaxvlm import files, outputs
from jaxvlm.video import export_formats
from jaxvlm.video.export_formats import Clip, Exported
from jaxvlm.video.export_kinds import OF_VIDEO, TOP, check_kinds
from jaxvlm.video.result_tables import reasons_text
from jaxvlm.video.scored_folder import Done
from jaxvlm.video.timecodes import clock_of


class Exports:
    """What is exported of videos that are scored one after the other; none is kept but for the
    rows of the files of all."""

    def __init__(self, out_dir: str | os.PathLike, kinds: Sequence[str], events: Sequence[str]):
        """Raises InputError: an unknown kind, or a place where its file cannot be written."""
        self.out_dir, self.kinds, self.events = Path(out_dir), check_kinds(kinds), tuple(events)
        self.found: dict[str, list[Exported]] = {}
        self.rows: list[tuple] = []
        outputs.require_places(self.out_dir, *self.top)

    @property
    def of_video(self) -> list[str]:
        """Names of the files in a video's folder."""
        return [name for kind in self.kinds for name in OF_VIDEO.get(kind, ())]

    @property
    def top(self) -> list[str]:
        """Names of the files of all videos."""
        return [TOP[kind] for kind in self.kinds if kind in TOP]

    def add(self, done: Done) -> None:
        """Writes what is written of one video."""
        if not self.kinds:
            return
        report, folder, file, fps = done
        found = [Exported(f.detection, reasons_text(f.reasons)) for f in report.findings]
        clock = clock_of(file, fps)
        url = relative_url(file, folder)
        clip = Clip(report.name if file is None else file.name, url, clock)
        made = {
            "detections.edl": lambda: export_formats.edl_text(clip, found),
            "detections.otio": lambda: export_formats.otio_text(clip, found, self.events),
            "chapters.vtt": lambda: export_formats.vtt_text(found),
            "chapters.ffmetadata": lambda: export_formats.ffmetadata_text(found),
        }
        for name in self.of_video:
            files.write_text(folder / name, made[name]())
        if "activitynet" in self.kinds:
            self.found[report.name] = found
        if "csv" in self.kinds:
            self.rows += export_formats.timecode_rows(report.name, found, clock)

    def finish(self) -> None:
        """Writes the files of all videos."""
        if "activitynet" in self.kinds:
            value = export_formats.activitynet(self.found)
            files.write_json(self.out_dir / TOP["activitynet"], value)
        if "csv" in self.kinds:
            table = pd.DataFrame(self.rows, columns=list(export_formats.TIMECODE_COLUMNS))
            files.write_csv(self.out_dir / TOP["csv"], table)


def relative_url(file: Path | None, folder: Path) -> str | None:
    """The address of a file as seen from a folder, so that both may be moved together.

    None for no file, and where the two have but the root of the file system in common: such an
    address would hold on this machine alone.
    """
    if file is None:
        return None
    file, folder = os.path.abspath(file), os.path.abspath(folder)
    if os.path.dirname(os.path.commonpath([file, folder])) == os.path.commonpath([file, folder]):
        return None
    return quote(os.fsencode(os.path.relpath(file, folder)))
